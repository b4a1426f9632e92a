//! Manifests: one home for versions, lints and the licence.

use std::collections::BTreeMap;

use crate::repository::{Findings, files};
use hostler_tests::{root, workspace};

#[test]
fn every_crate_inherits_from_the_workspace() {
    let mut findings =
        Findings::of("every member inherits edition, licence, lints and publish from the workspace");
    for file in files("toml").iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        for line in ["edition.workspace = true", "rust-version.workspace = true", "license.workspace = true"]
        {
            findings.unless(file.text.contains(line), &file.path, format!("lacks {line}"));
        }
        // What strangers use is published, and the rest is not.
        let line = if published(&file.path) { "publish = true" } else { "publish.workspace = true" };
        findings.unless(file.text.contains(line), &file.path, format!("lacks {line}"));
        let lints = file.text.contains("[lints]\nworkspace = true");
        findings.unless(lints, &file.path, "lacks [lints] workspace = true");
    }
    findings.none();
}

#[test]
fn published_crates_say_what_a_registry_asks() {
    let mut findings = Findings::of("a published crate has keywords, categories and a README of its own");
    for file in files("toml").iter().filter(|file| published(&file.path)) {
        for field in ["description = ", "keywords = ", "categories = ", "readme = \"README.md\""] {
            findings.unless(file.text.contains(field), &file.path, format!("lacks {field}"));
        }
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        findings.unless(folder.join("README.md").exists(), &file.path, "has no README.md beside it");
    }
    findings.none();
}

fn published(path: &str) -> bool {
    ["core", "runtime", "aws", "testkit", "hostler"]
        .iter()
        .any(|name| path == format!("common/{name}/Cargo.toml"))
}

#[test]
fn versions_have_one_home() {
    let mut findings = Findings::of("versions live in the root Cargo.toml; members say workspace = true");
    for file in files("toml").iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let mut in_dependencies = false;
        for (number, line) in file.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            }
            let own = in_dependencies
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true");
            // The later lines of an inline table that is spread over several.
            let entry = line.starts_with(|first: char| first.is_ascii_alphabetic());
            findings.unless(!(own && entry), format!("{}:{number}", file.path), line);
        }
    }
    findings.none();
}

#[test]
fn every_crate_says_what_it_is_for() {
    let mut findings = Findings::of("a crate's description says in a sentence what the crate is for");
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for package in &workspace().packages {
        let description = package.description.clone().unwrap_or_default();
        findings.unless(description.len() >= 20, &package.name, format!("is described as {description:?}"));
        if let Some(other) = seen.insert(description.clone(), package.name.to_string()) {
            findings.add(&package.name, format!("has the description of {other}"));
        }
        let licence = package.license.as_deref();
        findings.unless(
            licence == Some("MIT OR Apache-2.0"),
            &package.name,
            format!("its licence is {licence:?}"),
        );
    }
    findings.none();
}

#[test]
fn the_licences_are_there() {
    let mut findings = Findings::of("MIT OR Apache-2.0: both texts lie at the top");
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        findings.unless(root().join(name).is_file(), name, "is missing");
    }
    findings.none();
}
