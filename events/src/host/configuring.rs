//! What happens to a host while a runner applies its role: events, and what the runner reports.

use hostler_core::saga::SagaRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PackagesReport;
use crate::drift::DriftChange;
use crate::ids::{HostId, Role, StepId};

/// How many tasks a report may name.
pub const TASKS_MAX: usize = 50;

/// A runner is asked to apply the role. It reports how that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStarted {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// The revision that is to be applied; the newest, where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A runner has run the role on the host, well or not: what its tasks did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRun {
    /// The host.
    pub host: HostId,
    /// The saga.
    pub saga: SagaRef,
    /// The step.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The tasks that changed something or failed, in their order.
    pub tasks: Vec<TaskRun>,
    /// How many more of them there were.
    #[serde(default)]
    pub tasks_left_off: u32,
}

/// How a run of a role ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every task did.
    Succeeded,
    /// A task failed, or the role cannot be run.
    Failed,
    /// A task failed of which the role says that another try may help.
    FailedTransiently,
    /// The host did not answer.
    Unreachable,
    /// It was ended after the longest time that a run may take.
    TimedOut,
    /// The runner died while it ran.
    Lost,
}

/// A task of a run that changed something or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRun {
    /// Its name.
    pub task: String,
    /// What became of it.
    pub result: TaskResult,
    /// What it says of its failure; empty where it did not fail.
    #[serde(default)]
    pub message: String,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskResult {
    /// It changed something on the host.
    Changed,
    /// It failed.
    Failed,
    /// The host did not answer.
    Unreachable,
}

/// How a command of Run Command ended, as its event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunCommandEnd {
    /// The document did all its steps.
    Succeeded,
    /// A step failed, or the node could not be reached.
    Failed,
    /// It was not begun, or not ended, in time.
    TimedOut,
    /// Somebody has cancelled it.
    Cancelled,
}

/// Read what a command of Run Command did on a node, and tell the host whose role it has applied. It may be another's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadRoleRun {
    /// The command's id.
    pub command: String,
    /// The node's id.
    pub node: String,
    /// How it ended.
    pub end: RunCommandEnd,
}

/// The task that a run is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskBegun {
    /// Its name.
    pub name: String,
    /// How many tasks it has begun by then, this one included.
    pub number: u32,
}

/// What a runner says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum RunReport {
    /// It waits for its turn, or runs.
    Running {
        /// The task that it is at; absent where it has begun none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<TaskBegun>,
    },
    /// A change of packages has ended.
    PackagesChanged(PackagesReport),
    /// A run of a role has ended.
    Ended {
        /// The role's revision.
        revision: String,
        /// How.
        outcome: RunOutcome,
        /// Whether it changed anything on the host.
        changed: bool,
        /// Why it did not succeed; empty where it did.
        #[serde(default)]
        message: String,
        /// The tasks that changed something or failed, in their order.
        #[serde(default)]
        #[schemars(length(max = 50))]
        tasks: Vec<TaskRun>,
        /// How many more of them there were.
        #[serde(default)]
        tasks_left_off: u32,
        /// What the role would change, where it ran in check mode.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(length(max = 20))]
        changes: Vec<DriftChange>,
        /// How many more changes there were.
        #[serde(default, skip_serializing_if = "is_zero")]
        changes_left_off: u32,
    },
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
