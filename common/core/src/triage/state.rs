//! The state of a failure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dead_letter::{DeadLetter, FailureId, OrderingKey};
use super::event::FailureEvent;
use super::policy::allowed;
use crate::failure::Category;

/// The status of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureStatus {
    /// It will be retried automatically.
    Waiting,
    /// A copy of it is on its queue.
    Resent,
    /// A person must look at it.
    Quarantined,
    /// It waits behind an earlier failure of its key.
    Parked,
    /// It was handled in the end.
    Resolved,
    /// An operator has discarded it.
    Discarded,
}

impl FailureStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Resent, Self::Quarantined, Self::Parked, Self::Resolved, Self::Discarded];

    /// The name in views and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Resent => "resent",
            Self::Quarantined => "quarantined",
            Self::Parked => "parked",
            Self::Resolved => "resolved",
            Self::Discarded => "discarded",
        }
    }

    /// Whether something is still to be done about it.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Discarded)
    }
}

/// A message that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedMessage {
    /// Its id.
    pub id: FailureId,
    /// The message, as an operator may have edited it, with the newest reason.
    #[serde(rename = "letter")]
    pub dead_letter: DeadLetter,
    /// Whether an operator has edited it. Then it is signed and sent as a message of this deployment.
    #[serde(default)]
    pub edited: bool,
    /// Its status.
    pub status: FailureStatus,
    /// Who deals with it.
    pub category: Category,
    /// When it first failed.
    pub first_at: Timestamp,
    /// By when it should be dealt with.
    pub deadline_at: Timestamp,
    /// Whether that deadline has passed.
    pub overdue: bool,
    /// How often its queue gave it up without a reason.
    pub redriven: u32,
    /// How many retries were scheduled.
    pub retries: u32,
    /// When the next one is due.
    pub retry_at: Option<Timestamp>,
    /// How many copies were put back on its queue.
    pub resends: u32,
}

/// A failure, and what waits behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureState {
    /// The message; absent while only its followers are known.
    pub failed: Option<FailedMessage>,
    /// Whether it was handled or discarded.
    pub ended: bool,
    /// The key and queue by which it keeps its order.
    #[serde(rename = "lane")]
    pub ordering_key: Option<OrderingKey>,
    /// Later messages of its key, in order.
    pub followers: Vec<FailureId>,
    /// The one of them that is handled now.
    pub released: Option<FailureId>,
}

impl FailureState {
    /// Whether it has been dealt with, and nothing waits behind it any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ended && self.followers.is_empty() && self.released.is_none()
    }
}

pub(super) fn evolve(mut state: FailureState, event: &FailureEvent) -> FailureState {
    match event {
        FailureEvent::Recorded { failure, dead_letter, at } => {
            let category = dead_letter.category.unwrap_or(Category::Transient);
            state.ended = false;
            state.ordering_key = dead_letter.ordering_key();
            state.failed = Some(FailedMessage {
                id: failure.clone(),
                dead_letter: (**dead_letter).clone(),
                edited: false,
                status: FailureStatus::Parked,
                category,
                first_at: *at,
                deadline_at: at.saturating_add(allowed(category)).unwrap_or(Timestamp::MAX),
                overdue: false,
                redriven: u32::from(dead_letter.category.is_none()),
                retries: 0,
                retry_at: None,
                resends: 0,
            });
        }
        FailureEvent::Resolved { ordering_key, .. } => {
            state.ended = true;
            state.ordering_key = state.ordering_key.or_else(|| ordering_key.clone());
        }
        FailureEvent::Discarded { .. } => state.ended = true,
        FailureEvent::Followed { follower, ordering_key, .. } => {
            state.followers.push(follower.clone());
            state.ordering_key = state.ordering_key.or_else(|| ordering_key.clone());
        }
        FailureEvent::Released { follower, .. } => {
            state.followers.retain(|waiting| waiting != follower);
            state.released = Some(follower.clone());
        }
        FailureEvent::FollowerEnded { follower, .. } => {
            state.followers.retain(|waiting| waiting != follower);
            state.released = state.released.filter(|released| released != follower);
        }
        FailureEvent::Recurred { .. } => state.ended = false,
        _ => {}
    }
    if let Some(failed) = &mut state.failed {
        evolve_failed(failed, event);
    }
    state
}

fn evolve_failed(failed: &mut FailedMessage, event: &FailureEvent) {
    match event {
        FailureEvent::Recurred { category, reason, attempts, at, .. } => {
            if failed.dead_letter.behind.is_some() && failed.resends == 1 {
                // It has only waited so far.
                failed.first_at = *at;
            }
            failed.dead_letter.reason.clone_from(reason);
            failed.dead_letter.attempts = *attempts;
            failed.category = category.unwrap_or(failed.category);
            failed.redriven += u32::from(category.is_none());
        }
        FailureEvent::RetryScheduled { retry, at, deadline_at, .. } => {
            failed.status = FailureStatus::Waiting;
            failed.retries = *retry;
            failed.retry_at = Some(*at);
            failed.deadline_at = *deadline_at;
        }
        FailureEvent::Quarantined { category, deadline_at, .. } => {
            failed.status = FailureStatus::Quarantined;
            failed.category = *category;
            failed.deadline_at = *deadline_at;
            failed.retry_at = None;
        }
        FailureEvent::Overdue { .. } => failed.overdue = true,
        FailureEvent::Edited { body, .. } => {
            failed.dead_letter.body.clone_from(body);
            failed.dead_letter.kept = None;
            failed.edited = true;
        }
        FailureEvent::Resent { resend, .. } => {
            failed.status = FailureStatus::Resent;
            failed.resends = *resend;
            failed.retry_at = None;
        }
        FailureEvent::Resolved { .. } => failed.status = FailureStatus::Resolved,
        FailureEvent::Discarded { .. } => failed.status = FailureStatus::Discarded,
        FailureEvent::Recorded { .. }
        | FailureEvent::Followed { .. }
        | FailureEvent::Released { .. }
        | FailureEvent::FollowerEnded { .. }
        | FailureEvent::KeyReleased { .. } => {}
    }
}
