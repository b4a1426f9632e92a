//! What pools have to do, and what monitoring says of it: rules like those of infra/monitoring, with thresholds of their own.

use hostler_testkit::clock::Random;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::model::Happening;
use crate::site::Site;

/// From this load of a host on it has too much to do, and from the other down too little.
pub const HIGH: f64 = 0.75;
pub const LOW: f64 = 0.60;
/// A value this close to its threshold changes nothing: the default of the policies.
pub const TOLERANCE: f64 = 0.10;
/// Monitoring takes samples and looks at its rules so often.
pub const SAMPLED: SignedDuration = SignedDuration::from_secs(15);
/// Alertmanager, as infra/monitoring configures it: groups wait, and what goes on is said again.
const GROUP_WAIT: SignedDuration = SignedDuration::from_secs(5);
const REPEAT: SignedDuration = SignedDuration::from_mins(1);

const DAY_SECONDS: f64 = 86_400.0;

/// How much there is to do, in hosts that do nothing else, by the second since it began.
#[derive(Debug, Clone, Copy)]
pub enum Curve {
    /// Always the same.
    Flat(f64),
    /// Least at one hour of the day, and most twelve hours later.
    Day { low: f64, high: f64, most_at_hour: f64 },
    /// So much; so many times that from one second on, within a ramp; and so much again.
    Sale { usual: f64, times: f64, from: f64, ramp: f64, until: f64 },
}

impl Curve {
    pub fn at(self, second: f64) -> f64 {
        match self {
            Self::Flat(work) => work,
            Self::Day { low, high, most_at_hour } => {
                let phase = (second - most_at_hour * 3_600.0) / DAY_SECONDS * std::f64::consts::TAU;
                low + (high - low) * f64::midpoint(1.0, phase.cos())
            }
            Self::Sale { usual, times, from, ramp, until } => {
                let up = ((second - from) / ramp).clamp(0.0, 1.0);
                let down = ((second - until) / ramp).clamp(0.0, 1.0);
                usual * (1.0 + (times - 1.0) * (up - down))
            }
        }
    }
}

/// The work of one pool: a curve, and so much more or less by chance at each sample.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub pool: usize,
    pub curve: Curve,
    pub noise_percent: u64,
}

impl Work {
    /// What there is to do at each sample, from the first on.
    pub fn samples(self, seconds: i64) -> Vec<f64> {
        let mut random = Random::new(self.pool as u64 + 1);
        let samples = seconds / SAMPLED.as_secs();
        let noisy = |sample: i64| {
            let by_chance = random.below(2 * self.noise_percent * 100 + 1) as f64 / 100.0;
            let factor = 1.0 + (by_chance - self.noise_percent as f64) / 100.0;
            self.curve.at((sample * SAMPLED.as_secs()) as f64) * factor
        };
        (0..=samples).map(noisy).collect()
    }

    /// The most that there ever is to do.
    pub fn most(self, seconds: i64) -> f64 {
        self.samples(seconds).into_iter().fold(0.0, f64::max)
    }
}

/// A rule about a pool that fires.
#[derive(Debug, Clone, Copy)]
struct Firing {
    since: Timestamp,
    ended: Option<Timestamp>,
    value: f64,
}

/// The work of a pool, and the two rules about it.
struct Measured {
    pool: usize,
    samples: Vec<f64>,
    /// What each host does above the threshold, and below the other one.
    rules: [Option<Firing>; 2],
}

/// What is measured of pools.
#[derive(Default)]
pub struct Loads {
    measured: Vec<Measured>,
    began: Timestamp,
    taken: usize,
    /// How many alerts were told.
    pub told: u64,
}

impl Loads {
    /// From now on, for so long.
    pub fn new(work: &[Work], began: Timestamp, seconds: i64) -> Self {
        let of = |work: &Work| Measured { pool: work.pool, samples: work.samples(seconds), rules: [None; 2] };
        Self { measured: work.iter().map(of).collect(), began, taken: 0, told: 0 }
    }

    /// Takes a sample of each pool that has so many hosts in service, and gives what there is to do in each.
    pub fn sample(
        &mut self,
        now: Timestamp,
        serving: impl Fn(usize) -> u32,
        next: &mut Vec<(Timestamp, Happening)>,
    ) -> Vec<(usize, f64)> {
        let (mut work, taken) = (Vec::new(), self.taken);
        self.taken += 1;
        for measured in &mut self.measured {
            let Some(todo) = measured.samples.get(taken).copied() else { continue };
            work.push((measured.pool, todo));
            let value = todo / f64::from(serving(measured.pool).max(1));
            for (rule, fires) in [value > HIGH, value < LOW].into_iter().enumerate() {
                let known = &mut measured.rules[rule];
                let says = Happening::SaysOfPool(measured.pool, rule);
                match (known.as_mut(), fires) {
                    (None, true) => {
                        *known = Some(Firing { since: now, ended: None, value });
                        next.push((now + GROUP_WAIT, says));
                    }
                    (Some(firing), true) => {
                        firing.value = value;
                        if firing.ended.take().is_some() {
                            firing.since = now;
                        }
                    }
                    (Some(firing), false) if firing.ended.is_none() => {
                        firing.ended = Some(now);
                        next.push((now + GROUP_WAIT, says));
                    }
                    (Some(_) | None, false) => {}
                }
            }
        }
        if self.measured.iter().any(|measured| measured.samples.len() > self.taken) {
            next.push((self.began + SAMPLED * i32::try_from(self.taken).unwrap(), Happening::SamplesPools));
        }
        work
    }

    /// Alertmanager tells of a rule, and tells it again for as long as it fires.
    pub async fn says(
        &mut self,
        now: Timestamp,
        (pool, rule): (usize, usize),
        site: &Site,
        next: &mut Vec<(Timestamp, Happening)>,
    ) {
        let Some(measured) = self.measured.iter_mut().find(|measured| measured.pool == pool) else { return };
        let over = measured.samples.len() <= self.taken;
        let Some(firing) = measured.rules[rule] else { return };
        if firing.ended.is_some() {
            measured.rules[rule] = None;
        } else if !over {
            next.push((now + REPEAT, Happening::SaysOfPool(pool, rule)));
        }
        self.told += 1;
        let taken = site.post_signals("alertmanager", &webhook(pool, rule, &firing)).await;
        assert_eq!(taken.status, 202, "{}", taken.body);
    }
}

fn webhook(pool: usize, rule: usize, firing: &Firing) -> Value {
    let (name, direction, threshold) = [("PoolLoadHigh", "above", HIGH), ("PoolLoadLow", "below", LOW)][rule];
    let ended = firing.ended.map_or("0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "hostler",
        "status": if firing.ended.is_some() { "resolved" } else { "firing" },
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": [{
            "status": if firing.ended.is_some() { "resolved" } else { "firing" },
            "labels": {
                "alertname": name, "pool": format!("pool-{pool}"), "metric": "load", "direction": direction,
                "severity": "warning",
            },
            "annotations": { "value": firing.value.to_string(), "threshold": threshold.to_string() },
            "startsAt": firing.since,
            "endsAt": ended,
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": format!("{pool:08x}{rule:08x}"),
        }],
    })
}
