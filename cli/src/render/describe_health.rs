//! Events of hosts' health and of what fails together, in words.

use hostler_domain::health::name_of;
use hostler_events::fault_domain::{DomainIncidentEscalated, FaultDomainEvent};
use hostler_events::health::{CheckKind, HealthEvent, RemediationOutcome};
use hostler_events::signal::SignalStatus;

use super::describe::{Line, Mark};
use crate::render::time;

/// An event of a host's health.
pub(super) fn health(event: &HealthEvent) -> Line {
    match event {
        HealthEvent::SignalReceived(e) => {
            let said = match e.signal.header.status {
                SignalStatus::Firing => "says",
                SignalStatus::Resolved => "says that it is over",
            };
            let (source, fault) = (&e.signal.header.source, &e.signal.fault);
            Line::new(Mark::Other, format!("{source} {said}: {fault}")).because(&e.signal.summary)
        }
        HealthEvent::SignalDropped(e) => {
            Line::new(Mark::Other, format!("signal {} is dropped", e.fingerprint)).because(&e.reason)
        }
        HealthEvent::Suspected(e) => {
            let (number, fault, until) = (e.incident, &e.fault, time::moment(e.until));
            Line::new(Mark::Begun, format!("incident {number}: {fault}, tolerated until {until}"))
        }
        HealthEvent::Confirmed(e) => {
            let runbook = e.runbook.as_ref().map_or("no runbook", |runbook| runbook.as_str());
            Line::new(
                Mark::Failed,
                format!("{} is confirmed: {runbook}, policies {}", e.fault, e.policy_version),
            )
        }
        HealthEvent::Suppressed(e) => {
            let rung = e.rung.map_or("nothing", name_of);
            Line::new(Mark::Other, format!("{rung} is held back by the rule {}: {}", e.rule, e.value))
                .because(&format!("limit {}; {}", e.limit, e.lifts))
        }
        HealthEvent::ApprovalRequested(e) => {
            let until = time::moment(e.until);
            Line::new(Mark::Other, format!("{} waits for approval until {until}", name_of(e.rung)))
        }
        HealthEvent::Approved(e) => {
            Line::new(Mark::Done, format!("{} is approved", name_of(e.rung))).because(&e.reason)
        }
        HealthEvent::Claimed(e) => {
            let (rung, attempt) = (name_of(e.rung), e.attempt);
            let line = Line::new(Mark::Begun, format!("the budget is asked for {rung}, attempt {attempt}"));
            match &e.reason {
                Some(reason) => line.because(reason),
                None => line,
            }
        }
        HealthEvent::Started(e) => {
            let saga = e.saga.to_string().replacen('#', "/", 1);
            let what = e.rung.map_or("a look at the host", name_of);
            let line = Line::new(Mark::Begun, format!("{what} begins: {saga}"));
            match &e.reason {
                Some(reason) => line.because(reason),
                None => line,
            }
        }
        HealthEvent::Checked(e) => {
            let when = match e.check {
                CheckKind::Before => "before it is repaired",
                CheckKind::After => "since it was repaired",
                CheckKind::Gate => "since it was worked on",
            };
            match e.healthy {
                None => Line::new(Mark::Other, format!("monitoring is asked {when}")),
                Some(true) => Line::new(Mark::Done, format!("monitoring sees it healthy {when}")),
                Some(false) => Line::new(Mark::Failed, format!("monitoring sees it unhealthy {when}")),
            }
        }
        HealthEvent::Ended(e) => ended(e.outcome, e.reason.as_deref()),
        HealthEvent::Recovered(e) => {
            Line::new(Mark::Done, format!("incident {} is over", e.incident)).because(&e.reason)
        }
        HealthEvent::Escalated(e) => {
            Line::new(Mark::Failed, format!("incident {} needs a person", e.incident)).because(&e.reason)
        }
        HealthEvent::Closed(e) => {
            Line::new(Mark::Done, format!("incident {} is closed by a person", e.incident)).because(&e.reason)
        }
    }
}

fn ended(outcome: RemediationOutcome, reason: Option<&str>) -> Line {
    let line = match outcome {
        RemediationOutcome::Healed => Line::new(Mark::Done, "it helped"),
        RemediationOutcome::Needless => Line::new(Mark::Done, "it was not needed"),
        RemediationOutcome::Replaced => Line::new(Mark::Done, "another host serves in its place"),
        RemediationOutcome::Redirected => Line::new(Mark::Done, "the host is out of traffic, and not healed"),
        RemediationOutcome::Failed => Line::new(Mark::Failed, "it did not help"),
    };
    match reason {
        Some(reason) => line.because(reason),
        None => line,
    }
}

/// An event of a rack or a power domain.
pub(super) fn fault_domain(event: &FaultDomainEvent) -> Line {
    match event {
        FaultDomainEvent::MemberUnhealthy(e) => Line::new(Mark::Failed, format!("{} is unhealthy", e.member)),
        FaultDomainEvent::MemberHealthy(e) => Line::new(Mark::Done, format!("{} is healthy", e.member)),
        FaultDomainEvent::Opened(e) => {
            let (number, members) = (e.incident, e.members.len());
            Line::new(
                Mark::Failed,
                format!("incident {number}: {members} members are unhealthy, none is repaired"),
            )
        }
        FaultDomainEvent::Escalated(e) => {
            let DomainIncidentEscalated { incident, members, most, times, .. } = e;
            let left = members.len();
            Line::new(
                Mark::Failed,
                format!(
                    "incident {incident} goes on: {left} of {most} are still unhealthy; escalated, {times} times"
                ),
            )
        }
        FaultDomainEvent::Closed(e) => {
            let (number, left) = (e.incident, e.members.len());
            Line::new(
                Mark::Done,
                format!("incident {number} is over; {left} members are unhealthy by themselves"),
            )
        }
    }
}
