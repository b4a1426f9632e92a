//! What `simulate` takes.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::values::{count, duration};

const EXAMPLES: &str = "\
Examples:
  hostler simulate list
  hostler simulate flash-sale                      a pool has four times as much to do, and then as much as before
  hostler simulate rack-loss --hosts 12 -o json
  hostler --stack staging simulate flash-sale --site-is-a-test --signals

On the local cloud its hosts break and have more to do. With --signals alerts say so, and nothing else does: what
they lead to is done all the same.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SimulateArgs {
    #[command(subcommand)]
    pub(super) verb: Option<SimulateVerb>,
    /// The scenario
    #[arg(required = true)]
    pub(super) scenario: Option<String>,
    /// How many hosts of the pool are in service before it begins [default: the scenario's]
    #[arg(long, value_parser = count(1..=100_u32))]
    pub(super) hosts: Option<u32>,
    /// How long it may take [default: the scenario's]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(super) lasts: Option<Duration>,
    /// Have alerts say what happens, instead of having it happen
    #[arg(long)]
    pub(super) signals: bool,
    /// The stack's SignalToken, with which alerts are sent [default: that of the local cloud]
    #[arg(long, env = "HOSTLER_SIGNAL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(super) signal_token: Option<String>,
    /// Say that what runs on the stack may be disturbed: without it nothing but the local cloud is
    #[arg(long)]
    pub(super) site_is_a_test: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum SimulateVerb {
    /// List the scenarios
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this pool
    #[arg(long)]
    pub(super) pool: Option<String>,
}
