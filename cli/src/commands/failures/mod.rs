//! `failures`: what could not be handled, why, and what an operator does about it.

mod act;
mod dead_letters;
mod list;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

pub(crate) use dead_letters::counts;
pub(crate) use list::open_count;

/// What `failures` takes.
#[derive(Debug, Args)]
pub(crate) struct FailuresArgs {
    #[command(subcommand)]
    command: Option<FailuresCommand>,
}

#[derive(Debug, Subcommand)]
enum FailuresCommand {
    /// List them, and count them by queue, category and message type (the default)
    #[command(after_help = "Examples:\n  hostler failures list\n  \
        hostler failures list --queue deploy-host --category business\n  \
        hostler failures list --all --json")]
    List(ListArgs),
    /// Show one: the message, why it failed, and what happened to it
    Show(ShowArgs),
    /// Put messages back on their queues
    #[command(after_help = "Examples:\n  \
        hostler failures retry 0198c5e2-… --why \"the host is enrolled now\"\n  \
        hostler failures retry --queue configure-host --why \"the configuration service is back\" --rate 5\n  \
        hostler failures retry --everything --why \"outage of 21 November\"")]
    Retry(ActArgs),
    /// Put a message back with another body, under an id of its own
    #[command(after_help = "Example:\n  hostler failures show 0198c5e2-… --body > message.json\n  \
        $EDITOR message.json\n  \
        hostler failures edit 0198c5e2-… --body-from message.json --why \"the pool was misspelt\"")]
    Edit(EditArgs),
    /// Decide that messages are not to be handled
    #[command(after_help = "Example:\n  \
        hostler failures discard 0198c5e2-… --why \"the request was withdrawn\"")]
    Discard(ActArgs),
    /// See what lies in the dead-letter queues themselves: triage empties them within seconds
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Move what lies in a dead-letter queue itself back to its queue
    #[command(after_help = "Example:\n  hostler failures redrive failures --dry-run")]
    Redrive(dead_letters::RedriveArgs),
}

/// Which failures.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Which {
    /// Only those of messages of this queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only those of this category: transient, validation, business, unknown
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Only those of messages of this type, such as label-host
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) message_type: Option<String>,
    /// Only those in this status: waiting, resent, quarantined, parked
    #[arg(long)]
    pub(crate) status: Option<String>,
}

impl Which {
    fn is_any(&self) -> bool {
        [&self.queue, &self.category, &self.message_type, &self.status].iter().all(|filter| filter.is_none())
    }
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Also those that are dealt with
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Its id
    id: String,
    /// Print only the message's body, such as for editing it
    #[arg(long)]
    body: bool,
}

#[derive(Debug, Args)]
struct ActArgs {
    /// Their ids; or say which by the options
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// All that are open and can be acted on
    #[arg(long)]
    everything: bool,
    /// Why; it is recorded
    #[arg(long)]
    why: String,
    /// How many a second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: u32,
    /// Say which it would be, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct EditArgs {
    /// Its id
    id: String,
    /// The file with the whole message
    #[arg(long, value_name = "FILE")]
    body_from: PathBuf,
    /// Why; it is recorded
    #[arg(long)]
    why: String,
}

/// Lists them, shows one, or acts on some.
pub(crate) async fn run(args: FailuresArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.command {
        None => list::list(&ListArgs::default(), &target, out).await,
        Some(FailuresCommand::List(args)) => list::list(&args, &target, out).await,
        Some(FailuresCommand::Show(args)) => list::show(&args, &target, out).await,
        Some(FailuresCommand::Retry(args)) => act::act(&args, act::Act::Retry, &target, out).await,
        Some(FailuresCommand::Discard(args)) => act::act(&args, act::Act::Discard, &target, out).await,
        Some(FailuresCommand::Edit(args)) => act::edit(args, &target, out).await,
        Some(FailuresCommand::DeadLetters(args)) => dead_letters::run(&args, &target, out).await,
        Some(FailuresCommand::Redrive(args)) => dead_letters::redrive(&args, &target, out).await,
    }
}
