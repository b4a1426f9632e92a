//! The verbs of `load`, and their arguments.

use clap::{Args, Subcommand};
use hostler_events::PoolId;

use crate::values::amount;

/// What `load` takes.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(subcommand)]
    pub(super) verb: LoadVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum LoadVerb {
    /// Show what pools have to do, and the load of their hosts
    Show(ShowArgs),
    /// Give a pool something to do, which its hosts in service share
    #[command(after_help = "Examples:\n  \
        hostler load set web 4        as much as four hosts can do: with two hosts each has a load of 2\n  \
        hostler load set web 0        nothing")]
    Set(SetArgs),
    /// Have the hosts of a pool report a load again at which nothing scales
    Clear(ClearArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Only that of this pool
    #[arg(long)]
    pub(super) pool: Option<PoolId>,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The pool
    pub(super) pool: PoolId,
    /// How much: by how many fully loaded hosts it could be done
    #[arg(value_name = "HOSTS", value_parser = amount(1e6))]
    pub(super) demand: f64,
}

#[derive(Debug, Args)]
pub(super) struct ClearArgs {
    /// The pool
    pub(super) pool: PoolId,
}
