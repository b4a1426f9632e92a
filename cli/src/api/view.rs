//! The views of the API, and the names of their entities.

use hostler_app::{
    Advisories, Budgets, CampaignRacks, Campaigns, FaultDomains, Findings, Hosts, Incidents, Inventory,
    Policies, Pools, Provisionings, Requests, Sources,
};
use hostler_runtime::register::{Failures, SagaEntry, Viewed};
use serde_json::{Map, Value};

use super::register::SagaKind;

/// A view of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View<'a> {
    /// A host.
    Host,
    /// A provisioning.
    Provisioning,
    /// A request for hosts.
    Request,
    /// The policies of the site.
    Policies,
    /// The disruption budget of the site.
    Budget,
    /// The newest incident of a host.
    Incident,
    /// A rack or a power domain.
    FaultDomain,
    /// A pool that grows and shrinks.
    Pool,
    /// A campaign.
    Campaign,
    /// A rack of a campaign.
    CampaignRack,
    /// A vulnerability.
    Advisory,
    /// A vulnerability of a host.
    Finding,
    /// A host in the inventory.
    Inventory,
    /// A source of inventory.
    Source,
    /// A message that could not be handled.
    Failure,
    /// A saga of a kind.
    Saga(&'a SagaKind),
}

impl<'a> View<'a> {
    /// One of them, in words.
    pub(crate) fn one(self) -> &'a str {
        match self {
            Self::Host => "host",
            Self::Provisioning => "provisioning",
            Self::Request => "request",
            Self::Policies => "policies",
            Self::Budget => "budget",
            Self::Incident => "incident",
            Self::FaultDomain => "fault domain",
            Self::Pool => "pool",
            Self::Campaign => "campaign",
            Self::CampaignRack => "rack",
            Self::Advisory => "advisory",
            Self::Finding => "finding",
            Self::Inventory => "host of the inventory",
            Self::Source => "source",
            Self::Failure => "failure",
            Self::Saga(of) => &of.kind,
        }
    }

    /// The id of a row.
    pub(crate) fn id_in(self, row: &Map<String, Value>) -> Option<&str> {
        let named = |field: &str| row.get(field).and_then(Value::as_str);
        match self {
            Self::Host
            | Self::Provisioning
            | Self::Request
            | Self::Policies
            | Self::Budget
            | Self::Pool
            | Self::Campaign
            | Self::CampaignRack
            | Self::Advisory
            | Self::Finding
            | Self::Source => named(self.one()),
            Self::Incident | Self::Inventory => named("host"),
            Self::FaultDomain => named("domain"),
            Self::Failure => named("id"),
            // A view of its own names the saga as its kind; what is shown of sagas otherwise names the stream.
            Self::Saga(of) => {
                let of_stream = || named("saga")?.strip_prefix(&of.kind)?.strip_prefix('#');
                named(&of.kind).or_else(of_stream)
            }
        }
    }

    /// The noun of the command line by which it is looked at.
    pub(crate) fn noun(self) -> &'a str {
        match self {
            Self::Host
            | Self::Provisioning
            | Self::Request
            | Self::Policies
            | Self::Budget
            | Self::Incident
            | Self::Pool
            | Self::Campaign
            | Self::Finding
            | Self::Inventory
            | Self::Failure => self.path(),
            Self::Advisory => Findings::VIEW,
            // Sources are listed with what they say.
            Self::Source => Inventory::VIEW,
            // What fails together is listed with the incidents of hosts.
            Self::FaultDomain => Incidents::VIEW,
            // Racks are shown with their campaign.
            Self::CampaignRack => Campaigns::VIEW,
            Self::Saga(_) => "sagas",
        }
    }

    /// The command that lists all of them.
    pub(crate) fn listed_by(self) -> String {
        match self {
            Self::Saga(of) => format!("hostler sagas list --kind {}", of.kind),
            Self::Advisory => "hostler findings advisories".to_owned(),
            _ => format!("hostler {} list", self.noun()),
        }
    }

    /// Its name in the API's paths.
    pub(crate) fn path(self) -> &'a str {
        match self {
            Self::Host => Hosts::VIEW,
            Self::Provisioning => Provisionings::VIEW,
            Self::Request => Requests::VIEW,
            Self::Policies => Policies::VIEW,
            Self::Budget => Budgets::VIEW,
            Self::Incident => Incidents::VIEW,
            Self::FaultDomain => FaultDomains::VIEW,
            Self::Pool => Pools::VIEW,
            Self::Campaign => Campaigns::VIEW,
            Self::CampaignRack => CampaignRacks::VIEW,
            Self::Advisory => Advisories::VIEW,
            Self::Finding => Findings::VIEW,
            Self::Inventory => Inventory::VIEW,
            Self::Source => Sources::VIEW,
            Self::Failure => Failures::VIEW,
            Self::Saga(of) => &of.view,
        }
    }
}
