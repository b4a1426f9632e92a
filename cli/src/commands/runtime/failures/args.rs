//! The verbs of `failures`, and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hostler_core::Category;
use hostler_core::triage::FailureStatus;

use super::dead_letters::{DeadLettersArgs, RedriveArgs};
use crate::values::{Reason, count};

/// What `failures` takes.
#[derive(Debug, Args)]
pub(crate) struct FailuresArgs {
    #[command(subcommand)]
    pub(super) verb: FailuresVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum FailuresVerb {
    /// List them, and count them by queue, category and message type
    #[command(after_help = "Examples:\n  hostler failures list\n  \
        hostler failures list --queue deploy-host --category business\n  \
        hostler failures list --all --json")]
    List(ListArgs),
    /// Show one: the message, why it failed, and what happened to it
    Show(ShowArgs),
    /// Put messages back on their queues
    #[command(after_help = "Examples:\n  \
        hostler failures retry 0198c5e2-… --reason \"the host is enrolled now\"\n  \
        hostler failures retry --queue configure-host --reason \"the configuration service is back\" --rate 5\n  \
        hostler failures retry --everything --reason \"outage of 21 November\"")]
    Retry(ActArgs),
    /// Put a message back with another body, under an id of its own
    #[command(after_help = "Example:\n  hostler failures show 0198c5e2-… --body > message.json\n  \
        $EDITOR message.json\n  \
        hostler failures edit 0198c5e2-… --body-from message.json --reason \"the pool was misspelt\"")]
    Edit(EditArgs),
    /// Decide that messages are not to be handled
    #[command(after_help = "Example:\n  \
        hostler failures discard 0198c5e2-… --reason \"the request was withdrawn\"")]
    Discard(ActArgs),
    /// See what lies in the dead-letter queues themselves: triage empties them within seconds
    DeadLetters(DeadLettersArgs),
    /// Move what lies in a dead-letter queue itself back to its queue
    #[command(after_help = "Example:\n  hostler failures redrive failures --dry-run")]
    Redrive(RedriveArgs),
}

/// Which failures.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Which {
    /// Only those of messages of this queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only those of this category
    #[arg(long, value_parser = Category::ALL.map(Category::as_str))]
    pub(crate) category: Option<String>,
    /// Only those of messages of this type, such as label-host
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) message_type: Option<String>,
    /// Only those in this status
    #[arg(long, value_parser = FailureStatus::ALL.map(FailureStatus::name))]
    pub(crate) status: Option<String>,
}

impl Which {
    pub(super) fn is_any(&self) -> bool {
        [&self.queue, &self.category, &self.message_type, &self.status].iter().all(|filter| filter.is_none())
    }
}

#[derive(Debug, Default, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// Also those that are dealt with
    #[arg(long)]
    pub(super) all: bool,
    /// Wait until there is one such failure
    #[arg(long)]
    pub(super) wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Its id
    pub(super) id: String,
    /// Print only the message's body, such as for editing it
    #[arg(long)]
    pub(super) body: bool,
}

#[derive(Debug, Args)]
pub(super) struct ActArgs {
    /// Their ids; or say which by the options
    pub(super) ids: Vec<String>,
    #[command(flatten)]
    pub(super) which: Which,
    /// All that are open and can be acted on
    #[arg(long)]
    pub(super) everything: bool,
    #[command(flatten)]
    pub(super) reason: Reason,
    /// How many a second
    #[arg(long, default_value_t = 10, value_parser = count(1..=100_u32))]
    pub(super) rate: u32,
    /// Say which it would be, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// Its id
    pub(super) id: String,
    /// The file with the whole message
    #[arg(long, value_name = "FILE")]
    pub(super) body_from: PathBuf,
    #[command(flatten)]
    pub(super) reason: Reason,
}
