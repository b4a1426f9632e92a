//! What else is so when a replay decides about a host: counted as `recover-hosts` and `scale-pools` count it.

use std::collections::BTreeMap;

use hostler_events::{FaultDomain, HostId, PoolId};

use super::run::Run;
use crate::fault_domain::{FaultDomainState, Surroundings, power_key, rack_key};
use crate::health::Seen;
use crate::host::Phase;

impl Run<'_> {
    /// A rack, and the power domain that the policies name for it.
    pub(super) fn surroundings(&self, rack: &FaultDomain) -> Surroundings {
        let policies = self.policies.at(self.now);
        let place = policies.policy.topology.racks.get(rack);
        let of = |key: String| self.domains.get(&key).cloned();
        let power = place.and_then(|place| of(power_key(&place.power_domain)));
        let rack: Option<FaultDomainState> = of(rack_key(rack));
        Surroundings { rack: rack.unwrap_or_default(), power: power.unwrap_or_default() }
    }

    /// The hosts of a pool that are in quarantine or have a confirmed fault. A host that was in quarantine all the time, and of which
    /// no source said anything, is not in the recording.
    pub(super) fn unhealthy(&self, pool: &PoolId) -> BTreeMap<HostId, FaultDomain> {
        let unhealthy = self.hosts.iter().filter_map(|(host, run)| {
            let open = run.state.open().filter(|open| open.pool == *pool && open.confirmed_at.is_some());
            let seen = run.seen(self.now);
            let quarantined = seen.filter(|seen| seen.phase == Phase::Quarantined && seen.pool == *pool);
            let rack = open.map(|open| &open.rack).or(quarantined.map(|seen| &seen.rack))?;
            Some((host.clone(), rack.clone()))
        });
        unhealthy.collect()
    }

    /// How a host is, and whether what it fails together with has an incident.
    pub(super) fn seen_with_others(&self, host: &HostId) -> Box<Seen> {
        let mut seen = self.seen(host);
        seen.correlated = seen.host.as_ref().and_then(|host| self.surroundings(&host.rack).holds_back());
        seen
    }
}
