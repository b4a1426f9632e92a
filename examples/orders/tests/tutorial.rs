//! The tutorial's code is the example's code.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

use std::fs;
use std::path::Path;

#[test]
fn every_snippet_of_the_tutorial_is_a_piece_of_the_example() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "src/bin", "tests"] {
        for entry in fs::read_dir(here.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(plain(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    let tutorial = fs::read_to_string(here.join("../../docs/tutorial.md")).unwrap();
    let blocks = tutorial.split("```rust\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let mut snippets = 0;
    for snippet in blocks {
        snippets += 1;
        let wanted = plain(snippet);
        assert!(sources.iter().any(|source| source.contains(&wanted)), "not in the example:\n{snippet}");
    }
    assert!(snippets > 10, "{snippets} snippets were found");
}

/// The text without indentation.
fn plain(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}
