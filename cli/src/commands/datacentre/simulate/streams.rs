//! What the streams say of the reactions to a scenario.

use std::collections::BTreeMap;

use hostler_core::saga::SagaRef;
use hostler_core::{Decider, Payload, RecordedEvent};
use hostler_domain::health::name_of;
use hostler_domain::views::IncidentView;
use hostler_domain::{
    BudgetDecider, BudgetState, HealthDecider, HealthState, HostDecider, PoolDecider, views,
};
use hostler_events::PoolEvent;
use hostler_events::budget::{BudgetEvent, Disruption};
use hostler_events::health::HealthEvent;
use hostler_events::host::HostEvent;
use hostler_events::pool::ScalingDirection;
use hostler_events::signal::{Direction, SignalStatus};
use hostler_events::site::SITE;
use jiff::Timestamp;
use serde::Serialize;

use crate::api::{CommitShown, View};
use crate::error::CliError;
use crate::target::Target;

/// One reaction, from what caused it to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reaction {
    /// What reacted, such as `h-01` or `web decision 2`.
    pub(super) what: String,
    /// What it did, such as `power-cycle`, `grow to 5`, or nothing.
    pub(super) did: String,
    /// How often the host was repaired: each rung counts.
    pub(super) repairs: usize,
    /// When what caused it happened.
    pub(super) caused_at: Timestamp,
    /// When it was first on record.
    pub(super) detected_at: Option<Timestamp>,
    /// When it was known what is done.
    pub(super) decided_at: Option<Timestamp>,
    /// When that began.
    pub(super) acted_at: Option<Timestamp>,
    /// When it was first seen to have helped: a healthy sample, or a host that came or left.
    pub(super) verified_at: Option<Timestamp>,
    /// When it was over.
    pub(super) closed_at: Option<Timestamp>,
}

/// What was held back, by rule: how often.
pub(super) type HeldBack = BTreeMap<String, usize>;

/// The disruption budget during a scenario.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetSeen {
    /// The most that were disturbed at once.
    pub(super) most: usize,
    /// How many disturbances were granted.
    pub(super) granted: usize,
    /// Each time that a limit was exceeded.
    pub(super) exceeded: Vec<String>,
}

/// The commits of a stream; none where there is no such stream.
pub(super) async fn commits(target: &Target, view: View<'_>, id: &str) -> Result<Vec<CommitShown>, CliError> {
    match target.api.timeline(view, id, &[]).await {
        Ok(timeline) => Ok(timeline.commits),
        Err(CliError::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read<D: Decider>(event: &RecordedEvent) -> Option<D::Event> {
    D::Event::from_data(&event.event_type, event.schema_version, &event.data).ok()
}

/// When each saga began to work on a host: a recovery looks at its host first, and may find nothing to do.
fn cordons(commits: &[CommitShown]) -> BTreeMap<SagaRef, Timestamp> {
    let mut cordons = BTreeMap::new();
    for commit in commits {
        for event in commit.events.iter().filter_map(read::<HostDecider>) {
            if let HostEvent::Cordoned(cordoned) = event {
                cordons.entry(cordoned.saga).or_insert(commit.recorded_at);
            }
        }
    }
    cordons
}

/// From when to when each saga had a host to itself.
pub(super) fn worked(commits: &[CommitShown]) -> BTreeMap<SagaRef, (Timestamp, Option<Timestamp>)> {
    let mut worked: BTreeMap<SagaRef, (Timestamp, Option<Timestamp>)> =
        cordons(commits).into_iter().map(|(saga, began)| (saga, (began, None))).collect();
    for commit in commits {
        for event in commit.events.iter().filter_map(read::<HostDecider>) {
            if let HostEvent::Uncordoned(uncordoned) = event
                && let Some((_, ended)) = worked.get_mut(&uncordoned.saga)
            {
                ended.get_or_insert(commit.recorded_at);
            }
        }
    }
    worked
}

/// The reactions of a host's health to what broke it, one for each incident; and what was held back until the scenario ended.
pub(super) fn of_host(
    (health, host): (&[CommitShown], &[CommitShown]),
    (broke, ended_at): (&[Timestamp], Timestamp),
    held_back: &mut HeldBack,
) -> Vec<Reaction> {
    let cordons = cordons(host);
    let mut incidents: BTreeMap<u32, IncidentView> = BTreeMap::new();
    let mut state = HealthState::default();
    let Some(begun) = broke.first() else { return Vec::new() };
    for commit in health {
        for event in commit.events.iter().filter_map(read::<HealthDecider>) {
            if (*begun..=ended_at).contains(&commit.recorded_at)
                && let HealthEvent::Suppressed(held) = &event
            {
                *held_back.entry(held.rule.clone()).or_default() += 1;
            }
            state = HealthDecider::evolve(state, &event);
        }
        if let Some(view) = views::incident(&state) {
            incidents.insert(view.incident, view);
        }
    }
    let of = |incident: IncidentView| {
        let caused_at = broke.iter().rev().find(|at| **at <= incident.detected_at).copied()?;
        // What found the host well has done nothing to it.
        let done = incident.tried.iter().filter(|tried| cordons.contains_key(&tried.saga));
        let rungs: Vec<&str> = done.filter_map(|tried| tried.rung.map(name_of)).collect();
        let closed = incident.closed_at.is_some();
        let did = match (rungs.is_empty(), closed) {
            (false, _) => rungs.join(", "),
            (true, true) => "nothing, and it is well".to_owned(),
            (true, false) => format!("nothing: {}", incident.status),
        };
        Some(Reaction {
            what: incident.host.to_string(),
            did,
            repairs: rungs.len(),
            caused_at,
            detected_at: Some(incident.detected_at),
            decided_at: incident.decided_at,
            acted_at: incident.tried.iter().filter_map(|tried| cordons.get(&tried.saga).copied()).min(),
            verified_at: incident.verified_at,
            closed_at: incident.closed_at,
        })
    };
    incidents.into_values().filter_map(of).collect()
}

/// The reactions of a pool: one for each decision since the load first changed.
pub(super) fn of_pool(
    pool: &str,
    commits: &[CommitShown],
    (changes, ended_at): (&[Timestamp], Timestamp),
    held_back: &mut HeldBack,
) -> Vec<Reaction> {
    let Some(begun) = changes.first() else { return Vec::new() };
    let mut reactions: BTreeMap<u64, Reaction> = BTreeMap::new();
    let mut crossed: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut caused_at = *begun;
    // Which decision a host belongs to: those that came by their provisionings, those that leave by their ids.
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    for commit in commits.iter().filter(|commit| (*begun..=ended_at).contains(&commit.recorded_at)) {
        let at = commit.recorded_at;
        if let Some(change) = changes.iter().rev().find(|change| **change <= at)
            && *change > caused_at
        {
            caused_at = *change;
            crossed.clear();
        }
        for event in commit.events.iter().filter_map(read::<PoolDecider>) {
            match event {
                PoolEvent::ThresholdCrossed(e) if e.header.status == SignalStatus::Firing => {
                    let direction = match e.direction {
                        Direction::Above => "out",
                        Direction::Below => "in",
                    };
                    crossed.entry(direction).or_insert(at);
                }
                PoolEvent::Decided(e) => {
                    let (direction, verb) = match e.direction {
                        ScalingDirection::Out => ("out", "grow"),
                        ScalingDirection::In => ("in", "shrink"),
                    };
                    parts.extend(e.provisionings.iter().map(|id| (id.to_string(), e.number)));
                    parts.extend(e.leaving.iter().map(|id| (id.to_string(), e.number)));
                    let reaction = Reaction {
                        what: format!("{pool} decision {}", e.number),
                        did: format!("{verb} to {}", e.chosen),
                        repairs: 0,
                        caused_at,
                        detected_at: crossed.get(direction).copied(),
                        decided_at: Some(e.decided_at),
                        // The commit of a decision starts its provisionings.
                        acted_at: (e.direction == ScalingDirection::Out).then_some(at),
                        verified_at: None,
                        closed_at: None,
                    };
                    reactions.insert(e.number, reaction);
                }
                PoolEvent::HostArrived(e) => {
                    first(&mut reactions, parts.get(e.provisioning.as_str()), at, |of| &mut of.verified_at);
                }
                PoolEvent::ReleaseStarted(e) => {
                    first(&mut reactions, parts.get(e.host.as_str()), at, |of| &mut of.acted_at);
                }
                PoolEvent::HostLeft(e) => {
                    first(&mut reactions, parts.get(e.host.as_str()), at, |of| &mut of.verified_at);
                }
                PoolEvent::Completed(e) => first(&mut reactions, Some(&e.number), at, |of| &mut of.closed_at),
                PoolEvent::Suppressed(e) => *held_back.entry(e.rule).or_default() += 1,
                PoolEvent::ThresholdCrossed(_)
                | PoolEvent::SignalDropped(_)
                | PoolEvent::Proposed(_)
                | PoolEvent::Approved(_)
                | PoolEvent::Rejected(_)
                | PoolEvent::ProvisioningFailed(_)
                | PoolEvent::Reclaimed(_)
                | PoolEvent::ReleaseRefused(_) => {}
            }
        }
    }
    reactions.into_values().collect()
}

/// Notes when something was first so for a decision.
fn first(
    reactions: &mut BTreeMap<u64, Reaction>,
    number: Option<&u64>,
    at: Timestamp,
    field: impl FnOnce(&mut Reaction) -> &mut Option<Timestamp>,
) {
    if let Some(reaction) = number.and_then(|number| reactions.get_mut(number)) {
        field(reaction).get_or_insert(at);
    }
}

/// How the budget was used since the beginning. Each grant is checked against its own limits, with whatever was held then.
pub(super) async fn budget(target: &Target, begun: Timestamp) -> Result<BudgetSeen, CliError> {
    Ok(budget_of(&commits(target, View::Budget, SITE).await?, begun))
}

fn budget_of(commits: &[CommitShown], begun: Timestamp) -> BudgetSeen {
    let (mut state, mut seen) = (BudgetState::default(), BudgetSeen::default());
    for commit in commits {
        for event in commit.events.iter().filter_map(read::<BudgetDecider>) {
            state = BudgetDecider::evolve(state, &event);
            let BudgetEvent::Granted(granted) = event else { continue };
            if commit.recorded_at < begun {
                continue;
            }
            seen.granted += 1;
            let limits = granted.limits;
            let held: Vec<_> =
                state.holders.iter().filter(|holder| holder.until > commit.recorded_at).collect();
            seen.most = seen.most.max(held.len());
            let part = u64::from(granted.pool_hosts) * u64::from(limits.pool_percent);
            let pool = limits.pool.min(u32::try_from(part.div_ceil(100)).unwrap_or(u32::MAX));
            let of = &granted.disruption;
            let shares = |same: &dyn Fn(&Disruption) -> bool| {
                held.iter().filter(|holder| same(&holder.disruption)).count()
            };
            let checks = [
                ("the site".to_owned(), limits.site, held.len()),
                (format!("pool {}", of.pool), pool, shares(&|other| other.pool == of.pool)),
                (format!("rack {}", of.rack), limits.rack, shares(&|other| other.rack == of.rack)),
                (
                    "the power domain".to_owned(),
                    limits.power_domain,
                    shares(&|other| of.power_domain.is_some() && other.power_domain == of.power_domain),
                ),
            ];
            for (what, limit, value) in checks {
                if value > usize::try_from(limit).unwrap_or(usize::MAX) {
                    seen.exceeded.push(format!("{value} hosts of {what} at once, of at most {limit}"));
                }
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-02-03T09:00:{second:02}Z").parse().unwrap()
    }

    /// The event's sample, with these fields instead of its own.
    fn commit(second: u32, kind: &str, fields: Value) -> CommitShown {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/samples");
        let text = std::fs::read_to_string(samples.join(format!("{kind}.v1.json"))).unwrap();
        let mut event: Value = serde_json::from_str(&text).unwrap();
        event["data"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "version": second, "recordedAt": at(second), "actor": "x", "correlationId": "x", "causationId": "x",
            "events": [event],
        }))
        .unwrap()
    }

    #[test]
    fn a_decision_is_told_from_the_change_of_the_load_to_its_last_host() {
        let grow = json!({ "number": 7, "decidedAt": at(3), "chosen": 5, "provisionings": ["scale-web-7.1"], "leaving": [] });
        let shrink = json!({
            "number": 8, "decidedAt": at(40), "chosen": 4, "direction": "in", "provisionings": [], "leaving": ["h-05"],
        });
        let crossed = |direction: &str| json!({ "direction": direction, "status": "firing" });
        let commits = [
            commit(1, "pool.scaling-decided", json!({ "number": 6 })),
            commit(3, "pool.threshold-crossed", crossed("above")),
            commit(3, "pool.scaling-decided", grow),
            commit(9, "pool.host-arrived", json!({ "provisioning": "scale-web-7.1" })),
            commit(10, "pool.scaling-completed", json!({ "number": 7 })),
            commit(32, "pool.threshold-crossed", crossed("below")),
            commit(33, "pool.scaling-suppressed", json!({ "rule": "stabilisation" })),
            commit(40, "pool.scaling-decided", shrink),
            commit(41, "pool.release-started", json!({ "host": "h-05" })),
            commit(45, "pool.host-left", json!({ "host": "h-05" })),
            commit(50, "pool.scaling-suppressed", json!({ "rule": "cooldown" })),
        ];
        let mut held_back = HeldBack::new();
        let reactions = of_pool("web", &commits, (&[at(2), at(30)], at(46)), &mut held_back);
        assert_eq!(
            held_back,
            [("stabilisation".to_owned(), 1)].into(),
            "what came after the end is not counted"
        );
        let [grew, shrank] = reactions.as_slice() else { panic!("{reactions:#?}") };
        assert_eq!((grew.what.as_str(), grew.did.as_str()), ("web decision 7", "grow to 5"));
        let times =
            |of: &Reaction| [of.detected_at, of.decided_at, of.acted_at, of.verified_at, of.closed_at];
        assert_eq!((grew.caused_at, times(grew)), (at(2), [3, 3, 3, 9, 10].map(|second| Some(at(second)))));
        let seconds = [Some(at(32)), Some(at(40)), Some(at(41)), Some(at(45)), None];
        assert_eq!((shrank.did.as_str(), shrank.caused_at, times(shrank)), ("shrink to 4", at(30), seconds));
    }

    #[test]
    fn a_host_that_broke_twice_has_two_reactions_and_was_acted_on_when_it_was_cordoned() {
        let suspected =
            |number: u32, second: u32| json!({ "incident": number, "at": at(second), "until": at(second) });
        let closed = |number: u32| json!({ "incident": number });
        let started =
            json!({ "incident": 1, "saga": "recovery#h-01.1", "rung": "power-cycle", "attempt": 1 });
        let health = [
            commit(5, "health.suspected", suspected(1, 5)),
            commit(8, "health.remediation-suppressed", json!({ "incident": 1, "rule": "rack" })),
            commit(9, "health.remediation-started", started),
            commit(20, "health.incident-closed", closed(1)),
            commit(32, "health.suspected", suspected(2, 32)),
        ];
        let host = [commit(11, "host.cordoned", json!({ "saga": "recovery#h-01.1" }))];
        let found_well = of_host((&health, &[]), (&[at(4), at(30)], at(59)), &mut HeldBack::new());
        assert_eq!((found_well[0].did.as_str(), found_well[0].repairs), ("nothing, and it is well", 0));
        let mut held_back = HeldBack::new();
        let reactions = of_host((&health, &host), (&[at(4), at(30)], at(59)), &mut held_back);
        let [first, second] = reactions.as_slice() else { panic!("{reactions:#?}") };
        assert_eq!((first.did.as_str(), first.repairs, first.caused_at), ("power-cycle", 1, at(4)));
        assert_eq!((first.detected_at, first.acted_at), (Some(at(5)), Some(at(11))));
        assert!(first.closed_at.is_some());
        assert_eq!((second.did.as_str(), second.caused_at), ("nothing: suspect", at(30)));
        assert_eq!((second.acted_at, second.closed_at), (None, None));
        assert_eq!(held_back, [("rack".to_owned(), 1)].into());
    }

    #[test]
    fn each_grant_is_checked_against_its_own_limits() {
        let grant = |second: u32, host: &str, rack: &str, limits: Value| {
            let disruption = json!({ "host": host, "pool": "web", "rack": rack });
            let saga = format!("recovery#{host}.1");
            let until = "2026-02-03T10:00:00Z";
            commit(
                second,
                "budget.granted",
                json!({ "saga": saga, "disruption": disruption, "limits": limits, "until": until }),
            )
        };
        let limits = |rack: u32| {
            json!({
                "site": 50, "poolPercent": 10, "pool": 10, "rack": rack, "powerDomain": 10, "starts": 30,
                "windowSeconds": 600, "brakePercent": 20,
            })
        };
        let commits = [
            grant(1, "h-01", "r-01", limits(2)),
            grant(2, "h-02", "r-01", limits(2)),
            commit(3, "budget.returned", json!({ "saga": "recovery#h-01.1" })),
            grant(4, "h-03", "r-01", limits(2)),
        ];
        let seen = budget_of(&commits, at(2));
        assert_eq!(seen, BudgetSeen { most: 2, granted: 2, exceeded: Vec::new() });
        let over = budget_of(&[&commits[..2], &[grant(5, "h-04", "r-01", limits(2))]].concat(), at(0));
        assert_eq!(over.exceeded, ["3 hosts of rack r-01 at once, of at most 2"]);
    }
}
