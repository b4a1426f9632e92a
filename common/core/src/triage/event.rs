//! What happens to a failure, and the commands that follow from it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dead_letter::{DeadLetter, FailureId, OrderingKey};
use crate::contract::tagged_contracts;
use crate::failure::Category;
use crate::payload::Addressed;

/// The logical name of the queue of triage's own commands and timers.
pub const FAILURES_QUEUE: &str = "failures";

/// What happened to a failure. The commit's actor tells who wanted it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FailureEvent {
    /// A message came to a dead-letter queue for the first time.
    Recorded {
        /// Its id.
        failure: FailureId,
        /// The message.
        #[serde(rename = "letter")]
        dead_letter: Box<DeadLetter>,
        /// When that was.
        at: Timestamp,
    },
    /// A copy of it failed again.
    Recurred {
        /// Its id.
        failure: FailureId,
        /// Who deals with it, according to the function.
        category: Option<Category>,
        /// Why.
        reason: String,
        /// How often it was tried on its queue.
        attempts: u32,
        /// When that was.
        at: Timestamp,
    },
    /// It will be retried automatically.
    RetryScheduled {
        /// Its id.
        failure: FailureId,
        /// The number of the retry, from 1.
        retry: u32,
        /// When.
        at: Timestamp,
        /// By when it should be dealt with.
        deadline_at: Timestamp,
    },
    /// A person must look at it.
    Quarantined {
        /// Its id.
        failure: FailureId,
        /// Who deals with it.
        category: Category,
        /// Whether it is urgent.
        escalated: bool,
        /// By when it should be dealt with.
        deadline_at: Timestamp,
        /// Why it is not retried automatically (any more).
        reason: String,
    },
    /// Its deadline has passed.
    Overdue {
        /// Its id.
        failure: FailureId,
        /// Who should have dealt with it.
        category: Category,
        /// By when.
        deadline_at: Timestamp,
    },
    /// An operator gave it another body.
    Edited {
        /// Its id.
        failure: FailureId,
        /// The body.
        body: String,
        /// The message's own id before.
        replaces: Option<String>,
        /// Its own id now.
        message_id: String,
    },
    /// A copy of it is put back on its queue.
    Resent {
        /// Its id.
        failure: FailureId,
        /// The number of the copy, from 1.
        resend: u32,
        /// Why an operator wanted it. Absent where the retry is automatic.
        why: Option<String>,
    },
    /// A copy of it was handled.
    Resolved {
        /// Its id.
        failure: FailureId,
        /// What waits behind it, where order is kept.
        #[serde(rename = "lane", default, skip_serializing_if = "Option::is_none")]
        ordering_key: Option<OrderingKey>,
    },
    /// An operator has decided that it will not be handled.
    Discarded {
        /// Its id.
        failure: FailureId,
        /// Why.
        why: String,
    },
    /// A later message of its key waits behind it.
    Followed {
        /// Its id.
        failure: FailureId,
        /// The later one.
        follower: FailureId,
        /// What both belong to.
        #[serde(rename = "lane")]
        ordering_key: Option<OrderingKey>,
    },
    /// A message that waited behind it is handled next.
    Released {
        /// Its id.
        failure: FailureId,
        /// The later one.
        follower: FailureId,
    },
    /// A message that waited behind it has been dealt with.
    FollowerEnded {
        /// Its id.
        failure: FailureId,
        /// The later one.
        follower: FailureId,
    },
    /// Nothing waits behind it any more: messages with its key are handled as usual.
    #[serde(rename = "lane-closed")]
    KeyReleased {
        /// Its id.
        failure: FailureId,
    },
}

tagged_contracts! {
    FailureEvent as Event, "failure.", None, {
        "recorded" => Recorded,
        "recurred" => Recurred,
        "retry-scheduled" => RetryScheduled,
        "quarantined" => Quarantined,
        "overdue" => Overdue,
        "edited" => Edited,
        "resent" => Resent,
        "resolved" => Resolved,
        "discarded" => Discarded,
        "followed" => Followed,
        "released" => Released,
        "follower-ended" => FollowerEnded,
        "lane-closed" => KeyReleased,
    }
}

/// Triage's commands to itself, over [`FAILURES_QUEUE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FailureCommand {
    /// Put a copy of the message back on its queue.
    ResendFailure {
        /// The failure.
        failure: FailureId,
        /// The number of the copy.
        resend: u32,
    },
    /// A copy was handled.
    ResolveFailure {
        /// The failure.
        failure: FailureId,
        /// What waits behind it, where order is kept.
        #[serde(rename = "lane", default, skip_serializing_if = "Option::is_none")]
        ordering_key: Option<OrderingKey>,
    },
    /// A later message waits.
    FollowFailure {
        /// The failure that it waits behind.
        failure: FailureId,
        /// The later message.
        follower: FailureId,
        /// What both belong to.
        #[serde(rename = "lane")]
        ordering_key: Option<OrderingKey>,
    },
    /// This message is handled next.
    ReleaseFailure {
        /// The later message.
        failure: FailureId,
    },
    /// A later message has been dealt with.
    EndFollower {
        /// The failure that it waited behind.
        failure: FailureId,
        /// The later message.
        follower: FailureId,
    },
}

tagged_contracts! {
    FailureCommand as Command, "", Some(FAILURES_QUEUE), {
        "resend-failure" => ResendFailure,
        "resolve-failure" => ResolveFailure,
        "follow-failure" => FollowFailure,
        "release-failure" => ReleaseFailure,
        "end-follower" => EndFollower,
    }
}

impl FailureCommand {
    /// The failure that it is for.
    #[must_use]
    pub fn failure(&self) -> &FailureId {
        match self {
            Self::ResendFailure { failure, .. }
            | Self::ResolveFailure { failure, .. }
            | Self::FollowFailure { failure, .. }
            | Self::ReleaseFailure { failure }
            | Self::EndFollower { failure, .. } => failure,
        }
    }
}

impl Addressed for FailureCommand {
    fn queue(&self) -> &'static str {
        FAILURES_QUEUE
    }
}
