//! What goes wrong by chance, the same for each run with one seed.

use std::collections::BTreeMap;
use std::task::Poll;

use hostler_runtime::ports::Clock;
use jiff::SignedDuration;

use super::switch::{Inner, Switch, WriteFault};
use crate::clock::Random;

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
        skew_seconds: 2,
    };
}

/// Chance, and what it may do.
pub(super) struct ByChance {
    pub(super) random: Random,
    pub(super) rates: ChaosRates,
}

impl ByChance {
    fn hits(&mut self, rate: u64) -> bool {
        self.random.below(10_000) < rate
    }

    pub(super) fn write_fault(&mut self) -> Option<WriteFault> {
        use WriteFault::{DieAfter, DieBefore, Fail, LoseAnswer};
        let Self { random, rates } = self;
        let at = random.below(10_000);
        let limits = [rates.die / 2, rates.die - rates.die / 2, rates.fail, rates.lose];
        let mut sum = 0;
        [DieBefore, DieAfter, Fail, LoseAnswer].into_iter().zip(limits).find_map(|(fault, limit)| {
            sum += limit;
            (at < sum).then_some(fault)
        })
    }
}

impl Inner {
    /// Counts something that went wrong.
    pub(super) fn went_wrong(&mut self, what: &'static str) {
        *self.went_wrong.entry(what).or_default() += 1;
    }
}

impl Switch {
    /// What went wrong by chance so far, and how often.
    pub(super) fn all_that_went_wrong(&self) -> BTreeMap<&'static str, u64> {
        self.inner.lock().unwrap().went_wrong.clone()
    }

    /// From here on things go wrong by chance, the same for each run with this seed.
    pub(super) fn unleash(&self, seed: u64, rates: ChaosRates) {
        let random = Random::new(seed);
        self.inner.lock().unwrap().chaos = Some(ByChance { random, rates });
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
        let mut inner = self.inner.lock().unwrap();
        let fails = match inner.chaos() {
            Some(chaos) => is_down || chaos.hits(chaos.rates.dependency),
            None => is_down,
        };
        if fails {
            inner.went_wrong(if is_down {
                "a dependency is away"
            } else {
                "a dependency fails for a moment"
            });
        }
        let counted = inner.calls.entry(dependency.to_owned()).or_default();
        *counted = (counted.0 + 1, counted.1 + u64::from(fails));
        fails
    }

    /// Whether a listing is an old one.
    pub(super) fn is_stale(&self) -> bool {
        self.chance("a listing is old", |rates| rates.stale)
    }

    /// Whether an entry of a batch is not taken.
    pub(super) fn entry_fails(&self) -> bool {
        self.chance("an entry of a batch is not taken", |rates| rates.entry)
    }

    /// Whether a reading is wrong.
    #[must_use]
    pub fn lies(&self) -> bool {
        self.chance("a reading is wrong", |rates| rates.lie)
    }

    pub(super) fn chance(&self, what: &'static str, rate: impl Fn(&ChaosRates) -> u64) -> bool {
        let mut inner = self.inner.lock().unwrap();
        let hits = inner.chaos().is_some_and(|chaos| chaos.hits(rate(&chaos.rates)));
        if hits {
            inner.went_wrong(what);
        }
        hits
    }

    /// Whether a service turns this call down, for there are too many.
    pub(super) fn is_throttled(&self) -> bool {
        let mut inner = self.inner.lock().unwrap();
        let throttled_until = inner.throttled_until;
        let Some(chaos) = inner.chaos() else { return false };
        let now = self.clock.now();
        if throttled_until.is_some_and(|until| now < until) {
            let turned_down = chaos.random.percent(50);
            if turned_down {
                inner.went_wrong("a service turns a call down");
            }
            return turned_down;
        }
        if chaos.rates.throttle > 0 && chaos.hits(chaos.rates.throttle) {
            let seconds = 1 + chaos.random.below(120);
            inner.throttled_until = Some(now + SignedDuration::from_secs(seconds.cast_signed()));
        }
        false
    }

    /// How much later than it should a schedule fires, and whether it fires twice. Up to a minute late is on time.
    pub(super) fn schedule_fires(&self) -> (SignedDuration, bool) {
        let mut inner = self.inner.lock().unwrap();
        let Some(chaos) = inner.chaos() else { return (SignedDuration::ZERO, false) };
        let most = if chaos.hits(chaos.rates.entry) { 3_600 } else { 60 };
        let late = SignedDuration::from_secs(chaos.random.below(most).cast_signed());
        let twice = chaos.hits(chaos.rates.entry);
        if most > 60 {
            inner.went_wrong("a schedule fires late");
        }
        if twice {
            inner.went_wrong("a schedule fires twice");
        }
        (late, twice)
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
    pub(super) async fn by_chance(&self) {
        let until = {
            let now = self.clock.now();
            let mut inner = self.inner.lock().unwrap();
            let current = inner.current;
            let Some(chaos) = inner.chaos() else { return };
            if chaos.hits(chaos.rates.stall) {
                let long = if chaos.random.percent(20) { 300 } else { 20 };
                let seconds = 1 + chaos.random.below(long);
                let until = now + SignedDuration::from_secs(seconds.cast_signed());
                inner.went_wrong("an invocation stands still");
                inner.stalled.entry(current).or_default().push(until);
                until
            } else if chaos.hits(chaos.rates.give_way) {
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
