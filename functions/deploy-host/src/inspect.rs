//! Verifying a host: its BMC answers, and tells what the hardware is.

use hostler_domain::{Hardware, HostDecider, HostFacts, HostInput, HostPhase, HostState};
use hostler_events::commands::VerifyHost;
use hostler_events::host::{BootMethod, PowerState};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Step, StepError, Target, Wanted};

use crate::{DeployHost, seen_through_bmc};

/// It changes nothing on the host, and needs no lease.
impl Step<VerifyHost> for DeployHost {
    type Entity = HostDecider;
    type Output = HostFacts;

    fn target(&self, command: &VerifyHost) -> Target {
        seen_through_bmc(&command.host)
    }

    fn is_wanted(&self, command: &VerifyHost, host: &HostState) -> Wanted<HostInput> {
        let is_verifying = matches!(host.phase, HostPhase::Verifying { .. });
        Wanted::when(is_verifying && host.waits_for(&command.step))
    }

    async fn perform(
        &self,
        command: &VerifyHost,
        host: &HostState,
        _: Fence,
    ) -> Result<HostFacts, StepError> {
        let bmc = self.bmc(&command.host, host)?;
        let power = bmc.settled_power_state(&self.settings.patience).await?;
        let facts = bmc.inspect().await?;
        // A host that could boot no image can never be cleaned: that is said here, and not after three cleanings.
        let boot_method = match bmc.boot_method().await? {
            hostler_drivers::BootMethod::VirtualMedia => BootMethod::VirtualMedia,
            hostler_drivers::BootMethod::UefiHttp => BootMethod::UefiHttp,
        };
        Ok(HostFacts {
            power_state: power_state(&power),
            hardware: Hardware {
                manufacturer: facts.manufacturer,
                model: facts.model,
                serial: facts.serial,
                processors: facts.processors,
                memory_gib: facts.memory_gib,
                boot_method: Some(boot_method),
            },
        })
    }

    fn succeeded(&self, command: &VerifyHost, facts: HostFacts) -> Vec<HostInput> {
        vec![HostInput::RecordFacts { step: command.step.clone(), facts }]
    }

    fn failed(&self, command: &VerifyHost, error: &StepError) -> Option<HostInput> {
        let (step, StepError { category, reason, .. }) = (command.step.clone(), error.clone());
        Some(HostInput::FailVerification { step, category, reason })
    }

    /// The host's own deadline goes on: no saga waits for it.
    fn deferred(&self, _: &VerifyHost, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}

/// A settled power state in the contract's words. Only `On` and `Off` settle.
pub(crate) fn power_state(state: &hostler_drivers::PowerState) -> PowerState {
    match state {
        hostler_drivers::PowerState::On | hostler_drivers::PowerState::PoweringOn => PowerState::On,
        hostler_drivers::PowerState::Off
        | hostler_drivers::PowerState::PoweringOff
        | hostler_drivers::PowerState::Other(_) => PowerState::Off,
    }
}
