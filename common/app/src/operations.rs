//! What operators may ask for: each command, the entity that it is for, and what it tells the entity's decider.

use hostler_core::Failure;
use hostler_core::ids::check_path;
use hostler_domain::{
    AdvisoryInput, CampaignInput, CapacityInput, FindingInput, HealthInput, HostInput, PackagesInput,
    PoolInput,
};
use hostler_events::campaign::{
    ApproveCampaign, CreateCampaign, PauseCampaign, RejectCampaign, ResumeCampaign,
};
use hostler_events::commands::{
    ApproveRequest, EnrolHost, HOSTS_PER_REQUEST_MAX, LabelHost, RejectRequest, ReleaseHost, RequalifyHost,
    RequestHosts, RetireHost,
};
use hostler_events::drift::{CheckConfiguration, RestoreConfiguration};
use hostler_events::findings::{ExceptFinding, RefreshAdvisory, RescanHost};
use hostler_events::pool::{ApproveScaling, RejectScaling};
use hostler_events::recovery::{ApproveRemediation, CloseIncident, RejectRemediation};
use hostler_events::site::ApplyPolicies;
use hostler_events::{HostPolicy, ProvisioningId, ProvisioningPolicy, TrafficPolicy};
use hostler_runtime::register::{Asked, Operations};

use crate::{
    Advisories, Campaigns, Findings, Hostler, Hosts, Incidents, PackagesOfHosts, Policies, Pools, Requests,
};

/// What a deployment sets for new hosts and requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Deadlines and attempts of new provisionings.
    pub provisioning_policy: ProvisioningPolicy,
    /// How many hosts a request may ask for without a second person's word; any number, where absent.
    pub approval_above: Option<u32>,
    /// Deadlines and attempts of newly enrolled hosts.
    pub host_policy: HostPolicy,
}

/// All that operators may ask for.
#[must_use]
pub fn operations(settings: Settings) -> Operations {
    let Settings { provisioning_policy, host_policy, .. } = settings;
    Operations::default()
        .on::<Hosts, EnrolHost>(move |command| HostInput::Enrol { command, policy: host_policy })
        .on::<Hosts, LabelHost>(|command| HostInput::Label { command })
        .on::<Hosts, RequalifyHost>(|_| HostInput::Requalify)
        .on::<Hosts, CheckConfiguration>(|_| HostInput::Check)
        .asking::<Hosts, RestoreConfiguration>(|command, _| restore(command.reason))
        .asking::<Hosts, ReleaseHost>(move |command, _| give_back(false, command.reason, provisioning_policy))
        .asking::<Hosts, RetireHost>(move |command, _| give_back(true, command.reason, provisioning_policy))
        .asking::<Requests, RequestHosts>(move |command, _| request(command, &settings, None))
        .on::<Requests, ApproveRequest>(|approve| CapacityInput::Approve { reason: approve.reason })
        .on::<Requests, RejectRequest>(|reject| CapacityInput::Reject { reason: reject.reason })
        .on::<Policies, ApplyPolicies>(|apply| apply)
        .on::<Incidents, ApproveRemediation>(|approve| HealthInput::Approve { reason: approve.reason })
        .on::<Incidents, RejectRemediation>(|reject| HealthInput::Reject { reason: reject.reason })
        .on::<Incidents, CloseIncident>(|close| HealthInput::Close { reason: close.reason })
        .on::<Pools, ApproveScaling>(|ApproveScaling { pool, number, reason }| PoolInput::Approve {
            pool,
            number,
            reason,
        })
        .on::<Pools, RejectScaling>(|RejectScaling { pool, number, reason }| PoolInput::Reject {
            pool,
            number,
            reason,
        })
        .on::<Campaigns, CreateCampaign>(CampaignInput::Create)
        .on::<Campaigns, ApproveCampaign>(|ApproveCampaign { campaign, reason }| CampaignInput::Approve {
            campaign,
            reason,
        })
        .on::<Campaigns, RejectCampaign>(|RejectCampaign { campaign, reason }| CampaignInput::Reject {
            campaign,
            reason,
        })
        .on::<Campaigns, PauseCampaign>(|PauseCampaign { campaign, reason }| CampaignInput::Pause {
            campaign,
            reason,
        })
        .on::<Campaigns, ResumeCampaign>(|ResumeCampaign { campaign, reason }| CampaignInput::Resume {
            campaign,
            reason,
        })
        .on::<Advisories, RefreshAdvisory>(|refresh| AdvisoryInput::Refresh {
            exploited_since: refresh.exploited_since,
            epss: refresh.epss,
        })
        .on::<PackagesOfHosts, RescanHost>(|RescanHost { host }| PackagesInput::Rescan { host })
        .on::<Findings, ExceptFinding>(|except| FindingInput::Except(Box::new(except)))
        .timers::<Requests>(|name| CapacityInput::Timer { name: name.to_owned() })
        .sagas::<Hostler>()
}

/// A request for hosts, which take requests as the pool's policy says.
///
/// # Errors
/// [`Failure`] where the image or the request's id cannot be used.
pub fn request(
    command: RequestHosts,
    settings: &Settings,
    traffic: Option<TrafficPolicy>,
) -> Result<Asked<CapacityInput>, Failure> {
    check_path("image", command.image.as_str()).map_err(Failure::invalid)?;
    let provisionings = provisioning_ids(&command)?;
    let ids: Vec<&str> = provisionings.iter().map(ProvisioningId::as_str).collect();
    let ids = serde_json::Value::from(ids);
    let (policy, approval_above) = (Box::new(settings.provisioning_policy), settings.approval_above);
    let input = CapacityInput::Request { command, provisionings, policy, traffic, approval_above };
    Ok(Asked::new(input).once().telling("provisionings", ids))
}

/// Hosts are given back by the policy by which provisionings are undone.
fn give_back(retire: bool, reason: String, policy: ProvisioningPolicy) -> Result<Asked<HostInput>, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::invalid("say why the host is given back: the reason is empty"));
    }
    Ok(Asked::new(HostInput::GiveBack { retire, reason, policy: Box::new(policy) }))
}

/// A role is applied again for a reason that is recorded.
fn restore(reason: String) -> Result<Asked<HostInput>, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::invalid("say why the role is applied again: the reason is empty"));
    }
    Ok(Asked::new(HostInput::Restore { reason }))
}

/// `<request>.<n>`, from 1: the same for each repeat of the request.
fn provisioning_ids(command: &RequestHosts) -> Result<Vec<ProvisioningId>, Failure> {
    // The decider refuses a count over the limit; this only keeps it from being counted out first.
    let count = command.count.min(HOSTS_PER_REQUEST_MAX + 1);
    (1..=count)
        .map(|n| ProvisioningId::new(format!("{}.{n}", command.request)).map_err(Failure::invalid))
        .collect()
}
