//! Configuration that has drifted: what a role would change on a host in service, and how it is put right.
//!
//! Drift of configuration is what a run of the role in check mode would change: files, packages, services. The events are those
//! of the stream `host#<id>`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::TaskRun;
use crate::ids::{HostId, Role, StepId};
use crate::site::{Autonomy, Problems};

/// How many changes a report of a check may name.
pub const CHANGES_MAX: usize = 20;

/// The shortest time between two checks of a host, and the longest.
const CHECK_SECONDS_MIN: u32 = 60;
const CHECK_SECONDS_MAX: u32 = 2_592_000;

/// How often hosts in service are checked for drift of their configuration, and what is done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ConfigurationPolicy {
    /// Seconds from one check of a host to the next. Without it hosts are checked when an operator asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 2_592_000))]
    pub check_seconds: Option<u32>,
    /// Whose word it takes to put a host right that has drifted. The pool's own autonomy is the most that it can be.
    pub autonomy: Autonomy,
}

impl ConfigurationPolicy {
    /// Whether it says nothing.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the ranges that the schema gives.
    pub(crate) fn check(self, problems: &mut Problems) {
        if let Some(seconds) = self.check_seconds {
            let path = ["configuration", "checkSeconds"];
            problems.range(&path, seconds, CHECK_SECONDS_MIN, CHECK_SECONDS_MAX);
        }
    }
}

/// When a host is checked next, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextCheck {
    /// When it is due.
    pub at: Timestamp,
    /// Seconds from one check to the next, as the site's policies say.
    pub every_seconds: u32,
}

/// The next check of the host's configuration has its time, or there is none by schedule any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckScheduled {
    /// The host.
    pub host: HostId,
    /// The next check. Absent where the site's policies want no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextCheck>,
}

/// Who has a host checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckAsked {
    /// A person.
    Operator,
    /// The schedule of the site's policies.
    Schedule,
}

/// The host is checked for drift. It is not changed by that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckStarted {
    /// The host.
    pub host: HostId,
    /// The check.
    pub step: StepId,
    /// The role that is on the host.
    pub role: Role,
    /// Its revision.
    pub revision: String,
    /// Who asked.
    pub asked_by: CheckAsked,
}

/// A check found that the role would change nothing: the host is as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationChecked {
    /// The host.
    pub host: HostId,
    /// The check.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
}

/// Something that a role would change on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftChange {
    /// The task that would change it.
    pub task: String,
    /// What would be changed, such as the path of a file; empty where the task does not say.
    #[serde(default)]
    pub path: String,
    /// What is there and what would be there, as a unified diff; empty where the task does not say, and cut where it is long.
    #[serde(default)]
    pub diff: String,
}

/// What is done about drift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DriftRepair {
    /// The role is applied again at once.
    Begun,
    /// A person's word is waited for: `hosts configure`.
    AwaitsApproval {
        /// The rule by which it does, such as `pools.web.autonomy is approve`.
        rule: String,
    },
    /// Nothing: it is only recorded.
    Suppressed {
        /// The rule by which nothing is done, such as `configuration.autonomy is observe`.
        rule: String,
    },
}

/// The host is not as its role had it configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationDrifted {
    /// The host.
    pub host: HostId,
    /// The check that found it.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
    /// What the role would change, in the order of its tasks.
    #[schemars(length(max = 20))]
    pub changes: Vec<DriftChange>,
    /// How many more changes there were.
    #[serde(default)]
    pub changes_left_off: u32,
    /// What is done about it.
    pub repair: DriftRepair,
}

/// The role is applied again to the host in service, in the revision that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStarted {
    /// The host.
    pub host: HostId,
    /// The restoration.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
    /// Why.
    pub reason: String,
}

/// The host is as its role has it configured again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationRestored {
    /// The host.
    pub host: HostId,
    /// The restoration.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
    /// Whether anything on the host had to change.
    pub changed: bool,
    /// The tasks that changed something, in their order.
    pub tasks: Vec<TaskRun>,
    /// How many more of them there were.
    #[serde(default)]
    pub tasks_left_off: u32,
}

/// What is run on a host in service about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftRunKind {
    /// A check, which changes nothing.
    Check,
    /// A restoration: the role is applied again.
    Restore,
}

/// A check or a restoration did not end well, or nothing was heard of it. Whether the host has drifted is not known by it; the
/// host stays in service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationRunFailed {
    /// The host.
    pub host: HostId,
    /// The check or restoration.
    pub step: StepId,
    /// Which of them it was.
    pub run: DriftRunKind,
    /// The role.
    pub role: Role,
    /// Its revision.
    pub revision: String,
    /// Why.
    pub reason: String,
    /// The tasks that changed something or failed, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskRun>,
}

/// Have a host in service checked: what would its role change?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckConfiguration {
    /// The host.
    pub host: HostId,
}

/// Have the role of a host in service applied again, in the revision that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreConfiguration {
    /// The host.
    pub host: HostId,
    /// Why.
    pub reason: String,
}

/// Run a role on a host in check mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckRole {
    /// The host.
    pub host: HostId,
    /// The check.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// The revision that is on the host.
    pub revision: String,
}

/// Apply a role to a host in service again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRole {
    /// The host.
    pub host: HostId,
    /// The restoration.
    pub step: StepId,
    /// The role.
    pub role: Role,
    /// The revision that is on the host.
    pub revision: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use crate::site::{Autonomy, SitePolicy};

    #[test]
    fn nobody_is_checked_or_repaired_unless_the_policies_say_so_and_not_too_often() {
        let policy = SitePolicy::default().configuration;
        assert_eq!((policy.check_seconds, policy.autonomy), (None, Autonomy::Observe));
        let wrong = serde_json::json!({ "configuration": { "checkSeconds": 3, "autonomy": "auto" } });
        let wrong: SitePolicy = serde_json::from_value(wrong).unwrap();
        let problems: Vec<String> = wrong.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(problems, ["configuration.checkSeconds: it is 3: give 60 to 2592000"]);
    }
}
