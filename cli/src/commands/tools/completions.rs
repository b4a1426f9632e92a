//! `completions`: a script that lets a shell complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::CliError;
use crate::output::Out;

/// What `completions` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hostler completions bash > ~/.local/share/bash-completion/completions/hostler"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: CompletionsArgs, out: Out) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hostler", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end())
}
