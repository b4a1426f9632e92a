//! Promises and rules: each one that a document makes names a test that exists.

use crate::repository::{Findings, read};
use hostler_tests::root;

#[test]
fn every_promise_names_a_test_that_exists() {
    every_row_names_a_test("docs/promises.md", "| promise | proven by |");
}

#[test]
fn every_rule_of_the_data_centre_names_a_test_that_exists() {
    every_row_names_a_test("docs/rules.md", "| rule | proven by |");
}

fn every_row_names_a_test(file: &str, head: &str) {
    let mut findings = Findings::of("each row names a test, by a link to the file that has it");
    let text = read(file);
    let rows = text.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && *line != head);
    let mut count = 0;
    for (number, line) in rows {
        let place = format!("{file}:{}", number + 1);
        let tests: Vec<(&str, &str)> = line.split("[`").skip(1).filter_map(link).collect();
        findings.unless(!tests.is_empty(), &place, "names no test");
        for (name, path) in tests {
            count += 1;
            let source = std::fs::read_to_string(root().join("docs").join(path)).unwrap_or_default();
            findings.unless(
                source.contains(&format!("fn {name}(")),
                &place,
                format!("{path} has no test {name}"),
            );
        }
    }
    assert!(count > 50, "the table has {count} tests: is it read at all?");
    findings.none();
}

/// The name and the file of "name`](file)…".
fn link(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once("`](")?;
    Some((name, rest.split_once(')')?.0))
}
