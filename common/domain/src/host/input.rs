//! What a host is told.

use std::sync::Arc;

use hostler_core::Category;
use hostler_core::saga::SagaRef;
use hostler_events::commands::{BootOutcome, EnrolHost, LabelHost};
use hostler_events::host::{PowerState, RunReport};
use hostler_events::{HostPolicy, Image, PoolId, ProvisioningPolicy, Role, Service, StepId};
use jiff::Timestamp;

use super::{Hardware, PatchInput, TrafficInput};
use crate::PolicyState;

/// What a verification found out.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    /// The power state that two reads agreed on.
    pub power_state: PowerState,
    /// The hardware.
    pub hardware: Hardware,
}

/// How a saga's step on a host failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// Transient failures are worth another try.
    pub category: Category,
    /// What happened, and what to do.
    pub reason: String,
    /// Whether something may have been done all the same.
    pub uncertain: bool,
}

/// What a host's stream is asked or told. An answer that is late or repeated changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum HostInput {
    /// Enrol the host, and verify it.
    Enrol {
        /// The command.
        command: EnrolHost,
        /// Deadlines of its own life. A repeated enrolment keeps the first.
        policy: HostPolicy,
    },
    /// Set or remove labels.
    Label {
        /// The change.
        command: LabelHost,
    },
    /// Send it from quarantine through verification and cleaning.
    Requalify,
    /// Give it back from service.
    GiveBack {
        /// Whether it is retired instead of going back to its pool; that is possible where it is not in use, too.
        retire: bool,
        /// Why.
        reason: String,
        /// The policy that the saga keeps from start to end.
        policy: Box<ProvisioningPolicy>,
    },
    /// The verification succeeded.
    RecordFacts {
        /// The verification.
        step: StepId,
        /// What it found.
        facts: HostFacts,
    },
    /// The verification failed.
    FailVerification {
        /// The verification.
        step: StepId,
        /// The kind of failure. What another try does not change is tried once.
        category: Category,
        /// Why.
        reason: String,
    },
    /// The image that the host was booted from calls back. Its token was checked at the edge.
    BootReported {
        /// The step that booted it.
        step: StepId,
        /// How it ended.
        outcome: BootOutcome,
        /// Why it failed.
        reason: Option<String>,
    },
    /// The host is at rest after its cleaning.
    RecordCleaned {
        /// The cleaning.
        step: StepId,
    },
    /// The cleaning failed.
    FailCleaning {
        /// The cleaning.
        step: StepId,
        /// The kind of failure. What another try does not change is tried once.
        category: Category,
        /// Why.
        reason: String,
    },
    /// Hold it for a saga.
    Reserve {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The pool that it serves until it is given back, where that is not its own.
        lent_to: Option<PoolId>,
    },
    /// Give it back. The saga never gets it again.
    Release {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// It is about to be booted from its image.
    StartDeploy {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The image.
        image: Image,
    },
    /// Its power state was changed or seen.
    RecordPower {
        /// The step that did so.
        step: StepId,
        /// The states, in their order.
        power_states: Vec<PowerState>,
    },
    /// The image is out of the host that called back from it.
    RecordDeployed {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its configuration is applied.
    RecordConfiguration {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The role.
        role: Role,
        /// The configuration's revision.
        revision: String,
        /// Whether anything had to change.
        changed: bool,
    },
    /// A runner is about to be asked to apply its role.
    StartConfiguration {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The role.
        role: Role,
        /// The revision; the newest, where none is named.
        revision: Option<String>,
    },
    /// The runner calls back. Its token was checked at the edge.
    ConfigurationReported {
        /// The step that has the role applied.
        step: StepId,
        /// What it says.
        report: RunReport,
        /// By which the host is kept as it was configured.
        policies: Arc<PolicyState>,
    },
    /// Have it checked for drift of its configuration.
    Check,
    /// Have its role applied again, in the revision that it has.
    Restore {
        /// Why.
        reason: String,
    },
    /// A check or restoration was not taken by the runner.
    FailRun {
        /// The check or restoration.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// It is registered with monitoring, and its first sample was healthy.
    RecordMonitoring {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// A saga's step on it failed.
    FailStep {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// How.
        failure: StepFailure,
    },
    /// A saga's step on it waits, because a dependency is away.
    DeferStep {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// When it is looked at again.
        until: Timestamp,
        /// Which dependency is away.
        reason: String,
    },
    /// It is removed from monitoring.
    RecordDeregistered {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its deployment is about to be undone.
    StartUndeploy {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its deployment is undone; it is at rest, and dirty.
    RecordUndeployed {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Have nobody but this saga work on it, while it is in service.
    Cordon {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// The saga is done with it. The saga never cordons it again.
    Uncordon {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its power is about to be cut.
    StartPowerCycle {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// Its power was cut, and it boots from its disk next.
    RecordPowerCut {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The settled power state before that.
        found: PowerState,
        /// The hardware's health before that, where the BMC says so.
        health: Option<String>,
    },
    /// It has power again.
    RecordPowerCycled {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// A service of it is about to be restarted.
    StartRestart {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
    },
    /// A service of it was restarted, and runs.
    RecordRestarted {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The service.
        service: Service,
    },
    /// It is about to be installed again, from service.
    StartReimage {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// The image.
        image: Image,
    },
    /// Something about its part in traffic.
    Traffic {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// What.
        told: TrafficInput,
    },
    /// Something about its packages.
    Patch {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// What.
        told: PatchInput,
    },
    /// A timer is due: `<step id>` is the deadline of a verification, cleaning, check or restoration, `retry:<step id>` the end of
    /// the delay before one, `check:<time>` the next check by schedule.
    Timer {
        /// The timer's name.
        name: String,
    },
}
