//! `bench`: runs the benchmarks of the workspace. Documents are changed only when that is asked for.

use std::path::Path;

use clap::{Args, ValueEnum};
use tokio::process::Command;

use crate::application::Application;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Global;

/// The variable by which benchmarks are told where their figures go.
const FIGURES: &str = "HOSTLER_FIGURES";

/// What `bench` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hostler bench pipeline\n  hostler bench pipeline --write-docs\n  hostler bench --report --write-docs"
)]
pub(crate) struct BenchArgs {
    /// Which ones; all of them when none is named
    benchmarks: Vec<Benchmark>,
    /// Write the figures into docs/figures and docs/performance.md
    #[arg(long)]
    write_docs: bool,
    /// Run nothing: write the figures of docs/figures into docs/performance.md
    #[arg(long, conflicts_with = "benchmarks", requires = "write_docs")]
    report: bool,
}

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// The runtime without I/O, on one core
    Pipeline,
    /// Instructions of the hot paths, beside the committed ones
    Instructions,
    /// How time grows with the number of sagas, commits and hosts
    Growth,
    /// Calls, units and times on the local cloud
    Local,
    /// The start of every function
    ColdStart,
    /// A stream of 100,000 commits on the local cloud
    LongStream,
}

impl Benchmark {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Pipeline => &["-p", "hostler-bench", "--bench", "pipeline"],
            Self::Instructions => &["-p", "hostler-bench", "--bench", "instructions"],
            Self::Growth => &["-p", "hostler-bench", "--bench", "growth"],
            // What drives the functions need not be quick; they themselves are built as they are deployed.
            Self::Local => &["--profile", "dev", "-p", "hostler-tests", "--bench", "local"],
            Self::ColdStart => &["--profile", "dev", "-p", "hostler-tests", "--bench", "cold_start"],
            Self::LongStream => &["--profile", "dev", "-p", "hostler-tests", "--bench", "long_stream"],
        }
    }
}

/// Runs them.
pub(crate) async fn run(args: BenchArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let application = global.application()?;
    let figures = match args.write_docs {
        true => application.root().join("docs/figures"),
        false => application.root().join("target/figures"),
    };
    let benchmarks = match args.benchmarks.as_slice() {
        [] if args.report => &[],
        [] => Benchmark::value_variants(),
        named => named,
    };
    for benchmark in benchmarks {
        out.line(out.bold(format!("cargo bench {}", benchmark.arguments().join(" "))))?;
        cargo(&application, &figures, "bench", benchmark.arguments()).await?;
    }
    if !args.write_docs {
        return out
            .line(format!("The figures are in {}; --write-docs writes them into docs.", figures.display()));
    }
    cargo(&application, &figures, "run", &["--quiet", "-p", "hostler-bench", "--bin", "report"]).await
}

async fn cargo(
    application: &Application,
    figures: &Path,
    command: &str,
    arguments: &[&str],
) -> Result<(), CliError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo);
    child.arg(command).args(arguments).current_dir(application.root()).env(FIGURES, figures);
    let status = child.status().await.map_err(CliError::failed("cargo does not run: install Rust"))?;
    if status.success() {
        return Ok(());
    }
    Err(CliError::Outcome(format!("cargo {command} {} failed; what it said is above", arguments.join(" "))))
}
