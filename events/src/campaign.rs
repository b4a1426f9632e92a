//! Campaigns: one advisory, patched in waves on all hosts that have it. Events on the streams `campaign#<campaign>`, and on
//! those of the campaign's racks, `lane#<campaign>.<rack>`.

use hostler_core::contracts;
use hostler_core::saga::SagaRef;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::AdvisoryId;
use crate::ids::{CampaignId, FaultDomain, HostId};

use crate::site::Autonomy;

contracts! {
    /// What happens to a campaign.
    pub enum CampaignEvent as Event {
        "campaign.requested" v 1 => Requested(CampaignRequested),
        "campaign.prioritised" v 1 => Prioritised(CampaignPrioritised),
        "campaign.planned" v 1 => Planned(CampaignPlanned),
        "campaign.approved" v 1 => Approved(CampaignApproved),
        "campaign.rejected" v 1 => Rejected(CampaignRejected),
        "campaign.paused" v 1 => Paused(CampaignPaused),
        "campaign.resumed" v 1 => Resumed(CampaignResumed),
        "campaign.held" v 1 => Held(CampaignHeld),
        "campaign.wave-started" v 1 => WaveStarted(WaveStarted),
        "campaign.rack-reported" v 1 => RackReported(RackReported),
        "campaign.wave-completed" v 1 => WaveCompleted(WaveCompleted),
        "campaign.wave-halted" v 1 => WaveHalted(WaveHalted),
        "campaign.deadline-breached" v 1 => DeadlineBreached(CampaignDeadlineBreached),
        "campaign.completed" v 1 => Completed(CampaignCompleted),
    }
}

contracts! {
    /// What happens in one rack of a campaign, where one host is patched at a time.
    pub enum CampaignRackEvent as Event {
        "lane.wave-begun" v 1 => WaveBegun(RackWaveBegun),
        "lane.held" v 1 => Held(RackHeld),
        "lane.host-started" v 1 => HostStarted(RackHostStarted),
        "lane.host-ended" v 1 => HostEnded(RackHostEnded),
        "lane.wave-ended" v 1 => WaveEnded(RackWaveEnded),
    }
}

contracts! {
    /// What is asked of `patch-fleet`.
    pub enum PatchFleetCommand as Command {
        "look-at-campaign" v 1 @ "patch-fleet" => LookAtCampaign(LookAtCampaign),
        "run-lane" v 1 @ "patch-fleet" => RunRack(RunRack),
        "report-lane" v 1 @ "patch-fleet" => ReportRack(ReportRack),
    }
}

/// A campaign was asked for. It is planned once the hosts are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignRequested {
    /// The campaign.
    pub campaign: CampaignId,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The deadline, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// Whether a person has asked for it by name, which is as good as an approval.
    pub by_person: bool,
    /// Why.
    pub reason: String,
    /// When.
    pub requested_at: Timestamp,
}

/// New facts about the advisory have changed how urgent the campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignPrioritised {
    /// The campaign.
    pub campaign: CampaignId,
    /// The deadline, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether it is an emergency, from the next wave on.
    pub emergency: bool,
    /// Why.
    pub reason: String,
}

/// How many hosts of a rack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackShare {
    /// The rack.
    pub rack: FaultDomain,
    /// So many hosts.
    pub hosts: u32,
}

/// How many hosts have the vulnerability, and how they are to be patched. How large each wave is, is decided when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignPlanned {
    /// The campaign.
    pub campaign: CampaignId,
    /// When.
    pub planned_at: Timestamp,
    /// The deadline, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// How many hosts are to be patched.
    pub hosts: u32,
    /// In how many racks they are.
    pub racks: u32,
    /// How many hosts have the vulnerability and an exception. They are left alone.
    pub excepted: u32,
    /// How many hosts have it, and no fixed version is known.
    pub without_fix: u32,
    /// How many hosts have it in pools that may only be observed.
    pub withheld: u32,
    /// The sizes of its waves, in a hundred of what is left: the first one is the canary.
    pub waves: Vec<u32>,
    /// Seconds between two waves.
    pub soak_seconds: u32,
    /// Whose word it takes.
    pub autonomy: Autonomy,
    /// The version of the policy that it follows.
    pub policy_version: u64,
}

/// A person has approved a campaign. Who it was is in the event's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignApproved {
    /// The campaign.
    pub campaign: CampaignId,
    /// Why.
    pub reason: String,
}

/// A person has ended a campaign: no host is begun any more. What runs is finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignRejected {
    /// The campaign.
    pub campaign: CampaignId,
    /// Why.
    pub reason: String,
    /// When.
    pub rejected_at: Timestamp,
}

/// A person has paused a campaign: no host is begun until it is resumed. What runs is finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignPaused {
    /// The campaign.
    pub campaign: CampaignId,
    /// Why.
    pub reason: String,
}

/// A person has resumed a campaign that was paused or halted. Errors count from none again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignResumed {
    /// The campaign.
    pub campaign: CampaignId,
    /// Why.
    pub reason: String,
}

/// The next wave does not start yet. It is recorded once for each reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignHeld {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rule that holds it back, such as `window`.
    pub rule: String,
    /// What would lift it.
    pub lifts: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is looked at again.
    pub until: Timestamp,
}

/// A wave has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveStarted {
    /// The campaign.
    pub campaign: CampaignId,
    /// The number of the wave, from 1. The first one is the canary.
    pub wave: u32,
    /// Its size, in a hundred of what was left.
    pub percent: u32,
    /// How many hosts had the vulnerability then, without those that had failed before.
    pub left: u32,
    /// How many hosts it has.
    pub hosts: u32,
    /// How many of them are in which rack.
    pub racks: Vec<RackShare>,
    /// How many of them may fail. With one more, it is halted.
    pub errors_max: u32,
    /// Seconds after it until the next one.
    pub soak_seconds: u32,
    /// How many hosts have an exception.
    pub excepted: u32,
    /// The version of the policy that it follows.
    pub policy_version: u64,
    /// When.
    pub started_at: Timestamp,
}

/// How far a rack is, counted since the campaign began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackReported {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The wave.
    pub wave: u32,
    /// Whether the rack has nothing left to do in it.
    pub finished: bool,
    /// How much had happened in the rack by then. An older report says nothing new.
    pub sequence: u64,
    /// How many hosts were patched.
    pub patched: u32,
    /// How many were left alone, because there was nothing to do or they were not in service, or are patched in part.
    pub skipped: u32,
    /// How many failed.
    pub failed: u32,
}

/// A wave has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveCompleted {
    /// The campaign.
    pub campaign: CampaignId,
    /// The wave.
    pub wave: u32,
    /// How many of its hosts were patched.
    pub patched: u32,
    /// How many failed.
    pub failed: u32,
    /// When.
    pub completed_at: Timestamp,
    /// When the next one may start.
    pub soak_until: Timestamp,
}

/// More hosts of a wave have failed than may. No host is begun until a person resumes the campaign; what runs is finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveHalted {
    /// The campaign.
    pub campaign: CampaignId,
    /// The wave.
    pub wave: u32,
    /// The rule.
    pub rule: String,
    /// What it allows.
    pub limit: u32,
    /// What there is.
    pub value: u32,
    /// What would lift it.
    pub lifts: String,
    /// Since when.
    pub since: Timestamp,
}

/// A campaign goes on past its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignDeadlineBreached {
    /// The campaign.
    pub campaign: CampaignId,
    /// The deadline.
    pub deadline: Timestamp,
    /// How many of the planned hosts were neither patched nor left alone.
    pub left: u32,
}

/// No host is left that the campaign could patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CampaignCompleted {
    /// The campaign.
    pub campaign: CampaignId,
    /// How many hosts were patched.
    pub patched: u32,
    /// How many were left alone, because there was nothing to do or they were not in service.
    pub skipped: u32,
    /// How many failed.
    pub failed: u32,
    /// How many have an exception.
    pub excepted: u32,
    /// Whether it ended by its deadline, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_time: Option<bool>,
    /// When.
    pub completed_at: Timestamp,
    /// Seconds since it was asked for.
    pub seconds: u64,
}

/// A wave has begun in a rack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackWaveBegun {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The wave.
    pub wave: u32,
    /// How many hosts of the rack.
    pub hosts: u32,
}

/// The next host of a rack is not begun yet. It is recorded once for each change of the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackHeld {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The rule that holds it back, such as `budget-pool` or `window`.
    pub rule: String,
    /// What it allows.
    pub limit: u32,
    /// What there is.
    pub value: u32,
    /// What would lift it.
    pub lifts: String,
    /// Since when.
    pub since: Timestamp,
}

/// A host is being patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackHostStarted {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The wave.
    pub wave: u32,
    /// The host.
    pub host: HostId,
    /// The saga that patches it.
    pub saga: SagaRef,
    /// When.
    pub started_at: Timestamp,
}

/// What became of a host in a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PatchEnd {
    /// It has what it was to have, and a scan has seen that. Where nobody could look, the next scan says so.
    Patched,
    /// Some packages could not be installed, and a scan still finds the vulnerability. The host is healthy with the others.
    /// That halts nothing, and the campaign does not try it again.
    Partial,
    /// There was nothing to do, or it was not in service. A later wave looks at it again.
    Skipped,
    /// It has what it had before, or a person has to see to it. The campaign does not try it again.
    Failed,
}

/// A host's part in a wave is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackHostEnded {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The wave.
    pub wave: u32,
    /// The host.
    pub host: HostId,
    /// How.
    pub end: PatchEnd,
    /// Why, for people; empty where it was patched.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub ended_at: Timestamp,
}

/// A rack has nothing left to do in a wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RackWaveEnded {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The wave.
    pub wave: u32,
}

/// Look at a campaign: a person has said something, or a wait is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LookAtCampaign {
    /// The campaign.
    pub campaign: CampaignId,
}

/// Have so many hosts of a rack patched in a wave, one after the other. A repeat has the rack say again how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRack {
    /// The campaign.
    pub campaign: CampaignId,
    /// The rack.
    pub rack: FaultDomain,
    /// The wave.
    pub wave: u32,
    /// How many hosts.
    pub hosts: u32,
}

/// Tell a campaign how far a rack is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportRack {
    /// How far it is.
    #[serde(flatten)]
    pub report: RackReported,
}

/// Patch all hosts that are affected by an advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateCampaign {
    /// The campaign's name, of the caller's choice.
    pub campaign: CampaignId,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether it is an emergency.
    #[serde(default)]
    pub emergency: bool,
    /// Why.
    pub reason: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// The campaign.
            pub campaign: CampaignId,
            /// Why.
            pub reason: String,
        }
    )+};
}

words! {
    /// Have a campaign begin that waits for approval.
    ApproveCampaign,
    /// End a campaign: no host is begun any more, and what runs is finished.
    RejectCampaign,
    /// Have a campaign begin no host until it is resumed. What runs is finished.
    PauseCampaign,
    /// Have a campaign go on that was paused or halted.
    ResumeCampaign,
}
