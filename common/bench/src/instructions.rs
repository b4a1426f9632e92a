//! Instruction counts: the same on every run, so that noise does not decide.
//!
//! A benchmark that is asked for one path runs it within [`measured_path`], which is all that callgrind counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

/// How often a path is walked before it is counted.
const WARM: usize = 3;
/// The largest difference that is let by, in percent.
const PERCENT_MAX: u64 = 5;

/// Prepares a path, warms it, and walks it once to be counted.
pub fn measured(prepare: impl FnOnce() -> Box<dyn FnMut()>) {
    let mut path = prepare();
    (0..WARM).for_each(|_| path());
    measured_path(&mut path);
}

/// What callgrind is told to count.
#[inline(never)]
pub fn measured_path(path: &mut dyn FnMut()) {
    path();
}

/// The counts that are committed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Baseline {
    /// The compiler that they belong to.
    compiler: String,
    /// Instructions by path.
    paths: BTreeMap<String, u64>,
}

/// Compares counts with those that are committed.
#[derive(Debug)]
pub struct Guard {
    file: PathBuf,
}

impl Guard {
    /// One whose counts are in this file.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// Counts the paths of the program that runs, and tells which differ. `bless` takes them as they are.
    pub fn run<'a>(&self, paths: impl IntoIterator<Item = &'a str>, bless: bool) -> ExitCode {
        let compiler = said_by(Command::new("rustc").arg("--version")).unwrap_or_default();
        let mut found = Baseline {
            compiler: format!("{} {}", compiler.trim(), std::env::consts::ARCH),
            ..Baseline::default()
        };
        for path in paths {
            match count(path) {
                Ok(instructions) => found.paths.insert(path.to_owned(), instructions),
                Err(why) => {
                    eprintln!("{path} was not counted: {why}");
                    return ExitCode::FAILURE;
                }
            };
        }
        let baseline: Option<Baseline> =
            std::fs::read_to_string(&self.file).ok().and_then(|text| serde_json::from_str(&text).ok());
        let differences = differences(&baseline.clone().unwrap_or_default(), &found);
        for (path, instructions) in &found.paths {
            let before = baseline.as_ref().and_then(|baseline| baseline.paths.get(path));
            let change =
                before.map_or(String::new(), |before| format!("{:+.1} %", percent(*before, *instructions)));
            println!("{path:<40} {instructions:>12} instructions {change:>10}");
        }
        if bless {
            let text = serde_json::to_string_pretty(&found).unwrap_or_default() + "\n";
            return match std::fs::write(&self.file, text) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{} was not written: {error}", self.file.display());
                    ExitCode::FAILURE
                }
            };
        }
        match baseline {
            Some(baseline) if baseline.compiler == found.compiler => {}
            other => {
                let theirs = other.map_or_else(|| "nothing".to_owned(), |other| other.compiler);
                println!("not compared: the counts are of {theirs}, and this is {}", found.compiler);
                return ExitCode::SUCCESS;
            }
        }
        for difference in &differences {
            eprintln!("{difference}");
        }
        if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What differs by more than is let by, with what to do.
fn differences(before: &Baseline, now: &Baseline) -> Vec<String> {
    let told = now.paths.iter().filter_map(|(path, instructions)| {
        let Some(before) = before.paths.get(path) else {
            return Some(format!("{path} has no count yet: write it down with --bless"));
        };
        let far = before.abs_diff(*instructions) * 100 > *before * PERCENT_MAX;
        let percent = percent(*before, *instructions);
        far.then(|| {
            let way = if percent > 0.0 { "slower" } else { "faster" };
            format!(
                "{path} became {way}: {before} instructions before, {instructions} now ({percent:+.1} %, {PERCENT_MAX} % are let by); mend it, or write the new counts down with --bless and say why"
            )
        })
    });
    let gone = before.paths.keys().filter(|path| !now.paths.contains_key(*path));
    told.chain(gone.map(|path| format!("{path} is counted no more: write the counts down with --bless")))
        .collect()
}

fn percent(before: u64, now: u64) -> f64 {
    (now as f64 / before.max(1) as f64 - 1.0) * 100.0
}

/// The instructions of one path of the program that runs.
fn count(path: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut callgrind = Command::new("valgrind");
    callgrind.args([
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--toggle-collect=*measured_path*",
    ]);
    let done = callgrind.arg(program).args(["--one", path]).output();
    let done = done.map_err(|error| format!("valgrind does not run ({error}): install it"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    match collected {
        Some(instructions) if done.status.success() && instructions > 0 => Ok(instructions),
        _ => Err(format!("valgrind said: {}", said.lines().last().unwrap_or_default())),
    }
}

fn said_by(command: &mut Command) -> Option<String> {
    String::from_utf8(command.output().ok()?.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(paths: &[(&str, u64)]) -> Baseline {
        let paths = paths.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect();
        Baseline { compiler: "rustc".to_owned(), paths }
    }

    #[test]
    fn what_differs_by_more_than_five_percent_is_named() {
        let before = counts(&[("decode", 1_000), ("verify", 1_000), ("write", 1_000), ("gone", 1)]);
        let now = counts(&[("decode", 1_050), ("verify", 1_051), ("write", 949), ("new", 1)]);
        let told = differences(&before, &now);
        assert_eq!(told.len(), 4, "{told:?}");
        let says = |text: &str| told.iter().any(|line| line.starts_with(text));
        assert!(says("verify became slower") && says("write became faster"), "{told:?}");
        assert!(says("new has no count") && says("gone is counted no more"), "{told:?}");
    }
}
