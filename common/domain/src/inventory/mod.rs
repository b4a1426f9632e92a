//! What is expected of a host, and what each source says of it: one stream for each host that anybody tells of.
//!
//! A source's word counts for what it says and not for what it leaves out, and its silence counts for nothing. A host is declared
//! gone only when several sources have said so in so many words since it was last seen, and it was looked for and not found.

mod drift;
mod expected;
mod presence;
pub mod records;
mod sources;
mod sweeps;
#[cfg(test)]
mod tests;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use hostler_core::{Decider, Decision};
use hostler_events::inventory::{
    Fact, Facts, HostAppeared, InventoryExpected, InventoryObserved, LookForHost, Presence, Standing,
};
use hostler_events::{HostId, InventoryCommand, InventoryEvent, InventorySource};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use expected::expected_of;
pub use sources::{SOURCE_TIMERS_TO, SourceDecider, SourceInput, SourceState};
pub use sweeps::{SweepDecider, SweepInput, SweepPage, SweepState};

/// Decides on `inventory#<host>`.
#[derive(Debug, Clone, Copy)]
pub struct InventoryDecider;

/// What is known of a host's place in the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryState {
    /// The host; absent before anything was said of it.
    pub host: Option<HostId>,
    /// What it is to the site.
    pub standing: Standing,
    /// What is expected of it.
    pub expected: Facts,
    /// What each source says of it.
    pub sources: BTreeMap<InventorySource, Observed>,
    /// As of when anybody has last said that it is there.
    pub seen_at: Option<Timestamp>,
    /// What is not as expected, by who says so.
    pub drift: BTreeMap<InventorySource, BTreeMap<Fact, Drift>>,
    /// When a source first told of it, while it is not enrolled.
    pub appeared_at: Option<Timestamp>,
    /// When it was declared gone, while it is.
    pub vanished_at: Option<Timestamp>,
}

/// What a source says of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// As of when.
    pub observed_at: Timestamp,
    /// Whether the host is there.
    pub presence: Presence,
    /// What it is; empty while it is gone.
    pub facts: Facts,
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// What is expected.
    pub expected: String,
    /// What the source says.
    pub actual: String,
    /// Since when it is known.
    pub since: Timestamp,
}

/// What is told of a host, and what the site knows of it at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryInput {
    /// The host.
    pub host: HostId,
    /// What is told.
    pub word: Word,
    /// What the host is to the site.
    pub standing: Standing,
    /// What is expected of it.
    pub expected: Facts,
    /// How many sources must say that it is gone.
    pub vanish_sources: u32,
    /// The version of the policies that say so.
    pub policy_version: u64,
    /// The sources that nobody hears of at the moment: their word that a host is gone does not count. Where nobody has looked
    /// which these are, no host is declared gone.
    pub lost: Option<BTreeSet<InventorySource>>,
}

/// What is told of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A source says this of it.
    Said {
        /// Who.
        source: InventorySource,
        /// As of when.
        observed_at: Timestamp,
        /// Whether it is there.
        presence: Presence,
        /// What it is.
        facts: Facts,
        /// Whether something of it has changed that only a look at it tells.
        look: bool,
    },
    /// It was looked for, and nobody answered. That alone says nothing.
    NoAnswer,
    /// It could not be looked for.
    NotLooked,
}

impl InventoryState {
    /// Whether anybody says that the host is gone: whoever asks must then know which sources are missed.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.sources.values().any(|observed| observed.presence == Presence::Gone)
    }
}

impl Decider for InventoryDecider {
    const CATEGORY: &'static str = "inventory";
    const STATE_VERSION: u32 = 1;
    type State = InventoryState;
    type Input = InventoryInput;
    type Event = InventoryEvent;
    type Command = InventoryCommand;
    type Refusal = Infallible;

    fn decide(
        state: &InventoryState,
        input: &InventoryInput,
        now: Timestamp,
    ) -> Result<Decision<InventoryEvent, InventoryCommand>, Infallible> {
        let mut story = Story { state: state.clone(), decision: Decision::nothing() };
        story.expect(input, now);
        let word = story.hear(input, now);
        story.compare(&input.host, now);
        if word.is_heard {
            story.appear(input, now);
        }
        story.vanish(input, now);
        if word.asks_for_a_look || (word.is_heard && story.needs_a_look(input)) {
            story.decision.commands.push(LookForHost { host: input.host.clone() }.into());
        }
        Ok(story.decision)
    }

    fn evolve(mut state: InventoryState, event: &InventoryEvent) -> InventoryState {
        match event {
            InventoryEvent::Expected(e) => {
                state.host = Some(e.host.clone());
                (state.standing, state.expected) = (e.standing, e.facts.clone());
                match e.standing {
                    Standing::Enrolled | Standing::Retired => state.appeared_at = None,
                    Standing::NotEnrolled => {}
                }
            }
            InventoryEvent::Observed(e) => {
                state.host = Some(e.host.clone());
                if e.presence == Presence::Present {
                    state.seen_at = state.seen_at.max(Some(e.observed_at));
                }
                let facts = state.sources.remove(&e.source).map(|before| before.facts).unwrap_or_default();
                let facts = match e.presence {
                    Presence::Present => facts.into_iter().chain(e.changed.clone()).collect(),
                    Presence::Gone => Facts::new(),
                };
                let observed = Observed { observed_at: e.observed_at, presence: e.presence, facts };
                state.sources.insert(e.source, observed);
            }
            InventoryEvent::DriftDetected(e) => {
                let (expected, actual, since) = (e.expected.clone(), e.actual.clone(), e.at);
                let drift = Drift { expected, actual, since };
                state.drift.entry(e.source).or_default().insert(e.fact, drift);
            }
            InventoryEvent::DriftResolved(e) => {
                if let Some(of_source) = state.drift.get_mut(&e.source) {
                    of_source.remove(&e.fact);
                    if of_source.is_empty() {
                        state.drift.remove(&e.source);
                    }
                }
            }
            InventoryEvent::HostAppeared(e) => {
                state.vanished_at = None;
                if state.standing == Standing::NotEnrolled {
                    state.appeared_at = Some(e.at);
                }
            }
            InventoryEvent::HostVanished(e) => {
                state.vanished_at = Some(e.at);
                state.appeared_at = None;
            }
        }
        state
    }
}

/// What came of a word.
struct Heard {
    /// It is news, and on record.
    is_heard: bool,
    /// It says that only a look tells what has changed.
    asks_for_a_look: bool,
}

/// A decision as it is made: what follows looks at what is on record by then.
struct Story {
    state: InventoryState,
    decision: Decision<InventoryEvent, InventoryCommand>,
}

impl Story {
    fn tell(&mut self, event: InventoryEvent) {
        self.state = InventoryDecider::evolve(std::mem::take(&mut self.state), &event);
        self.decision.events.push(event);
    }

    /// What is expected may have changed since anybody last told of the host.
    fn expect(&mut self, input: &InventoryInput, now: Timestamp) {
        let InventoryInput { host, standing, expected, .. } = input;
        if self.state.standing != *standing || self.state.expected != *expected {
            let (host, standing, facts) = (host.clone(), *standing, expected.clone());
            self.tell(InventoryEvent::Expected(InventoryExpected { host, standing, facts, at: now }));
        }
    }

    /// Puts a word on record, unless its source has said something newer.
    fn hear(&mut self, input: &InventoryInput, now: Timestamp) -> Heard {
        let nothing = Heard { is_heard: false, asks_for_a_look: false };
        let (source, observed_at, presence, facts, look) = match &input.word {
            Word::Said { source, observed_at, presence, facts, look } => {
                (*source, *observed_at, *presence, facts.clone(), *look)
            }
            // That nobody answers is believed of a host that is said to be gone.
            Word::NoAnswer if self.is_said_to_be_gone(input) => {
                (InventorySource::Reconcile, now, Presence::Gone, Facts::new(), false)
            }
            Word::NoAnswer | Word::NotLooked => return nothing,
        };
        let before = self.state.sources.get(&source);
        if before.is_some_and(|before| observed_at < before.observed_at) {
            return nothing;
        }
        let changed: Facts = match presence {
            Presence::Present => facts
                .into_iter()
                .filter(|(fact, said)| before.and_then(|before| before.facts.get(fact)) != Some(said))
                .collect(),
            Presence::Gone => Facts::new(),
        };
        let is_news = before.is_none_or(|before| before.presence != presence) || !changed.is_empty();
        // A pushed word may be overtaken by an older one, which its time then tells. A look is always of the moment, and
        // one that finds everything as it was is recorded only where it contradicts somebody.
        let is_newer = before.is_none_or(|before| observed_at > before.observed_at);
        let counts = match source {
            InventorySource::Redfish | InventorySource::Cmdb | InventorySource::Agent => is_newer,
            InventorySource::Reconcile => is_newer && !self.state.words().is_empty(),
        };
        if is_news || counts {
            let host = input.host.clone();
            let observed = InventoryObserved { host, source, observed_at, presence, changed };
            self.tell(InventoryEvent::Observed(observed));
        }
        Heard { is_heard: is_news || counts, asks_for_a_look: look && (is_news || counts) }
    }

    /// A source tells of a host that nobody has enrolled, or that is gone.
    fn appear(&mut self, input: &InventoryInput, now: Timestamp) {
        let Some((source, observed)) = self.state.newest_presence() else { return };
        let is_unknown = self.state.standing == Standing::NotEnrolled && self.state.appeared_at.is_none();
        let is_back = self.state.vanished_at.is_some_and(|at| observed.observed_at > at);
        if is_unknown && self.state.vanished_at.is_none() || is_back {
            let (host, facts) = (input.host.clone(), observed.facts.clone());
            self.tell(InventoryEvent::HostAppeared(HostAppeared { host, source, facts, at: now }));
        }
    }
}
