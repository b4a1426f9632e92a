//! The instructions of the hot paths, counted by callgrind beside the counts that are committed: a difference of more
//! than 5 % fails with the name of the path, whatever else the machine is busy with.
//!
//! `--bless` writes the counts down again. They belong to one compiler; with another one there is nothing to compare.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

#[path = "../pipeline/readings.rs"]
mod readings;
#[path = "../pipeline/setup.rs"]
mod setup;
#[path = "../pipeline/stages.rs"]
mod stages;
#[path = "../pipeline/still.rs"]
mod still;

use std::process::ExitCode;

use hostler_bench::instructions::{self, Guard};

// As in every function.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The whole pipeline, ten messages at once.
const WHOLE: &str = "an invocation of ten messages";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, path] = arguments.as_slice()
        && one == "--one"
    {
        instructions::measured(|| if path == WHOLE { whole() } else { stages::one(path) });
        return ExitCode::SUCCESS;
    }
    let paths = std::iter::once(WHOLE).chain(stages::names());
    let guard = Guard::new(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json"));
    guard.run(paths, arguments.iter().any(|argument| argument == "--bless"))
}

fn whole() -> Box<dyn FnMut()> {
    let (by, ours) = (setup::integrity(), setup::Ours::new(setup::integrity()));
    let payload = setup::payload(0, &by);
    Box::new(move || ours.handle(&payload))
}
