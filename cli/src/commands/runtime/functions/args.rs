//! The verbs of `functions`, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `functions` takes.
#[derive(Debug, Args)]
pub(crate) struct FunctionsArgs {
    #[command(subcommand)]
    pub(super) verb: FunctionsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum FunctionsVerb {
    /// List the functions, and the sample inputs of each
    List(ListArgs),
    /// Invoke one function with a sample or a file
    #[command(after_help = "Examples:\n  hostler functions invoke answer-queries --sample http\n  \
        hostler functions invoke deploy-host --file message.json")]
    Invoke(InvokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those that have samples
    #[arg(long)]
    pub(super) sampled: bool,
    /// Only this function
    #[arg(long)]
    pub(super) function: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct InvokeArgs {
    /// The function, such as answer-queries
    pub(super) function: String,
    /// The name of one of its samples
    #[arg(long, conflicts_with = "file")]
    pub(super) sample: Option<String>,
    /// A file with its input
    #[arg(long)]
    pub(super) file: Option<PathBuf>,
}
