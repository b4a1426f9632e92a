//! The data centre's deciders and sagas: pure state machines and policies.
//!
//! Each stream category has a folder. Time and ids arrive in the input; nothing here reads a clock, draws a random
//! number or does I/O. An input that is late or repeated leads to an empty decision.

pub mod advisory;
pub mod agent;
pub mod budget;
pub mod campaign;
pub mod capacity;
pub mod deprovisioning;
pub mod fault_domain;
pub mod finding;
pub mod health;
pub mod host;
pub mod inventory;
pub mod metrics;
pub mod packages;
pub mod patching;
pub mod policies;
pub mod pool;
pub mod provisioning;
pub mod recovery;
pub mod reservation;
pub mod shadow;
mod support;
#[cfg(test)]
mod testing;
pub mod traffic;
pub mod views;

pub use advisory::{AdvisoryBrief, AdvisoryDecider, AdvisoryInput, AdvisoryRefusal, AdvisoryState};
pub use agent::{AGENT_URL, agent_url};
pub use budget::{BudgetDecider, BudgetInput, BudgetState, Claim, Held};
pub use campaign::{
    CampaignDecider, CampaignInput, CampaignRackDecider, CampaignRackInput, CampaignRackState,
    CampaignRefusal, CampaignState, FleetFacts,
};
pub use capacity::{
    Approval, CAPACITY_TIMERS_TO, CapacityDecider, CapacityInput, CapacityRefusal, CapacityState,
};
pub use deprovisioning::Deprovisioning;
pub use fault_domain::{
    FaultDomainDecider, FaultDomainInput, FaultDomainState, MemberReport, Surroundings, power_key, rack_key,
};
pub use finding::{FindingDecider, FindingInput, FindingRefusal, FindingState};
pub use health::{
    Condition, HealthDecider, HealthInput, HealthRefusal, HealthState, HoldBack, HostSeen, Incident, Seen,
};
pub use host::{
    Cordon, Drift, DriftFound, DriftRun, Hardware, HostDecider, HostFacts, HostInput, HostPhase, HostProfile,
    HostRefusal, HostState, Move, Patch, PatchInput, Phase, PowerCycle, RunningChange, StepFailure, Traffic,
    TrafficInput, TrafficPart, Undone, bmc_place,
};
pub use inventory::{
    InventoryDecider, InventoryInput, InventoryState, SourceDecider, SourceInput, SourceState, SweepDecider,
    SweepState,
};
pub use metrics::{METRICS_ADDRESS, METRICS_PATH, MetricsTarget, metrics_target};
pub use packages::{HostPlace, PackagesDecider, PackagesInput, PackagesRefusal, PackagesState};
pub use patching::{PatchOutcome, Patching, PatchingSaga, PatchingState, patching_of};
pub use policies::{PolicyDecider, PolicyRefusal, PolicyState};
pub use pool::{PoolDecider, PoolFacts, PoolHost, PoolInput, PoolRefusal, PoolState};
pub use provisioning::{Provisioning, ProvisioningSaga, ProvisioningState};
pub use recovery::{Recovery, RecoveryOrder, RecoverySaga, RecoveryState, RecoveryStep};
pub use reservation::{
    Candidate, ReservationDecider, ReservationInput, ReservationRefusal, ReservationState, candidate_order,
};
pub use traffic::{TRAFFIC_ADDRESS, traffic_address};
