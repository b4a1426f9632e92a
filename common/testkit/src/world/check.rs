//! What holds of every world at rest, whatever went wrong on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use hostler_core::saga::{Saga, SagaDefinition, SagaStatus};
use hostler_core::triage::FailureDecider;
use hostler_core::{Decider, StreamId, StreamVersion};
use hostler_runtime::ports::Row;
use hostler_runtime::register::{Application, Register};
use hostler_runtime::register::{Does, Entities, Entity, SagaEntity, SagaEntry, Viewed, row};
use hostler_runtime::state::history::Fold;
use serde_json::Value;

use super::{Triaged, World};

/// How many sagas of a kind have ended, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// All is done.
    pub completed: u64,
    /// What was done is undone.
    pub compensated: u64,
    /// An operator has to help.
    pub stuck: u64,
}

impl Ends {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.completed + self.compensated + self.stuck
    }
}

/// How often each thing has happened that should happen sometimes: what went wrong, the events of each category of streams, and
/// each step of each saga, on its way forward or back. What never happens is not tested.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reached(pub BTreeMap<String, u64>);

impl Reached {
    fn count(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Those of `wanted` that never happened. An event is named with its category or without.
    #[must_use]
    pub fn never<'a>(&self, wanted: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let happened = |wanted: &str| {
            let is_it = |what: &str| {
                what == wanted || what.split_once(": ").is_some_and(|(_, event)| event == wanted)
            };
            self.0.keys().any(|what| is_it(what))
        };
        wanted.into_iter().filter(|wanted| !happened(wanted)).collect()
    }

    /// What happened, the rarest first, one in a line.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by_key(|(_, times)| **times);
        rows.iter().map(|(what, times)| format!("{times:>9}  {what}\n")).collect()
    }
}

impl std::fmt::Debug for Reached {
    /// How many things have happened: the whole is a table.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} things", self.0.len())
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// How sagas ended, by their kinds.
    pub sagas: BTreeMap<&'static str, Ends>,
    /// How many steps the run had.
    pub steps: u64,
    /// How many commits.
    pub commits: u64,
    /// What triage came to.
    pub triaged: Triaged,
    /// How often each thing has happened.
    pub reached: Reached,
    /// The same for each run with one seed.
    pub hash: u64,
}

impl Ended {
    /// How the sagas of a kind ended.
    #[must_use]
    pub fn of<D: SagaDefinition>(&self) -> Ends {
        self.sagas.get(D::KIND).copied().unwrap_or_default()
    }
}

impl std::ops::AddAssign<&Self> for Ended {
    fn add_assign(&mut self, other: &Self) {
        for (kind, ends) in &other.sagas {
            let sum = self.sagas.entry(kind).or_default();
            sum.completed += ends.completed;
            sum.compensated += ends.compensated;
            sum.stuck += ends.stuck;
        }
        self.steps += other.steps;
        self.commits += other.commits;
        self.triaged += other.triaged;
        for (what, times) in &other.reached.0 {
            *self.reached.0.entry(what.clone()).or_default() += times;
        }
        self.hash ^= other.hash;
    }
}

impl<A: Application> World<A> {
    /// Checks what must hold of every application at rest: everything that was committed was published and nothing is on
    /// its way, versions have no gaps and no cause committed twice, every saga has ended, each dead letter was dealt with, and
    /// each row is the fold of its stream.
    ///
    /// # Panics
    /// When something of that does not hold.
    pub fn check(&self) {
        let mut queues = self.queues.names();
        // What nobody works off first: all else waits for it.
        queues.sort_by_key(|queue| !queue.ends_with("-dlq"));
        for queue in queues {
            assert_eq!(self.queues.peek(&queue), [], "{queue} has what is still on its way");
        }
        assert!(self.outbox.is_empty(), "the outbox has what is still on its way");
        self.check_streams();
        self.check_publication();
        let mut at_rest = AtRest { world: self, ended: BTreeMap::new() };
        Register::<A>::visit(&mut at_rest);
        if self.chaos.is_some() {
            self.ledger.check_end(&self.store);
        }
    }

    /// Checks that there were no dead letters at all: what holds as long as nothing goes wrong.
    ///
    /// # Panics
    /// When there was one.
    pub fn check_no_failures(&self) {
        let failures = self.streams_of::<FailureDecider>();
        let failures: Vec<_> = failures.iter().map(|stream| self.store.commits(stream)).collect();
        assert!(failures.is_empty(), "dead letters: {failures:#?}");
    }

    /// What the run has come to so far.
    #[must_use]
    pub fn ended(&self) -> Ended {
        let mut at_rest = AtRest { world: self, ended: BTreeMap::new() };
        A::entities(&mut Counting(&mut at_rest));
        let mut hash = DefaultHasher::new();
        let commits = self.store.outbox_since(0);
        let mut reached = Reached::default();
        for (what, times) in self.switch.all_that_went_wrong() {
            reached.0.insert(what.to_owned(), times);
        }
        for commit in &commits {
            let category = commit.stream.category();
            for event in &commit.events {
                reached.count(format!("{category}: {}", event.event_type));
                // Of a saga, where it stands.
                let data: Value = event.data.read().unwrap_or_default();
                if let (Some(step), Some(direction)) = (data["step"].as_str(), data["direction"].as_str()) {
                    reached.count(format!("{category}: {} {step} {direction}", event.event_type));
                }
            }
            (commit.stream.to_string(), commit.version.0, commit.commit_id.to_string()).hash(&mut hash);
        }
        Ended {
            sagas: at_rest.ended,
            steps: self.steps,
            commits: commits.len() as u64,
            triaged: self.ledger.triaged,
            reached,
            hash: hash.finish(),
        }
    }

    /// In chaos: what must hold after every step. An operator looks at what is quarantined.
    pub(super) fn check_step(&mut self) {
        self.ledger.check(&self.store, &self.switch, &mut self.invariants);
        if !self.ledger.quarantined.is_empty() {
            self.operate();
        }
    }

    /// Versions have no gaps, and no cause committed twice.
    fn check_streams(&self) {
        for stream in self.store.streams() {
            let mut causes = BTreeSet::new();
            for (number, commit) in self.store.commits(&stream).iter().enumerate() {
                assert_eq!(commit.version.0, number as u64 + 1, "{stream} has a gap");
                let is_new = causes.insert(commit.causation_id.clone());
                assert!(is_new, "{stream}: {} twice", commit.causation_id);
            }
        }
    }

    /// Every event, command and timer that a commit holds was published.
    fn check_publication(&self) {
        let published: BTreeSet<_> = self.bus.published().iter().map(|event| event.event_id).collect();
        let sent: BTreeSet<(String, String)> = self
            .sent
            .lock()
            .unwrap()
            .iter()
            .filter_map(|(queue, body)| {
                // What cannot be read is a dead letter on its way.
                let body: Value = serde_json::from_str(body).ok()?;
                let id = body.get("commandId").or(body.get("timerId")).and_then(Value::as_str);
                Some((queue.clone(), id.unwrap_or_default().to_owned()))
            })
            .collect();
        for commit in self.store.outbox_since(0) {
            let stream = &commit.stream;
            for event in &commit.events {
                assert!(published.contains(&event.event_id), "{stream}: {} is lost", event.event_type);
            }
            for command in &commit.commands {
                let as_sent = (command.queue.clone(), command.command_id.to_string());
                assert!(sent.contains(&as_sent), "{stream}: {} is lost", command.command_type);
            }
            for timer in &commit.timers {
                for queue in ["timers", timer.deliver_to.as_str()] {
                    let as_sent = (queue.to_owned(), timer.timer_id.to_string());
                    assert!(sent.contains(&as_sent), "{stream}: timer {} is not on {queue}", timer.name);
                }
            }
        }
    }
}

/// Looks at all entities of a world at rest.
struct AtRest<'a, A> {
    world: &'a World<A>,
    ended: BTreeMap<&'static str, Ends>,
}

impl<A: Application> AtRest<'_, A> {
    fn fold<D: Decider>(&self, stream: &StreamId) -> Fold<D> {
        self.world.fold(stream)
    }

    /// Each stream has its row, and it is the fold of the stream as of its version. It may lag behind by commits that have
    /// no events: they change nothing that could be seen.
    fn check_view<E: Viewed>(&self) {
        if Register::<A>::that(Does::Views).is_none() {
            return;
        }
        let mut rows: BTreeMap<String, Row> =
            self.world.views.rows(E::VIEW).into_iter().map(|row| (row.key.clone(), row)).collect();
        for stream in self.world.streams_of::<E::Decider>() {
            let found = rows.remove(stream.key());
            let version = found.as_ref().map_or(StreamVersion::EMPTY, |row| row.version);
            let (mut fold, mut told) = (Fold::<E::Decider>::default(), StreamVersion::EMPTY);
            for commit in self.world.store.commits(&stream) {
                if !commit.events.is_empty() {
                    told = commit.version;
                }
                if commit.version <= version || found.is_none() {
                    fold.apply(&commit).unwrap();
                }
            }
            assert_eq!(found, row::<E>(&stream, &fold), "{stream} in {}", E::VIEW);
            assert!(version >= told || found.is_none(), "{stream} in {} is behind {told}", E::VIEW);
        }
        assert!(rows.is_empty(), "rows of {} without a stream: {rows:#?}", E::VIEW);
    }

    fn count<D: SagaDefinition>(&mut self) -> Vec<StreamId> {
        let mut running = Vec::new();
        let mut ends = Ends::default();
        for stream in self.world.streams_of::<Saga<D>>() {
            match self.fold::<Saga<D>>(&stream).state.status {
                SagaStatus::Completed => ends.completed += 1,
                SagaStatus::Compensated { .. } => ends.compensated += 1,
                SagaStatus::Stuck { .. } => ends.stuck += 1,
                SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Compensating { .. } => {
                    running.push(stream);
                }
            }
        }
        self.ended.insert(D::KIND, ends);
        running
    }
}

impl<A: Application> Entities for AtRest<'_, A> {
    fn viewed<E: Viewed>(&mut self) {
        self.check_view::<E>();
    }

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        if let Some(saga) = self.count::<S::Definition>().first() {
            let state = self.fold::<Saga<S::Definition>>(saga).state;
            panic!("{saga} waits for ever: {state:#?}");
        }
        self.check_view::<SagaEntity<S>>();
    }
}

/// Counts sagas, and checks nothing.
struct Counting<'a, 'b, A>(&'a mut AtRest<'b, A>);

impl<A: Application> Entities for Counting<'_, '_, A> {
    fn viewed<E: Viewed>(&mut self) {}

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        self.0.count::<S::Definition>();
    }
}
