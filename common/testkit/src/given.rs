//! Given a history, when this is asked, then that happens: how rules of a decider are told as tests.
//!
//! ```text
//! given::<Order>([OrderEvent::Placed { … }])
//!     .when(OrderInput::Pay { … }, "2026-01-01T00:00:00Z")
//!     .then_events([OrderEvent::Paid { … }])
//!     .then_timers(["pack/deadline"]);
//! ```

use std::fmt::Debug;

use hostler_core::{Decider, Decision};
use jiff::Timestamp;

/// A decider with a history.
pub struct Given<D: Decider> {
    state: D::State,
}

// By hand, for a derive would ask it of the decider rather than of its state.
impl<D: Decider> Clone for Given<D> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone() }
    }
}

/// A history, oldest event first.
pub fn given<D: Decider>(events: impl IntoIterator<Item = D::Event>) -> Given<D> {
    given_state::<D>(D::State::default()).and(events)
}

/// A state, however it came about.
pub fn given_state<D: Decider>(state: D::State) -> Given<D> {
    Given { state }
}

/// A moment: a [`Timestamp`], or text such as `2026-01-01T00:00:00Z`.
pub trait Moment {
    /// The timestamp.
    fn timestamp(self) -> Timestamp;
}

impl Moment for Timestamp {
    fn timestamp(self) -> Timestamp {
        self
    }
}

impl Moment for &str {
    fn timestamp(self) -> Timestamp {
        self.parse().unwrap_or_else(|error| panic!("{self:?} is no timestamp: {error}"))
    }
}

impl<D: Decider> Given<D> {
    /// More history.
    #[must_use]
    pub fn and(mut self, events: impl IntoIterator<Item = D::Event>) -> Self {
        self.state = events.into_iter().fold(self.state, |state, event| D::evolve(state, &event));
        self
    }

    /// What the history adds up to.
    pub fn state(&self) -> &D::State {
        &self.state
    }

    /// Asks, or tells, at a moment.
    pub fn when(self, input: D::Input, at: impl Moment) -> Decided<D> {
        let decision = D::decide(&self.state, &input, at.timestamp());
        Decided { state: self.state, decision }
    }
}

/// What was decided.
pub struct Decided<D: Decider> {
    state: D::State,
    decision: Result<Decision<D::Event, D::Command>, D::Refusal>,
}

impl<D: Decider> Decided<D> {
    /// The decision.
    ///
    /// # Panics
    /// When it was refused.
    #[track_caller]
    pub fn decision(&self) -> &Decision<D::Event, D::Command> {
        self.decision.as_ref().unwrap_or_else(|refusal| panic!("it was refused: {refusal}"))
    }

    /// Exactly these events, in this order.
    ///
    /// # Panics
    /// When it is otherwise; so do all that follow.
    #[track_caller]
    pub fn then_events(self, events: impl IntoIterator<Item = D::Event>) -> Self
    where
        D::Event: Debug + PartialEq,
    {
        assert_eq!(self.decision().events, events.into_iter().collect::<Vec<_>>(), "events");
        self
    }

    /// Exactly these commands, in this order.
    #[track_caller]
    pub fn then_commands(self, commands: impl IntoIterator<Item = D::Command>) -> Self
    where
        D::Command: Debug + PartialEq,
    {
        assert_eq!(self.decision().commands, commands.into_iter().collect::<Vec<_>>(), "commands");
        self
    }

    /// Exactly the timers of these names, in this order.
    #[track_caller]
    pub fn then_timers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let timers: Vec<&str> = self.decision().timers.iter().map(|timer| timer.name.as_str()).collect();
        assert_eq!(timers, names.into_iter().collect::<Vec<_>>(), "timers");
        self
    }

    /// A timer of this name, due at this moment.
    #[track_caller]
    pub fn then_timer_at(self, name: &str, due_at: impl Moment) -> Self {
        let due: Vec<Timestamp> = self
            .decision()
            .timers
            .iter()
            .filter(|timer| timer.name == name)
            .map(|timer| timer.due_at)
            .collect();
        assert_eq!(due, [due_at.timestamp()], "timer {name}");
        self
    }

    /// Neither events nor commands nor timers.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        let Decision { events, commands, timers } = self.decision();
        let count = (events.len(), commands.len(), timers.len());
        assert_eq!(count, (0, 0, 0), "events, commands, timers");
        self
    }

    /// A refusal for which this holds.
    #[track_caller]
    pub fn then_refused(self, holds: impl FnOnce(&D::Refusal) -> bool) {
        match &self.decision {
            Ok(_) => panic!("it was not refused"),
            Err(refusal) => assert!(holds(refusal), "it was refused otherwise: {refusal}"),
        }
    }

    /// The history with what was decided, to go on from.
    #[track_caller]
    #[must_use]
    pub fn given_that(self) -> Given<D> {
        let state = self.decision().events.iter().fold(self.state.clone(), D::evolve);
        Given { state }
    }
}

#[cfg(test)]
mod tests {
    use hostler_core::{ContractError, Data, NoCommand, Payload, SetTimer};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Lit;

    impl Payload for Lit {
        fn type_name(&self) -> &'static str {
            "lamp.lit"
        }

        fn schema_version(&self) -> u32 {
            1
        }

        fn to_data(&self) -> Data {
            json!({}).into()
        }

        fn from_data(_: &str, _: u32, _: &Data) -> Result<Self, ContractError> {
            Ok(Self)
        }
    }

    #[derive(Debug, PartialEq)]
    struct AlreadyLit;

    impl std::fmt::Display for AlreadyLit {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the lamp is lit already")
        }
    }

    impl std::error::Error for AlreadyLit {}

    enum Input {
        Light,
        Look,
    }

    struct Lamp;

    impl Decider for Lamp {
        const CATEGORY: &'static str = "lamp";
        const STATE_VERSION: u32 = 1;
        type State = bool;
        type Input = Input;
        type Event = Lit;
        type Command = NoCommand;
        type Refusal = AlreadyLit;

        fn decide(lit: &bool, input: &Input, now: Timestamp) -> Result<Decision<Lit, NoCommand>, AlreadyLit> {
            match (input, lit) {
                (Input::Look, _) => Ok(Decision::nothing()),
                (Input::Light, true) => Err(AlreadyLit),
                (Input::Light, false) => {
                    let timer = SetTimer { name: "burnt-down".to_owned(), due_at: now, deliver_to: "lamps" };
                    Ok(Decision::events([Lit]).timer(timer))
                }
            }
        }

        fn evolve(_: bool, Lit: &Lit) -> bool {
            true
        }
    }

    const AT: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let lit = given::<Lamp>([])
            .when(Input::Light, AT)
            .then_events([Lit])
            .then_commands([])
            .then_timers(["burnt-down"])
            .then_timer_at("burnt-down", AT)
            .given_that();
        assert!(lit.state());
        lit.clone().when(Input::Light, AT).then_refused(|refusal| *refusal == AlreadyLit);
        lit.when(Input::Look, AT).then_nothing();
    }

    #[test]
    #[should_panic(expected = "it was refused: the lamp is lit already")]
    fn a_refusal_that_is_not_expected_is_told() {
        given::<Lamp>([Lit]).when(Input::Light, AT).then_events([Lit]);
    }
}
