//! Checks of hosts in service for drift, and their restoration. Where a runner does the work its report tells the host how that
//! ended, and here only that it could not be asked.

use std::sync::Arc;

use hostler_domain::{HostDecider, HostInput, HostState, PolicyState};
use hostler_drivers::{Applying, Change, Checking};
use hostler_events::drift::{CheckRole, DriftChange, RestoreRole};
use hostler_events::host::{RunOutcome, RunReport};
use hostler_events::{HostId, StepId};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Step, StepError, Target, Wanted};

use crate::{ConfigureHost, configuration_of};

/// The end of what was done at once, and the policies that hold. None where a runner reports it.
type Ended = Option<(RunReport, Arc<PolicyState>)>;

impl Step<CheckRole> for ConfigureHost {
    type Entity = HostDecider;
    type Output = Ended;

    fn target(&self, CheckRole { host, .. }: &CheckRole) -> Target {
        configuration_of(host)
    }

    /// A host that was taken from the check meanwhile is left alone.
    fn is_wanted(&self, command: &CheckRole, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.is_checked_by(&command.step))
    }

    async fn perform(&self, command: &CheckRole, host: &HostState, _: Fence) -> Result<Ended, StepError> {
        let CheckRole { host: id, step, role, revision } = command;
        let request = self.request(own(id), step, id, (role, Some(revision)), host)?;
        match self.configuration.check_role(&request).await? {
            Checking::Begun => Ok(None),
            Checking::Done(changes) => self.ended(revision, !changes.is_empty(), changes).await,
        }
    }

    fn succeeded(&self, command: &CheckRole, ended: Ended) -> Vec<HostInput> {
        reported(&command.step, ended)
    }

    fn failed(&self, command: &CheckRole, error: &StepError) -> Option<HostInput> {
        Some(HostInput::FailRun { step: command.step.clone(), reason: error.reason.clone() })
    }

    /// Its deadline ends it, when what it needs is away for too long.
    fn deferred(&self, _: &CheckRole, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}

impl Step<RestoreRole> for ConfigureHost {
    type Entity = HostDecider;
    type Output = Ended;

    fn target(&self, RestoreRole { host, .. }: &RestoreRole) -> Target {
        configuration_of(host)
    }

    /// A host that was taken from the restoration meanwhile is left alone.
    fn is_wanted(&self, command: &RestoreRole, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.is_checked_by(&command.step))
    }

    async fn perform(&self, command: &RestoreRole, host: &HostState, _: Fence) -> Result<Ended, StepError> {
        let RestoreRole { host: id, step, role, revision } = command;
        let request = self.request(own(id), step, id, (role, Some(revision)), host)?;
        match self.configuration.apply_role(&request).await? {
            Applying::Begun => Ok(None),
            Applying::Done(applied) => self.ended(&applied.revision, applied.changed, Vec::new()).await,
        }
    }

    fn succeeded(&self, command: &RestoreRole, ended: Ended) -> Vec<HostInput> {
        reported(&command.step, ended)
    }

    fn failed(&self, command: &RestoreRole, error: &StepError) -> Option<HostInput> {
        Some(HostInput::FailRun { step: command.step.clone(), reason: error.reason.clone() })
    }

    /// Its deadline ends it, when what it needs is away for too long.
    fn deferred(&self, _: &RestoreRole, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}

impl ConfigureHost {
    /// What a runner would report of something that was done at once.
    async fn ended(&self, revision: &str, changed: bool, changes: Vec<Change>) -> Result<Ended, StepError> {
        let policies =
            self.policies.now().await.map_err(|failure| StepError::transient(failure.to_string()))?;
        let told = |Change { task, path, diff }| DriftChange { task, path, diff };
        let report = RunReport::Ended {
            revision: revision.to_owned(),
            outcome: RunOutcome::Succeeded,
            changed,
            message: String::new(),
            tasks: Vec::new(),
            tasks_left_off: 0,
            changes: changes.into_iter().map(told).collect(),
            changes_left_off: 0,
        };
        Ok(Some((report, policies)))
    }
}

/// No saga asks: the host's own work is named by the host.
fn own(host: &HostId) -> String {
    format!("host#{host}")
}

fn reported(step: &StepId, ended: Ended) -> Vec<HostInput> {
    let told = |(report, policies)| HostInput::ConfigurationReported { step: step.clone(), report, policies };
    ended.map(told).into_iter().collect()
}
