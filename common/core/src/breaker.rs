//! Circuit breakers: pure decisions whether a dependency is called.
//!
//! A breaker opens when calls fail clearly more often than is normal for this dependency, measured over a sliding
//! [`Window`]. While it is [`BreakerState::Open`] nobody calls. Then one elected caller probes, and its call decides.
//! The fleet shares one small [`Breaker`]; each process has windows of its own, so that nothing is written while all
//! is well.

use crate::mutants;
use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The length of a slot of the window.
const SLOT_SECONDS: i64 = 30;
/// How many slots the window has: five minutes.
const SLOTS: usize = 10;
/// The fewest calls in the window by which a dependency that carries a lot of traffic is judged.
pub const CALLS_MIN: u32 = 5;
/// The fewest calls in the window by which one target among many is judged, such as one machine.
pub const TARGET_CALLS_MIN: u32 = 3;
/// The failure rate that is assumed before anything is known.
const BASELINE: f64 = 0.05;
/// The highest rate that is learned as normal.
const BASELINE_MAX: f64 = 0.4;
/// The weight of a new window in the baseline.
const LEARNED: f64 = 0.1;
/// How far above its baseline a rate must be at least.
const MARGIN: f64 = 0.4;
/// How many standard deviations above its baseline a rate must be.
const DEVIATIONS: f64 = 4.0;
/// The lowest rate that standard deviations are computed from: a few calls without a failure say little.
const DEVIATIONS_OF: f64 = 0.2;
/// How long a breaker is open the first time; doubled each further time.
const OPEN_SECONDS: u64 = 30;
/// The longest that a breaker is open before the next probe.
const OPEN_SECONDS_MAX: u64 = 300;
/// How long a probe may take before another caller may try.
const PROBE: SignedDuration = SignedDuration::from_secs(60);
/// How long callers wait before they look again, when an operator has opened the breaker.
const FORCED_WAIT: SignedDuration = SignedDuration::from_secs(60);

/// Whether calls are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum BreakerState {
    /// Calls are made.
    #[default]
    Closed,
    /// No calls are made.
    Open {
        /// Until when.
        until: Timestamp,
        /// How often in a row it was opened.
        times: u32,
    },
    /// One caller probes.
    Probing {
        /// When another caller may probe.
        until: Timestamp,
        /// How often in a row it was opened.
        times: u32,
    },
}

/// What an operator wants of a breaker, whatever its calls show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// No calls are made where true, all of them where false.
    pub open: bool,
    /// Until when.
    pub until: Timestamp,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What the fleet shares of a dependency.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Breaker {
    /// Whether calls are made.
    #[serde(flatten)]
    pub state: BreakerState,
    /// The share of calls that fail when all is well, as learned when it last opened.
    pub baseline: Option<f64>,
    /// Why it opened last.
    pub reason: Option<String>,
    /// When it last changed.
    pub changed_at: Option<Timestamp>,
    /// What an operator wants.
    pub forced: Option<Override>,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Call.
    Call,
    /// Call if nobody else was elected meanwhile: the breaker must be [`Breaker::probing`] first.
    Probe,
    /// Wait.
    Wait {
        /// Until then.
        until: Timestamp,
    },
}

impl Breaker {
    /// What a caller may do now.
    #[must_use]
    pub fn admit(&self, now: Timestamp) -> Admission {
        match &self.forced {
            Some(forced) if forced.until > now && forced.open => {
                return Admission::Wait { until: forced.until.min(after(now, FORCED_WAIT)) };
            }
            Some(forced) if forced.until > now => return Admission::Call,
            _ => {}
        }
        match self.state {
            BreakerState::Closed => Admission::Call,
            BreakerState::Open { until, .. } | BreakerState::Probing { until, .. } if now < until => {
                Admission::Wait { until }
            }
            BreakerState::Open { .. } | BreakerState::Probing { .. } => Admission::Probe,
        }
    }

    /// The breaker with a probe under way.
    #[must_use]
    pub fn probing(&self, now: Timestamp) -> Self {
        let state = BreakerState::Probing { until: after(now, PROBE), times: self.times() };
        Self { state, changed_at: Some(now), ..self.clone() }
    }

    /// The breaker opened, once more where its probe has failed; `random` decides the jitter.
    #[must_use]
    pub fn opened(&self, now: Timestamp, baseline: f64, reason: &str, random: u64) -> Self {
        let times = self.times() + 1;
        let span = (OPEN_SECONDS << (times - 1).min(16)).min(OPEN_SECONDS_MAX);
        // At least half of it, so that the pause is long enough to help.
        let seconds = span / 2 + random % (span / 2 + 1);
        let until = after(now, SignedDuration::from_secs(seconds.cast_signed()));
        Self {
            state: BreakerState::Open { until, times },
            baseline: Some(baseline),
            reason: Some(reason.to_owned()),
            changed_at: Some(now),
            forced: self.forced.clone(),
        }
    }

    /// The breaker closed: the probe has worked.
    #[must_use]
    pub fn closed(&self, now: Timestamp) -> Self {
        Self { state: BreakerState::Closed, changed_at: Some(now), ..self.clone() }
    }

    /// Whether calls are kept away now.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        !matches!(self.admit(now), Admission::Call)
    }

    fn times(&self) -> u32 {
        match self.state {
            BreakerState::Closed => 0,
            BreakerState::Open { times, .. } | BreakerState::Probing { times, .. } => times,
        }
    }
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.saturating_add(time).unwrap_or(Timestamp::MAX)
}

/// What one process has seen of a dependency's calls in the last five minutes, and its baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Slots of half a minute, oldest first: the slot's number, calls, failures.
    slots: VecDeque<(i64, u32, u32)>,
    calls_min: u32,
    baseline: Option<f64>,
}

impl Window {
    /// A window that judges from this many calls on, and begins with the baseline that others have learned.
    #[must_use]
    pub fn new(calls_min: u32, baseline: Option<f64>) -> Self {
        Self { slots: VecDeque::new(), calls_min, baseline }
    }

    /// The share of calls that fail when all is well.
    #[must_use]
    pub fn baseline(&self) -> f64 {
        self.baseline.unwrap_or(BASELINE)
    }

    /// Notes how a call ended. True when calls fail clearly more often than is normal.
    pub fn record(&mut self, now: Timestamp, failed: bool) -> bool {
        let slot = now.as_second().div_euclid(SLOT_SECONDS);
        if self.slots.back().is_none_or(|(last, ..)| *last < slot) {
            self.learn();
            self.slots.push_back((slot, 0, 0));
        }
        while self.slots.front().is_some_and(|(first, ..)| slot - first >= SLOTS as i64) {
            self.slots.pop_front();
        }
        if let Some((_, calls, failures)) = self.slots.back_mut() {
            *calls += 1;
            *failures += u32::from(failed);
        }
        failed && self.is_sick() && !mutants::on("breaker.never-opens")
    }

    /// Forgets the calls, and keeps the baseline.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Calls and failures of the window.
    #[must_use]
    pub fn totals(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(calls, failures), (_, c, f)| (calls + c, failures + f))
    }

    /// The failure rate from which on a window of so many calls is no coincidence.
    #[must_use]
    pub fn threshold(&self, calls: u32) -> f64 {
        let usual = self.baseline();
        let rate = usual.max(DEVIATIONS_OF);
        let deviation = (rate * (1.0 - rate) / f64::from(calls.max(1))).sqrt();
        (usual + MARGIN.max(DEVIATIONS * deviation)).min(0.95)
    }

    fn is_sick(&self) -> bool {
        let (calls, failures) = self.totals();
        calls >= self.calls_min && f64::from(failures) / f64::from(calls) > self.threshold(calls)
    }

    /// A window that is over and in which the dependency was well becomes part of the baseline.
    fn learn(&mut self) {
        let (calls, failures) = self.totals();
        if calls >= self.calls_min && !self.is_sick() {
            let rate = f64::from(failures) / f64::from(calls);
            let learned = self.baseline() * (1.0 - LEARNED) + rate * LEARNED;
            self.baseline = Some(learned.min(BASELINE_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_dependency_that_is_down_is_noticed_after_five_calls_and_not_before() {
        let mut window = Window::new(CALLS_MIN, None);
        let noticed: Vec<bool> = (0..12).map(|second| window.record(at(second), true)).collect();
        assert_eq!(noticed.iter().position(|sick| *sick), Some(4));
    }

    #[test]
    fn a_few_failures_among_many_calls_are_normal() {
        let mut window = Window::new(CALLS_MIN, None);
        assert!((0..1_000).all(|call| !window.record(at(call / 10), call % 5 == 0)));
    }

    #[test]
    fn what_is_normal_is_learned() {
        // Four of ten calls of this dependency always fail; it is used more and more.
        let mut window = Window::new(CALLS_MIN, None);
        for call in 0..20_000 {
            window.record(at(call / 5), call * 7 % 10 < 4);
        }
        assert!((0.3..=0.4).contains(&window.baseline()), "{}", window.baseline());
        assert!(window.threshold(100) > 0.7);
        window.clear();
        assert!(
            (0..100).all(|call| !window.record(at(5_000 + call / 10), call * 7 % 10 < 6)),
            "six of ten are no news"
        );
        let fresh = &mut Window::new(CALLS_MIN, None);
        assert!(
            (0..100).any(|call| fresh.record(at(call / 10), call * 7 % 10 < 6)),
            "for another one they are"
        );
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let mut window = Window::new(CALLS_MIN, None);
        assert!((0..4).all(|_| !window.record(at(0), true)));
        assert!(!window.record(at(301), true));
        assert_eq!(window.totals(), (1, 1));
    }

    #[test]
    fn one_probe_at_a_time_decides_and_open_times_grow_up_to_five_minutes() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.admit(at(0)), Admission::Call);
        let mut now = at(0);
        let mut times = Vec::new();
        for _ in 0..7 {
            breaker = breaker.opened(now, 0.1, "it is down", 1_000_000);
            let Admission::Wait { until } = breaker.admit(now) else { unreachable!() };
            times.push(until.duration_since(now).as_secs());
            now = until;
            assert_eq!(breaker.admit(now), Admission::Probe);
            breaker = breaker.probing(now);
            assert!(matches!(breaker.admit(now), Admission::Wait { .. }), "one at a time");
            assert_eq!(breaker.admit(after(now, PROBE)), Admission::Probe, "a prober that died is replaced");
        }
        assert!(times.windows(2).take(3).all(|pair| pair[1] > pair[0]), "{times:?}");
        assert!(times.iter().all(|time| (15..=300).contains(time)), "{times:?}");
        let closed = breaker.closed(now);
        assert_eq!(closed.admit(now), Admission::Call);
        let BreakerState::Open { times, .. } = closed.opened(now, 0.1, "again", 0).state else {
            unreachable!()
        };
        assert_eq!(times, 1, "it begins again");
    }

    #[test]
    fn an_operator_is_obeyed_for_as_long_as_it_was_said() {
        let forced = |open| Override {
            open,
            until: at(600),
            actor: "operator".to_owned(),
            reason: "maintenance".to_owned(),
        };
        let open = Breaker { forced: Some(forced(true)), ..Breaker::default() };
        assert!(open.is_open(at(599)) && !open.is_open(at(600)));
        let closed = Breaker { forced: Some(forced(false)), ..Breaker::default() };
        let closed = closed.opened(at(590), 0.1, "it is down", 30);
        assert!(!closed.is_open(at(599)) && closed.is_open(at(600)));
    }

    #[test]
    fn a_breaker_is_read_back_as_it_was_written() {
        let breaker = Breaker::default().opened(at(1), 0.25, "it is down", 7);
        let json = serde_json::to_value(&breaker).unwrap();
        assert_eq!(json["state"], "open", "{json}");
        assert_eq!(serde_json::from_value::<Breaker>(json).unwrap(), breaker);
        assert_eq!(serde_json::from_str::<Breaker>("{\"state\":\"closed\"}").unwrap(), Breaker::default());
    }
}
