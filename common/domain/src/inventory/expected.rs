//! What the site itself expects of a host: what it was enrolled with, and what was found then.

use hostler_events::inventory::{Fact, Facts, Presence, Standing};

use crate::host::{HostPhase, HostState};

/// What a host is to the site, and what is expected of it. Nothing is expected of a host that is not enrolled, or is retired.
#[must_use]
pub fn expected_of(state: &HostState) -> (Standing, Facts) {
    let Some(profile) = &state.profile else { return (Standing::NotEnrolled, Facts::new()) };
    if matches!(state.phase, HostPhase::Retired { .. }) {
        return (Standing::Retired, Facts::new());
    }
    let pool = state.home.as_ref().unwrap_or(&profile.pool);
    let hardware = state.facts.as_ref();
    let known = [
        (Fact::Presence, Some(Presence::Present.name().to_owned())),
        (Fact::Pool, Some(pool.to_string())),
        (Fact::FaultDomain, Some(profile.fault_domain.to_string())),
        (Fact::Sku, Some(profile.sku.to_string())),
        (Fact::Bmc, Some(profile.bmc.system_url.clone())),
        (Fact::Role, state.role.as_ref().map(ToString::to_string)),
        (Fact::Manufacturer, hardware.and_then(|hardware| hardware.manufacturer.clone())),
        (Fact::Model, hardware.and_then(|hardware| hardware.model.clone())),
        (Fact::Serial, hardware.and_then(|hardware| hardware.serial.clone())),
        (Fact::Processors, hardware.and_then(|hardware| hardware.processors).map(|count| count.to_string())),
        (Fact::MemoryGib, hardware.and_then(|hardware| hardware.memory_gib).map(|gib| gib.to_string())),
    ];
    let facts = known.into_iter().filter_map(|(fact, said)| Some((fact, said?))).collect();
    (Standing::Enrolled, facts)
}
