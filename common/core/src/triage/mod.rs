//! Triage: what happens to a message that could not be handled, as a state machine with a stream of its own.
//!
//! A failure that may pass is retried automatically, with backoff, for an hour. Any other is quarantined for the
//! people of its [`Category`], who have until a deadline to retry, edit or discard it. Where messages with one key
//! keep their order, the later ones wait behind the failed one, and are let go one after another once it is dealt
//! with.

mod dead_letter;
mod edit;
mod event;
mod operate;
mod policy;
mod state;

use crate::mutants;
use jiff::Timestamp;
use uuid::Uuid;

use crate::decider::{Decider, Decision, SetTimer};
use crate::failure::Category;
use crate::message::DecodeError;

pub use dead_letter::{DeadLetter, FailureId, KeptMessage, OrderingKey};
pub use event::{FAILURES_QUEUE, FailureCommand, FailureEvent};
pub use operate::{DiscardFailure, EditFailure, FailureOperation, RetryFailure};
pub use policy::{RETRIES_MAX, RETRIES_WITHIN, allowed};
pub use state::{FailedMessage, FailureState, FailureStatus};

/// What triage decides.
pub type FailureDecision = Decision<FailureEvent, FailureCommand>;

/// What a failure is told, or asked.
#[derive(Debug, Clone, PartialEq)]
pub enum FailureInput {
    /// The message, or a copy of it, came to its dead-letter queue.
    DeadLetter {
        /// The failure.
        failure: FailureId,
        /// The message.
        dead_letter: Box<DeadLetter>,
        /// Random bits for the jitter of its retry.
        random: u64,
    },
    /// One of its timers is due.
    Timer {
        /// Its name.
        name: String,
    },
    /// A copy was handled.
    Resolve {
        /// The failure.
        failure: FailureId,
        /// What waits behind it, where order is kept.
        ordering_key: Option<OrderingKey>,
    },
    /// An operator wants it tried again.
    Retry {
        /// Why.
        reason: String,
    },
    /// An operator wants it tried with another body.
    Edit {
        /// The body.
        body: String,
        /// The id that the message gets, so that it is not mistaken for the one that failed.
        message_id: Uuid,
        /// Why.
        reason: String,
    },
    /// An operator discards it.
    Discard {
        /// Why.
        reason: String,
    },
    /// A later message of its key waits behind it.
    Follow {
        /// The failure.
        failure: FailureId,
        /// The later message.
        follower: FailureId,
        /// What both belong to.
        ordering_key: Option<OrderingKey>,
    },
    /// This message is handled next.
    Release,
    /// A message that waited behind it has been dealt with.
    EndFollower {
        /// The failure.
        failure: FailureId,
        /// The later message.
        follower: FailureId,
    },
}

/// Why triage refuses what an operator wants; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FailureRefusal {
    /// There is no such failure.
    #[error("there is no such failure: list the failures to find its id")]
    Unknown,
    /// It has been dealt with.
    #[error("the failure is {status} already: nothing is left to do about it")]
    Ended {
        /// How.
        status: &'static str,
    },
    /// A copy of it is on its queue.
    #[error("a copy of the message is on its queue already: wait for what becomes of it")]
    OnItsWay,
    /// It waits behind an earlier failure.
    #[error("the message waits behind failure {head} of the same key: deal with that one first")]
    Parked {
        /// The earlier one.
        head: FailureId,
    },
    /// There is no queue to put it back on.
    #[error(
        "{origin} is no queue that the message could go back to: publish its stream again, then discard the failure"
    )]
    NoQueue {
        /// Where it failed.
        origin: String,
    },
    /// It was too large to be recorded, so that nothing can be sent from its record.
    #[error(
        "the message has {bytes} bytes, which is too large to be recorded: it is on the queue {queue}, known by its SHA-256 {sha256}, until that queue's retention ends. Give it a smaller body (edit), or have its sender send it again, smaller, and discard this failure"
    )]
    TooLarge {
        /// Where it is.
        queue: String,
        /// How large.
        bytes: u64,
        /// The hash of its body.
        sha256: String,
    },
    /// Operators give a reason.
    #[error("no reason was given: it is recorded, so say why")]
    NoReason,
    /// The new body is not a message either.
    #[error("the new body cannot be handled either: {0}")]
    Body(#[source] DecodeError),
}

impl FailureRefusal {
    /// The static label for answers and log fields.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown-failure",
            Self::Ended { .. } => "ended",
            Self::OnItsWay => "on-its-way",
            Self::Parked { .. } => "parked",
            Self::NoQueue { .. } => "no-queue",
            Self::TooLarge { .. } => "too-large",
            Self::NoReason => "no-reason",
            Self::Body(_) => "invalid-body",
        }
    }
}

/// The decider of failures.
#[derive(Debug, Clone, Copy)]
pub struct FailureDecider;

impl Decider for FailureDecider {
    const CATEGORY: &'static str = "failure";
    const STATE_VERSION: u32 = 2;
    type State = FailureState;
    type Input = FailureInput;
    type Event = FailureEvent;
    type Command = FailureCommand;
    type Refusal = FailureRefusal;

    fn decide(
        state: &FailureState,
        input: &FailureInput,
        now: Timestamp,
    ) -> Result<FailureDecision, FailureRefusal> {
        Ok(match input {
            FailureInput::DeadLetter { failure, dead_letter, random } => {
                received(state, failure, dead_letter, *random, now)
            }
            FailureInput::Timer { name } => fired(state, name, now),
            FailureInput::Resolve { failure, ordering_key } => {
                resolved(state, failure, ordering_key.as_ref())
            }
            FailureInput::Follow { failure, follower, ordering_key } => {
                followed(state, failure, follower, ordering_key.as_ref())
            }
            FailureInput::Release => match &state.failed {
                Some(failed) if failed.status == FailureStatus::Parked => match failed.dead_letter.kept {
                    None => resend(Decision::nothing(), failed, None, now),
                    Some(_) => quarantine(Decision::nothing(), failed, failed.category, now),
                },
                _ => Decision::nothing(),
            },
            FailureInput::EndFollower { failure, follower } => follower_ended(state, failure, follower),
            FailureInput::Retry { reason } => {
                let failed = actionable(state, reason)?;
                resend(Decision::nothing(), whole(sendable(failed)?)?, Some(reason), now)
            }
            FailureInput::Edit { body, message_id, reason } => {
                let failed = sendable(actionable(state, reason)?)?;
                let edited = edit::with_id(body, *message_id).map_err(FailureRefusal::Body)?;
                let event = FailureEvent::Edited {
                    failure: failed.id.clone(),
                    body: edited,
                    replaces: edit::message_id(&failed.dead_letter.body),
                    message_id: message_id.to_string(),
                };
                resend(Decision::events([event]), failed, Some(reason), now)
            }
            FailureInput::Discard { reason } => {
                let failed = open(state, reason)?;
                if failed.status == FailureStatus::Resent {
                    return Err(FailureRefusal::OnItsWay);
                }
                let (failure, why) = (failed.id.clone(), reason.clone());
                end(state, &failed.id, FailureEvent::Discarded { failure, why })
            }
        })
    }

    fn evolve(state: FailureState, event: &FailureEvent) -> FailureState {
        state::evolve(state, event)
    }
}

/// A message came to its dead-letter queue, for the first time or again.
fn received(
    state: &FailureState,
    id: &FailureId,
    dead_letter: &DeadLetter,
    random: u64,
    now: Timestamp,
) -> FailureDecision {
    let Some(failed) = &state.failed else {
        let recorded = FailureEvent::Recorded {
            failure: id.clone(),
            dead_letter: Box::new(dead_letter.clone()),
            at: now,
        };
        let state = state::evolve(state.clone(), &recorded);
        let decision = Decision::events([recorded]);
        return match (&dead_letter.behind, &state.failed) {
            (Some(head), _) => decision.command(FailureCommand::FollowFailure {
                failure: head.clone(),
                follower: id.clone(),
                ordering_key: dead_letter.ordering_key(),
            }),
            (None, Some(failed)) => classify(decision, failed, random, now),
            (None, None) => decision,
        };
    };
    if failed.status == FailureStatus::Discarded {
        return Decision::nothing();
    }
    let recurred = FailureEvent::Recurred {
        failure: id.clone(),
        category: dead_letter.category,
        reason: dead_letter.reason.clone(),
        attempts: dead_letter.attempts,
        at: now,
    };
    let after = state::evolve(state.clone(), &recurred).failed;
    classify(Decision::events([recurred]), after.as_ref().unwrap_or(failed), random, now)
}

/// It is retried automatically, or quarantined.
fn classify(
    decision: FailureDecision,
    failed: &FailedMessage,
    random: u64,
    now: Timestamp,
) -> FailureDecision {
    let failure = failed.id.clone();
    // A message that its queue gave up without a reason may have met an outage. If it is a message that kills its
    // function, it comes back the same way.
    let category = if failed.redriven > 1 { Category::Unknown } else { failed.category };
    let retry = failed.retries + 1;
    if category == Category::Transient
        && !mutants::on("triage.retries-nothing")
        && failed.dead_letter.resendable
        && failed.dead_letter.kept.is_none()
        && let Some(at) = policy::retry_at(retry, failed.first_at, now, random)
    {
        let deadline_at = failed.first_at.saturating_add(allowed(category)).unwrap_or(Timestamp::MAX);
        let decision = decision
            .event(FailureEvent::RetryScheduled { failure, retry, at, deadline_at })
            .timer(timer(format!("retry/{retry}"), at));
        // All retries share one deadline, which is set by the first of them.
        return if retry == 1 { decision.timer(overdue(deadline_at)) } else { decision };
    }
    quarantine(decision, failed, category, now)
}

/// A person must look at it.
fn quarantine(
    decision: FailureDecision,
    failed: &FailedMessage,
    category: Category,
    now: Timestamp,
) -> FailureDecision {
    let failure = failed.id.clone();
    let deadline_at = match category {
        Category::Transient => failed.first_at,
        _ => now,
    };
    let deadline_at = deadline_at.saturating_add(allowed(category)).unwrap_or(Timestamp::MAX);
    let reason = match category {
        Category::Transient if !failed.dead_letter.resendable => {
            "there is no queue to put it back on".to_owned()
        }
        Category::Transient if failed.dead_letter.kept.is_some() => {
            "it is too large to be recorded, and so to be sent again from its record".to_owned()
        }
        Category::Transient => format!("{} retries have not helped", failed.retries),
        Category::Unknown if failed.redriven > 1 => {
            "its queue has given it up again without a word: it may be what kills its function".to_owned()
        }
        _ => format!("retrying does not help against {category} failures"),
    };
    let escalated = category == Category::Unknown;
    decision
        .event(FailureEvent::Quarantined { failure, category, escalated, deadline_at, reason })
        .timer(overdue(deadline_at))
}

fn fired(state: &FailureState, name: &str, now: Timestamp) -> FailureDecision {
    let Some(failed) = state.failed.as_ref().filter(|failed| failed.status.is_open()) else {
        return Decision::nothing();
    };
    let is = |kind: &str, number: u32| name == format!("{kind}/{number}");
    if failed.status == FailureStatus::Waiting && is("retry", failed.retries) {
        return resend(Decision::nothing(), failed, None, now);
    }
    let failure = failed.id.clone();
    let category = failed.category;
    let is_unheard = failed.status == FailureStatus::Resent && is("unheard", failed.resends);
    if is_unheard && !mutants::on("triage.waits-for-lost-copies") {
        let deadline_at = now.saturating_add(allowed(category)).unwrap_or(Timestamp::MAX);
        let reason = "its last copy gave no sign for a day: see whether its function runs; if it does, the copy is lost".to_owned();
        let event = FailureEvent::Quarantined { failure, category, escalated: false, deadline_at, reason };
        return Decision::events([event]).timer(overdue(deadline_at));
    }
    if !failed.overdue && name == overdue(failed.deadline_at).name {
        let deadline_at = failed.deadline_at;
        return Decision::events([FailureEvent::Overdue { failure, category, deadline_at }]);
    }
    Decision::nothing()
}

fn resend(
    decision: FailureDecision,
    failed: &FailedMessage,
    why: Option<&str>,
    now: Timestamp,
) -> FailureDecision {
    let resend = failed.resends + 1;
    let (failure, why) = (failed.id.clone(), why.map(str::to_owned));
    let unheard_at = now.saturating_add(policy::UNHEARD).unwrap_or(Timestamp::MAX);
    decision
        .event(FailureEvent::Resent { failure: failure.clone(), resend, why })
        .command(FailureCommand::ResendFailure { failure, resend })
        .timer(timer(format!("unheard/{resend}"), unheard_at))
}

fn resolved(state: &FailureState, id: &FailureId, ordering_key: Option<&OrderingKey>) -> FailureDecision {
    if state.ended {
        return Decision::nothing();
    }
    end(state, id, FailureEvent::Resolved { failure: id.clone(), ordering_key: ordering_key.cloned() })
}

/// A failure ends, and what waits behind it comes next.
fn end(state: &FailureState, id: &FailureId, event: FailureEvent) -> FailureDecision {
    let after = state::evolve(state.clone(), &event);
    let mut decision = Decision::events([event]);
    let head = state.failed.as_ref().and_then(|failed| failed.dead_letter.behind.clone());
    if let Some(head) = head {
        decision = decision.command(FailureCommand::EndFollower { failure: head, follower: id.clone() });
    }
    next_follower(decision, &after, id)
}

fn followed(
    state: &FailureState,
    id: &FailureId,
    follower: &FailureId,
    ordering_key: Option<&OrderingKey>,
) -> FailureDecision {
    let event = FailureEvent::Followed {
        failure: id.clone(),
        follower: follower.clone(),
        ordering_key: ordering_key.cloned(),
    };
    let after = state::evolve(state.clone(), &event);
    let decision = Decision::events([event]);
    if after.ended { next_follower(decision, &after, id) } else { decision }
}

fn follower_ended(state: &FailureState, id: &FailureId, follower: &FailureId) -> FailureDecision {
    if state.released.as_ref() != Some(follower) && !state.followers.contains(follower) {
        return Decision::nothing();
    }
    let event = FailureEvent::FollowerEnded { failure: id.clone(), follower: follower.clone() };
    let after = state::evolve(state.clone(), &event);
    let decision = Decision::events([event]);
    if after.ended { next_follower(decision, &after, id) } else { decision }
}

/// One follower at a time: the next one goes when the one before it has been dealt with.
fn next_follower(decision: FailureDecision, state: &FailureState, id: &FailureId) -> FailureDecision {
    if state.released.is_some() {
        return decision;
    }
    match state.followers.first() {
        Some(follower) => decision
            .event(FailureEvent::Released { failure: id.clone(), follower: follower.clone() })
            .command(FailureCommand::ReleaseFailure { failure: follower.clone() }),
        None if state.ordering_key.is_some() => {
            decision.event(FailureEvent::KeyReleased { failure: id.clone() })
        }
        None => decision,
    }
}

/// The failure, when something is left to do about it.
fn open<'a>(state: &'a FailureState, reason: &str) -> Result<&'a FailedMessage, FailureRefusal> {
    let failed = state.failed.as_ref().ok_or(FailureRefusal::Unknown)?;
    if !failed.status.is_open() {
        return Err(FailureRefusal::Ended { status: failed.status.name() });
    }
    if reason.trim().is_empty() {
        return Err(FailureRefusal::NoReason);
    }
    Ok(failed)
}

/// The failure, when it can be tried again now.
fn actionable<'a>(state: &'a FailureState, reason: &str) -> Result<&'a FailedMessage, FailureRefusal> {
    let failed = open(state, reason)?;
    match (failed.status, &failed.dead_letter.behind) {
        (FailureStatus::Resent, _) => Err(FailureRefusal::OnItsWay),
        (FailureStatus::Parked, Some(head)) => Err(FailureRefusal::Parked { head: head.clone() }),
        _ => Ok(failed),
    }
}

fn sendable(failed: &FailedMessage) -> Result<&FailedMessage, FailureRefusal> {
    match failed.dead_letter.resendable {
        true => Ok(failed),
        false => Err(FailureRefusal::NoQueue { origin: failed.dead_letter.queue.clone() }),
    }
}

/// The failure, when all of its message is recorded.
fn whole(failed: &FailedMessage) -> Result<&FailedMessage, FailureRefusal> {
    match failed.dead_letter.kept.clone() {
        None => Ok(failed),
        Some(KeptMessage { queue, bytes, sha256, .. }) => {
            Err(FailureRefusal::TooLarge { queue, bytes, sha256 })
        }
    }
}

fn timer(name: String, due_at: Timestamp) -> SetTimer {
    SetTimer { name, due_at, deliver_to: FAILURES_QUEUE }
}

/// The timer of a deadline. Its name holds the deadline, so that a timer of an earlier deadline is recognised and
/// ignored.
fn overdue(deadline_at: Timestamp) -> SetTimer {
    timer(format!("overdue/{}", deadline_at.as_millisecond()), deadline_at)
}
