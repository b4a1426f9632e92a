//! The fault switch of a whole world: every call of a port passes it, and it lets some of them go wrong, at one write that a
//! test names or by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use hostler_core::{Commit, CommitId, StreamId, StreamVersion};
use hostler_runtime::ports::{Clock, Page};
use jiff::{SignedDuration, Timestamp};

use super::chance::{ByChance, YIELDING_PERCENT, YIELDS_MAX};
use crate::TestClock;
use crate::clock::Random;

/// How long an invocation may last.
pub(super) const INVOCATION_TIME: SignedDuration = SignedDuration::from_secs(30);

/// What happens at one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// The function dies before it.
    DieBefore,
    /// It is carried out, and the function dies before it hears so.
    DieAfter,
    /// It is not carried out, and says so.
    Fail,
    /// It is carried out, and the answer is lost: the function hears of a failure.
    LoseAnswer,
}

impl WriteFault {
    /// What goes wrong, in words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::DieBefore => "a function dies before a write",
            Self::DieAfter => "a function dies after a write",
            Self::Fail => "a write fails",
            Self::LoseAnswer => "the answer to a write is lost",
        }
    }
}

/// What is broken on purpose, to see that the checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Every so many appends, one is acknowledged and not written.
    ForgetCommit,
    /// Every so many appends, one takes the place of the commit before it.
    Overwrite,
    /// A version is left out.
    SkipVersion,
    /// A cause commits again, under another name.
    ForgetCause,
    /// An event is acknowledged by the bus and not published.
    LoseEvent,
    /// A message is acknowledged by its queue and not sent.
    LoseMessage,
    /// A timer is acknowledged and not set.
    LoseTimer,
    /// A failed record is reported as handled.
    AcknowledgeFailure,
    /// An older row replaces a newer one.
    ViewGoesBack,
    /// A row is acknowledged and not written.
    LoseRow,
    /// Every lease is granted.
    GrantEveryLease,
    /// A saga's last event is taken for granted and not recorded.
    ForgetEnd,
    /// A dead letter is acknowledged and not recorded.
    LoseLetter,
    /// The mark of a replayed message is lost on the way.
    ForgetReplay,
}

/// The stream and the version of a commit, and which commit it is.
pub(super) type Acknowledged = (StreamId, StreamVersion, CommitId);

/// View, group and where a listing began.
pub(super) type ListKey = (String, String, String);

/// What a test does to commits before they are written.
type Tamper = Box<dyn FnMut(&mut Commit) + Send>;

/// Shared by all ports of a world.
#[derive(Clone)]
pub struct Switch {
    pub(super) inner: Arc<Mutex<Inner>>,
    pub(super) clock: TestClock,
}

#[derive(Default)]
pub(super) struct Inner {
    /// Things go wrong by chance.
    pub(super) chaos: Option<ByChance>,
    /// What runs right now is the test's own question, which nothing happens to by chance.
    sheltered: bool,
    invocations: u64,
    /// The invocation that runs right now.
    pub(super) current: u64,
    /// What it works off.
    pub(super) working: &'static str,
    /// Since when each invocation runs.
    begun: BTreeMap<u64, Timestamp>,
    /// Invocations that died.
    doomed: BTreeSet<u64>,
    /// Invocations that stand still, and until when each of their parts does.
    pub(super) stalled: BTreeMap<u64, Vec<Timestamp>>,
    pub(super) wakers: Vec<Waker>,
    /// Until when a service answers every other call only.
    pub(super) throttled_until: Option<Timestamp>,
    /// Dependencies that are away: from when until when.
    down: BTreeMap<String, (Timestamp, Timestamp)>,
    /// How many calls each dependency got, and how many of them failed.
    pub(super) calls: BTreeMap<String, (u64, u64)>,
    /// What went wrong by chance, and how often.
    pub(super) went_wrong: BTreeMap<&'static str, u64>,
    bug: Option<(Bug, u64)>,
    tamper: Option<Tamper>,
    /// Commits that were acknowledged and are yet to be looked for.
    acknowledged: Vec<Acknowledged>,
    /// What is being worked on from outside, and since when the invocation runs that does so.
    worked_on: BTreeMap<String, Timestamp>,
    /// What two invocations worked on at a time.
    collisions: Vec<String>,
    /// What each listing came to last.
    lists: BTreeMap<ListKey, Page>,
    /// Every write so far, by what it was.
    writes: Vec<&'static str>,
    /// How many calls there were of any port.
    port_calls: u64,
    planned: Option<(usize, WriteFault)>,
    yields: Option<Random>,
}

impl Inner {
    /// Chance, unless the test itself asks.
    pub(super) fn chaos(&mut self) -> Option<&mut ByChance> {
        if self.sheltered { None } else { self.chaos.as_mut() }
    }
}

/// Something outside that is worked on until this is dropped.
pub struct WorkedOn {
    switch: Switch,
    what: String,
}

impl Drop for WorkedOn {
    fn drop(&mut self) {
        self.switch.inner.lock().unwrap().worked_on.remove(&self.what);
    }
}

impl Switch {
    pub(super) fn new(clock: &TestClock) -> Self {
        Self { inner: Arc::default(), clock: clock.clone() }
    }

    /// The `n`th write, from 0, goes wrong.
    pub fn plan(&self, n: usize, fault: WriteFault) {
        self.inner.lock().unwrap().planned = Some((n, fault));
    }

    /// From here on calls let others go first, now and then, so that what runs at once gets in each other's way:
    /// the same for each run with this seed.
    pub(super) fn let_others_go_first(&self, seed: u64) {
        self.inner.lock().unwrap().yields = Some(Random::new(seed));
    }

    /// All writes so far, by what they were.
    #[must_use]
    pub fn writes(&self) -> Vec<&'static str> {
        self.inner.lock().unwrap().writes.clone()
    }

    /// Breaks something on purpose.
    pub fn break_on_purpose(&self, bug: Bug) {
        self.inner.lock().unwrap().bug = Some((bug, 0));
    }

    /// Has a test change commits before they are written, to see that its checks notice.
    pub fn tamper(&self, with: impl FnMut(&mut Commit) + Send + 'static) {
        self.inner.lock().unwrap().tamper = Some(Box::new(with));
    }

    pub(super) fn tamper_with(&self, commit: &mut Commit) {
        if let Some(tamper) = &mut self.inner.lock().unwrap().tamper {
            tamper(commit);
        }
    }

    /// Whether this is the `every`th chance of a bug to show.
    pub(super) fn shows(&self, bug: Bug, every: u64) -> bool {
        match &mut self.inner.lock().unwrap().bug {
            Some((broken, chances)) if *broken == bug => {
                *chances += 1;
                chances.is_multiple_of(every)
            }
            _ => false,
        }
    }

    /// Runs what a test asks for itself; none when the function died on the way.
    pub(super) async fn invoke<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let id = self.next_invocation();
        let mut work = pin!(work);
        let done = std::future::poll_fn(|context| {
            self.enter(id, "the test");
            self.inner.lock().unwrap().sheltered = true;
            let polled = work.as_mut().poll(context);
            self.inner.lock().unwrap().sheltered = false;
            match polled {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.is_doomed(id) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        self.leave(id);
        done
    }

    pub(super) fn next_invocation(&self) -> u64 {
        let mut inner = self.inner.lock().unwrap();
        inner.invocations += 1;
        inner.invocations
    }

    /// The invocation that runs from here on.
    pub(super) fn enter(&self, invocation: u64, working: &'static str) {
        let now = self.clock.now();
        let mut inner = self.inner.lock().unwrap();
        (inner.current, inner.working) = (invocation, working);
        inner.begun.entry(invocation).or_insert(now);
    }

    /// An invocation is over.
    pub(super) fn leave(&self, invocation: u64) {
        let mut inner = self.inner.lock().unwrap();
        inner.doomed.remove(&invocation);
        inner.stalled.remove(&invocation);
        inner.begun.remove(&invocation);
    }

    /// Whether an invocation has died.
    pub(super) fn is_doomed(&self, invocation: u64) -> bool {
        self.inner.lock().unwrap().doomed.contains(&invocation)
    }

    /// Until when an invocation stands still.
    pub(super) fn stalled_until(&self, invocation: u64) -> Option<Timestamp> {
        self.inner.lock().unwrap().stalled.get(&invocation).and_then(|all| all.iter().min()).copied()
    }

    /// Time has passed: whoever waited for it goes on.
    pub(super) fn wake(&self) {
        let wakers = std::mem::take(&mut self.inner.lock().unwrap().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many calls there were of any port.
    pub(super) fn port_calls(&self) -> u64 {
        self.inner.lock().unwrap().port_calls
    }

    /// All calls of a dependency fail from then until then.
    pub(super) fn take_down(&self, dependency: &str, from: Timestamp, until: Timestamp) {
        if !self.may_be_away(dependency) {
            return;
        }
        self.inner.lock().unwrap().down.insert(dependency.to_owned(), (from, until));
    }

    /// Whether a dependency is down right now.
    #[must_use]
    pub fn is_down(&self, dependency: &str) -> bool {
        let down = self.inner.lock().unwrap().down.get(dependency).copied();
        down.is_some_and(|(from, until)| (from..until).contains(&self.clock.now()))
    }

    /// When a dependency will be back, if it is, or was, taken down.
    pub(super) fn back_at(&self, dependency: &str) -> Option<Timestamp> {
        self.inner.lock().unwrap().down.get(dependency).map(|(_, until)| *until)
    }

    /// How many calls each dependency got, and how many of them failed.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, (u64, u64)> {
        self.inner.lock().unwrap().calls.clone()
    }

    /// A commit was acknowledged.
    pub(super) fn acknowledge(&self, commit: &Commit) {
        let mut inner = self.inner.lock().unwrap();
        if inner.chaos.is_some() {
            inner.acknowledged.push((commit.stream.clone(), commit.version, commit.commit_id));
        }
    }

    /// The commits acknowledged since this was last called.
    pub(super) fn take_acknowledged(&self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.inner.lock().unwrap().acknowledged)
    }

    /// What two live invocations worked on at a time.
    pub(super) fn collision(&self) -> Option<String> {
        self.inner.lock().unwrap().collisions.first().cloned()
    }

    /// Works on something outside, which takes its time. In chaos a collision with another live invocation is noted, and
    /// the next check fails.
    pub async fn work_on(&self, what: &str) -> WorkedOn {
        let nobody = || WorkedOn { switch: self.clone(), what: String::new() };
        {
            let now = self.clock.now();
            let mut inner = self.inner.lock().unwrap();
            if inner.chaos().is_none() {
                drop(inner);
                return nobody();
            }
            // Whoever has been running for longer than an invocation lasts is a zombie: no lease keeps it from what it had
            // begun, and what it does is guarded by conditional writes.
            let begun = inner.begun.get(&inner.current).copied().unwrap_or(now);
            let alive = |begun: &Timestamp| now.duration_since(*begun) < INVOCATION_TIME;
            if !alive(&begun) {
                drop(inner);
                return nobody();
            }
            let other = inner.worked_on.insert(what.to_owned(), begun);
            if other.as_ref().is_some_and(alive) {
                inner.collisions.push(what.to_owned());
            }
        }
        let worked_on = WorkedOn { switch: self.clone(), what: what.to_owned() };
        self.alive(what).await;
        worked_on
    }

    /// What a listing came to the last time.
    pub(super) fn listed(&self, key: &ListKey) -> Option<Page> {
        self.inner.lock().unwrap().lists.get(key).cloned()
    }

    /// Remembers what a listing came to, where listings may be old.
    pub(super) fn note_list(&self, key: ListKey, page: &Page) {
        let mut inner = self.inner.lock().unwrap();
        if inner.chaos.as_ref().is_some_and(|chaos| chaos.rates.stale > 0) {
            inner.lists.insert(key, page.clone());
        }
    }

    /// A call that changes nothing, and may fail. `place` says what is called, by its name, such as a stream.
    pub async fn read_or<T>(
        &self,
        place: &str,
        act: impl Future<Output = T>,
        failed: impl FnOnce() -> T,
    ) -> T {
        self.alive(place).await;
        if self.is_throttled(place) || self.chance("a read fails", place, |rates| rates.fail_read).is_some() {
            failed()
        } else {
            act.await
        }
    }

    /// A call that changes nothing.
    pub async fn read<T>(&self, place: &str, act: impl Future<Output = T>) -> T {
        self.alive(place).await;
        act.await
    }

    /// A call that changes something; `failed` is what is heard when it fails.
    pub async fn write<T>(
        &self,
        what: &'static str,
        place: &str,
        act: impl Future<Output = T>,
        failed: impl FnOnce() -> T,
    ) -> T {
        self.alive(place).await;
        if self.is_throttled(place) {
            return failed();
        }
        match self.next(what, place) {
            None => act.await,
            Some(WriteFault::DieBefore) => self.die().await,
            Some(WriteFault::DieAfter) => {
                act.await;
                self.die().await
            }
            Some(WriteFault::Fail) => failed(),
            Some(WriteFault::LoseAnswer) => {
                act.await;
                failed()
            }
        }
    }

    fn next(&self, what: &'static str, place: &str) -> Option<WriteFault> {
        if self.inner.lock().unwrap().chaos.is_some() {
            return self.write_fault(what, place);
        }
        let mut inner = self.inner.lock().unwrap();
        let number = inner.writes.len();
        inner.writes.push(what);
        inner.planned.filter(|(planned, _)| *planned == number).map(|(_, fault)| fault)
    }

    /// Whoever is dead stays so; others may have to wait.
    pub(super) async fn alive(&self, place: &str) {
        let (dead, yields) = {
            let mut inner = self.inner.lock().unwrap();
            inner.port_calls += 1;
            let yields = |random: &mut Random| match random.percent(YIELDING_PERCENT) {
                true => random.below(YIELDS_MAX) + 1,
                false => 0,
            };
            (inner.doomed.contains(&inner.current), inner.yields.as_mut().map_or(0, yields))
        };
        if dead {
            std::future::pending::<()>().await;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        self.by_chance(place).await;
    }

    /// The whole invocation ends here: nothing of it runs on.
    async fn die<T>(&self) -> T {
        {
            let mut inner = self.inner.lock().unwrap();
            let current = inner.current;
            inner.doomed.insert(current);
        }
        std::future::pending().await
    }
}
