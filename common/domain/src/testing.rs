//! Given, when, then: runs a decider by its inputs, and checks what must hold for every decision.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::fmt::Debug;

use hostler_core::{Decider, Decision, Payload, SetTimer};
use jiff::{SignedDuration, Timestamp};

/// A stream in memory: its state, and everything that was decided on it.
#[derive(Debug, Clone)]
pub(crate) struct Run<D: Decider> {
    pub(crate) state: D::State,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<D::Event>,
    pub(crate) commands: Vec<D::Command>,
    pub(crate) timers: Vec<SetTimer>,
}

impl<D: Decider> Run<D>
where
    D::State: Debug + PartialEq,
    D::Event: Debug + PartialEq + Clone,
    D::Command: Debug + PartialEq + Clone,
{
    pub(crate) fn new() -> Self {
        Self {
            state: D::State::default(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            events: Vec::new(),
            commands: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// A stream on which these inputs were accepted.
    pub(crate) fn given(inputs: impl IntoIterator<Item = D::Input>) -> Self {
        let mut run = Self::new();
        for input in inputs {
            run.when(&input).unwrap();
        }
        run
    }

    /// Decides and applies. Events and state must survive the way to the store and back.
    pub(crate) fn when(&mut self, input: &D::Input) -> Result<Decision<D::Event, D::Command>, D::Refusal> {
        self.now = self.now.checked_add(SignedDuration::from_secs(1)).unwrap();
        let decision = D::decide(&self.state, input, self.now)?;
        for event in &decision.events {
            let back = D::Event::from_data(event.type_name(), event.schema_version(), &event.to_data());
            assert_eq!(back.as_ref().ok(), Some(event), "the event changes on its way: {back:?}");
            self.state = D::evolve(self.state.clone(), event);
        }
        for command in &decision.commands {
            let back =
                D::Command::from_data(command.type_name(), command.schema_version(), &command.to_data());
            assert_eq!(back.as_ref().ok(), Some(command), "the command changes on its way: {back:?}");
        }
        let text = serde_json::to_string(&self.state).unwrap();
        let back: D::State = serde_json::from_str(&text).unwrap();
        assert_eq!(back, self.state, "the state changes on its way");
        self.events.extend(decision.events.iter().cloned());
        self.commands.extend(decision.commands.iter().cloned());
        self.timers.extend(decision.timers.iter().cloned());
        Ok(decision)
    }

    /// Decides, applies, and returns the names of the events.
    pub(crate) fn names(&mut self, input: &D::Input) -> Vec<&'static str> {
        self.when(input).unwrap().events.iter().map(Payload::type_name).collect()
    }

    /// Whether the input changes nothing.
    pub(crate) fn ignores(&mut self, input: &D::Input) -> bool {
        self.when(input).unwrap().is_empty()
    }
}

/// An id from text that is a valid one.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: Debug,
{
    text.parse().unwrap()
}

/// A provisioning saga of this id.
pub(crate) fn saga_ref(id: &str) -> hostler_core::saga::SagaRef {
    hostler_core::saga::SagaRef::new("provisioning", id).unwrap()
}
