//! The shape of every decision: state and input in, events, commands and timers out.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::Data;
use crate::payload::{Addressed, ContractError, Payload};

/// A pure state machine with a stream of its own. A saga is one whose decisions ask others to do things.
///
/// `decide` may refuse. `evolve` may not: it is total, because history is a fact.
pub trait Decider {
    /// The category of its streams, such as `host`.
    const CATEGORY: &'static str;
    /// The version of `State`'s form. Raise it when `State` changes: older snapshots are then ignored and the state
    /// is folded from the events.
    const STATE_VERSION: u32;
    /// What the events so far add up to; `Default` is the state before the first.
    type State: Default + Clone + Serialize + DeserializeOwned + Send + Sync;
    /// What it is asked, or told.
    type Input: Send + Sync;
    /// What it records.
    type Event: Payload;
    /// What it asks others to do.
    type Command: Payload + Addressed;
    /// Why it says no.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// Decides. `now` is the only clock. An empty decision means that nothing changes, which is the right answer to
    /// an input that is late or repeated.
    ///
    /// # Errors
    /// The refusal, with its reason and advice. It is an outcome for the caller, not a fault.
    fn decide(
        state: &Self::State,
        input: &Self::Input,
        now: Timestamp,
    ) -> Result<Decision<Self::Event, Self::Command>, Self::Refusal>;

    /// Folds one event into the state.
    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;
}

/// What a decider wants recorded and sent, all in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<E, C> {
    /// What happened, in order.
    pub events: Vec<E>,
    /// What others are asked to do.
    pub commands: Vec<C>,
    /// When to be woken.
    pub timers: Vec<SetTimer>,
}

impl<E, C> Default for Decision<E, C> {
    fn default() -> Self {
        Self { events: Vec::new(), commands: Vec::new(), timers: Vec::new() }
    }
}

impl<E, C> Decision<E, C> {
    /// Nothing happens.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// These events, and nothing else yet.
    #[must_use]
    pub fn events(events: impl IntoIterator<Item = E>) -> Self {
        Self { events: events.into_iter().collect(), ..Self::default() }
    }

    /// One more event.
    #[must_use]
    pub fn event(mut self, event: E) -> Self {
        self.events.push(event);
        self
    }

    /// One more command.
    #[must_use]
    pub fn command(mut self, command: C) -> Self {
        self.commands.push(command);
        self
    }

    /// One more timer.
    #[must_use]
    pub fn timer(mut self, timer: SetTimer) -> Self {
        self.timers.push(timer);
        self
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.commands.is_empty() && self.timers.is_empty()
    }
}

/// A timer as a decider asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTimer {
    /// The owner's name for it. The name holds what the timer is about, such as a step's id, so that the owner
    /// recognises and ignores a timer whose wait is over. Timers are never cancelled.
    pub name: String,
    /// The earliest moment of delivery.
    pub due_at: Timestamp,
    /// The logical name of the queue that its owner reads.
    pub deliver_to: &'static str,
}

/// The command type of deciders that never ask others for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCommand {}

impl Payload for NoCommand {
    fn type_name(&self) -> &'static str {
        match *self {}
    }

    fn schema_version(&self) -> u32 {
        match *self {}
    }

    fn to_data(&self) -> Data {
        match *self {}
    }

    fn from_data(type_name: &str, _: u32, _: &Data) -> Result<Self, ContractError> {
        Err(ContractError::UnknownType { type_name: type_name.to_owned(), known: "none".to_owned() })
    }
}

impl Addressed for NoCommand {
    fn queue(&self) -> &'static str {
        match *self {}
    }
}
