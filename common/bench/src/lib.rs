//! How figures are taken, compared and written down.
//!
//! Machines differ and are noisy, so what counts is a ratio of two things that were measured in turn within one run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

pub mod instructions;
pub mod report;

/// What one benchmark found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Where and when.
    pub machine: String,
    /// What was found, in the order in which it was found.
    pub rows: Vec<Row>,
    /// Figures for programs, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// Curves, by name: pairs of x and y.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub curves: BTreeMap<String, Vec<(f64, f64)>>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// How much it is, with its unit.
    pub figure: String,
    /// What it is to be compared with: a target, the floor, another system.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub beside: String,
}

impl Figures {
    /// None yet, of this machine.
    #[must_use]
    pub fn here() -> Self {
        Self { machine: machine(), ..Self::default() }
    }

    /// Notes and prints a figure.
    pub fn row(&mut self, what: impl Into<String>, figure: impl fmt::Display, beside: impl Into<String>) {
        let row = Row { what: what.into(), figure: figure.to_string(), beside: beside.into() };
        println!("{:<58} {:>22}  {}", row.what, row.figure, row.beside);
        self.rows.push(row);
    }

    /// Notes a figure for programs.
    pub fn value(&mut self, name: impl Into<String>, value: f64) {
        self.values.insert(name.into(), value);
    }

    /// Notes a point of a curve.
    pub fn point(&mut self, curve: &str, x: f64, y: f64) {
        self.curves.entry(curve.to_owned()).or_default().push((x, y));
    }

    /// Writes them where `cargo hostler bench` finds them.
    ///
    /// # Panics
    /// When the folder cannot be written.
    #[allow(clippy::unwrap_used, reason = "without its result a benchmark has failed")]
    pub fn save(&self, bench: &str) {
        let folder = folder();
        std::fs::create_dir_all(&folder).unwrap();
        let text = serde_json::to_string_pretty(self).unwrap();
        std::fs::write(folder.join(format!("{bench}.json")), text + "\n").unwrap();
    }
}

/// Where figures are written: the folder that `HOSTLER_FIGURES` names, else `target/figures/` of the workspace that the
/// program is run in. Nothing is written into the documents unless somebody asks for it.
#[must_use]
pub fn folder() -> PathBuf {
    let named = std::env::var_os("HOSTLER_FIGURES").filter(|folder| !folder.is_empty());
    named.map_or_else(|| workspace().join("target/figures"), PathBuf::from)
}

/// The workspace that the program is run in. Where checkouts share a target folder, another one of them may have built
/// it.
pub(crate) fn workspace() -> PathBuf {
    let run_in = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = run_in.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let workspace = package.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    workspace.unwrap_or(&package).to_owned()
}

/// The processor and how many of it there are.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}

/// Times of two things that were done in turn.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The first's median in seconds.
    pub first: f64,
    /// The second's median in seconds.
    pub second: f64,
    /// The median of the ratios first to second, turn by turn.
    pub ratio: f64,
}

/// Does two things in turn, so that a machine that slows down slows both.
pub fn in_turn(rounds: usize, mut first: impl FnMut(), mut second: impl FnMut()) -> Pair {
    first();
    second();
    let times: Vec<(f64, f64)> = (0..rounds).map(|_| (seconds(&mut first), seconds(&mut second))).collect();
    Pair {
        first: median(times.iter().map(|(first, _)| *first)),
        second: median(times.iter().map(|(_, second)| *second)),
        ratio: median(times.iter().map(|(first, second)| first / second)),
    }
}

/// The median time of one thing in seconds, once it is warm.
pub fn alone(rounds: usize, mut work: impl FnMut()) -> f64 {
    work();
    median((0..rounds).map(|_| seconds(&mut work)))
}

fn seconds(work: &mut impl FnMut()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut values.into_iter().collect::<Vec<_>>(), 0.5)
}

/// The value below which this share of the values lies; 0 without values.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (share * values.len() as f64) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}
