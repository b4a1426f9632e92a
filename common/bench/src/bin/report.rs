//! Writes the figures of `docs/figures/` into `docs/performance.md`, between their marks, and draws their curves.

use std::process::ExitCode;

fn main() -> ExitCode {
    match hostler_bench::report::write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("docs/performance.md was not written: {error}");
            ExitCode::FAILURE
        }
    }
}
