//! Restarts a service on a host by the host's own agent, and records that it runs.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::host_steps;
use hostler_core::{Failure, Incoming};
use hostler_domain::{HostDecider, HostInput, HostState, agent_url};
use hostler_drivers::Services;
use hostler_events::ServiceCommand;
use hostler_events::recovery::RestartService;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, StepWorker, Target, Wanted};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::state::shell::Cause;

/// Restarts services.
pub struct RestartServices {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// What restarts services.
    pub services: Arc<dyn Services>,
}

#[async_trait]
impl Handler for RestartServices {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let ServiceCommand::RestartService(command) = message.command()?;
        self.worker.run(self, &Cause::of(message), &command).await.map(drop)
    }
}

/// The host's decider lets nobody have a service restarted but the saga that has cordoned the host.
impl Step<RestartService> for RestartServices {
    type Entity = HostDecider;
    type Output = ();

    /// All agents have one breaker. One for each host would keep a saga waiting for an agent that is as dead as its host, where it
    /// should go on to cut the power.
    fn target(&self, RestartService { host, .. }: &RestartService) -> Target {
        Target::of(host.as_str()).leased(format!("services/{host}")).calling("agents")
    }

    fn begin(&self, command: &RestartService, _: &HostState) -> Option<Begin<HostInput>> {
        let RestartService { saga, step, .. } = command.clone();
        Some(Begin::once(HostInput::StartRestart { saga, step }))
    }

    fn is_wanted(&self, command: &RestartService, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.awaits_restart_for(&command.saga))
    }

    /// A saga restarts one service, whatever the number of its attempts: an attempt whose answer was lost is a repeat.
    async fn perform(&self, command: &RestartService, host: &HostState, _: Fence) -> Result<(), StepError> {
        let labels = host.profile.as_ref().map(|profile| &profile.labels);
        let request = hostler_drivers::RestartService {
            host: command.host.to_string(),
            service: command.service.to_string(),
            order: command.saga.to_string(),
            agent: labels.and_then(agent_url).map(str::to_owned),
        };
        Ok(self.services.restart(&request).await?)
    }

    fn succeeded(&self, command: &RestartService, (): ()) -> Vec<HostInput> {
        let RestartService { saga, step, service, .. } = command.clone();
        vec![HostInput::RecordRestarted { saga, step, service }]
    }

    fn failed(&self, command: &RestartService, error: &StepError) -> Option<HostInput> {
        Some(host_steps::failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &RestartService, open: &BreakerOpen) -> Option<HostInput> {
        Some(host_steps::deferred(&command.saga, &command.step, open))
    }
}
