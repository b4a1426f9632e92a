//! Makes a host known to monitoring and waits for its first healthy sample, or has it forgotten.

mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::failure::error_chain;
use hostler_core::{Category, Decider, Failure, Incoming, StreamId};
use hostler_domain::{HostDecider, HostInput, HostPhase, HostState};
use hostler_drivers::{DriverError, Monitoring, RegisterHost};
use hostler_events::{HostId, ProvisioningId, Role, StepCommand, StepId};
use hostler_runtime::{
    Breakers, Called, Cause, ExecuteError, Fold, Handler, Once, Open, Settled, Shell, Turn,
};

pub use state::ControlState;

/// Registers and deregisters hosts.
pub struct MonitorHost {
    /// Where hosts are loaded and appended.
    pub shell: Shell,
    /// What has each step registered at most once, and one at a time.
    pub once: Once,
    /// What leaves a sick monitoring system alone.
    pub breakers: Breakers,
    /// What watches hosts.
    pub monitoring: Arc<dyn Monitoring>,
}

/// What the monitoring system is called among the breakers.
const DEPENDENCY: &str = "monitoring";

/// One command, taken apart: the role is there when the host is to be registered.
struct Step {
    provisioning: ProvisioningId,
    step: StepId,
    host: HostId,
    register: Option<Role>,
}

#[async_trait]
impl Handler for MonitorHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let step = read(message)?;
        let cause = Cause::of(message);
        let stream = StreamId::new(HostDecider::CATEGORY, step.host.as_str()).map_err(Failure::invalid)?;
        let key = format!("monitoring/{}", step.host);
        let turn = Turn { key: &key, stream: &stream, settled_by: &cause.id };
        let (host, registers) = (step.host.clone(), step.register.is_some());
        let mut serves = false;
        let work = async |fold| self.carry_out(&stream, &cause, fold, step, &mut serves).await;
        self.once.in_turn(&self.shell, &turn, work).await?;
        if registers && !serves {
            let part = cause.part("forgotten").map_err(Failure::invalid)?;
            let turn = Turn { settled_by: &part.id, ..turn };
            self.once
                .in_turn(&self.shell, &turn, async |fold| self.forget_unless_serving(&host, fold).await)
                .await?;
        }
        Ok(())
    }
}

impl MonitorHost {
    async fn carry_out(
        &self,
        stream: &StreamId,
        cause: &Cause,
        host: Fold<HostDecider>,
        step: Step,
        serves: &mut bool,
    ) -> Result<Settled, Failure> {
        if !is_wanted(&step, &host.state) {
            tracing::info!(%stream, step = step.step.as_str(), "late command: nothing to do");
            return Ok(Settled::No);
        }
        let outcome = match step.register {
            None if serves_another(&step, &host.state) => {
                HostInput::RecordDeregistered { provisioning: step.provisioning, step: step.step }
            }
            _ => {
                let (provisioning, id) = (step.provisioning.clone(), step.step.clone());
                match self.act(step, &host.state).await? {
                    Ok(outcome) => outcome,
                    Err(open) => return self.wait(stream, cause, (provisioning, id), open).await,
                }
            }
        };
        match self.shell.execute_from(stream, host, cause, &outcome).await {
            Ok(done) => {
                *serves = is_serving(&done.fold.state);
                Ok(done.outcome.into())
            }
            Err(ExecuteError::Refused(refusal)) => {
                tracing::info!(%stream, %refusal, "the host has moved on meanwhile");
                Ok(Settled::No)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A registration that met its own undoing is taken back: deregistering may have come between the driver's work
    /// and the record of it, and nobody else would ever have the host forgotten. It is a piece of work of its own, for the
    /// record of the registration has given that one's turn away; and a repeat of the command does it again.
    async fn forget_unless_serving(&self, id: &HostId, host: Fold<HostDecider>) -> Result<Settled, Failure> {
        if !is_serving(&host.state) {
            self.monitoring.deregister(id.as_str()).await.map_err(Failure::retryable)?;
        }
        Ok(Settled::No)
    }

    /// Acts on monitoring, and says what the host's stream is told; or that monitoring is left alone.
    async fn act(&self, step: Step, host: &HostState) -> Result<Result<HostInput, Open>, Failure> {
        let Step { provisioning, step, host: id, register } = step;
        let call = async || match &register {
            Some(role) => self.register(&id, role, host).await,
            None => self.monitoring.deregister(id.as_str()).await.map(|_| true),
        };
        let result = match self.breakers.call(DEPENDENCY, DriverError::is_outage, call).await {
            Ok(healthy) => Ok(healthy),
            Err(Called::Failed(error)) => Err(error),
            Err(Called::Open(open)) => return Ok(Err(open)),
        };
        Ok(Ok(match (result, register) {
            (Ok(true), Some(_)) => HostInput::RecordMonitoring { provisioning, step },
            (Ok(true), None) => HostInput::RecordDeregistered { provisioning, step },
            (Ok(false), _) => HostInput::FailStep {
                provisioning,
                step,
                category: Category::Transient,
                reason: "the host's first sample was not healthy: look at the host's own log".to_owned(),
            },
            (Err(error), _) => {
                let category = if error.is_transient() { Category::Transient } else { Category::Business };
                HostInput::FailStep { provisioning, step, category, reason: error_chain(&error) }
            }
        }))
    }

    /// Has the step wait, and the saga give it more time.
    async fn wait(
        &self,
        stream: &StreamId,
        cause: &Cause,
        (provisioning, step): (ProvisioningId, StepId),
        open: Open,
    ) -> Result<Settled, Failure> {
        let (until, reason) = (open.until, open.to_string());
        let part = cause.part(&format!("waits-{}", until.as_second())).map_err(Failure::invalid)?;
        let input = HostInput::DeferStep { provisioning, step, until, reason };
        match self.shell.execute::<HostDecider>(stream, &part, &input).await {
            Ok(_) | Err(ExecuteError::Refused(_)) => Err(open.into()),
            Err(error) => Err(error.into()),
        }
    }

    async fn register(&self, id: &HostId, role: &Role, host: &HostState) -> Result<bool, DriverError> {
        let labels = host.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default();
        let request = RegisterHost { host: id.to_string(), role: role.to_string(), labels };
        self.monitoring.register(&request).await?;
        Ok(self.monitoring.first_sample(id.as_str()).await?.healthy)
    }
}

/// Whether the step is still to be done. A host is registered only while its saga brings it into service: an order
/// that came late must not have monitoring watch a host that is being wiped. A saga that waits for its host to be
/// forgotten always has its answer.
fn is_wanted(step: &Step, host: &HostState) -> bool {
    step.register.is_none() || (is_serving(host) && host.is_held_by(&step.provisioning))
}

/// Whether a saga brings the host into service, or has done so.
fn is_serving(host: &HostState) -> bool {
    matches!(host.phase, HostPhase::RegisteringMonitoring | HostPhase::InService) && !host.undone
}

/// Whether the host is another saga's by now: then it stays watched, whatever an earlier one asks.
fn serves_another(step: &Step, host: &HostState) -> bool {
    host.reservation.as_ref().is_some_and(|holder| *holder != step.provisioning)
}

fn read(message: &Incoming) -> Result<Step, Failure> {
    match message.command()? {
        StepCommand::RegisterMonitoring(command) => Ok(Step {
            provisioning: command.provisioning,
            step: command.step,
            host: command.host,
            register: Some(command.role),
        }),
        StepCommand::DeregisterMonitoring(command) => Ok(Step {
            provisioning: command.provisioning,
            step: command.step,
            host: command.host,
            register: None,
        }),
        _ => Err(message.misplaced("register-monitoring or deregister-monitoring")),
    }
}
