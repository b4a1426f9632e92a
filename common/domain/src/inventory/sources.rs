//! Whether a source is heard of: its silence is noticed by a timer, and says nothing of any host.

use std::convert::Infallible;

use hostler_core::{Decider, Decision, SetTimer};
use hostler_events::inventory::{
    SourceEvent, SourceHeard, SubscriptionLost, SubscriptionRestored, SweepId, SweepInventory,
};
use hostler_events::{InventoryCommand, InventorySource};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::support::after;

/// The queue to which the timers of sources are delivered.
pub const SOURCE_TIMERS_TO: &str = "watch-inventory";
/// A source that is heard all the time is noted so often in the time for which it may be silent.
const NOTES: u32 = 4;

/// Decides on `source#<source>`.
#[derive(Debug, Clone, Copy)]
pub struct SourceDecider;

/// What is known of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceState {
    /// The source; absent before it was heard.
    pub source: Option<InventorySource>,
    /// When it was last noted that it was heard.
    pub heard_at: Option<Timestamp>,
    /// Since when it is silent, while it is missed.
    pub lost_since: Option<Timestamp>,
}

/// What is told of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceInput {
    /// It has said something.
    Heard {
        /// The source.
        source: InventorySource,
        /// When that came.
        at: Timestamp,
        /// How many seconds it may be silent.
        silent_seconds: u32,
    },
    /// A timer is due.
    Timer {
        /// Its name.
        name: String,
        /// How many seconds the source may be silent; none where it is not missed any more.
        silent_seconds: Option<u32>,
        /// The version of the policies that say so.
        policy_version: u64,
    },
}

impl Decider for SourceDecider {
    const CATEGORY: &'static str = "source";
    const STATE_VERSION: u32 = 1;
    type State = SourceState;
    type Input = SourceInput;
    type Event = SourceEvent;
    type Command = InventoryCommand;
    type Refusal = Infallible;

    fn decide(
        state: &SourceState,
        input: &SourceInput,
        now: Timestamp,
    ) -> Result<Decision<SourceEvent, InventoryCommand>, Infallible> {
        Ok(match input {
            SourceInput::Heard { source, at, silent_seconds } => {
                heard(state, *source, *at, *silent_seconds, now)
            }
            SourceInput::Timer { name, silent_seconds, policy_version } => match silent_seconds {
                Some(seconds) if is_timer_of(name, state) => silent(state, *seconds, *policy_version, now),
                Some(_) | None => Decision::nothing(),
            },
        })
    }

    fn evolve(mut state: SourceState, event: &SourceEvent) -> SourceState {
        match event {
            SourceEvent::Heard(e) => {
                (state.source, state.heard_at) = (Some(e.source), Some(e.at));
            }
            SourceEvent::Lost(e) => state.lost_since = Some(e.silent_since),
            SourceEvent::Restored(e) => {
                state.lost_since = None;
                state.heard_at = Some(e.at);
            }
        }
        state
    }
}

fn heard(
    state: &SourceState,
    source: InventorySource,
    at: Timestamp,
    silent_seconds: u32,
    now: Timestamp,
) -> Decision<SourceEvent, InventoryCommand> {
    let news_from = state.heard_at.map_or(Timestamp::MIN, |heard_at| after(heard_at, silent_seconds / NOTES));
    // What waited on its way says that the source was there then, and not that it is there now.
    let is_old = now.duration_since(at) > seconds(silent_seconds);
    match state.lost_since {
        Some(_) if is_old => Decision::nothing(),
        Some(silent_since) => {
            let restored = SubscriptionRestored { source, silent_since, at };
            let decision = Decision::events([SourceEvent::Restored(restored)]);
            let decision = decision.timer(missed(at, silent_seconds));
            // What the source would have said meanwhile may be lost.
            match SweepId::new(format!("after-{}-{}", source.name(), at.as_second())) {
                Ok(sweep) => decision.command(SweepInventory { sweep, after: None }.into()),
                Err(_) => decision,
            }
        }
        None if at < news_from || is_old => Decision::nothing(),
        None => {
            let decision = Decision::events([SourceEvent::Heard(SourceHeard { source, at })]);
            decision.timer(missed(at, silent_seconds))
        }
    }
}

/// Nothing newer was noted when the timer was due: the source is silent for as long as is tolerated at least, for notes are made
/// a little less often than it is heard.
fn silent(
    state: &SourceState,
    silent_seconds: u32,
    policy_version: u64,
    now: Timestamp,
) -> Decision<SourceEvent, InventoryCommand> {
    let (Some(source), Some(silent_since), None) = (state.source, state.heard_at, state.lost_since) else {
        return Decision::nothing();
    };
    let tolerated = seconds(silent_seconds);
    if now.duration_since(silent_since) < tolerated {
        // It may be silent for longer by now than it might when the timer was set.
        return Decision::nothing().timer(missed(silent_since, silent_seconds));
    }
    let lost = SubscriptionLost { source, silent_since, silent_seconds, policy_version, at: now };
    Decision::events([SourceEvent::Lost(lost)])
}

/// The timer by which a source is missed that says nothing after this. A note that is not made yet has a quarter of the time.
fn missed(heard_at: Timestamp, silent_seconds: u32) -> SetTimer {
    let due_at = after(heard_at, silent_seconds.saturating_add(silent_seconds.div_ceil(NOTES)));
    SetTimer { name: format!("missed:{}", heard_at.as_millisecond()), due_at, deliver_to: SOURCE_TIMERS_TO }
}

/// Whether a timer was set by the newest note.
fn is_timer_of(name: &str, state: &SourceState) -> bool {
    let of = name.strip_prefix("missed:").and_then(|millis| millis.parse().ok());
    of.is_some() && of == state.heard_at.map(|heard_at| heard_at.as_millisecond())
}

fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}
