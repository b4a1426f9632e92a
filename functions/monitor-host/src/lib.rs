//! Makes a host known to monitoring and waits for its first healthy sample, or has it forgotten; and says how a host is, by
//! monitoring and by its BMC.

mod check;
#[cfg(test)]
mod tests;

use hostler_app::host_steps::{deferred, failed};
use hostler_core::mutants;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Decider, Failure, Incoming, StreamId};
use hostler_domain::{HostDecider, HostInput, HostState, Move, metrics_target};
use hostler_drivers::{Monitoring, RegisterHost};
use hostler_events::commands::{DeregisterMonitoring, RegisterMonitoring};
use hostler_events::{HostId, MonitorCommand};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Step, StepError, StepWorker, Target, Wanted};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::state::shell::Cause;

use check::Check;
pub use check::OutOfBand;

/// Registers and deregisters hosts.
pub struct MonitorHost {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// What watches hosts.
    pub monitoring: Arc<dyn Monitoring>,
    /// How hosts are looked at from outside.
    pub out_of_band: OutOfBand,
}

#[async_trait]
impl Handler for MonitorHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = Cause::of(message);
        match message.command()? {
            MonitorCommand::RegisterMonitoring(command) => {
                let host = self.worker.run(self, &cause, &command).await?;
                if host.is_some_and(|host| is_serving(&host)) || mutants::on("monitor-host.forgets-nobody") {
                    return Ok(());
                }
                let cause = cause.part("forgotten").map_err(Failure::invalid)?;
                self.worker.run(self, &cause, &Forget(command.host)).await.map(drop)
            }
            MonitorCommand::DeregisterMonitoring(command) => {
                self.worker.run(self, &cause, &command).await.map(drop)
            }
            MonitorCommand::CheckHost(command) => {
                let system_url = self.system_url(&command.host).await?;
                self.worker.run(self, &cause, &Check { command, system_url }).await.map(drop)
            }
        }
    }
}

impl MonitorHost {
    /// Where the host's BMC is.
    async fn system_url(&self, host: &HostId) -> Result<Option<String>, Failure> {
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let state = self.worker.shell.load::<HostDecider>(&stream).await?.state;
        Ok(state.profile.map(|profile| profile.bmc.system_url))
    }
}

impl Step<RegisterMonitoring> for MonitorHost {
    type Entity = HostDecider;
    type Output = ();

    fn target(&self, command: &RegisterMonitoring) -> Target {
        target(&command.host).calling("monitoring")
    }

    /// A host is registered only while its saga brings it into service: an order that came late must not have monitoring
    /// watch a host that is being wiped.
    fn is_wanted(&self, command: &RegisterMonitoring, host: &HostState) -> Wanted<HostInput> {
        let is_ours = is_serving(host) && host.is_held_by(&command.saga);
        Wanted::when(is_ours || mutants::on("monitor-host.registers-late"))
    }

    async fn perform(
        &self,
        command: &RegisterMonitoring,
        host: &HostState,
        _: Fence,
    ) -> Result<(), StepError> {
        let labels = host.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default();
        let (id, role) = (command.host.to_string(), command.role.to_string());
        let target = metrics_target(&labels).map(|target| target.address.to_owned());
        // A saga registers its host once, whatever the number of its attempts.
        let order = command.saga.to_string();
        let request = RegisterHost { host: id.clone(), role, order, target, labels };
        let registered = self.monitoring.register(&request).await?;
        if mutants::on("monitor-host.looks-at-no-sample") {
            return Ok(());
        }
        match self.monitoring.first_sample(&id, registered.since).await?.healthy {
            true => Ok(()),
            false => Err(StepError::transient(
                "the host's first sample was not healthy: look at the host's own log",
            )),
        }
    }

    fn succeeded(&self, command: &RegisterMonitoring, (): ()) -> Vec<HostInput> {
        let RegisterMonitoring { saga, step, .. } = command.clone();
        vec![HostInput::RecordMonitoring { saga, step }]
    }

    fn failed(&self, command: &RegisterMonitoring, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &RegisterMonitoring, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}

impl Step<DeregisterMonitoring> for MonitorHost {
    type Entity = HostDecider;
    type Output = ();

    fn target(&self, command: &DeregisterMonitoring) -> Target {
        target(&command.host).calling("monitoring")
    }

    /// A saga that waits for its host to be forgotten always has its answer. A host that is another saga's by now stays
    /// watched, whatever an earlier one asks.
    fn is_wanted(&self, command: &DeregisterMonitoring, host: &HostState) -> Wanted<HostInput> {
        match &host.reservation {
            Some(holder) if *holder != command.saga => Wanted::Record(deregistered(command)),
            _ => Wanted::Yes,
        }
    }

    async fn perform(
        &self,
        command: &DeregisterMonitoring,
        _: &HostState,
        _: Fence,
    ) -> Result<(), StepError> {
        Ok(self.monitoring.deregister(command.host.as_str()).await.map(drop)?)
    }

    fn succeeded(&self, command: &DeregisterMonitoring, (): ()) -> Vec<HostInput> {
        vec![deregistered(command)]
    }

    fn failed(&self, command: &DeregisterMonitoring, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &DeregisterMonitoring, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}

/// Have a host forgotten that met its own undoing while it was registered: deregistering may have come between the
/// driver's work and the record of it, and nobody else would ever have the host forgotten. It is a step of its own, for the
/// record of the registration has given that one's lease away; and a repeat of the command does it again.
struct Forget(HostId);

impl Step<Forget> for MonitorHost {
    type Entity = HostDecider;
    type Output = ();

    fn target(&self, Forget(host): &Forget) -> Target {
        target(host)
    }

    fn is_wanted(&self, _: &Forget, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(!is_serving(host))
    }

    async fn perform(&self, Forget(host): &Forget, _: &HostState, _: Fence) -> Result<(), StepError> {
        Ok(self.monitoring.deregister(host.as_str()).await.map(drop)?)
    }

    fn succeeded(&self, _: &Forget, (): ()) -> Vec<HostInput> {
        Vec::new()
    }

    /// No saga waits for it: the queue tries again.
    fn failed(&self, _: &Forget, _: &StepError) -> Option<HostInput> {
        None
    }

    fn deferred(&self, _: &Forget, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}

fn target(host: &HostId) -> Target {
    Target::of(host.as_str()).leased(format!("monitoring/{host}"))
}

/// Whether a saga brings the host into service, or has done so.
fn is_serving(host: &HostState) -> bool {
    host.phase.allows(Move::Serve) && !host.undone
}

fn deregistered(command: &DeregisterMonitoring) -> HostInput {
    let DeregisterMonitoring { saga, step, .. } = command.clone();
    HostInput::RecordDeregistered { saga, step }
}
