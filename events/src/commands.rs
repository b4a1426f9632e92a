//! What people and functions ask for: operator commands, and the commands of the steps.

use hostler_core::saga::{SagaCommand, SagaRef, StepReply};
use hostler_core::{Addressed, ContractError, Data, Payload, contracts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::campaign::{ApproveCampaign, CreateCampaign, PauseCampaign, RejectCampaign, ResumeCampaign};
use crate::drift::{CheckConfiguration, CheckRole, RestoreConfiguration, RestoreRole};
use crate::findings::{ExceptFinding, RefreshAdvisory, RescanHost};
use crate::host::ReadRoleRun;
use crate::ids::{HostId, Image, PoolId, Role, Sku, StepId};
use crate::patching::{
    AssessCommand, BeginPatching, ChangePackages, InstallPackages, PatchCommand, RollBackPackages,
    ScanPackages,
};
use crate::pool::{ApproveScaling, RejectScaling};
use crate::recovery::{
    AbandonRecovery, ApproveRemediation, BeginRecovery, CheckHost, ClaimDisruption, CloseIncident,
    ConcludeRecovery, CordonHost, GiveBackHost, RejectRemediation, ReportMember, RestartService,
    ReturnDisruption, UncordonHost,
};
use crate::signal::{RecoverCommand, ReportSignal};
use crate::site::ApplyPolicies;
use crate::traffic::{JoinTraffic, LeaveTraffic, ReturnTraffic, TrafficCommand};

mod operators;

pub use operators::{
    ApproveRequest, BootOutcome, EnrolHost, HOSTS_PER_REQUEST_MAX, LabelHost, RejectRequest, ReleaseHost,
    ReportBoot, ReportConfiguration, RequalifyHost, RequestHosts, RetireHost,
};

contracts! {
    /// What operators and other systems may ask for, over HTTP or the queue `commands`.
    pub enum OperatorCommand as Command {
        "enrol-host" v 1 @ "commands" => EnrolHost(EnrolHost) of host,
        "label-host" v 1 @ "commands" => LabelHost(LabelHost) of host,
        "requalify-host" v 1 @ "commands" => RequalifyHost(RequalifyHost) of host,
        "release-host" v 1 @ "commands" => ReleaseHost(ReleaseHost) of host,
        "retire-host" v 1 @ "commands" => RetireHost(RetireHost) of host,
        "request-hosts" v 1 @ "commands" => RequestHosts(RequestHosts) of request,
        "approve-request" v 1 @ "commands" => ApproveRequest(ApproveRequest) of request,
        "reject-request" v 1 @ "commands" => RejectRequest(RejectRequest) of request,
        "report-boot" v 1 @ "commands" => ReportBoot(ReportBoot) of host,
        "apply-policies" v 1 @ "commands" => ApplyPolicies(ApplyPolicies) of policies,
        "approve-remediation" v 1 @ "commands" => ApproveRemediation(ApproveRemediation) of host,
        "reject-remediation" v 1 @ "commands" => RejectRemediation(RejectRemediation) of host,
        "close-incident" v 1 @ "commands" => CloseIncident(CloseIncident) of host,
        "approve-scaling" v 1 @ "commands" => ApproveScaling(ApproveScaling) of pool,
        "reject-scaling" v 1 @ "commands" => RejectScaling(RejectScaling) of pool,
        "create-campaign" v 1 @ "commands" => CreateCampaign(CreateCampaign) of campaign,
        "approve-campaign" v 1 @ "commands" => ApproveCampaign(ApproveCampaign) of campaign,
        "reject-campaign" v 1 @ "commands" => RejectCampaign(RejectCampaign) of campaign,
        "pause-campaign" v 1 @ "commands" => PauseCampaign(PauseCampaign) of campaign,
        "resume-campaign" v 1 @ "commands" => ResumeCampaign(ResumeCampaign) of campaign,
        "report-configuration" v 1 @ "commands" => ReportConfiguration(ReportConfiguration) of host,
        "refresh-advisory" v 1 @ "commands" => RefreshAdvisory(RefreshAdvisory) of advisory,
        "rescan-host" v 1 @ "commands" => RescanHost(RescanHost) of host,
        "except-finding" v 1 @ "commands" => ExceptFinding(ExceptFinding) of finding,
        "check-configuration" v 1 @ "commands" => CheckConfiguration(CheckConfiguration) of host,
        "restore-configuration" v 1 @ "commands" => RestoreConfiguration(RestoreConfiguration) of host,
    }
}

contracts! {
    /// What is asked of `deploy-host`: everything that is done to a host through its BMC.
    pub enum DeployCommand as Command {
        "verify-host" v 1 @ "deploy-host" => VerifyHost(VerifyHost),
        "clean-host" v 1 @ "deploy-host" => CleanHost(CleanHost),
        "finish-cleaning" v 1 @ "deploy-host" => FinishCleaning(FinishCleaning),
        "reserve-host" v 1 @ "deploy-host" => ReserveHost(ReserveHost),
        "deploy-image" v 1 @ "deploy-host" => DeployImage(DeployImage),
        "finish-deploy" v 1 @ "deploy-host" => FinishDeploy(FinishDeploy),
        "undeploy-host" v 1 @ "deploy-host" => UndeployHost(UndeployHost),
        "release-reservation" v 1 @ "deploy-host" => ReleaseReservation(ReleaseReservation),
        "power-cycle-host" v 1 @ "deploy-host" => PowerCycleHost(PowerCycleHost),
        "finish-power-cycle" v 1 @ "deploy-host" => FinishPowerCycle(FinishPowerCycle),
        "reimage-host" v 1 @ "deploy-host" => ReimageHost(ReimageHost),
    }
}

contracts! {
    /// What is asked of `configure-host`.
    pub enum ConfigureCommand as Command {
        "apply-role" v 1 @ "configure-host" => ApplyRole(ApplyRole),
        "check-role" v 1 @ "configure-host" => CheckRole(CheckRole),
        "restore-role" v 1 @ "configure-host" => RestoreRole(RestoreRole),
        "read-role-run" v 1 @ "configure-host" => ReadRoleRun(ReadRoleRun),
    }
}

contracts! {
    /// What is asked of `monitor-host`.
    pub enum MonitorCommand as Command {
        "register-monitoring" v 1 @ "monitor-host" => RegisterMonitoring(RegisterMonitoring),
        "deregister-monitoring" v 1 @ "monitor-host" => DeregisterMonitoring(DeregisterMonitoring),
        "check-host" v 1 @ "monitor-host" => CheckHost(CheckHost),
    }
}

contracts! {
    /// What is asked of `restart-service`: what is done to a host in service through its own agent.
    pub enum ServiceCommand as Command {
        "restart-service" v 1 @ "restart-service" => RestartService(RestartService),
    }
}

/// What the deciders of the data centre send: the commands of all step functions, and what sagas are told.
#[derive(Debug, Clone, PartialEq)]
pub enum StepCommand {
    /// To `deploy-host`.
    Deploy(DeployCommand),
    /// To `configure-host`.
    Configure(ConfigureCommand),
    /// To `monitor-host`.
    Monitor(MonitorCommand),
    /// To `shift-traffic`.
    Traffic(TrafficCommand),
    /// To `restart-service`.
    Service(ServiceCommand),
    /// To `recover-hosts`.
    Recover(RecoverCommand),
    /// To `patch-host`.
    Patch(PatchCommand),
    /// To `assess-hosts`.
    Assess(AssessCommand),
    /// To a saga.
    Saga(SagaCommand),
}

macro_rules! each {
    ($self:ident, $command:ident => $value:expr) => {
        match $self {
            Self::Deploy($command) => $value,
            Self::Configure($command) => $value,
            Self::Monitor($command) => $value,
            Self::Traffic($command) => $value,
            Self::Service($command) => $value,
            Self::Recover($command) => $value,
            Self::Patch($command) => $value,
            Self::Assess($command) => $value,
            Self::Saga($command) => $value,
        }
    };
}

impl Addressed for StepCommand {
    fn queue(&self) -> &'static str {
        each!(self, command => command.queue())
    }
}

impl Payload for StepCommand {
    fn type_name(&self) -> &'static str {
        each!(self, command => command.type_name())
    }

    fn schema_version(&self) -> u32 {
        each!(self, command => command.schema_version())
    }

    fn to_data(&self) -> Data {
        each!(self, command => command.to_data())
    }

    fn from_data(type_name: &str, schema_version: u32, data: &Data) -> Result<Self, ContractError> {
        if DeployCommand::NAMES.contains(&type_name) {
            DeployCommand::from_data(type_name, schema_version, data).map(Self::Deploy)
        } else if ConfigureCommand::NAMES.contains(&type_name) {
            ConfigureCommand::from_data(type_name, schema_version, data).map(Self::Configure)
        } else if MonitorCommand::NAMES.contains(&type_name) {
            MonitorCommand::from_data(type_name, schema_version, data).map(Self::Monitor)
        } else if TrafficCommand::NAMES.contains(&type_name) {
            TrafficCommand::from_data(type_name, schema_version, data).map(Self::Traffic)
        } else if ServiceCommand::NAMES.contains(&type_name) {
            ServiceCommand::from_data(type_name, schema_version, data).map(Self::Service)
        } else if RecoverCommand::NAMES.contains(&type_name) {
            RecoverCommand::from_data(type_name, schema_version, data).map(Self::Recover)
        } else if PatchCommand::NAMES.contains(&type_name) {
            PatchCommand::from_data(type_name, schema_version, data).map(Self::Patch)
        } else if AssessCommand::NAMES.contains(&type_name) {
            AssessCommand::from_data(type_name, schema_version, data).map(Self::Assess)
        } else {
            SagaCommand::from_data(type_name, schema_version, data).map(Self::Saga)
        }
    }
}

macro_rules! into_step_command {
    ($($set:ident as $variant:ident { $($command:ident),+ })+) => {$(
        impl From<$set> for StepCommand {
            fn from(command: $set) -> Self {
                Self::$variant(command)
            }
        }
        $(
            impl From<$command> for StepCommand {
                fn from(command: $command) -> Self {
                    Self::$variant($set::$command(command))
                }
            }
        )+
    )+};
}

into_step_command! {
    DeployCommand as Deploy {
        VerifyHost, CleanHost, FinishCleaning, ReserveHost, DeployImage, FinishDeploy, UndeployHost, ReleaseReservation,
        PowerCycleHost, FinishPowerCycle, ReimageHost
    }
    ConfigureCommand as Configure { ApplyRole, CheckRole, RestoreRole }
    MonitorCommand as Monitor { RegisterMonitoring, DeregisterMonitoring, CheckHost }
    TrafficCommand as Traffic { JoinTraffic, LeaveTraffic, ReturnTraffic }
    ServiceCommand as Service { RestartService }
    RecoverCommand as Recover {
        ClaimDisruption, ReturnDisruption, ReportMember, BeginRecovery, CordonHost, UncordonHost, GiveBackHost,
        ConcludeRecovery, AbandonRecovery, ReportSignal
    }
    PatchCommand as Patch { InstallPackages, ChangePackages, RollBackPackages }
    AssessCommand as Assess { BeginPatching, ScanPackages }
}

impl From<SagaCommand> for StepCommand {
    fn from(command: SagaCommand) -> Self {
        Self::Saga(command)
    }
}

impl From<StepReply> for StepCommand {
    fn from(reply: StepReply) -> Self {
        Self::Saga(reply.into())
    }
}

/// Reach a host's BMC and read its hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyHost {
    /// The host.
    pub host: HostId,
    /// The verification.
    pub step: StepId,
}

/// Boot a host into the cleaning image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanHost {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
}

/// Put a host to rest whose cleaning image is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishCleaning {
    /// The host.
    pub host: HostId,
    /// The cleaning.
    pub step: StepId,
}

/// Find a free host and hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReserveHost {
    /// The saga to hold it for.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The pool that needs it, and to take it from.
    pub pool: PoolId,
    /// The pools to take it from instead, the first one first. The host serves the pool that needs it until it is given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub take_from: Vec<PoolId>,
    /// The model, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
}

/// Boot a host from an image, and have it call back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeployImage {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The image.
    pub image: Image,
}

/// Take the image out of a host that has called back from it, and let it boot from its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishDeploy {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Apply a role's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRole {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The role.
    pub role: Role,
    /// The revision of the role; the newest, where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// Make a host known to monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterMonitoring {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The role.
    pub role: Role,
}

/// Have monitoring forget a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeregisterMonitoring {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Undo a deployment and clean the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndeployHost {
    /// The saga that holds the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Take the power from a host in service that the saga has cordoned, and give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerCycleHost {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Power on a host whose power was cut by this step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FinishPowerCycle {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
}

/// Install a host in service again that the saga has cordoned. From here on the saga holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReimageHost {
    /// The saga that has cordoned the host.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The host.
    pub host: HostId,
    /// The image.
    pub image: Image,
}

/// Give back whatever host is held for a saga, and hold none for it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseReservation {
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
}
