//! The repository's files, and the findings of a check.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use hostler_tests::root;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", ".git", ".hostler", "node_modules", "__pycache__"];

/// A file's text by its path from the top.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file with its path from the top.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether it is only ever built for tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/testing.rs")
    }

    /// The lines with their numbers.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// All Rust files, read once, in order.
pub(crate) fn sources() -> &'static [File] {
    static SOURCES: OnceLock<Vec<File>> = OnceLock::new();
    SOURCES.get_or_init(|| files("rs"))
}

/// All files with an extension, in order.
pub(crate) fn files(extension: &str) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), extension, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&&*name) {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|of| of == extension) {
            let text = fs::read_to_string(&path).unwrap();
            found.push(File { path: path.strip_prefix(root()).unwrap().display().to_string(), text });
        }
    }
}

/// The names of the folders in a folder.
pub(crate) fn folders(path: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(path))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// The code of a function: everything under its `src/`, `main.rs` left out.
pub(crate) fn function_library(folder: &str) -> impl Iterator<Item = &'static File> {
    let prefix = format!("functions/{folder}/src/");
    sources().iter().filter(move |file| file.path.starts_with(&prefix) && !file.path.ends_with("/main.rs"))
}

/// What a check found wrong under one rule.
pub(crate) struct Findings {
    rule: &'static str,
    found: Vec<String>,
}

impl Findings {
    /// A check of a rule, which is said with the findings.
    pub(crate) fn of(rule: &'static str) -> Self {
        Self { rule, found: Vec::new() }
    }

    /// One more finding.
    pub(crate) fn add(&mut self, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        self.found.push(format!("  {place}: {what}"));
    }

    /// One more finding unless it is as it should be.
    pub(crate) fn unless(&mut self, fine: bool, place: impl std::fmt::Display, what: impl std::fmt::Display) {
        if !fine {
            self.add(place, what);
        }
    }

    /// Ends the check.
    #[track_caller]
    pub(crate) fn none(self) {
        let Self { rule, found } = self;
        assert!(found.is_empty(), "{} finding(s)\nrule: {rule}\n{}\n", found.len(), found.join("\n"));
    }
}
