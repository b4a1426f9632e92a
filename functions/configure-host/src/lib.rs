//! Applies a role's configuration to a host, and records how it went.

use hostler_core::mutants;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};
use hostler_domain::{HostDecider, HostInput, HostState, Move, StepFailure};
use hostler_drivers::{Applied, Configuration};
use hostler_events::ConfigureCommand;
use hostler_events::commands::ApplyRole;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Step, StepError, StepWorker, Target, Wanted};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::state::shell::Cause;

/// Applies roles.
pub struct ConfigureHost {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// What applies roles.
    pub configuration: Arc<dyn Configuration>,
}

#[async_trait]
impl Handler for ConfigureHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let ConfigureCommand::ApplyRole(command) = message.command()?;
        self.worker.run(self, &Cause::of(message), &command).await.map(drop)
    }
}

impl Step<ApplyRole> for ConfigureHost {
    type Entity = HostDecider;
    type Output = Applied;

    fn target(&self, ApplyRole { host, .. }: &ApplyRole) -> Target {
        Target::of(host.as_str()).leased(format!("configuration/{host}")).calling("configuration")
    }

    /// An order that came late must not change a host that is booted again, wiped or in service.
    fn is_wanted(&self, command: &ApplyRole, host: &HostState) -> Wanted<HostInput> {
        let configures = host.phase.allows(Move::Configure);
        let is_ours = configures && !host.undone && host.is_held_by(&command.saga);
        Wanted::when(is_ours || mutants::on("configure-host.configures-late"))
    }

    async fn perform(&self, command: &ApplyRole, host: &HostState, _: Fence) -> Result<Applied, StepError> {
        let request = hostler_drivers::ApplyRole {
            host: command.host.to_string(),
            role: command.role.to_string(),
            revision: None,
            labels: host.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default(),
        };
        Ok(self.configuration.apply_role(&request).await?)
    }

    fn succeeded(&self, command: &ApplyRole, applied: Applied) -> Vec<HostInput> {
        let ApplyRole { saga, step, role, .. } = command.clone();
        let (revision, changed) = (applied.revision.to_string(), applied.changed);
        vec![HostInput::RecordConfiguration { saga, step, role, revision, changed }]
    }

    fn failed(&self, command: &ApplyRole, error: &StepError) -> Option<HostInput> {
        let ApplyRole { saga, step, .. } = command.clone();
        let StepError { category, reason, uncertain, .. } = error.clone();
        Some(HostInput::FailStep { saga, step, failure: StepFailure { category, reason, uncertain } })
    }

    fn deferred(&self, command: &ApplyRole, open: &BreakerOpen) -> Option<HostInput> {
        let ApplyRole { saga, step, .. } = command.clone();
        Some(HostInput::DeferStep { saga, step, until: open.until, reason: open.to_string() })
    }
}
