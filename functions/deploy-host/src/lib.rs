//! Everything that is done to a host through its BMC: reserve, verify, boot, clean, repair, undo.

mod boot;
mod candidates;
mod inspect;
mod repair;
mod reserve;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Decider, Failure, Incoming, StreamId};
use hostler_domain::host::is_scheduled_check;
use hostler_domain::{HostDecider, HostInput, HostState};
use hostler_drivers::{Bmc, Bmcs};
use hostler_events::{DeployCommand, HostId};
use hostler_runtime::effects::steps::{StepError, StepWorker, Target};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::state::shell::Cause;

pub use candidates::Candidates;
pub use settings::{DeploySettings, SettingError};

/// What the BMCs are called among the breakers; one of them is `bmc/<host>`.
const ALL_BMCS: &str = "bmc";

/// Carries out the commands of the queue `deploy-host`.
pub struct DeployHost {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// Where candidates are found.
    pub candidates: Candidates,
    /// How BMCs are reached.
    pub bmcs: Arc<dyn Bmcs>,
    /// Addresses, secrets and patience.
    pub settings: DeploySettings,
}

#[async_trait]
impl Handler for DeployHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (worker, cause) = (&self.worker, &Cause::of(message));
        if let Incoming::Timer(timer) = message {
            let input = HostInput::Timer { name: timer.name.clone() };
            // It is due by the clock, and not by what led to the check before.
            let cause = if is_scheduled_check(&timer.name) { &cause.afresh() } else { cause };
            return worker.tell::<HostDecider>(&timer.stream, cause, &input).await.map(drop);
        }
        match &message.command::<DeployCommand>()? {
            DeployCommand::ReserveHost(command) => self.reserve(cause, command).await,
            DeployCommand::ReleaseReservation(command) => self.release(cause, command).await,
            DeployCommand::VerifyHost(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::CleanHost(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::FinishCleaning(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::DeployImage(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::FinishDeploy(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::UndeployHost(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::PowerCycleHost(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::FinishPowerCycle(command) => worker.run(self, cause, command).await.map(drop),
            DeployCommand::ReimageHost(command) => worker.run(self, cause, command).await.map(drop),
        }
    }
}

impl DeployHost {
    /// A driver for the host's BMC.
    fn bmc(&self, host: &HostId, state: &HostState) -> Result<Arc<dyn Bmc>, StepError> {
        let profile = state.profile.as_ref().ok_or_else(|| {
            let reason = format!("host {host} is not enrolled: enrol it with its BMC's address first");
            StepError::refused(reason)
        })?;
        Ok(self.bmcs.connect(&self.settings.bmc_login.at(&profile.bmc.system_url))?)
    }
}

/// A host and its BMC, which may be left alone with all the others, or on its own.
fn seen_through_bmc(host: &HostId) -> Target {
    Target::of(host.as_str()).calling(ALL_BMCS).calling(format!("{ALL_BMCS}/{host}"))
}

/// The same, worked on by one at a time: a step that outlived its deadline and the undoing of it would otherwise give one
/// BMC opposite orders.
fn worked_on_through_bmc(host: &HostId) -> Target {
    seen_through_bmc(host).leased(format!("bmc/{host}"))
}

fn host_stream(host: &HostId) -> Result<StreamId, Failure> {
    StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
