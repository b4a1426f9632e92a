//! Booting a host from an image, and putting it back to rest. The host's own callback ends a boot, not this
//! function, so that no invocation waits for a machine to install itself.

use hostler_app::host_steps::{self, failed};
use hostler_core::Category;
use hostler_core::ids::check_path;
use hostler_core::mutants;
use hostler_core::saga::SagaRef;
use hostler_domain::{HostDecider, HostInput, HostPhase, HostState};
use hostler_drivers::{BootImage, PowerState};
use hostler_events::commands::{CleanHost, DeployImage, FinishCleaning, FinishDeploy, UndeployHost};
use hostler_events::{HostId, Image, StepId};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};

use crate::inspect::power_state;
use crate::{ALL_BMCS, DeployHost, host_stream, worked_on_through_bmc};

/// The power states that a host went through.
pub(crate) type PowerStates = Vec<hostler_events::host::PowerState>;

/// Boots the image of a deployment. The host counts as dirty before it is touched.
impl Step<DeployImage> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerStates;

    fn target(&self, command: &DeployImage) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn begin(&self, command: &DeployImage, _: &HostState) -> Option<Begin<HostInput>> {
        let DeployImage { saga, step, image, .. } = command.clone();
        Some(Begin::once(HostInput::StartDeploy { saga, step, image }))
    }

    /// A host that has called back is not booted again, however often this comes.
    fn is_wanted(&self, command: &DeployImage, host: &HostState) -> Wanted<HostInput> {
        let booted = host.has_booted(&command.step) && !mutants::on("deploy-host.boots-again");
        Wanted::when(is_deploying(host, &command.step) && !booted)
    }

    async fn perform(
        &self,
        command: &DeployImage,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerStates, StepError> {
        self.boot(&command.host, host, &command.step, &command.image).await
    }

    /// The callback answers the saga.
    fn succeeded(&self, command: &DeployImage, power_states: PowerStates) -> Vec<HostInput> {
        vec![HostInput::RecordPower { step: command.step.clone(), power_states }]
    }

    fn failed(&self, command: &DeployImage, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &DeployImage, open: &BreakerOpen) -> Option<HostInput> {
        deferred(&command.saga, &command.step, open)
    }
}

/// Takes the image out of a host that has called back from it.
impl Step<FinishDeploy> for DeployHost {
    type Entity = HostDecider;
    type Output = ();

    fn target(&self, command: &FinishDeploy) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn is_wanted(&self, command: &FinishDeploy, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(is_deploying(host, &command.step) && host.has_booted(&command.step))
    }

    async fn perform(&self, command: &FinishDeploy, host: &HostState, _: Fence) -> Result<(), StepError> {
        let bmc = self.bmc(&command.host, host)?;
        if mutants::on("deploy-host.leaves-the-image") {
            return Ok(());
        }
        bmc.restore_boot().await?;
        bmc.clear_boot_image().await?;
        Ok(())
    }

    fn succeeded(&self, command: &FinishDeploy, (): ()) -> Vec<HostInput> {
        let FinishDeploy { saga, step, .. } = command.clone();
        vec![HostInput::RecordDeployed { saga, step }]
    }

    /// A BMC that is away for a while is tried again by the queue, for the host itself is well: to deploy it again would be
    /// a waste.
    fn failed(&self, command: &FinishDeploy, error: &StepError) -> Option<HostInput> {
        let is_lasting = error.category != Category::Transient;
        is_lasting.then(|| failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &FinishDeploy, open: &BreakerOpen) -> Option<HostInput> {
        deferred(&command.saga, &command.step, open)
    }
}

/// Boots the cleaning image.
impl Step<CleanHost> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerStates;

    fn target(&self, command: &CleanHost) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn is_wanted(&self, command: &CleanHost, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(is_cleaning(host, &command.step, false))
    }

    async fn perform(
        &self,
        command: &CleanHost,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerStates, StepError> {
        self.boot(&command.host, host, &command.step, &self.settings.cleaning_image).await
    }

    fn succeeded(&self, command: &CleanHost, power_states: PowerStates) -> Vec<HostInput> {
        vec![HostInput::RecordPower { step: command.step.clone(), power_states }]
    }

    fn failed(&self, command: &CleanHost, error: &StepError) -> Option<HostInput> {
        Some(cleaning_failed(&command.step, error))
    }

    /// The host's own deadline goes on: no saga waits for it.
    fn deferred(&self, _: &CleanHost, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}

/// Puts a host to rest whose cleaning image is done.
impl Step<FinishCleaning> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerStates;

    fn target(&self, command: &FinishCleaning) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn is_wanted(&self, command: &FinishCleaning, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(is_cleaning(host, &command.step, true))
    }

    async fn perform(
        &self,
        command: &FinishCleaning,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerStates, StepError> {
        self.rest(&command.host, host).await
    }

    fn succeeded(&self, command: &FinishCleaning, power_states: PowerStates) -> Vec<HostInput> {
        let step = command.step.clone();
        let powered = HostInput::RecordPower { step: step.clone(), power_states };
        vec![powered, HostInput::RecordCleaned { step }]
    }

    fn failed(&self, command: &FinishCleaning, error: &StepError) -> Option<HostInput> {
        Some(cleaning_failed(&command.step, error))
    }

    /// The host's own deadline goes on: no saga waits for it.
    fn deferred(&self, _: &FinishCleaning, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}

/// Undoes a deployment. From the first commit on, whatever the deployment still reports is late.
impl Step<UndeployHost> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerStates;

    fn target(&self, command: &UndeployHost) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn begin(&self, command: &UndeployHost, _: &HostState) -> Option<Begin<HostInput>> {
        let UndeployHost { saga, step, .. } = command.clone();
        Some(Begin::once(HostInput::StartUndeploy { saga, step }))
    }

    fn is_wanted(&self, command: &UndeployHost, host: &HostState) -> Wanted<HostInput> {
        let is_undeploying = matches!(host.phase, HostPhase::Deprovisioning { .. });
        Wanted::when(is_undeploying && host.waits_for(&command.step))
    }

    async fn perform(
        &self,
        command: &UndeployHost,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerStates, StepError> {
        self.rest(&command.host, host).await
    }

    fn succeeded(&self, command: &UndeployHost, power_states: PowerStates) -> Vec<HostInput> {
        let UndeployHost { saga, step, .. } = command.clone();
        let powered = HostInput::RecordPower { step: step.clone(), power_states };
        vec![powered, HostInput::RecordUndeployed { saga, step }]
    }

    fn failed(&self, command: &UndeployHost, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &UndeployHost, open: &BreakerOpen) -> Option<HostInput> {
        deferred(&command.saga, &command.step, open)
    }
}

impl DeployHost {
    /// Boots an image that calls back for this step; says through which power states the host went.
    pub(crate) async fn boot(
        &self,
        host: &HostId,
        state: &HostState,
        step: &StepId,
        image: &Image,
    ) -> Result<PowerStates, StepError> {
        let stream = host_stream(host).map_err(|failure| StepError::refused(failure.chain()))?;
        let key = &self.settings.callback_key;
        let mut url = self.image_url(host, step, image, &key.token(&stream, step))?;
        let bmc = self.bmc(host, state)?;
        // A boot that began before the key was rotated goes on with the URL that it was given: another one would install
        // the host once more.
        if let Some(token) = key.previous_token(&stream, step) {
            let before = self.image_url(host, step, image, &token)?;
            let inserted = bmc.boot_image().await?;
            if inserted.as_ref() == Some(&before) && !mutants::on("deploy-host.boots-again-by-the-new-key") {
                url = before;
            }
        }
        let booted = bmc.boot_from_image(&url, &self.settings.patience).await?;
        Ok(changes(&booted.power_changes))
    }

    /// Brings a host to rest; says through which power states it went.
    async fn rest(&self, host: &HostId, state: &HostState) -> Result<PowerStates, StepError> {
        if mutants::on("deploy-host.puts-nothing-to-rest") {
            return Ok(PowerStates::new());
        }
        let rested = self.bmc(host, state)?.return_to_rest(&self.settings.patience).await?;
        Ok(changes(&rested.power_changes))
    }

    /// The URL that the BMC is told to insert. Equal for each repeat of the same step, which is how a repeat
    /// recognises what is already done.
    pub(crate) fn image_url(
        &self,
        host: &HostId,
        step: &StepId,
        image: &Image,
        token: &str,
    ) -> Result<String, StepError> {
        if !mutants::on("deploy-host.images-leave-their-folder") {
            check_path("image", image.as_str()).map_err(|error| StepError::refused(error.to_string()))?;
        }
        let image = BootImage {
            // Nor has a path: an image stays in the folder of images.
            image: format!("{}/{image}", self.settings.image_url.trim_end_matches('/')),
            // Ids hold no character that a query would have to escape.
            callback: format!("{}?host={host}&step={step}&token={token}", self.settings.callback_url),
            host: host.to_string(),
            step: step.to_string(),
        };
        image.url().map_err(|error| StepError::refused(error.to_string()))
    }
}

pub(crate) fn changes(states: &[PowerState]) -> PowerStates {
    states.iter().map(power_state).collect()
}

/// Whether the host waits for this deployment.
pub(crate) fn is_deploying(state: &HostState, step: &StepId) -> bool {
    matches!(state.phase, HostPhase::Deploying { .. }) && state.waits_for(step)
}

/// Whether the host waits for this cleaning, before or after its image has reported.
fn is_cleaning(state: &HostState, step: &StepId, after_boot: bool) -> bool {
    matches!(state.phase, HostPhase::Cleaning { booted, .. } if booted == after_boot) && state.waits_for(step)
}

fn cleaning_failed(step: &StepId, error: &StepError) -> HostInput {
    let (step, StepError { category, reason, .. }) = (step.clone(), error.clone());
    HostInput::FailCleaning { step, category, reason }
}

/// When all BMCs are away the saga gives its step more time; one that is away is the saga's to judge.
pub(crate) fn deferred(saga: &SagaRef, step: &StepId, open: &BreakerOpen) -> Option<HostInput> {
    (open.dependency == ALL_BMCS).then(|| host_steps::deferred(saga, step, open))
}
