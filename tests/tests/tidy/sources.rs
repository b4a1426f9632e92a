//! Sources: what every file has, and what no file has.

use crate::repository::{File, Findings, files, sources};

const LINES_MAX: usize = 500;

#[test]
fn every_file_says_what_it_is_for() {
    let mut findings = Findings::of("every file opens with one //! line that says what it is for");
    for file in sources() {
        let first = file.text.lines().next().unwrap_or_default();
        findings.unless(
            first.starts_with("//! ") && first.len() > 8,
            &file.path,
            format!("opens with {first:?}"),
        );
    }
    findings.none();
}

#[test]
fn files_can_be_held_in_the_head() {
    let mut findings = Findings::of("a file has about 400 lines, and never over 500 (tests apart)");
    for file in sources().iter().filter(|file| !file.is_test()) {
        let lines = file.text.lines().count();
        findings.unless(lines <= LINES_MAX, &file.path, format!("has {lines} lines: split it"));
    }
    findings.none();
}

#[test]
fn nothing_is_left_undone() {
    // Put together here, so that this file is not found by itself.
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore]"),
        concat!("db", "g!("),
    ];
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut findings = Findings::of("nothing unfinished, and no test is left out without a reason");
    for file in sources() {
        for (number, line) in file.lines() {
            let undone = words.iter().chain(&notes).any(|word| line.contains(word));
            findings.unless(!undone, format!("{}:{number}", file.path), line.trim());
        }
    }
    findings.none();
}

#[test]
fn every_allowance_has_its_reason() {
    let openings = [
        concat!("#[al", "low("),
        concat!("#![al", "low("),
        concat!("#[ex", "pect("),
        concat!("#![ex", "pect("),
    ];
    let mut findings =
        Findings::of("no lint is switched off without a reason = \"…\", or a comment beside it");
    for file in sources() {
        for opening in openings {
            for (at, _) in file.text.match_indices(opening) {
                // Up to the end of the line on which the attribute ends: the reason may be a comment there.
                let rest = &file.text[at..];
                let end = rest.find(")]").unwrap_or(rest.len());
                let attribute = rest[end..].find('\n').map_or(rest, |newline| &rest[..end + newline]);
                let reasoned = attribute.contains("reason =") || attribute.contains("//");
                let number = file.text[..=at].lines().count();
                findings.unless(reasoned, format!("{}:{number}", file.path), attribute);
            }
        }
    }
    findings.none();
}

#[test]
fn only_main_reads_the_environment() {
    let reading = [concat!("env::", "var("), concat!("env::", "vars("), concat!("env::", "var_os(")];
    let pure =
        ["common/core/", "common/domain/", "common/runtime/", "common/drivers/", "events/src/", "functions/"];
    let mut findings = Findings::of("only main.rs and common/aws read the environment; the rest is told");
    // A build without the feature of mutation points, which is every deployment's, has none of this file.
    let of_mutants = "common/core/src/mutants.rs";
    let told = |file: &&File| !file.is_test() && !file.path.ends_with("/main.rs") && file.path != of_mutants;
    for file in sources().iter().filter(told) {
        if pure.iter().any(|folder| file.path.starts_with(folder)) {
            for (number, line) in
                file.lines().filter(|(_, line)| reading.iter().any(|read| line.contains(read)))
            {
                findings.add(format!("{}:{number}", file.path), line.trim());
            }
        }
    }
    findings.none();
}

#[test]
fn pure_rooms_have_no_clock_and_no_dice() {
    let ambient = [
        "Timestamp::now",
        "SystemTime",
        "Instant::now",
        "Zoned::now",
        "Uuid::now_v7",
        "Uuid::new_v4",
        "now_v7()",
    ];
    let pure = ["common/core/src/", "common/domain/src/", "events/src/"];
    let mut findings = Findings::of(
        "time and ids arrive inside the input; core, events and domain have no clock of their own",
    );
    for file in sources().iter().filter(|file| pure.iter().any(|folder| file.path.starts_with(folder))) {
        for (number, line) in file.lines() {
            let found = ambient.iter().any(|name| line.contains(name));
            findings.unless(!found, format!("{}:{number}", file.path), line.trim());
        }
    }
    findings.none();
}

#[test]
fn deciders_match_every_case() {
    let mut findings =
        Findings::of("common/domain has exhaustive matches: no _ => over states, inputs or events");
    for file in sources().iter().filter(|file| file.path.starts_with("common/domain/src/") && !file.is_test())
    {
        for (number, line) in file.lines() {
            let line = line.trim();
            findings.unless(!line.starts_with("_ =>"), format!("{}:{number}", file.path), line);
        }
    }
    findings.none();
}

#[test]
fn nothing_listens_beyond_this_machine() {
    let everywhere = [concat!("0.0", ".0.0"), concat!("[:", ":]:"), concat!("UNSPEC", "IFIED")];
    let mut findings = Findings::of("servers bind to 127.0.0.1 only");
    for file in sources().iter().chain(&files("py")).chain(&files("sh")) {
        for (number, line) in file.lines() {
            let found = everywhere.iter().any(|address| line.contains(address));
            findings.unless(!found, format!("{}:{number}", file.path), line.trim());
        }
    }
    findings.none();
}

#[test]
fn nothing_knows_the_machine_that_it_was_written_on() {
    let paths = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/main"),
        concat!("/wo", "rk/shared"),
        concat!("/Us", "ers/"),
    ];
    let mut findings = Findings::of("no path of a developer's machine in code, configuration or documents");
    let others = ["md", "toml", "yaml", "yml", "py", "sh", "json"].map(files);
    for file in sources().iter().chain(others.iter().flatten()) {
        for (number, line) in file.lines() {
            let found = paths.iter().any(|path| line.contains(path));
            findings.unless(!found, format!("{}:{number}", file.path), line.trim());
        }
    }
    findings.none();
}
