//! Booting a host from an image, and putting it back to rest. The host's own callback ends a boot, not this
//! function, so that no invocation waits for a machine to install itself.

use hostler_core::{Category, Failure};
use hostler_domain::{HostDecider, HostInput, HostPhase, HostState};
use hostler_drivers::{BootImage, PowerState};
use hostler_events::commands::{CleanHost, DeployImage, FinishCleaning, FinishDeploy, UndeployHost};
use hostler_events::{HostId, Image, StepId};
use hostler_runtime::{Called, Cause, Executed, Fold, Settled};

use crate::inspect::power_state;
use crate::{DeployHost, DriverFailure, host_stream, part};

impl DeployHost {
    /// Boots the image of a deployment. The host counts as dirty before it is touched.
    pub(crate) async fn deploy(
        &self,
        cause: &Cause,
        fold: Fold<HostDecider>,
        done: Cause,
        command: DeployImage,
    ) -> Result<Settled, Failure> {
        let DeployImage { provisioning, step, host, image } = command;
        let start = HostInput::StartDeploy {
            provisioning: provisioning.clone(),
            step: step.clone(),
            image: image.clone(),
        };
        let Some(Executed { fold, .. }) =
            self.tell_from(&host, fold, &part(cause, "started")?, &start).await?
        else {
            return Ok(Settled::No);
        };
        // A host that has called back is not booted again, however often this comes.
        if !is_deploying(&fold.state, &step) || fold.state.has_booted(&step) {
            return Ok(Settled::No);
        }
        let outcome = match self.boot(&host, &fold.state, &step, &image).await {
            Ok(power_states) => HostInput::RecordPower { step, power_states },
            Err(Called::Failed(DriverFailure { category, reason, .. })) => {
                HostInput::FailStep { provisioning, step, category, reason }
            }
            Err(Called::Open(open)) => return self.wait(&host, cause, (provisioning, step), open).await,
        };
        self.settle(&host, fold, &done, &outcome).await
    }

    /// Takes the image out of a host that has called back from it. A BMC that is away for a while is tried again
    /// by the queue, for the host itself is well: to deploy it anew would be a waste.
    pub(crate) async fn finish_deploy(
        &self,
        cause: &Cause,
        fold: Fold<HostDecider>,
        done: Cause,
        command: FinishDeploy,
    ) -> Result<Settled, Failure> {
        let FinishDeploy { provisioning, step, host } = command;
        if !is_deploying(&fold.state, &step) || !fold.state.has_booted(&step) {
            return Ok(Settled::No);
        }
        let outcome = match self.detach(&host, &fold.state).await {
            Ok(()) => HostInput::RecordDeployed { provisioning, step },
            Err(Called::Failed(DriverFailure { category: Category::Transient, reason, .. })) => {
                return Err(Failure::retryable(reason));
            }
            Err(Called::Failed(DriverFailure { category, reason, .. })) => {
                HostInput::FailStep { provisioning, step, category, reason }
            }
            Err(Called::Open(open)) => return self.wait(&host, cause, (provisioning, step), open).await,
        };
        self.settle(&host, fold, &done, &outcome).await
    }

    /// Boots the cleaning image.
    pub(crate) async fn clean(
        &self,
        fold: Fold<HostDecider>,
        done: Cause,
        command: CleanHost,
    ) -> Result<Settled, Failure> {
        let CleanHost { host, step } = command;
        if !is_cleaning(&fold.state, &step, false) {
            return Ok(Settled::No);
        }
        let image = self.settings.cleaning_image.clone();
        let outcome = match self.boot(&host, &fold.state, &step, &image).await {
            Ok(power_states) => HostInput::RecordPower { step, power_states },
            Err(Called::Failed(DriverFailure { category, reason, .. })) => {
                HostInput::FailCleaning { step, category, reason }
            }
            Err(Called::Open(open)) => return Err(open.into()),
        };
        self.settle(&host, fold, &done, &outcome).await
    }

    /// Puts a host to rest whose cleaning image is done.
    pub(crate) async fn finish_cleaning(
        &self,
        cause: &Cause,
        fold: Fold<HostDecider>,
        done: Cause,
        command: FinishCleaning,
    ) -> Result<Settled, Failure> {
        let FinishCleaning { host, step } = command;
        if !is_cleaning(&fold.state, &step, true) {
            return Ok(Settled::No);
        }
        match self.rest(&host, &fold.state).await {
            Ok(power_states) => {
                let powered = HostInput::RecordPower { step: step.clone(), power_states };
                let fold = self.record(&host, fold, &part(cause, "powered")?, &powered).await?;
                self.settle(&host, fold, &done, &HostInput::RecordCleaned { step }).await
            }
            Err(Called::Open(open)) => Err(open.into()),
            Err(Called::Failed(DriverFailure { category, reason, .. })) => {
                let failed = HostInput::FailCleaning { step, category, reason };
                self.settle(&host, fold, &done, &failed).await
            }
        }
    }

    /// Undoes a deployment. From the first commit on, whatever the deployment still reports is late.
    pub(crate) async fn undeploy(
        &self,
        cause: &Cause,
        fold: Fold<HostDecider>,
        done: Cause,
        command: UndeployHost,
    ) -> Result<Settled, Failure> {
        let UndeployHost { provisioning, step, host } = command;
        let start = HostInput::StartUndeploy { provisioning: provisioning.clone(), step: step.clone() };
        let Some(Executed { fold, .. }) =
            self.tell_from(&host, fold, &part(cause, "started")?, &start).await?
        else {
            return Ok(Settled::No);
        };
        if !matches!(fold.state.phase, HostPhase::Deprovisioning { .. }) || !fold.state.waits_for(&step) {
            return Ok(Settled::No);
        }
        match self.rest(&host, &fold.state).await {
            Ok(power_states) => {
                let powered = HostInput::RecordPower { step: step.clone(), power_states };
                let fold = self.record(&host, fold, &part(cause, "powered")?, &powered).await?;
                let undeployed = HostInput::RecordUndeployed { provisioning, step };
                self.settle(&host, fold, &done, &undeployed).await
            }
            Err(Called::Failed(DriverFailure { category, reason, .. })) => {
                let failed = HostInput::FailStep { provisioning, step, category, reason };
                self.settle(&host, fold, &done, &failed).await
            }
            Err(Called::Open(open)) => self.wait(&host, cause, (provisioning, step), open).await,
        }
    }

    /// Boots an image that calls back for this step; says through which power states the host went.
    async fn boot(
        &self,
        host: &HostId,
        state: &HostState,
        step: &StepId,
        image: &Image,
    ) -> Result<Vec<hostler_events::host::PowerState>, Called<DriverFailure>> {
        let work = async || {
            let url = self.image_url(host, step, image)?;
            let booted = self.bmc(host, state)?.boot_from_image(&url, &self.settings.patience).await?;
            Ok(changes(&booted.power_changes))
        };
        self.through_breakers(host, work).await
    }

    /// Records what happened on the way, as far as the host still wants to know; gives the host as it is then.
    async fn record(
        &self,
        host: &HostId,
        fold: Fold<HostDecider>,
        cause: &Cause,
        input: &HostInput,
    ) -> Result<Fold<HostDecider>, Failure> {
        match self.tell_from(host, fold, cause, input).await? {
            Some(told) => Ok(told.fold),
            None => Ok(self.shell.load::<HostDecider>(&host_stream(host)?).await?),
        }
    }

    async fn detach(&self, host: &HostId, state: &HostState) -> Result<(), Called<DriverFailure>> {
        let work = async || {
            let bmc = self.bmc(host, state)?;
            bmc.restore_boot().await?;
            bmc.eject_media().await?;
            Ok(())
        };
        self.through_breakers(host, work).await
    }

    /// Brings a host to rest; says through which power states it went.
    async fn rest(
        &self,
        host: &HostId,
        state: &HostState,
    ) -> Result<Vec<hostler_events::host::PowerState>, Called<DriverFailure>> {
        let work = async || {
            let rested = self.bmc(host, state)?.return_to_rest(&self.settings.patience).await?;
            Ok(changes(&rested.power_changes))
        };
        self.through_breakers(host, work).await
    }

    /// The URL that the BMC is told to insert. Equal for each repeat of the same step, which is how a repeat
    /// recognises what is already done.
    fn image_url(&self, host: &HostId, step: &StepId, image: &Image) -> Result<String, DriverFailure> {
        let token = self.settings.callback_key.token(host.as_str(), step.as_str());
        let image = BootImage {
            image: format!("{}/{image}", self.settings.image_url.trim_end_matches('/')),
            // Ids hold no character that a query would have to escape.
            callback: format!("{}?host={host}&step={step}&token={token}", self.settings.callback_url),
            host: host.to_string(),
            step: step.to_string(),
        };
        image.url().map_err(|error| DriverFailure::business(error.to_string()))
    }
}

fn changes(states: &[PowerState]) -> Vec<hostler_events::host::PowerState> {
    states.iter().map(power_state).collect()
}

/// Whether the host waits for this deployment.
fn is_deploying(state: &HostState, step: &StepId) -> bool {
    matches!(state.phase, HostPhase::Deploying { .. }) && state.waits_for(step)
}

/// Whether the host waits for this cleaning, before or after its image has reported.
fn is_cleaning(state: &HostState, step: &StepId, after_boot: bool) -> bool {
    matches!(state.phase, HostPhase::Cleaning { booted, .. } if booted == after_boot) && state.waits_for(step)
}
