//! The verbs of `events`, and their arguments.

use clap::{Args, Subcommand};
use hostler_core::StreamId;
use jiff::Timestamp;

use crate::values::{count, moment};

/// What `events` takes.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    pub(super) verb: EventsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum EventsVerb {
    /// List recorded events, the newest last
    #[command(after_help = "Examples:\n  hostler events list --since 15m\n  \
        hostler events list --stream host#h-03\n  hostler events list --type host.in-service --limit 10")]
    List(ListArgs),
    /// Check an event or a command from a file against its schema, and send it
    Emit(super::emit::EmitArgs),
    /// Print recorded events as change events of Debezium, one a line, the oldest first
    #[command(after_help = "Example:\n  hostler events export --since 2026-01-31T12:00:00Z > changes.jsonl")]
    Export(ExportArgs),
    /// Put marked copies of events on one consumer's queue; only handlers that change read models act on them
    #[command(after_help = "Example:\n  hostler events replay --stream host#h-03 --dry-run\n  \
        hostler events replay --to project-views --since 2026-01-31T12:00:00Z --rate 200")]
    Replay(ReplayArgs),
    /// Publish all events, commands and timers since a time again, as the outbox would have; consumers recognise
    /// what they have seen
    #[command(after_help = "When the outbox was away for longer than its stream keeps records (24 h):\n  \
        hostler events republish --since 2026-01-31T12:00:00Z --dry-run")]
    Republish(RepublishArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this stream, such as host#h-03
    #[arg(long)]
    pub(super) stream: Option<StreamId>,
    /// Only those of this type, such as host.enrolled
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// Only what was recorded then or later, such as 2026-01-31T12:00:00Z or 15m (ago)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) since: Option<Timestamp>,
    /// Only what was recorded before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) until: Option<Timestamp>,
    /// How many at most, the newest
    #[arg(long, default_value_t = 50, value_parser = count(1..=10_000_usize))]
    pub(super) limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Only those of this stream, such as host#h-03
    #[arg(long)]
    pub(super) stream: Option<StreamId>,
    /// Only those of this type, such as host.enrolled
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// What was recorded then or later: the source.ts_ms of the last line that you have, as a time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) since: Timestamp,
    /// Only what was recorded before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) until: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The consumer's queue
    #[arg(long, default_value = "project-views")]
    pub(super) to: String,
    /// Only this stream, such as host#h-03
    #[arg(long, required_unless_present_any = ["event_type", "since"])]
    pub(super) stream: Option<StreamId>,
    /// Only events of this type, such as host.enrolled
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// Only what was recorded then or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) since: Option<Timestamp>,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct RepublishArgs {
    /// What was recorded then or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) since: Timestamp,
    #[command(flatten)]
    pub(super) how: How,
}

#[derive(Debug, Args)]
pub(super) struct How {
    /// Only what was recorded before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) until: Option<Timestamp>,
    /// How many a second: messages of a replay, commits when republishing
    #[arg(long, default_value_t = 50, value_parser = count(1..=1_000_u32))]
    pub(super) rate: u32,
    /// Count what would be sent, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}
