//! What a host fails together with, as it is when somebody wants to disturb it.

use std::collections::BTreeMap;

use hostler_events::budget::{Disruption, Unhealthy};
use hostler_events::{FaultDomain, HostId};

use super::FaultDomainState;
use crate::health::HoldBack;
use crate::policies::PolicyState;

/// The rack of a host, and the rack's power domain.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The rack.
    pub rack: FaultDomainState,
    /// The power domain; empty where the policies do not name it.
    pub power: FaultDomainState,
}

impl Surroundings {
    /// Why no host there is repaired now, where that is so.
    #[must_use]
    pub fn holds_back(&self) -> Option<HoldBack> {
        self.power.holds_back().or_else(|| self.rack.holds_back())
    }

    /// How many hosts are unhealthy around a host that is to be disturbed, without that one. Known are those of its pool that are
    /// in quarantine or have a confirmed fault, with their racks. Of other pools only what the rack and the power domain have been
    /// told counts: the larger of both numbers.
    #[must_use]
    pub fn unhealthy(
        &self,
        of: &Disruption,
        known: &BTreeMap<HostId, FaultDomain>,
        policies: &PolicyState,
    ) -> Unhealthy {
        let others = |inside: &dyn Fn(&FaultDomain) -> bool| {
            count(known.iter().filter(|(host, rack)| **host != of.host && inside(rack)).count())
        };
        let members = |state: &FaultDomainState| {
            count(state.unhealthy().iter().filter(|member| member.as_str() != of.host.as_str()).count())
        };
        let racks = &policies.policy.topology.racks;
        let together = |rack: &FaultDomain| {
            let power_domain = racks.get(rack).map(|rack| &rack.power_domain);
            power_domain.is_some() && power_domain == of.power_domain.as_ref()
        };
        let rack = others(&|rack| *rack == of.rack).max(members(&self.rack));
        // Of the power domain's other pools only the racks are known that are lost as a whole.
        let power_domain = others(&together).max(members(&self.power)).max(rack);
        Unhealthy { pool: others(&|_| true), rack, power_domain }
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
