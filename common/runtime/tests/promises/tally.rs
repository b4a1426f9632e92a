//! A decider to try the runtime on: a tally that is added to, and the fixture to run it on.

use std::sync::Arc;

use hostler_core::{
    Actor, Addressed, CausationId, Commit, ContractError, CorrelationId, Data, Decider, Decision, Payload,
    SetTimer, StreamId,
};
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::MemoryStore;
use hostler_testkit::{SeededIds, TestClock, sample};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// The only event: so much was added.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    pub n: u64,
    /// To make it large.
    pub note: String,
}

impl Payload for Added {
    fn type_name(&self) -> &'static str {
        "tally.added"
    }

    fn schema_version(&self) -> u32 {
        2
    }

    fn to_data(&self) -> Data {
        json!({ "n": self.n, "note": self.note }).into()
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        let data = data.to_value();
        match (type_name, schema_version) {
            // The first form had no note, and another name for the number.
            ("tally.added", 1) => {
                Ok(Self { n: data["amount"].as_u64().unwrap_or_default(), note: String::new() })
            }
            ("tally.added", 2) => Ok(Self {
                n: data["n"].as_u64().unwrap_or_default(),
                note: data["note"].as_str().unwrap_or_default().to_owned(),
            }),
            ("tally.added", found) => {
                Err(ContractError::Version { type_name: type_name.to_owned(), found, newest: 2 })
            }
            _ => Err(ContractError::UnknownType {
                type_name: type_name.to_owned(),
                known: "tally.added".to_owned(),
            }),
        }
    }
}

/// The only command: somebody is to count with us.
#[derive(Debug, Clone, PartialEq)]
pub struct Count;

impl Payload for Count {
    fn type_name(&self) -> &'static str {
        "count"
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        Data::from(json!({}))
    }

    fn from_data(_: &str, _: u32, _: &Data) -> Result<Self, ContractError> {
        Ok(Self)
    }
}

impl Addressed for Count {
    fn queue(&self) -> &'static str {
        "counters"
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Add(u64),
    /// Add one, with a note of so many bytes.
    Note(usize),
    /// Add one, and ask and be woken because of it.
    Ask,
    /// Nothing is to change.
    Look,
    /// Add the total once more: an input whose outcome depends on the state.
    Double,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    pub total: u64,
    pub commits: u64,
    pub last_note: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("nothing is less than nothing: add one at least")]
pub struct AddsNothing;

/// The decider. `FORM` is the version of its state's form.
#[derive(Debug, Clone)]
pub struct Tally<const FORM: u32>;

impl<const FORM: u32> Decider for Tally<FORM> {
    const CATEGORY: &'static str = "tally";
    const STATE_VERSION: u32 = FORM;
    type State = State;
    type Input = Input;
    type Event = Added;
    type Command = Count;
    type Refusal = AddsNothing;

    fn decide(state: &State, input: &Input, now: Timestamp) -> Result<Decision<Added, Count>, AddsNothing> {
        let added = |n| Decision::events([Added { n, note: String::new() }]);
        match input {
            Input::Add(0) => Err(AddsNothing),
            Input::Add(n) => Ok(added(*n)),
            Input::Double => Ok(added(state.total)),
            Input::Note(bytes) => Ok(Decision::events([Added { n: 1, note: "x".repeat(*bytes) }])),
            Input::Ask => Ok(added(1).command(Count).timer(SetTimer {
                name: "look-again".to_owned(),
                due_at: now + SignedDuration::from_mins(40),
                deliver_to: "tallies",
            })),
            Input::Look => Ok(Decision::nothing()),
        }
    }

    fn evolve(state: State, event: &Added) -> State {
        State {
            // Another form adds up otherwise, so that a snapshot of one is wrong for the other.
            total: state.total.saturating_add(event.n.saturating_mul(u64::from(FORM))),
            commits: state.commits + 1,
            last_note: event.note.clone(),
        }
    }
}

/// A store, a clock and a shell between them.
pub struct Fixture {
    pub store: MemoryStore,
    pub clock: TestClock,
    pub shell: Shell,
}

impl Fixture {
    pub fn new() -> Self {
        let (store, clock) = (MemoryStore::default(), TestClock::default());
        let ids = Arc::new(SeededIds::default());
        let shell = Shell::new(Arc::new(store.clone()), Arc::new(clock.clone()), ids, "tests");
        Self { store, clock, shell }
    }

    /// Adds one `n` times, each for a cause of its own: `add-1` and so on.
    pub async fn add_ones(&self, n: u64) {
        for number in 1..=n {
            self.add(&format!("add-{number}"), 1).await;
        }
    }

    pub async fn add(&self, cause: &str, n: u64) -> hostler_runtime::state::shell::Executed<Tally<1>> {
        self.shell.execute::<Tally<1>>(&stream(), &cause_of(cause), &Input::Add(n)).await.unwrap()
    }

    pub fn commits(&self) -> Vec<Commit> {
        self.store.commits(&stream())
    }
}

pub fn stream() -> StreamId {
    "tally#one".parse().unwrap()
}

pub fn cause_of(id: &str) -> Cause {
    Cause {
        id: CausationId::new(id).unwrap(),
        // The clock of the tests begins there.
        since: "2026-01-01T00:00:00Z".parse().unwrap(),
        correlation_id: CorrelationId(Uuid::nil()),
        trace_context: None,
        hops: 3,
        actor: Actor("tester".to_owned()),
    }
}

/// Somebody else's commit on the tally's stream.
pub fn rival(version: u64, n: u64) -> Commit {
    let mut commit = sample::commit("tally#one", version);
    commit.causation_id = CausationId::new(format!("rival-{version}")).unwrap();
    commit.events = vec![sample::event("tally.added", json!({ "n": n, "note": "" }))];
    commit.events[0].schema_version = 2;
    commit
}
