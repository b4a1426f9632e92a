//! The entities: the decider of each, what is shown of it, and what its refusals are to those who asked.

use hostler_domain::health::HEALTH_TIMERS_TO;
use hostler_domain::host::HOST_TIMERS_TO;
use hostler_domain::views::{
    self, FAULT_DOMAINS, HOSTS, INCIDENTS, PROVISIONINGS, REQUESTS, host_group, incident_group,
};
use hostler_domain::{
    BudgetDecider, BudgetState, CAPACITY_TIMERS_TO, CapacityDecider, CapacityRefusal, CapacityState,
    FaultDomainDecider, FaultDomainState, HealthDecider, HealthRefusal, HealthState, HostDecider,
    HostRefusal, HostState, PolicyDecider, PolicyRefusal, PolicyState, Provisioning, ProvisioningState,
    ReservationDecider,
};
use hostler_runtime::register::{Entity, Operated, Refused, SagaEntry, Shown, Viewed};

/// Machines, listed by pool and phase.
#[derive(Debug, Clone, Copy)]
pub struct Hosts;

impl Entity for Hosts {
    type Decider = HostDecider;
    const TIMERS_TO: Option<&'static str> = Some(HOST_TIMERS_TO);
}

impl Viewed for Hosts {
    const VIEW: &'static str = HOSTS;

    fn show(state: &HostState) -> Option<Shown> {
        let host = views::host(state)?;
        Some(Shown::of(host_group(&host.pool, &host.phase), &host))
    }
}

impl Operated for Hosts {
    fn refused(refusal: &HostRefusal) -> Refused {
        let status = match refusal {
            HostRefusal::UnknownHost => 404,
            HostRefusal::HostIdTooLong { .. }
            | HostRefusal::BmcAddress { .. }
            | HostRefusal::TooManyLabels { .. }
            | HostRefusal::LabelKey { .. }
            | HostRefusal::LabelValue { .. }
            | HostRefusal::StepId(_) => 400,
            HostRefusal::EnrolledDifferently { .. }
            | HostRefusal::Cordoned { .. }
            | HostRefusal::NotCordoned { .. }
            | HostRefusal::RunUnderWay { .. }
            | HostRefusal::NotPossible { .. }
            | HostRefusal::NotWaiting { .. }
            | HostRefusal::NotAvailable { .. }
            | HostRefusal::AlreadyReleased { .. }
            | HostRefusal::NotHeld { .. }
            | HostRefusal::WrongPhase { .. }
            | HostRefusal::Dirty { .. }
            | HostRefusal::Undone { .. } => 409,
        };
        Refused { status, label: refusal.label() }
    }
}

/// Requests for hosts, listed by pool.
#[derive(Debug, Clone, Copy)]
pub struct Requests;

impl Entity for Requests {
    type Decider = CapacityDecider;
    const TIMERS_TO: Option<&'static str> = Some(CAPACITY_TIMERS_TO);
}

impl Viewed for Requests {
    const VIEW: &'static str = REQUESTS;

    fn show(state: &CapacityState) -> Option<Shown> {
        let request = views::request(state)?;
        Some(Shown::of(request.pool.as_str(), &request))
    }
}

impl Operated for Requests {
    fn refused(refusal: &CapacityRefusal) -> Refused {
        let status = match refusal {
            CapacityRefusal::NoHosts { .. }
            | CapacityRefusal::TooManyHosts { .. }
            | CapacityRefusal::IdsMissing { .. }
            | CapacityRefusal::IdTooLong { .. }
            | CapacityRefusal::NoReason { .. } => 400,
            CapacityRefusal::Unknown => 404,
            CapacityRefusal::PayloadMismatch { .. } | CapacityRefusal::NotAwaited { .. } => 409,
        };
        Refused { status, label: refusal.label() }
    }
}

/// Which host is held for whom. Nobody looks at these.
#[derive(Debug, Clone, Copy)]
pub struct Reservations;

impl Entity for Reservations {
    type Decider = ReservationDecider;
}

/// Provisionings, listed by request.
#[derive(Debug, Clone, Copy)]
pub struct Provisionings;

impl SagaEntry for Provisionings {
    type Definition = Provisioning;
    const VIEW: &'static str = PROVISIONINGS;

    fn show(state: &ProvisioningState) -> Option<Shown> {
        let provisioning = views::provisioning(state)?;
        Some(Shown::of(provisioning.request.as_str(), &provisioning))
    }
}

/// The policies that the site follows.
#[derive(Debug, Clone, Copy)]
pub struct Policies;

impl Entity for Policies {
    type Decider = PolicyDecider;
}

impl Viewed for Policies {
    const VIEW: &'static str = "policies";

    fn show(state: &PolicyState) -> Option<Shown> {
        state.policies.as_ref().map(|policies| Shown::of(policies.as_str(), state))
    }
}

impl Operated for Policies {
    fn refused(refusal: &PolicyRefusal) -> Refused {
        let status = match refusal {
            PolicyRefusal::Invalid { .. } | PolicyRefusal::NoReason => 400,
            PolicyRefusal::Changed { .. } => 409,
        };
        Refused { status, label: refusal.label() }
    }
}

/// What signals say of hosts, and what is done about it: incidents, listed by pool and by whether they are open.
#[derive(Debug, Clone, Copy)]
pub struct Incidents;

impl Entity for Incidents {
    type Decider = HealthDecider;
    const TIMERS_TO: Option<&'static str> = Some(HEALTH_TIMERS_TO);
}

impl Viewed for Incidents {
    const VIEW: &'static str = INCIDENTS;

    fn show(state: &HealthState) -> Option<Shown> {
        let incident = views::incident(state)?;
        Some(Shown::of(incident_group(&incident), &incident))
    }
}

impl Operated for Incidents {
    fn refused(refusal: &HealthRefusal) -> Refused {
        let status = match refusal {
            HealthRefusal::UnknownHost { .. } | HealthRefusal::NoIncident => 404,
            HealthRefusal::NotAwaited { .. } | HealthRefusal::Acting { .. } => 409,
            HealthRefusal::NoReason => 400,
        };
        Refused { status, label: refusal.label() }
    }
}

/// Racks and power domains, listed by whether they have an incident.
#[derive(Debug, Clone, Copy)]
pub struct FaultDomains;

impl Entity for FaultDomains {
    type Decider = FaultDomainDecider;
}

impl Viewed for FaultDomains {
    const VIEW: &'static str = FAULT_DOMAINS;

    fn show(state: &FaultDomainState) -> Option<Shown> {
        let domain = views::fault_domain(state)?;
        Some(Shown::of(domain.status.clone(), &domain))
    }
}

/// Who disturbs which hosts.
#[derive(Debug, Clone, Copy)]
pub struct Budgets;

impl Entity for Budgets {
    type Decider = BudgetDecider;
}

impl Viewed for Budgets {
    const VIEW: &'static str = "budgets";

    fn show(state: &BudgetState) -> Option<Shown> {
        (*state != BudgetState::default()).then(|| Shown::of("budgets", state))
    }
}
