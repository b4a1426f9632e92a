//! Documents: links lead somewhere, and nothing that is deployed goes unsaid.

use crate::repository::{File, Findings, files, folders};
use hostler_tests::root;

fn documents() -> Vec<File> {
    files("md")
}

#[test]
fn links_lead_to_files() {
    let mut findings = Findings::of("a link in a document leads to a file that exists");
    for document in documents() {
        let folder = root().join(&document.path).parent().unwrap().to_owned();
        for (number, line) in document.lines() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = target.split('#').next().unwrap_or_default();
                let elsewhere = target.contains("://") || target.starts_with("mailto:") || path.is_empty();
                let place = format!("{}:{number}", document.path);
                findings.unless(
                    elsewhere || folder.join(path).exists(),
                    place,
                    format!("{target} does not exist"),
                );
            }
        }
    }
    findings.none();
}

#[test]
fn paths_in_documents_exist() {
    const TOP: [&str; 8] =
        ["common/", "functions/", "events/", "localstack/", "infra/", "cli/", "tests/", ".github/"];
    let mut findings = Findings::of("a path of the repository that a document names exists");
    for document in documents() {
        for (number, line) in document.lines() {
            // Every second part of a line is between backticks.
            for quoted in line.split('`').skip(1).step_by(2) {
                let ours = TOP.iter().any(|top| quoted.starts_with(top));
                let pattern = quoted.contains(['<', '*', '{', '…', ' ', '$']);
                let path = quoted.split(':').next().unwrap_or_default();
                // A README may also speak of what is beside it.
                let beside = root().join(&document.path).parent().unwrap().join(path);
                let fine = !ours || pattern || root().join(path).exists() || beside.exists();
                findings.unless(
                    fine,
                    format!("{}:{number}", document.path),
                    format!("{quoted} does not exist"),
                );
            }
        }
    }
    findings.none();
}

#[test]
fn every_function_is_spoken_of() {
    let mut findings =
        Findings::of("README.md or ARCHITECTURE.md names every function and every crate's folder");
    let all = documents();
    let text = |name: &str| all.iter().find(|file| file.path == name).map(|file| file.text.as_str());
    for name in ["README.md", "ARCHITECTURE.md"] {
        findings.unless(text(name).is_some(), name, "is not written yet");
    }
    let said =
        [text("README.md"), text("ARCHITECTURE.md")].into_iter().flatten().collect::<Vec<_>>().join("\n");
    if !said.is_empty() {
        for function in folders("functions") {
            findings.unless(said.contains(&function), format!("functions/{function}"), "is named in neither");
        }
        for folder in folders("common").iter().map(|name| format!("common/{name}")) {
            findings.unless(said.contains(&folder), &folder, "is named in neither");
        }
        for folder in ["events", "localstack", "cli", "tests", "template.yaml"] {
            findings.unless(said.contains(folder), folder, "is named in neither");
        }
    }
    findings.none();
}

#[test]
fn the_continuous_integration_runs_what_the_readme_says() {
    let readme = crate::repository::read("README.md");
    let script = crate::repository::read(".ci/run");
    let shown: Vec<&str> =
        readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let tests = shown.iter().find(|block| block.starts_with("cargo test")).map(|block| block.trim());
    let command = tests.expect("README.md shows the command that runs all tests in a block of its own");
    // There with the versions of Cargo.lock, whatever is newer.
    let locked = format!("{command} --locked");
    assert!(script.lines().any(|line| line == locked), ".ci/run does not run the README's {command:?}");
}
