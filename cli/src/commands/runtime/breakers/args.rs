//! The verbs of `breakers`, and their arguments.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::values::{Reason, duration};

/// Where a breaker stands.
const STATES: [&str; 5] = ["closed", "open", "probing", "held-open", "held-closed"];

/// What `breakers` takes.
#[derive(Debug, Args)]
pub(crate) struct BreakersArgs {
    #[command(subcommand)]
    pub(super) verb: BreakersVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum BreakersVerb {
    /// List the dependencies whose breakers ever opened
    List(ListArgs),
    /// Hold a breaker open: the dependency is not called, whatever its calls say, and its steps wait
    #[command(
        after_help = "Example:\n  hostler breakers open configuration --for 30m --reason \"maintenance\""
    )]
    Open(HoldArgs),
    /// Hold a breaker closed: the dependency is called, whatever its calls say
    #[command(
        after_help = "Example:\n  hostler breakers close bmc --for 10m --reason \"it is back, see the ticket\""
    )]
    Close(HoldArgs),
    /// Have the dependency's calls decide again
    Auto(AutoArgs),
}

#[derive(Debug, Default, Args)]
pub(super) struct ListArgs {
    /// Only those in this state
    #[arg(long, value_parser = STATES)]
    pub(super) state: Option<String>,
    /// Only this dependency's
    #[arg(long)]
    pub(super) dependency: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// The dependency, such as configuration, or one BMC as bmc/<host>
    pub(super) dependency: String,
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub(super) lasts: Duration,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct AutoArgs {
    /// The dependency
    pub(super) dependency: String,
    #[command(flatten)]
    pub(super) reason: Reason,
}
