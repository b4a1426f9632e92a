//! Applies a role's configuration to a host, and records how it went.

mod state;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::failure::error_chain;
use hostler_core::{Category, Decider, Failure, Incoming, StreamId};
use hostler_domain::{HostDecider, HostInput, HostPhase, HostState};
use hostler_drivers::{Configuration, DriverError};
use hostler_events::StepCommand;
use hostler_events::commands::ApplyRole;
use hostler_runtime::{
    Breakers, Called, Cause, ExecuteError, Fold, Handler, Once, Open, Settled, Shell, Turn,
};

pub use state::ControlState;

/// Applies roles.
pub struct ConfigureHost {
    /// Where hosts are loaded and appended.
    pub shell: Shell,
    /// What has each step change a host at most once, and one at a time.
    pub once: Once,
    /// What leaves a sick configuration service alone.
    pub breakers: Breakers,
    /// What applies roles.
    pub configuration: Arc<dyn Configuration>,
}

/// What the configuration service is called among the breakers.
const DEPENDENCY: &str = "configuration";

#[async_trait]
impl Handler for ConfigureHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let StepCommand::ApplyRole(command) = message.command()? else {
            return Err(message.misplaced("apply-role"));
        };
        let cause = Cause::of(message);
        let stream = StreamId::new(HostDecider::CATEGORY, command.host.as_str()).map_err(Failure::invalid)?;
        let key = format!("configuration/{}", command.host);
        let turn = Turn { key: &key, stream: &stream, settled_by: &cause.id };
        let work = async |host| self.apply(&stream, &cause, host, command).await;
        self.once.in_turn(&self.shell, &turn, work).await
    }
}

impl ConfigureHost {
    async fn apply(
        &self,
        stream: &StreamId,
        cause: &Cause,
        host: Fold<HostDecider>,
        command: ApplyRole,
    ) -> Result<Settled, Failure> {
        if !is_wanted(&command, &host.state) {
            tracing::info!(%stream, step = command.step.as_str(), "late command: nothing to do");
            return Ok(Settled::No);
        }
        let request = hostler_drivers::ApplyRole {
            host: command.host.to_string(),
            role: command.role.to_string(),
            revision: None,
            labels: host.state.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default(),
        };
        let call = async || self.configuration.apply_role(&request).await;
        let result = match self.breakers.call(DEPENDENCY, DriverError::is_outage, call).await {
            Ok(applied) => Ok(applied),
            Err(Called::Failed(error)) => Err(error),
            Err(Called::Open(open)) => return self.wait(stream, cause, command, open).await,
        };
        let outcome = outcome(command, result);
        match self.shell.execute_from(stream, host, cause, &outcome).await {
            Ok(done) => Ok(done.outcome.into()),
            Err(ExecuteError::Refused(refusal)) => {
                tracing::info!(%stream, %refusal, "the host has moved on meanwhile");
                Ok(Settled::No)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl ConfigureHost {
    /// Has the step wait, and the saga give it more time.
    async fn wait(
        &self,
        stream: &StreamId,
        cause: &Cause,
        command: ApplyRole,
        open: Open,
    ) -> Result<Settled, Failure> {
        let ApplyRole { provisioning, step, .. } = command;
        let (until, reason) = (open.until, open.to_string());
        let part = cause.part(&format!("waits-{}", until.as_second())).map_err(Failure::invalid)?;
        let input = HostInput::DeferStep { provisioning, step, until, reason };
        match self.shell.execute::<HostDecider>(stream, &part, &input).await {
            Ok(_) | Err(ExecuteError::Refused(_)) => Err(open.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the role is still to be applied: an order that came late must not change a host that is booted anew, wiped
/// or in service.
fn is_wanted(command: &ApplyRole, host: &HostState) -> bool {
    let configures = matches!(host.phase, HostPhase::Configuring | HostPhase::RegisteringMonitoring);
    configures && !host.undone && host.is_held_by(&command.provisioning)
}

/// What the host's stream is told.
fn outcome(command: ApplyRole, result: Result<hostler_drivers::Applied, DriverError>) -> HostInput {
    let ApplyRole { provisioning, step, role, .. } = command;
    match result {
        Ok(applied) => HostInput::RecordConfiguration {
            provisioning,
            step,
            role,
            revision: applied.revision.to_string(),
            changed: applied.changed,
        },
        Err(error) => {
            let category = if error.is_transient() { Category::Transient } else { Category::Business };
            HostInput::FailStep { provisioning, step, category, reason: error_chain(&error) }
        }
    }
}
