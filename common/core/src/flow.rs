//! Flow control: how far a queue lags behind, in four levels, as a stream of level changes.

use crate::mutants;
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

/// The fewest consumers that a queue can have: Lambda takes no lower maximum.
pub const CONSUMERS_MIN: u16 = 2;

/// A queue that consumers are shared out to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// How far it lags behind.
    pub level: Level,
    /// How many consumers it has on a normal day.
    pub usual: u16,
}

/// Shares out consumers: each queue gets what its level asks for. Where that is more than there are, what each queue asks for
/// beyond its normal day is cut to the same share; where not even the normal days fit, they are cut as well, so that no queue
/// takes all. No queue gets fewer than [`CONSUMERS_MIN`].
#[must_use]
pub fn share(needs: &[Need], consumers_max: u16) -> Vec<u16> {
    let sum = |of: fn(&Need) -> u16| needs.iter().map(|need| u64::from(of(need))).sum::<u64>();
    let most = if mutants::on("flow.shares-without-limit") { u64::MAX } else { u64::from(consumers_max) };
    let usual = sum(|need| need.usual);
    let wanted = sum(|need| need.level.concurrency(need.usual));
    let cut = |part: u16, all: u64, left: u64| {
        let cut = if all <= left { u64::from(part) } else { u64::from(part) * left / all };
        u16::try_from(cut).unwrap_or(u16::MAX)
    };
    let of = |need: &Need| {
        let of_usual = cut(need.usual, usual, most);
        let beyond = need.level.concurrency(need.usual) - need.usual.min(need.level.concurrency(need.usual));
        let share = of_usual + cut(beyond, wanted.saturating_sub(usual), most.saturating_sub(usual));
        share.max(CONSUMERS_MIN)
    };
    needs.iter().map(of).collect()
}

/// How many consumers a queue has, as its event source mapping says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consuming {
    /// At the most. Absent: as many as there are.
    pub maximum: Option<u16>,
    /// Whether a change is under way. Until it is done no other is taken.
    pub changing: bool,
}

/// What is to be done about a queue's consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// They are as many as they should be.
    Keep,
    /// They should be so many.
    Set(u16),
    /// They should be others, and cannot be changed now.
    Wait,
}

/// Compares what a queue has with what it should have. What somebody else has set by hand is set back.
#[must_use]
pub fn scaling(has: Consuming, wanted: u16) -> Scaling {
    match has {
        Consuming { maximum: Some(maximum), .. } if maximum == wanted => Scaling::Keep,
        Consuming { maximum: Some(_), .. } if mutants::on("flow.leaves-what-others-set") => Scaling::Keep,
        Consuming { changing: true, .. } => Scaling::Wait,
        Consuming { .. } => Scaling::Set(wanted),
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

    fn shares(needs: &[(Level, u16)], most: u16) -> Vec<u16> {
        let needs: Vec<Need> =
            needs.iter().map(|(level, usual)| Need { level: *level, usual: *usual }).collect();
        share(&needs, most)
    }

    #[test]
    fn each_queue_gets_what_it_asks_for_while_there_is_enough() {
        let needs = [(Level::Normal, 20), (Level::Emergency, 20), (Level::Scale, 10)];
        assert_eq!(shares(&needs, 140), [20, 100, 20]);
        assert_eq!(shares(&needs, u16::MAX), [20, 100, 20]);
        assert_eq!(shares(&[], 10), Vec::<u16>::new());
    }

    #[test]
    fn what_goes_beyond_a_normal_day_is_cut_first_and_to_the_same_share() {
        let needs = [(Level::Normal, 20), (Level::Emergency, 20), (Level::Emergency, 10)];
        // 120 are asked for beyond the 50, and 60 are there.
        assert_eq!(shares(&needs, 110), [20, 60, 30]);
        assert_eq!(shares(&needs, 50), [20, 20, 10]);
    }

    #[test]
    fn the_sum_never_exceeds_what_there_is_but_for_the_fewest_that_a_queue_can_have() {
        assert_eq!(shares(&[(Level::Normal, 20), (Level::Emergency, 20)], 10), [5, 5]);
        assert_eq!(shares(&[(Level::Normal, 20); 7], 0), [2; 7]);
        for most in [14, 20, 77, 140, 200, 500, 1_000] {
            for levels in [[Level::Normal; 7], [Level::Scale; 7], [Level::Emergency; 7]] {
                let needs = levels.map(|level| (level, 20));
                let sum: u16 = shares(&needs, most).iter().sum();
                assert!(sum <= most, "{sum} of {most}");
            }
        }
    }

    #[test]
    fn consumers_are_compared_with_what_there_really_is() {
        let has = |maximum, changing| Consuming { maximum, changing };
        assert_eq!(scaling(has(Some(20), false), 20), Scaling::Keep);
        assert_eq!(scaling(has(Some(20), true), 20), Scaling::Keep, "it becomes what it should be");
        assert_eq!(scaling(has(Some(7), false), 20), Scaling::Set(20), "set by hand");
        assert_eq!(scaling(has(None, false), 20), Scaling::Set(20));
        assert_eq!(scaling(has(Some(7), true), 20), Scaling::Wait);
    }

    #[test]
    fn more_consumers_work_the_more_waits() {
        let of = |level: Level| level.concurrency(20);
        assert_eq!(Level::ALL.map(of), [20, 20, 40, 100]);
        assert_eq!(Level::Emergency.concurrency(900), 1_000, "Lambda takes no more");
    }
}
