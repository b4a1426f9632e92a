//! Promises: each one that docs/promises.md makes names a test that exists.

use crate::repository::{Findings, read, root};

const FILE: &str = "docs/promises.md";

#[test]
fn every_promise_names_a_test_that_exists() {
    let mut findings =
        Findings::of("each row of docs/promises.md names a test, by a link to the file that has it");
    let text = read(FILE);
    let rows = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("| ") && *line != "| promise | proven by |");
    let mut count = 0;
    for (number, line) in rows {
        let place = format!("{FILE}:{}", number + 1);
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
