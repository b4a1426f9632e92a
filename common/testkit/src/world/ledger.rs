//! What must hold after every step in chaos, as far as it is known from commits alone.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::saga::{Direction, SagaDefinition, SagaEvent, StepName};
use hostler_core::triage::{FailureDecider, FailureEvent, FailureState};
use hostler_core::{Category, Commit, Decider, Payload, StreamId, StreamVersion};
use hostler_runtime::register::{Application, Register};
use hostler_runtime::register::{Entities, Entity, SagaEntry, Viewed};
use uuid::Uuid;

use super::switch::Switch;
use crate::memory::MemoryStore;

/// The ids of replayed events begin with this.
pub(super) const REPLAYED: u128 = 0x0019_0000_0000_7000_0000_0000_0000_0000;

/// An application's own invariants, looked at after every step in chaos.
pub trait Invariants {
    /// Looks at a commit, in the order of writing.
    ///
    /// # Panics
    /// When an invariant is broken.
    fn commit(&mut self, commit: &Commit);

    /// Looks at the world outside.
    ///
    /// # Panics
    /// When an invariant is broken.
    fn step(&mut self) {}
}

/// What triage came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Triaged {
    /// Dead letters.
    pub failures: u64,
    /// How often one was sent back.
    pub retries: u64,
    /// How often an operator was asked.
    pub quarantined: u64,
    /// Those that were handled in the end.
    pub resolved: u64,
    /// Those of them that no operator had to look at.
    pub by_itself: u64,
}

impl std::ops::AddAssign for Triaged {
    fn add_assign(&mut self, other: Self) {
        self.failures += other.failures;
        self.retries += other.retries;
        self.quarantined += other.quarantined;
        self.resolved += other.resolved;
        self.by_itself += other.by_itself;
    }
}

/// How a saga was seen to be undone.
#[derive(Default)]
struct SagaCheck {
    /// The steps of each stage of its plan, and what undoes each.
    stages: Vec<Vec<(StepName, Option<StepName>)>>,
    begun: BTreeSet<StepName>,
    /// The last stage that may still be undone.
    left: usize,
}

type CheckUndoing = fn(&mut SagaCheck, &Commit);

/// What is known of the world.
#[derive(Default)]
pub(super) struct Ledger {
    /// How many commits were looked at.
    pub(super) commits: usize,
    failures: BTreeMap<StreamId, FailureState>,
    /// What an operator has not looked at yet.
    pub(super) quarantined: Vec<(String, Category)>,
    /// The failures that an operator has looked at, and those that were handled without one.
    looked_at: BTreeSet<StreamId>,
    handled: BTreeSet<StreamId>,
    pub(super) triaged: Triaged,
    versions: BTreeMap<StreamId, StreamVersion>,
    causes: BTreeSet<(StreamId, String)>,
    kinds: BTreeMap<&'static str, CheckUndoing>,
    sagas: BTreeMap<StreamId, SagaCheck>,
}

impl Entities for Ledger {
    fn viewed<E: Viewed>(&mut self) {}

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        self.kinds.insert(S::Definition::KIND, check_undoing::<S::Definition>);
    }
}

impl Ledger {
    pub(super) fn of<A: Application>() -> Self {
        let mut ledger = Self::default();
        Register::<A>::visit(&mut ledger);
        ledger
    }

    pub(super) fn check(&mut self, store: &MemoryStore, switch: &Switch, own: &mut [Box<dyn Invariants>]) {
        for commit in store.outbox_since(self.commits) {
            self.commits += 1;
            self.check_commit(&commit);
            own.iter_mut().for_each(|own| own.commit(&commit));
        }
        for (stream, version, commit_id) in switch.take_acknowledged() {
            let there = store.stored(&stream, version) == Some(commit_id);
            assert!(there, "{stream}@{version}: an acknowledged commit is lost");
        }
        let collision = switch.collision();
        assert!(collision.is_none(), "worked on by two at a time: {collision:?}");
        own.iter_mut().for_each(|own| own.step());
    }

    fn check_commit(&mut self, commit: &Commit) {
        let stream = &commit.stream;
        let version = self.versions.entry(stream.clone()).or_insert(StreamVersion::EMPTY);
        assert_eq!(commit.version, version.next(), "{stream}: versions without gaps");
        *version = commit.version;
        let id = commit.causation_id.as_str().parse::<Uuid>();
        let replayed = id.is_ok_and(|id| id.as_u128() & !u128::from(u64::MAX) == REPLAYED);
        assert!(!replayed, "{stream}: a replayed event has changed something");
        let cause = (stream.clone(), commit.causation_id.to_string());
        assert!(self.causes.insert(cause), "{stream}: a cause commits once: {}", commit.causation_id);
        if stream.category() == FailureDecider::CATEGORY {
            self.check_failure(commit);
        } else if let Some(check) = self.kinds.get(stream.category()) {
            check(self.sagas.entry(stream.clone()).or_default(), commit);
        }
    }

    /// A failure is open, or it was dealt with; what is dealt with needs nobody's help in between.
    fn check_failure(&mut self, commit: &Commit) {
        let state = self.failures.entry(commit.stream.clone()).or_default();
        for event in &commit.events {
            let event =
                FailureEvent::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
            match &event {
                FailureEvent::Recorded { .. } => self.triaged.failures += 1,
                FailureEvent::Quarantined { category, .. } => {
                    self.triaged.quarantined += 1;
                    self.quarantined.push((commit.stream.key().to_owned(), *category));
                    self.looked_at.insert(commit.stream.clone());
                }
                FailureEvent::Resent { why: None, .. } => self.triaged.retries += 1,
                FailureEvent::Resolved { .. } => {
                    self.triaged.resolved += 1;
                    if !self.looked_at.contains(&commit.stream) && self.handled.insert(commit.stream.clone())
                    {
                        self.triaged.by_itself += 1;
                    }
                }
                _ => {}
            }
            *state = FailureDecider::evolve(std::mem::take(state), &event);
        }
    }

    /// No acknowledged commit is lost: what was handed out is what is stored.
    pub(super) fn check_end(&self, store: &MemoryStore) {
        for (stream, state) in &self.failures {
            assert!(state.is_settled(), "{stream} is dealt with in the end: {state:#?}");
        }
        for commit in store.outbox_since(0) {
            let there = store.stored(&commit.stream, commit.version) == Some(commit.commit_id);
            assert!(there, "{}@{}: an acknowledged commit is lost", commit.stream, commit.version);
        }
    }
}

/// What is undone is undone in the reverse order of the plan's stages, and each compensation is of a step that had begun.
fn check_undoing<D: SagaDefinition>(saga: &mut SagaCheck, commit: &Commit) {
    let stream = &commit.stream;
    for event in &commit.events {
        let event =
            SagaEvent::<D::Order>::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
        match event {
            SagaEvent::Started { version, order, .. } => {
                let plan = D::plan(version, &order).unwrap();
                let names =
                    |step: &hostler_core::saga::Step<D::Step>| (step.full_name(), step.undone_by_name());
                let stages = plan.stages.iter().map(|stage| stage.steps.iter().map(names).collect());
                saga.stages = stages.collect();
                saga.left = saga.stages.len();
            }
            SagaEvent::StepStarted { step, direction: Direction::Forward, .. } => {
                saga.begun.insert(step);
            }
            SagaEvent::StepStarted { step, direction: Direction::Back, .. } => {
                let of = |(_, undone_by): &(StepName, Option<StepName>)| undone_by.as_ref() == Some(&step);
                let place = saga.stages.iter().position(|stage| stage.iter().any(of)).unwrap();
                assert!(place <= saga.left, "{stream}: compensations in reverse: {step} comes late");
                saga.left = place;
                let mut undone = saga.stages.iter().flatten().filter(|step| of(step));
                let had_begun = undone.any(|(name, _)| saga.begun.contains(name));
                assert!(had_begun, "{stream}: {step} undoes what had not begun");
            }
            _ => {}
        }
    }
}
