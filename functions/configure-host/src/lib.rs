//! Applies a role's configuration to a host, checks hosts for drift from it, and records how it went; or has a runner do so, which
//! reports how it went to accept-commands; or the hosts' agents, which AWS tells of.

mod drift;
mod ended;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, host_steps};
use hostler_core::{Decider, Failure, Incoming, StreamId, mutants};
use hostler_domain::{HostDecider, HostInput, HostState, Move};
use hostler_drivers::{Applied, Applying, Configuration, RunCommandConfiguration};
use hostler_events::commands::ApplyRole;
use hostler_events::{ConfigureCommand, HostId, Role, StepId};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, StepWorker, Target, Wanted};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::state::shell::Cause;

/// Applies roles.
pub struct ConfigureHost {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// What applies roles.
    pub configuration: Arc<dyn Configuration>,
    /// What reads the commands that have ended, where Run Command applies roles.
    pub run_command: Option<RunCommandConfiguration>,
    /// What the tokens are made with by which a runner's reports are believed.
    pub callback_key: CallbackKey,
    /// The site's policies.
    pub policies: FollowedPolicies,
}

#[async_trait]
impl Handler for ConfigureHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (worker, cause) = (&self.worker, &Cause::of(message));
        match &message.command()? {
            ConfigureCommand::ApplyRole(command) => worker.run(self, cause, command).await.map(drop),
            ConfigureCommand::CheckRole(command) => worker.run(self, cause, command).await.map(drop),
            ConfigureCommand::RestoreRole(command) => worker.run(self, cause, command).await.map(drop),
            ConfigureCommand::ReadRoleRun(command) => self.read(cause, command).await,
        }
    }
}

/// A host and what configures it: by one order at a time.
fn configuration_of(host: &HostId) -> Target {
    Target::of(host.as_str()).leased(format!("configuration/{host}")).calling("configuration")
}

impl ConfigureHost {
    /// An order about a role on a host, with the token by which the report of its end is believed.
    fn request(
        &self,
        saga: String,
        step: &StepId,
        host: &HostId,
        (role, revision): (&Role, Option<&String>),
        state: &HostState,
    ) -> Result<hostler_drivers::ApplyRole, StepError> {
        // The id of a host that is on record makes a stream.
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str());
        let stream = stream.map_err(|error| StepError::refused(error.to_string()))?;
        Ok(hostler_drivers::ApplyRole {
            saga,
            step: step.to_string(),
            token: self.callback_key.token(&stream, step),
            host: host.to_string(),
            role: role.to_string(),
            revision: revision.cloned(),
            labels: state.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default(),
        })
    }
}

impl Step<ApplyRole> for ConfigureHost {
    type Entity = HostDecider;
    type Output = Applying;

    fn target(&self, ApplyRole { host, .. }: &ApplyRole) -> Target {
        configuration_of(host)
    }

    /// A runner may report before it is known that it has taken the job.
    fn begin(&self, command: &ApplyRole, _: &HostState) -> Option<Begin<HostInput>> {
        let ApplyRole { saga, step, role, revision, .. } = command.clone();
        let start = HostInput::StartConfiguration { saga, step, role, revision };
        self.configuration.calls_back().then(|| Begin::once(start))
    }

    /// An order that came late must not change a host that is booted again, wiped or in service. One that a runner has carried out
    /// is no longer wanted.
    fn is_wanted(&self, command: &ApplyRole, host: &HostState) -> Wanted<HostInput> {
        let configures = host.phase.allows(Move::Configure);
        let is_ours = configures && !host.undone && host.is_held_by(&command.saga);
        let is_open = !self.configuration.calls_back() || host.is_configured_by(&command.step);
        Wanted::when((is_ours && is_open) || mutants::on("configure-host.configures-late"))
    }

    async fn perform(&self, command: &ApplyRole, host: &HostState, _: Fence) -> Result<Applying, StepError> {
        let ApplyRole { saga, step, host: id, role, revision } = command;
        let request = self.request(saga.to_string(), step, id, (role, revision.as_ref()), host)?;
        Ok(self.configuration.apply_role(&request).await?)
    }

    /// What a runner has begun is recorded when it reports its end.
    fn succeeded(&self, command: &ApplyRole, applying: Applying) -> Vec<HostInput> {
        let ApplyRole { saga, step, role, .. } = command.clone();
        match applying {
            Applying::Done(Applied { revision, changed, .. }) => {
                vec![HostInput::RecordConfiguration { saga, step, role, revision, changed }]
            }
            Applying::Begun => Vec::new(),
        }
    }

    fn failed(&self, command: &ApplyRole, error: &StepError) -> Option<HostInput> {
        Some(host_steps::failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &ApplyRole, open: &BreakerOpen) -> Option<HostInput> {
        Some(host_steps::deferred(&command.saga, &command.step, open))
    }
}
