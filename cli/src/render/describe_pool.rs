//! What happens to pools, in words.

use hostler_events::PoolEvent;
use hostler_events::pool::{ScalingDecided, ScalingDirection};
use hostler_events::signal::{Direction, SignalStatus};

use crate::render::describe::{Line, Mark};

/// What happened to a pool.
pub(crate) fn pool(event: &PoolEvent) -> Line {
    match event {
        PoolEvent::ThresholdCrossed(e) => {
            let side = match (e.header.status, e.direction) {
                (SignalStatus::Firing, Direction::Above) => "is above its threshold",
                (SignalStatus::Firing, Direction::Below) => "is below its threshold",
                (SignalStatus::Resolved, Direction::Above) => "is not above its threshold any more",
                (SignalStatus::Resolved, Direction::Below) => "is not below its threshold any more",
            };
            let value = match (e.value, e.threshold) {
                (Some(value), Some(threshold)) => format!(" ({value} of {threshold})"),
                (Some(_) | None, _) => String::new(),
            };
            let asks = e.asks.map_or_else(String::new, |asks| format!("; asks for {asks} hosts"));
            let text = format!("{} {side}{value}, says {}{asks}", e.metric, e.header.source);
            Line::new(Mark::Other, text)
        }
        PoolEvent::SignalDropped(e) => {
            Line::new(Mark::Other, format!("dropped what {} said of {}", e.header.source, e.metric))
                .because(&e.reason)
        }
        PoolEvent::Decided(e) => Line::new(Mark::Begun, decision(e)),
        PoolEvent::Proposed(e) => Line::new(
            Mark::Begun,
            format!("waits for approval until {}: {}", e.approve_by, decision(&e.decision)),
        ),
        PoolEvent::Approved(e) => {
            Line::new(Mark::Done, format!("proposal {} approved", e.number)).because(&e.reason)
        }
        PoolEvent::Rejected(e) => {
            Line::new(Mark::Failed, format!("proposal {} rejected", e.number)).because(&e.reason)
        }
        PoolEvent::Suppressed(e) => {
            let verb = verb(e.direction);
            let text =
                format!("does not {verb}, by the rule {} (limit {}, value {})", e.rule, e.limit, e.value);
            Line::new(Mark::Other, text).because(&e.lifts)
        }
        PoolEvent::Completed(e) => {
            let (number, done, requested, seconds) = (e.number, e.done, e.requested, e.seconds);
            let way = match e.direction {
                ScalingDirection::Out => "came",
                ScalingDirection::In => "left",
            };
            let mark = if e.failed == 0 { Mark::Done } else { Mark::Failed };
            Line::new(
                mark,
                format!("decision {number} is over after {seconds} s: {done} of {requested} hosts {way}"),
            )
        }
        PoolEvent::HostArrived(e) => Line::new(Mark::Done, format!("{} came, by {}", e.host, e.provisioning)),
        PoolEvent::ProvisioningFailed(e) => {
            Line::new(Mark::Failed, format!("no host came of {}", e.provisioning)).because(&e.reason)
        }
        PoolEvent::ReleaseStarted(e) => Line::new(Mark::Begun, format!("{} leaves, by {}", e.host, e.saga)),
        PoolEvent::ReleaseRefused(e) => {
            Line::new(Mark::Other, format!("{} stays", e.host)).because(&e.reason)
        }
        PoolEvent::Reclaimed(e) => {
            Line::new(Mark::Begun, format!("asks pool {} for {} hosts, which it needs more", e.from, e.hosts))
        }
        PoolEvent::HostLeft(e) => Line::new(Mark::Done, format!("{} left", e.host)),
    }
}

fn decision(of: &ScalingDecided) -> String {
    let (number, verb, chosen) = (of.number, verb(of.direction), of.chosen);
    let had = of.inputs.in_service.saturating_add(of.inputs.in_flight);
    let limits: Vec<&str> = of.limits.iter().map(|limit| limit.rule.as_str()).collect();
    let limits =
        if limits.is_empty() { String::new() } else { format!("; limited by {}", limits.join(", ")) };
    format!(
        "decision {number}: {verb} from {had} to {chosen} hosts; {} were asked for{limits}",
        of.recommended
    )
}

fn verb(direction: ScalingDirection) -> &'static str {
    match direction {
        ScalingDirection::Out => "grow",
        ScalingDirection::In => "shrink",
    }
}
