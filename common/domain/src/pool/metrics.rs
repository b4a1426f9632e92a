//! What signals say: which of them are news, and what they add up to for each metric.

use hostler_events::pool::{MetricReading, MetricSaid, ThresholdCrossed};
use hostler_events::scaling::ScalingPolicy;
use hostler_events::signal::{Direction, Metric, ReportThreshold, SignalHeader, SignalStatus};
use jiff::Timestamp;

use super::state::Edge;
use super::{PoolFacts, PoolState};
use crate::support::after;

/// What a signal is to its pool.
pub(super) enum Judged {
    /// Something that was not known.
    News(Box<ThresholdCrossed>),
    /// A repeat.
    Known,
    /// A newer one of the same source came before.
    Late,
    /// It must not be acted on.
    Stale(String),
}

pub(super) fn judge(
    state: &PoolState,
    report: &ReportThreshold,
    facts: &PoolFacts,
    now: Timestamp,
) -> Judged {
    let ReportThreshold { pool, header, metric, value, threshold, direction } = report.clone();
    if header.expires_at <= now {
        return Judged::Stale(format!(
            "it was observed at {:.0} and held until {:.0}",
            header.observed_at, header.expires_at
        ));
    }
    if !facts.scaling.metrics.contains(&metric) {
        let known: Vec<&str> = facts.scaling.metrics.iter().map(Metric::as_str).collect();
        return Judged::Stale(format!("the pool does not scale by {metric}, only by {}", known.join(", ")));
    }
    let in_service = facts.sizes(state, now).counts.in_service;
    let fires = header.status == SignalStatus::Firing;
    let asks = value.zip(threshold).filter(|_| fires);
    let asks =
        asks.and_then(|(value, threshold)| asked(&facts.scaling, direction, in_service, value / threshold));
    let known = state.edges.iter().find(|edge| {
        (&edge.header.source, &edge.header.fingerprint) == (&header.source, &header.fingerprint)
    });
    if let Some(edge) = known {
        if is_late(&header, &edge.header) {
            return Judged::Late;
        }
        let same = edge.header.status == header.status && edge.header.starts_at == header.starts_at;
        let as_before = edge.asked.last().is_some_and(|(_, before)| *before == asks);
        if same && (!fires || (as_before && !wears_out(&edge.header, now))) {
            return Judged::Known;
        }
    }
    Judged::News(Box::new(ThresholdCrossed {
        pool,
        header,
        metric,
        direction,
        value,
        threshold,
        in_service,
        asks,
        recorded_at: now,
    }))
}

/// A firing that comes after its own end, or anything about a time before.
fn is_late(header: &SignalHeader, known: &SignalHeader) -> bool {
    use SignalStatus::{Firing, Resolved};
    if header.starts_at != known.starts_at {
        return header.starts_at < known.starts_at;
    }
    match (known.status, header.status) {
        (Resolved, Firing) => true,
        (Firing, Resolved) | (Resolved, Resolved) => false,
        (Firing, Firing) => header.observed_at < known.observed_at,
    }
}

/// Whether less than half of its shelf life is left: then a repeat renews it.
fn wears_out(known: &SignalHeader, now: Timestamp) -> bool {
    let left = known.expires_at.duration_since(now);
    left + left < known.expires_at.duration_since(known.observed_at)
}

/// How many hosts there would have to be for the value to be at its threshold. None, where the two say nothing.
fn asked(scaling: &ScalingPolicy, direction: Direction, in_service: u32, ratio: f64) -> Option<u32> {
    if !ratio.is_finite() || ratio < 0.0 || in_service == 0 {
        return None;
    }
    let tolerance = f64::from(scaling.tolerance_percent) / 100.0;
    let is_over = match direction {
        Direction::Above => ratio > 1.0 + tolerance,
        Direction::Below => ratio < 1.0 - tolerance,
    };
    if !is_over {
        return Some(in_service);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to what fits")]
    let hosts = (f64::from(in_service) * ratio).ceil().clamp(0.0, 1e6) as u32;
    Some(hosts)
}

/// Why a pool does not shrink although some of its metrics say so.
pub(super) enum NotAll {
    /// Nothing that still holds is known of this metric.
    Missing(Metric),
    /// This metric does not say so.
    Disagrees,
    /// It was otherwise until so recently that this must be waited for.
    Settles(Timestamp),
}

/// What all metrics say.
pub(super) struct Said {
    pub per_metric: Vec<MetricSaid>,
    /// How many hosts the metrics ask for that want more, the most of them; and when it may be followed.
    pub out: Option<(u32, Timestamp)>,
    /// How many hosts the pool may shrink to, or why it may not; none where no metric says that it should.
    pub less: Option<Result<u32, NotAll>>,
}

/// What the metrics of the policy say of a pool of so many hosts.
pub(super) fn say(state: &PoolState, scaling: &ScalingPolicy, in_service: u32, now: Timestamp) -> Said {
    let step = scaling.step;
    let more = |asks: Option<u32>| asks.unwrap_or_else(|| in_service.saturating_add(step));
    let fewer = |asks: Option<u32>| asks.unwrap_or_else(|| in_service.saturating_sub(step));
    let of = |metric: &Metric, direction: Direction| -> Vec<&Edge> {
        let is_it = |edge: &&Edge| edge.metric == *metric && edge.direction == direction;
        state.edges.iter().filter(is_it).collect()
    };
    let mut out: Option<(u32, Timestamp)> = None;
    let mut low: Result<u32, NotAll> = Ok(0);
    let mut any_below = false;
    let mut per_metric = Vec::new();
    for metric in &scaling.metrics {
        let (above, below) = (of(metric, Direction::Above), of(metric, Direction::Below));
        let firing: Vec<&Edge> = above.iter().copied().filter(|edge| edge.fires(now)).collect();
        for edge in &firing {
            let window = before(now, scaling.up_seconds);
            let asks = in_window(edge, window).map(more).min().unwrap_or(in_service);
            let due = after(edge.since, scaling.up_seconds);
            // What may be followed already comes before what must be waited for.
            let better = |(known, known_due): (u32, Timestamp)| {
                let (due_now, known_now) = (due <= now, known_due <= now);
                (due_now, asks) > (known_now, known)
            };
            if out.is_none_or(better) {
                out = Some((asks, due));
            }
        }
        let held_by = below.iter().copied().filter(|edge| edge.fires(now));
        let lowest =
            held_by.map(|edge| (edge, in_window(edge, before(now, scaling.down_seconds)).map(fewer).max()));
        let lowest = lowest.max_by_key(|(_, asks)| *asks);
        any_below |= lowest.is_some();
        per_metric.push(said(metric, &firing, lowest.map(|(edge, _)| edge), &above, &below, (&more, &fewer)));
        // For shrinking: whatever was above within the window still counts.
        let latest_above = above.iter().map(|edge| after(edge.fired_until(now), scaling.down_seconds)).max();
        let says = match lowest {
            None if is_missing(&above, &below, now) => Err(NotAll::Missing(metric.clone())),
            None => Err(NotAll::Disagrees),
            Some(_) if !firing.is_empty() => Err(NotAll::Disagrees),
            Some((edge, asks)) => {
                let settled =
                    after(edge.since, scaling.down_seconds).max(latest_above.unwrap_or(Timestamp::MIN));
                if settled > now { Err(NotAll::Settles(settled)) } else { Ok(asks.unwrap_or(in_service)) }
            }
        };
        low = match (low, says) {
            (Ok(known), Ok(asks)) => Ok(known.max(asks)),
            (Err(NotAll::Settles(known)), Err(NotAll::Settles(other))) => {
                Err(NotAll::Settles(known.max(other)))
            }
            // Who disagrees comes first, then who is missing: waiting does not help then.
            (Err(NotAll::Disagrees), _) | (_, Err(NotAll::Disagrees)) => Err(NotAll::Disagrees),
            (Err(NotAll::Missing(metric)), _) | (_, Err(NotAll::Missing(metric))) => {
                Err(NotAll::Missing(metric))
            }
            (Err(settles), Ok(_)) | (Ok(_), Err(settles)) => Err(settles),
        };
    }
    Said { per_metric, out, less: any_below.then_some(low) }
}

/// What an edge has asked for since then, with what it asked for at that moment.
fn in_window(edge: &Edge, from: Timestamp) -> impl Iterator<Item = Option<u32>> + '_ {
    let first = edge.asked.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
    edge.asked.iter().skip(first).map(|(_, asks)| *asks)
}

fn is_missing(above: &[&Edge], below: &[&Edge], now: Timestamp) -> bool {
    let holds = |edge: &&&Edge| edge.fires(now) || edge.header.status == SignalStatus::Resolved;
    above.iter().chain(below).find(holds).is_none()
}

type Asks<'a> = &'a dyn Fn(Option<u32>) -> u32;

fn said(
    metric: &Metric,
    firing: &[&Edge],
    lowest: Option<&Edge>,
    above: &[&Edge],
    below: &[&Edge],
    (more, fewer): (Asks<'_>, Asks<'_>),
) -> MetricSaid {
    let asks = |edge: &&&Edge| more(edge.asked.last().and_then(|(_, asks)| *asks));
    let (says, of, asks) = match (firing.iter().max_by_key(asks), lowest) {
        (Some(edge), _) => (MetricReading::Above, Some(*edge), Some(asks(&edge))),
        (None, Some(edge)) => {
            let asks = fewer(edge.asked.last().and_then(|(_, asks)| *asks));
            (MetricReading::Below, Some(edge), Some(asks))
        }
        (None, None) => {
            let resolved = |edge: &&&Edge| edge.header.status == SignalStatus::Resolved;
            let says = match above.iter().chain(below).find(resolved) {
                Some(_) => MetricReading::Quiet,
                None => MetricReading::Missing,
            };
            (says, None, None)
        }
    };
    MetricSaid {
        metric: metric.clone(),
        says,
        value: of.and_then(|edge| edge.value),
        threshold: of.and_then(|edge| edge.threshold),
        asks,
    }
}

fn before(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_sub(jiff::SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MIN)
}
