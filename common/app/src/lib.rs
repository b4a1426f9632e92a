//! The register of the data-centre orchestrator: what it consists of. Whatever lists things reads it, or is checked against
//! it.
//!
//! An entity is added here with its view, and a function with its queue; what operators may ask for is in [`operations()`].

mod campaigns;
mod deprovisionings;
mod entities;
mod findings;
mod follow;
pub mod host_steps;
mod inventory;
mod operations;
mod patchings;
mod pools;
mod recoveries;
mod remembered;
mod setting;
mod start;
mod timers;
mod unhealthy;

use hostler_core::saga::SAGAS_QUEUE;
use hostler_events::{OperatorCommand, SOURCE};
use hostler_runtime::register::{Application, Entities, Function};

pub use campaigns::{CampaignRacks, Campaigns};
pub use deprovisionings::Deprovisionings;
pub use entities::{
    Budgets, FaultDomains, Hosts, Incidents, Policies, Provisionings, Requests, Reservations,
};
pub use findings::{Advisories, Findings, PackagesOfHosts};
pub use follow::FollowedPolicies;
pub use inventory::{Inventory, Sources, Sweeps};
pub use operations::{Settings, operations, request};
pub use patchings::Patchings;
pub use pools::Pools;
pub use recoveries::Recoveries;
pub use remembered::Remembered;
pub use setting::{SettingError, setting};
pub use start::start;
pub use timers::check_due;
pub use unhealthy::{UnhealthyHosts, UnhealthyOfPool};

/// The data-centre orchestrator.
#[derive(Debug, Clone, Copy)]
pub struct Hostler;

/// Its register.
pub type Register = hostler_runtime::register::Register<Hostler>;

impl Application for Hostler {
    const SOURCE: &'static str = SOURCE;

    const FUNCTIONS: &'static [Function] = &[
        Function::commands("accept-commands"),
        Function::sagas(SAGAS_QUEUE),
        Function::steps("deploy-host").needs(&["bmc"]).visibility(1_080),
        Function::steps("configure-host").needs(&["configuration"]).visibility(1_800),
        Function::steps("monitor-host").needs(&["monitoring"]).visibility(360),
        Function::steps("shift-traffic").needs(&["load-balancer"]).visibility(180),
        Function::steps("restart-service").needs(&["agents"]).visibility(360),
        Function::steps("patch-host").needs(&["configuration"]).visibility(360),
        Function::steps("recover-hosts").visibility(180),
        Function::signals("ingest-signals", "signals"),
        Function::steps("scale-pools").hears(&["saga.completed", "saga.compensated", "saga.stuck"]),
        Function::steps("patch-fleet").hears(&[
            "saga.completed",
            "saga.compensated",
            "saga.stuck",
            "advisory.prioritised",
        ]),
        Function::steps("assess-hosts").needs(&["configuration"]).hears(&["host.cleaned"]).visibility(360),
        Function::steps("watch-inventory").needs(&["bmc"]).visibility(360).consumers(5),
        Function::timers("fire-timers"),
        Function::views("project-views").visibility(240),
        Function::triage("triage-failures").consumers(5),
        Function::relay("relay-outbox"),
        Function::queries("answer-queries"),
        Function::flow("watch-flow", "rate(1 minute)"),
    ];

    type Operations = OperatorCommand;

    fn entities(each: &mut impl Entities) {
        each.viewed::<Hosts>();
        each.saga::<Provisionings>();
        each.saga::<Deprovisionings>();
        each.viewed::<Requests>();
        each.hidden::<Reservations>();
        each.viewed::<Policies>();
        each.viewed::<Budgets>();
        each.viewed::<Incidents>();
        each.viewed::<FaultDomains>();
        each.saga::<Recoveries>();
        each.viewed::<Pools>();
        each.viewed::<Campaigns>();
        each.viewed::<CampaignRacks>();
        each.viewed::<Advisories>();
        each.viewed::<PackagesOfHosts>();
        each.viewed::<Findings>();
        each.saga::<Patchings>();
        each.viewed::<Inventory>();
        each.viewed::<Sources>();
        each.hidden::<Sweeps>();
    }
}
