//! Applies a role's configuration to a host, and records how it went; or has a runner apply it, which reports how it went to
//! accept-commands.

use hostler_core::mutants;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Decider, Failure, Incoming, StreamId};
use hostler_domain::{HostDecider, HostInput, HostState, Move, StepFailure};
use hostler_drivers::{Applied, Applying, Configuration};
use hostler_events::ConfigureCommand;
use hostler_events::commands::ApplyRole;
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
    /// What the tokens are made with by which a runner's reports are believed.
    pub callback_key: CallbackKey,
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
    type Output = Applying;

    fn target(&self, ApplyRole { host, .. }: &ApplyRole) -> Target {
        Target::of(host.as_str()).leased(format!("configuration/{host}")).calling("configuration")
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
        let ApplyRole { saga, step, role, revision, .. } = command;
        // The id of a host that is on record makes a stream.
        let stream = StreamId::new(HostDecider::CATEGORY, command.host.as_str());
        let stream = stream.map_err(|error| StepError::refused(error.to_string()))?;
        let request = hostler_drivers::ApplyRole {
            saga: saga.to_string(),
            step: step.to_string(),
            token: self.callback_key.token(&stream, step),
            host: command.host.to_string(),
            role: role.to_string(),
            revision: revision.clone(),
            labels: host.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default(),
        };
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
        let ApplyRole { saga, step, .. } = command.clone();
        let StepError { category, reason, uncertain, .. } = error.clone();
        Some(HostInput::FailStep { saga, step, failure: StepFailure { category, reason, uncertain } })
    }

    fn deferred(&self, command: &ApplyRole, open: &BreakerOpen) -> Option<HostInput> {
        let ApplyRole { saga, step, .. } = command.clone();
        Some(HostInput::DeferStep { saga, step, until: open.until, reason: open.to_string() })
    }
}
