//! The quickstart is a whole project: outside of the workspace it compiles by its text alone, and its test passes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../README.md");

/// The files of a project that is made of the quickstart and nothing else.
fn project() -> [(&'static str, String); 2] {
    let code = README.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let (library, test) = code.split_once("# tokio::").unwrap();
    let test = test.lines().skip(1).filter(|line| !line.starts_with('#'));
    let test = test.map(|line| format!("        {line}\n")).collect::<String>();
    let library = format!(
        "//! Orders that are paid.\n\n{library}#[cfg(test)]\nmod tests {{\n    use super::*;\n\n    \
         #[tokio::test]\n    async fn an_order_is_paid() {{\n{test}    }}\n}}\n"
    );
    let facade = Path::new(env!("CARGO_MANIFEST_DIR")).display().to_string();
    let manifest = format!(
        "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         hostler = {{ path = \"{facade}\", default-features = false }}\n\n[dev-dependencies]\n\
         hostler = {{ path = \"{facade}\", default-features = false, features = [\"testkit\"] }}\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt\"] }}\n\n[workspace]\n"
    );
    [("Cargo.toml", manifest), ("src/lib.rs", library)]
}

#[test]
fn it_is_a_short_project() {
    let lines: usize = project().iter().map(|(_, text)| text.lines().count()).sum();
    println!("{lines} lines");
    assert!(lines < 150, "the project has {lines} lines");
}

#[test]
fn it_compiles_and_passes_outside_of_the_workspace() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quickstart");
    fs::create_dir_all(folder.join("src")).unwrap();
    for (path, text) in project() {
        fs::write(folder.join(path), text).unwrap();
    }
    // The versions that were resolved here, so that nothing is downloaded.
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"), folder.join("Cargo.lock"))
        .unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--offline", "--quiet"]).current_dir(&folder);
    // What the workspace has built is not built again.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let cargo = cargo.env("CARGO_TARGET_DIR", target);
    // Build scripts look at what cargo tells this test of itself, and would run again.
    for (name, _) in std::env::vars_os() {
        let of_this_test =
            ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_TARGET_TMPDIR"];
        if of_this_test.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    assert!(
        cargo.status().unwrap().success(),
        "it does not compile, or its test fails: {}",
        folder.display()
    );
}
