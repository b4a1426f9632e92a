//! The system that a scenario is played in, as it is at a moment.

use std::collections::{BTreeMap, BTreeSet};

use hostler_domain::views::{FaultDomainView, IncidentView, host_group};
use hostler_domain::{BudgetState, Phase, power_key, rack_key};
use hostler_events::site::SITE;
use hostler_events::{FaultDomain, PoolId, SitePolicy};
use serde_json::json;

use super::scenario::Place;
use crate::api::{FaultDomainRow, HostRow, IncidentRow, PoolRow, Said, View, sort_by_id};
use crate::error::CliError;
use crate::target::Target;

/// The phases in which nothing happens to a host.
const AT_REST: [Phase; 4] = [Phase::InService, Phase::Available, Phase::Quarantined, Phase::Retired];

/// The hosts of a pool.
pub(super) async fn hosts(target: &Target, pool: &PoolId) -> Result<Vec<HostRow>, CliError> {
    let mut hosts: Vec<HostRow> = target.api.rows(None).await?;
    hosts.retain(|host| host.pool == pool.as_str());
    sort_by_id(&mut hosts, |host| &host.host);
    Ok(hosts)
}

/// How many hosts of a pool are in service.
pub(super) async fn in_service(target: &Target, pool: &PoolId) -> Result<usize, CliError> {
    let group = host_group(pool, Phase::InService.name());
    Ok(target.api.rows::<HostRow>(Some(&group)).await?.len())
}

/// Those in a phase.
pub(super) fn in_phase(hosts: &[HostRow], phase: Phase) -> impl Iterator<Item = &HostRow> {
    hosts.iter().filter(move |host| host.phase == phase.name())
}

/// How a pool scales; none where it never did.
pub(super) async fn pool(target: &Target, pool: &PoolId) -> Result<Option<PoolRow>, CliError> {
    let rows: Vec<PoolRow> = target.api.rows(None).await?;
    Ok(rows.into_iter().find(|row| row.pool.pool == *pool))
}

/// The newest incidents of these hosts.
pub(super) async fn incidents(
    target: &Target,
    hosts: &BTreeSet<&str>,
) -> Result<Vec<IncidentView>, CliError> {
    let rows: Vec<IncidentRow> = target.api.rows(None).await?;
    let rows = rows.into_iter().map(|row| row.incident);
    Ok(rows.filter(|incident| hosts.contains(incident.host.as_str())).collect())
}

/// The racks and power domains that are incidents now.
pub(super) async fn common_incidents(target: &Target) -> Result<Vec<FaultDomainView>, CliError> {
    let rows: Vec<FaultDomainRow> = target.api.rows(None).await?;
    let rows = rows.into_iter().map(|row| row.domain);
    Ok(rows.filter(|domain| domain.incident > 0 && domain.closed_at.is_none()).collect())
}

/// Who disturbs which hosts.
pub(super) async fn budget(target: &Target) -> Result<BudgetState, CliError> {
    match target.api.document(View::Budget, SITE, &[]).await {
        Err(CliError::NotFound { .. }) => Ok(BudgetState::default()),
        answered => answered,
    }
}

/// The hosts in service that a place holds, and what they share: a host alone shares nothing.
///
/// # Errors
/// [`CliError::Usage`] where it has too few for the policies to call it one incident.
pub(super) fn place<'a>(
    place: Place,
    hosts: &'a [HostRow],
    broken: &BTreeSet<&str>,
    policy: &SitePolicy,
) -> Result<(Vec<&'a HostRow>, Option<String>), CliError> {
    let free = in_phase(hosts, Phase::InService).filter(|host| host.cordoned_by.is_none());
    let mut racks: BTreeMap<&str, Vec<&HostRow>> = BTreeMap::new();
    for host in free {
        racks.entry(&host.fault_domain).or_default().push(host);
    }
    let none =
        || CliError::Usage("no host of the pool is in service and free: give more with --hosts".to_owned());
    let fullest = |racks: &BTreeMap<&'a str, Vec<&'a HostRow>>| {
        // Of two that are as full, the first by name.
        let most = racks.iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.0.cmp(a.0)));
        most.map(|(rack, hosts)| (*rack, hosts.clone()))
    };
    match place {
        Place::Host => {
            let host = racks.into_values().flatten().min_by(|a, b| a.host.cmp(&b.host));
            Ok((vec![host.ok_or_else(none)?], None))
        }
        Place::SameHost => {
            let same = racks.into_values().flatten().filter(|host| broken.contains(host.host.as_str()));
            Ok((same.collect(), None))
        }
        Place::Rack => {
            let (rack, hosts) = fullest(&racks).ok_or_else(none)?;
            let id = fault_domain(rack)?;
            let needed = rack_needs(&id, policy);
            if hosts.len() < needed {
                return Err(too_few(&format!("{} hosts of rack {rack} are in service", hosts.len()), needed));
            }
            Ok((hosts, Some(rack_key(&id))))
        }
        Place::PowerDomain => {
            let mut domains: BTreeMap<_, BTreeMap<&str, Vec<&HostRow>>> = BTreeMap::new();
            for (rack, hosts) in racks {
                if let Some(known) = policy.topology.racks.get(&fault_domain(rack)?) {
                    domains.entry(known.power_domain.clone()).or_default().insert(rack, hosts);
                }
            }
            let fullest = domains.into_iter().max_by(|a, b| {
                let size =
                    |racks: &BTreeMap<&str, Vec<&HostRow>>| racks.values().map(Vec::len).sum::<usize>();
                size(&a.1).cmp(&size(&b.1)).then(b.0.cmp(&a.0))
            });
            let (domain, racks) = fullest.ok_or_else(|| {
                CliError::Usage("the policies do not say what shares its power: topology.racks".to_owned())
            })?;
            let of_domain = policy.topology.racks.values().filter(|rack| rack.power_domain == domain).count();
            let limit = policy.correlation.power_domain;
            let needed = as_many(limit.count, limit.percent, of_domain);
            let mut lost = 0;
            for (rack, hosts) in &racks {
                lost += usize::from(hosts.len() >= rack_needs(&fault_domain(rack)?, policy));
            }
            if lost < needed {
                let what =
                    format!("{lost} racks of {domain} have hosts enough in service to be lost as a rack");
                return Err(too_few(&what, needed));
            }
            Ok((racks.into_values().flatten().collect(), Some(power_key(&domain))))
        }
    }
}

fn fault_domain(rack: &str) -> Result<FaultDomain, CliError> {
    rack.parse().map_err(CliError::failed(format!("{rack} is no name of a rack")))
}

/// From how many hosts on a rack is one incident.
fn rack_needs(rack: &FaultDomain, policy: &SitePolicy) -> usize {
    let limit = policy.correlation.rack;
    let hosts = policy.topology.racks.get(rack).map_or(0, |rack| rack.hosts);
    as_many(limit.count, limit.percent, usize::try_from(hosts).unwrap_or(usize::MAX))
}

fn as_many(count: u32, percent: u32, of: usize) -> usize {
    let part = of.saturating_mul(usize::try_from(percent).unwrap_or(100)).div_ceil(100);
    part.max(usize::try_from(count).unwrap_or(usize::MAX))
}

fn too_few(what: &str, needed: usize) -> CliError {
    CliError::Usage(format!(
        "{what}, and by the policies (correlation) it takes {needed} to be one incident: give more hosts with --hosts"
    ))
}

/// What is not as it should be at the end.
pub(super) async fn left(
    target: &Target,
    pool_id: &PoolId,
    before: &[HostRow],
    broken: &BTreeSet<&str>,
) -> Result<Vec<String>, CliError> {
    let typed = |saga: &str| saga.replacen('#', "/", 1);
    let mut left = Vec::new();
    for host in &hosts(target, pool_id).await? {
        let (name, phase) = (&host.host, &host.phase);
        if let Some(saga) = &host.cordoned_by {
            left.push(format!("{name} is cordoned by {}", typed(saga)));
        }
        let reason = host.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let was = before.iter().find(|other| other.host == *name).map(|other| other.phase.as_str());
        let gone = [Phase::Quarantined, Phase::Retired].map(Phase::name);
        let rests = AT_REST.iter().any(|of| of.name() == phase);
        if !rests || (gone.contains(&phase.as_str()) && was != Some(phase)) {
            left.push(format!("{name} is {phase}{reason}"));
        }
    }
    for incident in incidents(target, broken).await?.iter().filter(|incident| incident.closed_at.is_none()) {
        let why = incident.reason.clone().or(incident.held_back.as_ref().map(|held| held.why.clone()));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        left.push(format!("the incident of {} is {}{why}", incident.host, incident.status));
    }
    for domain in common_incidents(target).await? {
        left.push(format!("{} is an incident, with {} unhealthy", domain.domain, domain.unhealthy.len()));
    }
    for holder in budget(target).await?.holders {
        if holder.disruption.pool == *pool_id {
            let saga = typed(&holder.saga.to_string());
            left.push(format!("{} has a part of the budget, for {}", saga, holder.disruption.host));
        }
    }
    if let Some(row) = pool(target, pool_id).await? {
        left.extend(row.pool.in_flight.iter().map(|id| format!("{id} is under way")));
        left.extend(row.pool.leaving.iter().map(|host| format!("{host} leaves")));
    }
    Ok(left)
}

/// Sends a command about a host.
pub(super) async fn tell_host(
    target: &Target,
    command: &str,
    host: &str,
    reason: &str,
) -> Result<(), CliError> {
    // A host is taken into use again without a reason.
    let body = match command {
        super::tidy::REQUALIFY => json!({ "host": host }),
        _ => json!({ "host": host, "reason": reason }),
    };
    target.api.command_on(Said("simulate"), (View::Host, host), command, &body).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn policy() -> SitePolicy {
        serde_json::from_value(json!({
            "topology": { "racks": {
                "r-01": { "room": "a", "powerDomain": "p-01", "hosts": 8 },
                "r-02": { "room": "a", "powerDomain": "p-01", "hosts": 8 },
                "r-03": { "room": "a", "powerDomain": "p-02", "hosts": 8 },
            } },
            "correlation": { "rack": { "count": 3, "percent": 25 }, "powerDomain": { "count": 2, "percent": 100 } },
        }))
        .unwrap()
    }

    fn hosts(racks: &[(&str, usize)]) -> Vec<HostRow> {
        let racks = racks.iter().flat_map(|(rack, count)| std::iter::repeat_n(*rack, *count));
        let row = |(n, rack): (usize, &str)| {
            serde_json::from_value(json!({
                "host": format!("h-{n:02}"), "pool": "web", "phase": "in-service", "faultDomain": rack, "version": 1,
                "updatedAt": "2026-01-31T12:00:00Z",
            }))
            .unwrap()
        };
        racks.enumerate().map(row).collect()
    }

    fn placed(
        what: Place,
        hosts: &[HostRow],
        broken: &[&str],
    ) -> Result<(Vec<String>, Option<String>), String> {
        let broken = broken.iter().copied().collect();
        let (found, shared) = place(what, hosts, &broken, &policy()).map_err(|error| error.to_string())?;
        Ok((found.into_iter().map(|host| host.host.clone()).collect(), shared))
    }

    #[test]
    fn the_fullest_rack_is_lost_and_only_where_its_loss_is_one_incident() {
        let all = hosts(&[("r-01", 2), ("r-02", 4)]);
        let (lost, shared) = placed(Place::Rack, &all, &[]).unwrap();
        assert_eq!((lost.len(), lost[0].as_str(), shared.as_deref()), (4, "h-02", Some("rack.r-02")));
        let error = placed(Place::Rack, &hosts(&[("r-01", 2)]), &[]).unwrap_err();
        assert!(error.contains("2 hosts of rack r-01") && error.contains("it takes 3"), "{error}");
        assert!(placed(Place::Rack, &[], &[]).unwrap_err().contains("--hosts"));
    }

    #[test]
    fn a_power_domain_is_lost_with_all_its_racks() {
        let (lost, shared) =
            placed(Place::PowerDomain, &hosts(&[("r-01", 3), ("r-02", 4), ("r-03", 5)]), &[]).unwrap();
        assert_eq!((lost.len(), shared.as_deref()), (7, Some("power.p-01")));
        let error = placed(Place::PowerDomain, &hosts(&[("r-01", 8), ("r-02", 2)]), &[]).unwrap_err();
        assert!(error.contains("1 racks of p-01") && error.contains("it takes 2"), "{error}");
    }

    #[test]
    fn the_same_host_breaks_again_as_long_as_it_serves() {
        let mut all = hosts(&[("r-01", 3)]);
        assert_eq!(placed(Place::Host, &all, &[]).unwrap(), (vec!["h-00".to_owned()], None));
        assert_eq!(placed(Place::SameHost, &all, &["h-01"]).unwrap().0, ["h-01"]);
        all[1].phase = "available".to_owned();
        assert!(placed(Place::SameHost, &all, &["h-01"]).unwrap().0.is_empty());
        all[0].cordoned_by = Some("recovery#h-00.1".to_owned());
        assert_eq!(placed(Place::Host, &all, &[]).unwrap().0, ["h-02"], "nobody works on it");
    }
}
