//! Everything that is done to a host through its BMC: reserve, verify, boot, clean, undo.

mod boot;
mod inspect;
mod reserve;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Category, Decider, Failure, Incoming, StreamId};
use hostler_domain::{HostDecider, HostInput, HostRefusal, HostState};
use hostler_drivers::{Bmc, BmcEndpoint, Bmcs, DriverError};
use hostler_events::{HostId, ProvisioningId, StepCommand, StepId};
use hostler_runtime::{
    Breakers, Called, Cause, ExecuteError, Executed, Fold, Handler, Once, Open, Settled, Shell, Turn, Views,
};

pub use settings::{DeploySettings, SettingError};

/// What the BMCs are called among the breakers; one of them is `bmc/<host>`.
const ALL_BMCS: &str = "bmc";

/// Carries out the commands of the queue `deploy-host`.
pub struct DeployHost {
    /// Where hosts and reservations are loaded and appended.
    pub shell: Shell,
    /// Where candidates are found.
    pub views: Arc<dyn Views>,
    /// What drives a BMC at most once for each step, and one at a time.
    pub once: Once,
    /// What leaves BMCs alone that are sick, one or all of them.
    pub breakers: Breakers,
    /// How BMCs are reached.
    pub bmcs: Arc<dyn Bmcs>,
    /// Addresses, secrets and patience.
    pub settings: DeploySettings,
}

#[async_trait]
impl Handler for DeployHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = Cause::of(message);
        if let Incoming::Timer(timer) = message {
            let input = HostInput::Timer { name: timer.name.clone() };
            return self.tell_stream(&timer.stream, &cause, &input).await.map(drop);
        }
        match message.command::<StepCommand>()? {
            StepCommand::ReserveHost(command) => self.reserve(&cause, &command).await,
            StepCommand::ReleaseReservation(command) => self.release(&cause, &command).await,
            StepCommand::VerifyHost(command) => self.verify(&cause, command).await,
            StepCommand::CleanHost(command) => {
                let host = command.host.clone();
                self.in_turn(&cause, &host, async |fold, done| self.clean(fold, done, command).await).await
            }
            StepCommand::FinishCleaning(command) => {
                let host = command.host.clone();
                let work = async |fold, done| self.finish_cleaning(&cause, fold, done, command).await;
                self.in_turn(&cause, &host, work).await
            }
            StepCommand::DeployImage(command) => {
                let host = command.host.clone();
                let work = async |fold, done| self.deploy(&cause, fold, done, command).await;
                self.in_turn(&cause, &host, work).await
            }
            StepCommand::FinishDeploy(command) => {
                let host = command.host.clone();
                let work = async |fold, done| self.finish_deploy(&cause, fold, done, command).await;
                self.in_turn(&cause, &host, work).await
            }
            StepCommand::UndeployHost(command) => {
                let host = command.host.clone();
                let work = async |fold, done| self.undeploy(&cause, fold, done, command).await;
                self.in_turn(&cause, &host, work).await
            }
            StepCommand::StartProvisioning(_)
            | StepCommand::ApplyRole(_)
            | StepCommand::RegisterMonitoring(_)
            | StepCommand::DeregisterMonitoring(_) => Err(message.misplaced("work on a host's BMC")),
        }
    }
}

impl DeployHost {
    /// Works on a host while nobody else works on it: a step that outlived its deadline and the undoing of it would
    /// otherwise give one BMC opposite orders. Whether the step is still wanted is asked inside, and the work ends with
    /// the commit of the cause that it is given.
    async fn in_turn(
        &self,
        cause: &Cause,
        host: &HostId,
        work: impl AsyncFnOnce(Fold<HostDecider>, Cause) -> Result<Settled, Failure>,
    ) -> Result<(), Failure> {
        let done = part(cause, "done")?;
        let (key, stream) = (format!("bmc/{host}"), host_stream(host)?);
        let turn = Turn { key: &key, stream: &stream, settled_by: &done.id };
        self.once.in_turn(&self.shell, &turn, async |fold| work(fold, done.clone()).await).await
    }

    /// Tells a host what the work on it came to.
    async fn settle(
        &self,
        host: &HostId,
        fold: Fold<HostDecider>,
        done: &Cause,
        input: &HostInput,
    ) -> Result<Settled, Failure> {
        let told = self.tell_from(host, fold, done, input).await?;
        Ok(told.map_or(Settled::No, |done| done.outcome.into()))
    }

    /// Tells a host something. A refusal means that the host has moved on: it is logged, and nothing is left to
    /// do.
    async fn tell(
        &self,
        host: &HostId,
        cause: &Cause,
        input: &HostInput,
    ) -> Result<Option<Executed<HostDecider>>, Failure> {
        self.tell_stream(&host_stream(host)?, cause, input).await
    }

    async fn tell_stream(
        &self,
        stream: &StreamId,
        cause: &Cause,
        input: &HostInput,
    ) -> Result<Option<Executed<HostDecider>>, Failure> {
        told(stream, self.shell.execute::<HostDecider>(stream, cause, input).await)
    }

    /// The same from what is known of the host.
    async fn tell_from(
        &self,
        host: &HostId,
        fold: Fold<HostDecider>,
        cause: &Cause,
        input: &HostInput,
    ) -> Result<Option<Executed<HostDecider>>, Failure> {
        let stream = host_stream(host)?;
        told(&stream, self.shell.execute_from(&stream, fold, cause, input).await)
    }

    /// Works on a BMC, unless all of them are left alone, or this one is: then the step waits.
    async fn through_breakers<T>(
        &self,
        host: &HostId,
        work: impl AsyncFnOnce() -> Result<T, DriverFailure>,
    ) -> Result<T, Called<DriverFailure>> {
        let is_outage = |failure: &DriverFailure| failure.outage;
        let target = format!("{ALL_BMCS}/{host}");
        let permit = self.breakers.admit(ALL_BMCS).await.map_err(Called::Open)?;
        let done = self.breakers.call(&target, is_outage, work).await;
        let outage = match &done {
            // That this one is left alone says nothing of all the others.
            Err(Called::Open(open)) if !open.called => return done,
            Err(Called::Open(open)) => Some(open.reason.as_str()),
            Err(Called::Failed(failure)) => failure.outage.then_some(failure.reason.as_str()),
            Ok(_) => None,
        };
        match self.breakers.tell(permit, outage).await {
            Some(open) => Err(Called::Open(open)),
            None => done,
        }
    }

    /// Has a saga's step wait. When all BMCs are away the saga gives it more time; one that is away is the saga's to judge.
    async fn wait(
        &self,
        host: &HostId,
        cause: &Cause,
        (provisioning, step): (ProvisioningId, StepId),
        open: Open,
    ) -> Result<Settled, Failure> {
        if open.dependency == ALL_BMCS {
            let (until, reason) = (open.until, open.to_string());
            let part = part(cause, &format!("waits-{}", until.as_second()))?;
            self.tell(host, &part, &HostInput::DeferStep { provisioning, step, until, reason }).await?;
        }
        Err(open.into())
    }

    /// A driver for the host's BMC.
    fn bmc(&self, host: &HostId, state: &HostState) -> Result<Arc<dyn Bmc>, DriverFailure> {
        let profile = state.profile.as_ref().ok_or_else(|| {
            let reason = format!("host {host} is not enrolled: enrol it with its BMC's address first");
            DriverFailure::business(reason)
        })?;
        let endpoint = BmcEndpoint {
            system_url: profile.bmc.system_url.clone(),
            username: self.settings.bmc_username.clone(),
            password: self.settings.bmc_password.clone(),
            trust: self.settings.bmc_trust.clone(),
        };
        Ok(self.bmcs.connect(&endpoint)?)
    }
}

impl fmt::Display for DriverFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// A driver's failure as the host's stream is told of it. Whether there is another try is the business of who
/// asked, so the message is done with.
struct DriverFailure {
    category: Category,
    reason: String,
    /// Whether the BMC did not do its part, and not that it said no.
    outage: bool,
}

impl DriverFailure {
    fn business(reason: impl Into<String>) -> Self {
        Self { category: Category::Business, reason: reason.into(), outage: false }
    }
}

impl From<DriverError> for DriverFailure {
    fn from(error: DriverError) -> Self {
        let category = if error.is_transient() { Category::Transient } else { Category::Business };
        Self { category, reason: hostler_core::failure::error_chain(&error), outage: error.is_outage() }
    }
}

fn told(
    stream: &StreamId,
    done: Result<Executed<HostDecider>, ExecuteError<HostRefusal>>,
) -> Result<Option<Executed<HostDecider>>, Failure> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(ExecuteError::Refused(refusal)) => {
            tracing::info!(%stream, %refusal, "the host has moved on");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn host_stream(host: &HostId) -> Result<StreamId, Failure> {
    StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
