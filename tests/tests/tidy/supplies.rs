//! What we build on: each crate under a licence that lets a product be sold, and from crates.io. Advisories are not looked up, for
//! the tests need no network.

use cargo_metadata::MetadataCommand;

use crate::repository::{Findings, root};

/// Licences that ask for no more than their text.
const PERMISSIVE: [&str; 11] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression can be met with permissive licences alone. `AND` binds closer than `OR`; before SPDX, a slash
/// was an `OR`.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    either(&mut rest) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> bool {
    let mut fine = both(rest);
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        // Both sides are read, whatever the first one says.
        fine |= both(rest);
    }
    fine
}

fn both(rest: &mut &[&str]) -> bool {
    let mut fine = one(rest);
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        fine &= one(rest);
    }
    fine
}

fn one(rest: &mut &[&str]) -> bool {
    let Some((first, others)) = rest.split_first() else { return false };
    *rest = others;
    let fine = match *first {
        "(" => {
            let fine = either(rest);
            let closed = rest.first() == Some(&")");
            *rest = rest.get(1..).unwrap_or_default();
            fine && closed
        }
        licence => PERMISSIVE.contains(&licence),
    };
    // An exception only ever allows more.
    if rest.first() == Some(&"WITH") {
        *rest = rest.get(2..).unwrap_or_default();
    }
    fine
}

#[test]
fn licences_are_read_as_spdx_has_them() {
    for fine in [
        "MIT",
        "MIT/Apache-2.0",
        "MIT OR LGPL-2.1-or-later",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(is_permissive(fine), "{fine}");
    }
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT AND SSPL-1.0) OR AGPL-3.0", "", "(MIT"] {
        assert!(!is_permissive(wrong), "{wrong}");
    }
}

#[test]
fn what_we_build_on_is_permissive_and_from_crates_io() {
    let mut findings = Findings::of(
        "every crate in Cargo.lock is ours or from crates.io, and its licence can be met with permissive ones",
    );
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    command.other_options(["--offline".to_owned(), "--locked".to_owned()]);
    let metadata = command.exec().unwrap();
    assert!(metadata.packages.len() > 200, "the test sees too little");
    for package in &metadata.packages {
        let name = format!("{} {}", package.name, package.version);
        let known = package
            .source
            .as_ref()
            .is_none_or(|source| source.repr == "registry+https://github.com/rust-lang/crates.io-index");
        findings.unless(known, "Cargo.lock", format!("{name} is from {:?}", package.source));
        let licence = package.license.as_deref().unwrap_or_default();
        findings.unless(
            is_permissive(licence),
            "Cargo.lock",
            format!("the licence of {name} is {licence:?}"),
        );
    }
    findings.none();
}
