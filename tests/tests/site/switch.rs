//! The fault switch of a whole site: it counts every write, and lets one of them go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use hostler_core::{Commit, CommitId, StreamId, StreamVersion};
use hostler_runtime::ports::{Clock, Page};
use hostler_testkit::TestClock;
use hostler_testkit::clock::Random;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

/// How many of a hundred calls let others go first, and how often in a row: seldom and long, so that one function
/// stands still at some point while another one runs through.
const YIELDING_PERCENT: u8 = 25;
const YIELDS_MAX: u64 = 60;

/// How long an invocation may last.
pub const INVOCATION: SignedDuration = SignedDuration::from_secs(30);

/// What happens at one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The function dies before it.
    DieBefore,
    /// It is carried out, and the function dies before it hears so.
    DieAfter,
    /// It is not carried out, and says so.
    Fail,
    /// It is carried out, and the answer is lost: the function hears of a failure.
    LoseAnswer,
}

/// Shared by all ports of a site.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    inner: Arc<Mutex<Inner>>,
    died: Arc<Notify>,
}

/// How often, of ten thousand, something goes wrong by chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// A write, before or after which its function dies.
    pub die: u64,
    /// A write that is not carried out, and says so.
    pub fail: u64,
    /// A write whose answer is lost.
    pub lose: u64,
    /// A read that is not answered.
    pub fail_read: u64,
    /// A call after which its function stands still for a while.
    pub stall: u64,
    /// A call that lets others go first.
    pub give_way: u64,
    /// A call of a driver that fails and may work later.
    pub driver: u64,
    /// A listing that is as old as the one before.
    pub stale: u64,
    /// A call after which a service answers every other call only, for up to two minutes.
    pub throttle: u64,
    /// An entry of a batch that is not taken, while others are.
    pub entry: u64,
    /// A reading of a power state that is wrong.
    pub lie: u64,
    /// How many seconds a function's clock is off at most.
    pub skew_seconds: u64,
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
    /// What is undone is undone in the order in which it was done.
    CompensateForwards,
    /// A saga's last event is taken for granted and not recorded.
    ForgetEnd,
    /// A dead letter is acknowledged and not recorded.
    LoseLetter,
    /// The mark of a replayed message is lost on the way.
    ForgetReplay,
}

/// Chance, and what it may do.
#[derive(Debug)]
struct ByChance {
    random: Random,
    rates: Rates,
    clock: TestClock,
}

/// The stream and the version of a commit, and which commit it is.
pub type Acknowledged = (StreamId, StreamVersion, CommitId);

/// View, group and where a listing began.
pub type ListKey = (String, String, String);

#[derive(Debug, Default)]
struct Inner {
    /// Things go wrong by chance.
    chaos: Option<ByChance>,
    /// The invocation that runs right now.
    current: u64,
    /// Since when each invocation runs.
    begun: BTreeMap<u64, Timestamp>,
    /// Invocations that died.
    doomed: BTreeSet<u64>,
    /// Invocations that stand still, and until when each of their parts does.
    stalled: BTreeMap<u64, Vec<Timestamp>>,
    wakers: Vec<Waker>,
    /// Until when a service answers every other call only.
    throttled_until: Option<Timestamp>,
    /// What a dependency's calls come to meanwhile: from, until, which.
    down: Option<(Timestamp, Timestamp, &'static str)>,
    /// How many calls each dependency got, and how many of them failed.
    calls: BTreeMap<&'static str, (u64, u64)>,
    bug: Option<(Bug, u64)>,
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
    planned: Option<(usize, Fault)>,
    dead: bool,
    yields: Option<Random>,
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
    /// The `n`th write, from 0, goes wrong.
    pub fn plan(&self, n: usize, fault: Fault) {
        self.inner.lock().unwrap().planned = Some((n, fault));
    }

    /// From here on calls let others go first, now and then, so that what runs at once gets in each other's way:
    /// the same for each run with this seed.
    pub fn let_others_go_first(&self, seed: u64) {
        self.inner.lock().unwrap().yields = Some(Random::new(seed));
    }

    /// All writes so far, by what they were.
    pub fn writes(&self) -> Vec<&'static str> {
        self.inner.lock().unwrap().writes.clone()
    }

    /// Runs an invocation; none when it died on the way.
    pub async fn invoke<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let done = tokio::select! {
            biased;
            done = work => Some(done),
            () = self.died.notified() => None,
        };
        self.inner.lock().unwrap().dead = false;
        done
    }

    /// From here on things go wrong by chance, the same for each run with this seed.
    pub fn unleash(&self, seed: u64, rates: Rates, clock: &TestClock) {
        let random = Random::new(seed);
        self.inner.lock().unwrap().chaos = Some(ByChance { random, rates, clock: clock.clone() });
    }

    /// Changes how often things go wrong.
    pub fn set_rates(&self, rates: Rates) {
        if let Some(chaos) = &mut self.inner.lock().unwrap().chaos {
            chaos.rates = rates;
        }
    }

    /// All calls of a dependency fail from then until then.
    pub fn take_down(&self, dependency: &'static str, from: Timestamp, until: Timestamp) {
        self.inner.lock().unwrap().down = Some((from, until, dependency));
    }

    /// How many calls each dependency got, and how many of them failed.
    pub fn calls(&self) -> BTreeMap<&'static str, (u64, u64)> {
        self.inner.lock().unwrap().calls.clone()
    }

    /// Breaks something on purpose.
    pub fn break_on_purpose(&self, bug: Bug) {
        self.inner.lock().unwrap().bug = Some((bug, 0));
    }

    /// Whether this is the `every`th chance of a bug to show.
    pub fn shows(&self, bug: Bug, every: u64) -> bool {
        match &mut self.inner.lock().unwrap().bug {
            Some((broken, chances)) if *broken == bug => {
                *chances += 1;
                chances.is_multiple_of(every)
            }
            _ => false,
        }
    }

    /// The invocation that runs from here on.
    pub fn enter(&self, invocation: u64) {
        let mut inner = self.inner.lock().unwrap();
        inner.current = invocation;
        if let Some(now) = inner.chaos.as_ref().map(|chaos| chaos.clock.now()) {
            inner.begun.entry(invocation).or_insert(now);
        }
    }

    /// Whether an invocation has died.
    pub fn is_doomed(&self, invocation: u64) -> bool {
        self.inner.lock().unwrap().doomed.contains(&invocation)
    }

    /// Until when an invocation stands still.
    pub fn stalled_until(&self, invocation: u64) -> Option<Timestamp> {
        self.inner.lock().unwrap().stalled.get(&invocation).and_then(|all| all.iter().min()).copied()
    }

    /// An invocation is over.
    pub fn leave(&self, invocation: u64) {
        let mut inner = self.inner.lock().unwrap();
        inner.doomed.remove(&invocation);
        inner.stalled.remove(&invocation);
        inner.begun.remove(&invocation);
    }

    /// Time has passed: whoever waited for it goes on.
    pub fn wake(&self) {
        let wakers = std::mem::take(&mut self.inner.lock().unwrap().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many calls there were of any port.
    pub fn port_calls(&self) -> u64 {
        self.inner.lock().unwrap().port_calls
    }

    /// Whether a dependency is down right now.
    pub fn is_down(&self, dependency: &'static str) -> bool {
        let inner = self.inner.lock().unwrap();
        let now = inner.chaos.as_ref().map(|chaos| chaos.clock.now());
        let is_down = |now, (from, until, which): (Timestamp, Timestamp, _)| {
            which == dependency && from <= now && now < until
        };
        now.zip(inner.down).is_some_and(|(now, down)| is_down(now, down))
    }

    /// Whether a driver's call fails.
    pub fn driver_fails(&self, dependency: &'static str) -> bool {
        let is_down = self.is_down(dependency);
        let mut inner = self.inner.lock().unwrap();
        let Inner { chaos, calls, .. } = &mut *inner;
        let Some(ByChance { random, rates, .. }) = chaos else { return false };
        let fails = is_down || random.below(10_000) < rates.driver;
        let counted = calls.entry(dependency).or_default();
        *counted = (counted.0 + 1, counted.1 + u64::from(fails));
        fails
    }

    /// Whether a listing is an old one.
    pub fn is_stale(&self) -> bool {
        self.chance(|rates| rates.stale)
    }

    /// A commit was acknowledged.
    pub fn acknowledge(&self, commit: &Commit) {
        let mut inner = self.inner.lock().unwrap();
        if inner.chaos.is_some() {
            inner.acknowledged.push((commit.stream.clone(), commit.version, commit.commit_id));
        }
    }

    /// The commits acknowledged since this was last called.
    pub fn take_acknowledged(&self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.inner.lock().unwrap().acknowledged)
    }

    /// What two live invocations worked on at a time.
    pub fn collision(&self) -> Option<String> {
        self.inner.lock().unwrap().collisions.first().cloned()
    }

    /// Works on something outside, which takes its time. A collision with another live invocation is noted.
    pub async fn work_on(&self, what: &str) -> WorkedOn {
        {
            let mut inner = self.inner.lock().unwrap();
            let Some(now) = inner.chaos.as_ref().map(|chaos| chaos.clock.now()) else {
                return WorkedOn { switch: self.clone(), what: String::new() };
            };
            // Whoever has been running for longer than an invocation lasts is a zombie: no lease keeps it from what it had
            // begun, and what it does is guarded by conditional writes.
            let begun = inner.begun.get(&inner.current).copied().unwrap_or(now);
            let alive = |begun: &Timestamp| now.duration_since(*begun) < INVOCATION;
            if !alive(&begun) {
                return WorkedOn { switch: self.clone(), what: String::new() };
            }
            let other = inner.worked_on.insert(what.to_owned(), begun);
            if other.as_ref().is_some_and(alive) {
                inner.collisions.push(what.to_owned());
            }
        }
        let worked_on = WorkedOn { switch: self.clone(), what: what.to_owned() };
        self.alive().await;
        worked_on
    }

    /// What a listing came to the last time.
    pub fn listed(&self, key: &ListKey) -> Option<Page> {
        self.inner.lock().unwrap().lists.get(key).cloned()
    }

    /// Remembers what a listing came to, where listings may be old.
    pub fn note_list(&self, key: ListKey, page: &Page) {
        let mut inner = self.inner.lock().unwrap();
        if inner.chaos.as_ref().is_some_and(|chaos| chaos.rates.stale > 0) {
            inner.lists.insert(key, page.clone());
        }
    }

    /// Whether a service turns this call down, for there are too many.
    fn is_throttled(&self) -> bool {
        let mut inner = self.inner.lock().unwrap();
        let Inner { chaos: Some(ByChance { random, rates, clock }), throttled_until, .. } = &mut *inner
        else {
            return false;
        };
        let now = clock.now();
        if throttled_until.is_some_and(|until| now < until) {
            return random.percent(50);
        }
        if rates.throttle > 0 && random.below(10_000) < rates.throttle {
            let seconds = 1 + random.below(120);
            *throttled_until = Some(now + SignedDuration::from_secs(seconds.cast_signed()));
        }
        false
    }

    /// Whether an entry of a batch is not taken.
    pub fn entry_fails(&self) -> bool {
        self.chance(|rates| rates.entry)
    }

    /// Whether a reading is wrong.
    pub fn lies(&self) -> bool {
        self.chance(|rates| rates.lie)
    }

    /// How far the clock of the invocation that runs right now is off.
    pub fn skew(&self) -> SignedDuration {
        let inner = self.inner.lock().unwrap();
        let most = inner.chaos.as_ref().map_or(0, |chaos| chaos.rates.skew_seconds);
        if most == 0 {
            return SignedDuration::ZERO;
        }
        // Each invocation has a clock of its own, ahead or behind.
        let of_this_one = Random::new(inner.current).below(2_000 * most + 1).cast_signed();
        SignedDuration::from_millis(of_this_one - 1_000 * most.cast_signed())
    }

    fn chance(&self, rate: impl Fn(&Rates) -> u64) -> bool {
        let mut inner = self.inner.lock().unwrap();
        inner.chaos.as_mut().is_some_and(|chaos| chaos.random.below(10_000) < rate(&chaos.rates))
    }

    /// A call that changes nothing, and may fail.
    pub async fn read_or<T>(&self, act: impl Future<Output = T>, failed: impl FnOnce() -> T) -> T {
        self.alive().await;
        if self.is_throttled() || self.chance(|rates| rates.fail_read) { failed() } else { act.await }
    }

    /// A call that changes nothing.
    pub async fn read<T>(&self, act: impl Future<Output = T>) -> T {
        self.alive().await;
        act.await
    }

    /// A call that changes something; `failed` is what is heard when it fails.
    pub async fn write<T>(
        &self,
        what: &'static str,
        act: impl Future<Output = T>,
        failed: impl FnOnce() -> T,
    ) -> T {
        self.alive().await;
        if self.is_throttled() {
            return failed();
        }
        match self.next(what) {
            None => act.await,
            Some(Fault::DieBefore) => self.die().await,
            Some(Fault::DieAfter) => {
                act.await;
                self.die().await
            }
            Some(Fault::Fail) => failed(),
            Some(Fault::LoseAnswer) => {
                act.await;
                failed()
            }
        }
    }

    fn next(&self, what: &'static str) -> Option<Fault> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(ByChance { random, rates, .. }) = &mut inner.chaos {
            let at = random.below(10_000);
            let limits = [rates.die / 2, rates.die - rates.die / 2, rates.fail, rates.lose];
            let faults = [Fault::DieBefore, Fault::DieAfter, Fault::Fail, Fault::LoseAnswer];
            let mut sum = 0;
            return faults.into_iter().zip(limits).find_map(|(fault, limit)| {
                sum += limit;
                (at < sum).then_some(fault)
            });
        }
        let number = inner.writes.len();
        inner.writes.push(what);
        inner.planned.filter(|(planned, _)| *planned == number).map(|(_, fault)| fault)
    }

    async fn alive(&self) {
        let (dead, yields) = {
            let mut inner = self.inner.lock().unwrap();
            inner.port_calls += 1;
            let yields = |random: &mut Random| match random.percent(YIELDING_PERCENT) {
                true => random.below(YIELDS_MAX) + 1,
                false => 0,
            };
            (inner.dead || inner.doomed.contains(&inner.current), inner.yields.as_mut().map_or(0, yields))
        };
        if dead {
            std::future::pending::<()>().await;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        self.by_chance().await;
    }

    /// Lets others go first, or stands still for a while, by chance.
    async fn by_chance(&self) {
        let until = {
            let mut inner = self.inner.lock().unwrap();
            let current = inner.current;
            let Some(ByChance { random, rates, clock }) = &mut inner.chaos else { return };
            let now = clock.now();
            if random.below(10_000) < rates.stall {
                let long = if random.percent(20) { 300 } else { 20 };
                let seconds = 1 + random.below(long);
                let until = now + SignedDuration::from_secs(seconds.cast_signed());
                inner.stalled.entry(current).or_default().push(until);
                until
            } else if random.below(10_000) < rates.give_way {
                now
            } else {
                return;
            }
        };
        let (mut first, me) = (true, self.inner.lock().unwrap().current);
        std::future::poll_fn(|context| {
            let mut inner = self.inner.lock().unwrap();
            let now = inner.chaos.as_ref().map_or(until, |chaos| chaos.clock.now());
            if now >= until && !first {
                if let Some(all) = inner.stalled.get_mut(&me)
                    && let Some(at) = all.iter().position(|at| *at == until)
                {
                    all.remove(at);
                }
                return Poll::Ready(());
            }
            if until <= now {
                // Only for this once: let the others be polled.
                context.waker().wake_by_ref();
            } else {
                inner.wakers.push(context.waker().clone());
            }
            first = false;
            Poll::Pending
        })
        .await;
    }

    /// The whole invocation ends here: nothing of it runs on.
    async fn die<T>(&self) -> T {
        {
            let mut inner = self.inner.lock().unwrap();
            let current = inner.current;
            match inner.chaos {
                Some(_) => _ = inner.doomed.insert(current),
                None => {
                    inner.dead = true;
                    self.died.notify_one();
                }
            }
        }
        std::future::pending().await
    }
}
