//! Flow control: how far a queue lags behind, in four levels, as a stream of level changes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::tagged_contracts;
use crate::decider::{Decider, Decision, NoCommand};

/// How far a queue lags behind.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Fewer than 1,000 messages wait.
    #[default]
    Normal,
    /// From 1,000 on: worth a look.
    Monitor,
    /// From 10,000 on: more consumers are started.
    Scale,
    /// From 50,000 on: producers are told to wait as well.
    Emergency,
}

impl Level {
    const ALL: [Self; 4] = [Self::Normal, Self::Monitor, Self::Scale, Self::Emergency];

    /// The fewest waiting messages of this level.
    #[must_use]
    pub fn from_lag(self) -> u64 {
        match self {
            Self::Normal => 0,
            Self::Monitor => 1_000,
            Self::Scale => 10_000,
            Self::Emergency => 50_000,
        }
    }

    /// The level after a measurement. It falls only when the lag is a fifth below the level's own threshold, so that
    /// a queue at a threshold does not switch levels all the time.
    #[must_use]
    pub fn after(self, lag: u64) -> Self {
        let reached = |level: &Self| lag >= level.from_lag();
        let up = Self::ALL.into_iter().rfind(reached).unwrap_or_default();
        let kept = |level: &Self| lag >= level.from_lag() - level.from_lag() / 5;
        let down = Self::ALL.into_iter().rfind(kept).unwrap_or_default();
        if up >= self { up } else { down.min(self) }
    }

    /// How many consumers work at a time, where `usual` is the number on a normal day.
    #[must_use]
    pub fn concurrency(self, usual: u16) -> u16 {
        match self {
            Self::Normal | Self::Monitor => usual,
            Self::Scale => usual.saturating_mul(2),
            Self::Emergency => usual.saturating_mul(5),
        }
        .min(1_000)
    }

    /// The name in events and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Monitor => "monitor",
            Self::Scale => "scale",
            Self::Emergency => "emergency",
        }
    }
}

/// What happened to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum FlowEvent {
    /// It has reached another level.
    LevelChanged {
        /// The queue.
        queue: String,
        /// The level before.
        from: Level,
        /// The level now.
        to: Level,
        /// How many messages wait.
        lag: u64,
    },
}

tagged_contracts! {
    FlowEvent as Event, "flow.", None, {
        "level-changed" => LevelChanged,
    }
}

/// One measurement of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The queue.
    pub queue: String,
    /// How many messages wait, and could be handled now.
    pub lag: u64,
}

/// It never refuses anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRefusal {}

/// Decides on `flow#` streams.
#[derive(Debug, Clone, Copy)]
pub struct FlowDecider;

impl Decider for FlowDecider {
    const CATEGORY: &'static str = "flow";
    const STATE_VERSION: u32 = 1;
    type State = Level;
    type Input = Looked;
    type Event = FlowEvent;
    type Command = NoCommand;
    type Refusal = NoRefusal;

    fn decide(
        from: &Level,
        input: &Looked,
        _now: Timestamp,
    ) -> Result<Decision<FlowEvent, NoCommand>, NoRefusal> {
        let to = from.after(input.lag);
        if to == *from {
            return Ok(Decision::nothing());
        }
        let (queue, lag) = (input.queue.clone(), input.lag);
        Ok(Decision::events([FlowEvent::LevelChanged { queue, from: *from, to, lag }]))
    }

    fn evolve(_: Level, event: &FlowEvent) -> Level {
        let FlowEvent::LevelChanged { to, .. } = event;
        *to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_where_they_are_said_to() {
        let level = |lag| Level::Normal.after(lag);
        assert_eq!([level(0), level(999), level(1_000)], [Level::Normal, Level::Normal, Level::Monitor]);
        assert_eq!([level(9_999), level(10_000)], [Level::Monitor, Level::Scale]);
        assert_eq!(
            [level(49_999), level(50_000), level(u64::MAX)],
            [Level::Scale, Level::Emergency, Level::Emergency]
        );
    }

    #[test]
    fn a_queue_at_a_threshold_stays_where_it_is() {
        assert_eq!(Level::Emergency.after(49_000), Level::Emergency);
        assert_eq!(Level::Emergency.after(39_999), Level::Scale);
        assert_eq!(Level::Scale.after(8_000), Level::Scale);
        assert_eq!(Level::Scale.after(7_999), Level::Monitor);
        assert_eq!(Level::Monitor.after(799), Level::Normal);
        assert_eq!(Level::Emergency.after(0), Level::Normal, "a queue that was emptied is normal at once");
        assert_eq!(Level::Monitor.after(60_000), Level::Emergency);
    }

    #[test]
    fn more_consumers_work_the_more_waits() {
        let of = |level: Level| level.concurrency(20);
        assert_eq!(Level::ALL.map(of), [20, 20, 40, 100]);
        assert_eq!(Level::Emergency.concurrency(900), 1_000, "Lambda takes no more");
    }
}
