//! What goes wrong by chance, the same for each run with one seed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::Poll;

use hostler_runtime::ports::Clock;
use jiff::{SignedDuration, Timestamp};

use super::switch::{Inner, Switch, WriteFault};
use crate::clock::Random;
use crate::shrink::{self, Fault};

/// How many of a hundred calls let others go first, and how often in a row: seldom and long, so that one function
/// stands still at some point while another one runs through.
pub(super) const YIELDING_PERCENT: u8 = 25;
pub(super) const YIELDS_MAX: u64 = 60;

/// How often, of ten thousand, something goes wrong by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChaosRates {
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
    /// A call of a dependency that fails and may work later.
    pub dependency: u64,
    /// A listing that is as old as the one before.
    pub stale: u64,
    /// A call after which a service answers every other call only, for up to two minutes.
    pub throttle: u64,
    /// An entry of a batch that is not taken, while others are.
    pub entry: u64,
    /// A reading of a device that is wrong.
    pub lie: u64,
    /// A batch of the stream that comes later than it should: minutes, once in a while over a day.
    pub lag: u64,
    /// A message that comes twice although it was handled; callbacks a little more often, batches of the stream half as often.
    pub twice: u64,
    /// A message that is replayed under another id.
    pub replay: u64,
    /// How many seconds a function's clock is off at most.
    pub skew_seconds: u64,
}

impl ChaosRates {
    /// Nothing goes wrong; only the order in which things happen is by chance.
    pub const CALM: Self = Self {
        die: 0,
        fail: 0,
        lose: 0,
        fail_read: 0,
        stall: 0,
        give_way: 0,
        dependency: 0,
        stale: 0,
        throttle: 0,
        entry: 0,
        lie: 0,
        lag: 0,
        twice: 0,
        replay: 0,
        skew_seconds: 0,
    };

    /// A few kinds of things go wrong, the same for each seed, and each twice as often as where everything does.
    #[must_use]
    pub fn some(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5a4a);
        let mut rate = |rate: u64| if random.percent(40) { 2 * rate } else { 0 };
        let all = Self::EVERYTHING;
        Self {
            die: rate(all.die),
            fail: rate(all.fail),
            lose: rate(all.lose),
            fail_read: rate(all.fail_read),
            stall: rate(all.stall),
            // The order of things is by chance in any case.
            give_way: all.give_way,
            dependency: rate(all.dependency),
            stale: rate(all.stale),
            throttle: rate(all.throttle),
            entry: rate(all.entry),
            lie: rate(all.lie),
            lag: rate(all.lag),
            twice: rate(all.twice),
            replay: rate(all.replay),
            skew_seconds: all.skew_seconds,
        }
    }

    /// Everything goes wrong now and then.
    pub const EVERYTHING: Self = Self {
        die: 30,
        fail: 60,
        lose: 60,
        fail_read: 40,
        stall: 20,
        give_way: 1_000,
        dependency: 300,
        stale: 1_000,
        throttle: 3,
        entry: 200,
        lie: 100,
        lag: 200,
        twice: 200,
        replay: 200,
        skew_seconds: 2,
    };
}

/// Chance, and what it may do. Each call has randomness of its own: from the seed, what is called, and how often it was called
/// before. So one fault less changes nothing of the others, as long as the same calls are made.
pub(super) struct ByChance {
    seed: u64,
    pub(super) rates: ChaosRates,
    /// How often each was called.
    calls: HashMap<u64, u64>,
}

impl ByChance {
    /// The randomness of a call, and the number by which what goes wrong at it is known.
    fn of_call(&mut self, what: &str, place: &str) -> (Random, u32) {
        let mut hash = DefaultHasher::new();
        (self.seed, what, place).hash(&mut hash);
        let calls = self.calls.entry(hash.finish()).or_default();
        *calls += 1;
        calls.hash(&mut hash);
        let own = hash.finish();
        (Random::new(own), (own >> 32) as u32)
    }
}

fn write_fault(random: &mut Random, rates: &ChaosRates) -> Option<WriteFault> {
    use WriteFault::{DieAfter, DieBefore, Fail, LoseAnswer};
    let at = random.below(10_000);
    let limits = [rates.die / 2, rates.die - rates.die / 2, rates.fail, rates.lose];
    let mut sum = 0;
    [DieBefore, DieAfter, Fail, LoseAnswer].into_iter().zip(limits).find_map(|(fault, limit)| {
        sum += limit;
        (at < sum).then_some(fault)
    })
}

impl Inner {
    /// Counts something that went wrong.
    fn went_wrong(&mut self, what: &'static str) {
        *self.went_wrong.entry(what).or_default() += 1;
    }

    /// What goes wrong at a call, if something does: `decide` says what it is. It happens unless a smaller run is looked for, or
    /// repeated, in which it does not.
    fn fault<T>(
        &mut self,
        now: Timestamp,
        (what, place): (&'static str, &str),
        decide: impl FnOnce(&mut Random, &ChaosRates) -> Option<(&'static str, T)>,
    ) -> Option<(Random, T)> {
        let working = self.working;
        let chaos = self.chaos()?;
        let (mut random, number) = chaos.of_call(what, place);
        let (name, decided) = decide(&mut random, &chaos.rates)?;
        let fault =
            || Fault { number, at: now, what: name.to_owned(), place: format!("{working}: {what} {place}") };
        if !shrink::may_happen(number, fault) {
            return None;
        }
        self.went_wrong(name);
        Some((random, decided))
    }
}

impl Switch {
    /// What went wrong by chance so far, and how often.
    pub(super) fn all_that_went_wrong(&self) -> BTreeMap<&'static str, u64> {
        self.inner.lock().unwrap().went_wrong.clone()
    }

    /// From here on things go wrong by chance, the same for each run with this seed.
    pub(super) fn unleash(&self, seed: u64, rates: ChaosRates) {
        self.inner.lock().unwrap().chaos = Some(ByChance { seed, rates, calls: HashMap::new() });
    }

    /// Changes how often things go wrong.
    pub(super) fn set_rates(&self, rates: ChaosRates) {
        if let Some(chaos) = &mut self.inner.lock().unwrap().chaos {
            chaos.rates = rates;
        }
    }

    /// Whether a dependency's call fails, by chance or because it is away. The call is counted.
    #[must_use]
    pub fn call_fails(&self, dependency: &str) -> bool {
        let is_down = self.is_down(dependency);
        let fails = is_down
            || self.chance("a dependency fails for a moment", dependency, |rates| rates.dependency).is_some();
        let mut inner = self.inner.lock().unwrap();
        if is_down {
            inner.went_wrong("a dependency is away");
        }
        let counted = inner.calls.entry(dependency.to_owned()).or_default();
        *counted = (counted.0 + 1, counted.1 + u64::from(fails));
        fails
    }

    /// Whether an outage that a test has planned happens: in chaos it is one of the faults.
    pub(super) fn may_be_away(&self, dependency: &str) -> bool {
        let now = self.clock.now();
        let mut inner = self.inner.lock().unwrap();
        let in_chaos = inner.chaos.is_some();
        !in_chaos
            || inner
                .fault(now, ("outage", dependency), |_, _| Some(("a dependency is taken away", ())))
                .is_some()
    }

    /// Whether a listing is an old one.
    pub(super) fn is_stale(&self, place: &str) -> bool {
        self.chance("a listing is old", place, |rates| rates.stale).is_some()
    }

    /// Whether an entry of a batch is not taken.
    pub(super) fn entry_fails(&self, place: &str) -> bool {
        self.chance("an entry of a batch is not taken", place, |rates| rates.entry).is_some()
    }

    /// Whether a reading of a device is wrong.
    #[must_use]
    pub fn lies(&self, device: &str) -> bool {
        self.chance("a reading is wrong", device, |rates| rates.lie).is_some()
    }

    /// What goes wrong at a write.
    pub(super) fn write_fault(&self, what: &'static str, place: &str) -> Option<WriteFault> {
        let now = self.clock.now();
        let decide = |random: &mut Random, rates: &ChaosRates| {
            let fault = write_fault(random, rates)?;
            Some((fault.name(), fault))
        };
        self.inner.lock().unwrap().fault(now, (what, place), decide).map(|(_, fault)| fault)
    }

    /// Whether this goes wrong here, now; with what else is by chance about it.
    pub(super) fn chance(
        &self,
        what: &'static str,
        place: &str,
        rate: impl Fn(&ChaosRates) -> u64,
    ) -> Option<Random> {
        let now = self.clock.now();
        let decide = |random: &mut Random, rates: &ChaosRates| {
            (random.below(10_000) < rate(rates)).then_some((what, ()))
        };
        self.inner.lock().unwrap().fault(now, (what, place), decide).map(|(random, ())| random)
    }

    /// Whether a service turns this call down, for there are too many.
    pub(super) fn is_throttled(&self, place: &str) -> bool {
        let now = self.clock.now();
        {
            let mut inner = self.inner.lock().unwrap();
            let throttled_until = inner.throttled_until;
            let Some(chaos) = inner.chaos() else { return false };
            if throttled_until.is_some_and(|until| now < until) {
                let turned_down = chaos.of_call("throttled", place).0.percent(50);
                if turned_down {
                    inner.went_wrong("a service turns a call down");
                }
                return turned_down;
            }
        }
        if let Some(mut random) = self.chance("a service has too much to do", place, |rates| rates.throttle) {
            let seconds = 1 + random.below(120);
            let until = now + SignedDuration::from_secs(seconds.cast_signed());
            self.inner.lock().unwrap().throttled_until = Some(until);
        }
        false
    }

    /// How much later than it should a schedule fires, and whether it fires twice. Up to a minute late is on time.
    pub(super) fn schedule_fires(&self) -> (SignedDuration, bool) {
        let late = self.chance("a schedule fires late", "schedules", |rates| rates.entry);
        let twice = self.chance("a schedule fires twice", "schedules", |rates| rates.entry).is_some();
        let seconds = match (late, self.inner.lock().unwrap().chaos()) {
            (Some(mut random), _) => random.below(3_600),
            (None, Some(chaos)) => chaos.of_call("schedule", "").0.below(60),
            (None, None) => 0,
        };
        (SignedDuration::from_secs(seconds.cast_signed()), twice)
    }

    /// How far the clock of the invocation that runs right now is off.
    pub(super) fn skew(&self) -> SignedDuration {
        let mut inner = self.inner.lock().unwrap();
        let most = inner.chaos().map_or(0, |chaos| chaos.rates.skew_seconds);
        if most == 0 {
            return SignedDuration::ZERO;
        }
        // Each invocation has a clock of its own, ahead or behind.
        let of_this_one = Random::new(inner.current).below(2_000 * most + 1).cast_signed();
        SignedDuration::from_millis(of_this_one - 1_000 * most.cast_signed())
    }

    /// Lets others go first, or stands still for a while, by chance.
    pub(super) async fn by_chance(&self, place: &str) {
        let now = self.clock.now();
        let stalls = self.chance("an invocation stands still", place, |rates| rates.stall);
        let until = {
            let mut inner = self.inner.lock().unwrap();
            let current = inner.current;
            let Some(chaos) = inner.chaos() else { return };
            if let Some(mut random) = stalls {
                let long = if random.percent(20) { 300 } else { 20 };
                let until = now + SignedDuration::from_secs(1 + random.below(long).cast_signed());
                inner.stalled.entry(current).or_default().push(until);
                until
            } else if chaos.of_call("give way", place).0.below(10_000) < chaos.rates.give_way {
                now
            } else {
                return;
            }
        };
        let (mut first, me) = (true, self.inner.lock().unwrap().current);
        std::future::poll_fn(|context| {
            let now = self.clock.now();
            let mut inner = self.inner.lock().unwrap();
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
}
