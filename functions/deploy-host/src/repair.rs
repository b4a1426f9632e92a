//! Repairing a host in service through its BMC: a power cycle, or a new installation. The host's decider lets nobody do so but
//! the saga that has cordoned it.

use hostler_app::host_steps::failed;
use hostler_domain::{HostDecider, HostInput, HostState, PowerCycle};
use hostler_drivers::PowerGoal;
use hostler_events::commands::{FinishPowerCycle, PowerCycleHost, ReimageHost};
use hostler_events::host::PowerState;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};

use crate::boot::{PowerStates, changes, deferred, is_deploying};
use crate::inspect::power_state;
use crate::{DeployHost, worked_on_through_bmc};

/// How a host was, and what cutting its power took.
pub struct PowerCut {
    found: PowerState,
    health: Option<String>,
    power_states: PowerStates,
}

/// Takes the power from a host. What the BMC says of it is asked first, and recorded.
impl Step<PowerCycleHost> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerCut;

    fn target(&self, command: &PowerCycleHost) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn begin(&self, command: &PowerCycleHost, _: &HostState) -> Option<Begin<HostInput>> {
        let PowerCycleHost { saga, step, .. } = command.clone();
        Some(Begin::once(HostInput::StartPowerCycle { saga, step }))
    }

    fn is_wanted(&self, command: &PowerCycleHost, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.power_cycle_of(&command.saga) == Some(PowerCycle::NotBegun))
    }

    /// At rest it is off, and boots from its disk next: a drive or a boot target that somebody left would have it start
    /// something else than its own system.
    async fn perform(
        &self,
        command: &PowerCycleHost,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerCut, StepError> {
        let bmc = self.bmc(&command.host, host)?;
        let found = bmc.settled_power_state(&self.settings.patience).await?;
        let health = bmc.inspect().await?.health;
        let rested = bmc.return_to_rest(&self.settings.patience).await?;
        Ok(PowerCut { found: power_state(&found), health, power_states: changes(&rested.power_changes) })
    }

    fn succeeded(&self, command: &PowerCycleHost, cut: PowerCut) -> Vec<HostInput> {
        let PowerCycleHost { saga, step, .. } = command.clone();
        let PowerCut { found, health, power_states } = cut;
        let powered = HostInput::RecordPower { step: step.clone(), power_states };
        vec![powered, HostInput::RecordPowerCut { saga, step, found, health }]
    }

    fn failed(&self, command: &PowerCycleHost, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &PowerCycleHost, open: &BreakerOpen) -> Option<HostInput> {
        deferred(&command.saga, &command.step, open)
    }
}

/// Gives the power back.
impl Step<FinishPowerCycle> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerStates;

    fn target(&self, command: &FinishPowerCycle) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn is_wanted(&self, command: &FinishPowerCycle, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.power_cycle_of(&command.saga) == Some(PowerCycle::Off))
    }

    async fn perform(
        &self,
        command: &FinishPowerCycle,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerStates, StepError> {
        self.bmc(&command.host, host)?.set_power(PowerGoal::On, &self.settings.patience).await?;
        Ok(vec![PowerState::On])
    }

    fn succeeded(&self, command: &FinishPowerCycle, power_states: PowerStates) -> Vec<HostInput> {
        let FinishPowerCycle { saga, step, .. } = command.clone();
        let powered = HostInput::RecordPower { step: step.clone(), power_states };
        vec![powered, HostInput::RecordPowerCycled { saga, step }]
    }

    fn failed(&self, command: &FinishPowerCycle, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &FinishPowerCycle, open: &BreakerOpen) -> Option<HostInput> {
        deferred(&command.saga, &command.step, open)
    }
}

/// Boots the image of a new installation. The host counts as dirty before it is touched, and its callback answers the saga.
impl Step<ReimageHost> for DeployHost {
    type Entity = HostDecider;
    type Output = PowerStates;

    fn target(&self, command: &ReimageHost) -> Target {
        worked_on_through_bmc(&command.host)
    }

    fn begin(&self, command: &ReimageHost, _: &HostState) -> Option<Begin<HostInput>> {
        let ReimageHost { saga, step, image, .. } = command.clone();
        Some(Begin::once(HostInput::StartReimage { saga, step, image }))
    }

    /// A host that has called back is not booted again, however often this comes.
    fn is_wanted(&self, command: &ReimageHost, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(is_deploying(host, &command.step) && !host.has_booted(&command.step))
    }

    async fn perform(
        &self,
        command: &ReimageHost,
        host: &HostState,
        _: Fence,
    ) -> Result<PowerStates, StepError> {
        self.boot(&command.host, host, &command.step, &command.image).await
    }

    fn succeeded(&self, command: &ReimageHost, power_states: PowerStates) -> Vec<HostInput> {
        vec![HostInput::RecordPower { step: command.step.clone(), power_states }]
    }

    fn failed(&self, command: &ReimageHost, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &ReimageHost, open: &BreakerOpen) -> Option<HostInput> {
        deferred(&command.saga, &command.step, open)
    }
}
