//! The verbs of `commands`, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `commands` takes.
#[derive(Debug, Args)]
pub(crate) struct CommandsArgs {
    #[command(subcommand)]
    pub(super) verb: CommandsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum CommandsVerb {
    /// List the commands that the running application takes
    List(ListArgs),
    /// Send a command
    #[command(after_help = "Examples:\n  \
        hostler commands send stock-item '{\"item\": \"tea\", \"quantity\": 10, \"lowBelow\": 2}'\n  \
        hostler commands send place-order --from order.json")]
    Send(SendArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those with this in their name
    #[arg(long, value_name = "TEXT")]
    pub(super) like: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The command, as `list` tells it
    pub(super) command: String,
    /// What it says, as a JSON object
    #[arg(value_name = "JSON", conflicts_with = "from", required_unless_present = "from")]
    pub(super) data: Option<String>,
    /// A file with what it says; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
}
