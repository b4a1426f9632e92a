//! Verifying a host: its BMC answers, and tells what the hardware is.

use hostler_core::Failure;
use hostler_domain::{Hardware, HostDecider, HostFacts, HostInput, HostPhase, HostState};
use hostler_events::commands::VerifyHost;
use hostler_events::host::PowerState;
use hostler_runtime::{Called, Cause};

use crate::{DeployHost, DriverFailure, host_stream};

impl DeployHost {
    pub(crate) async fn verify(&self, cause: &Cause, command: VerifyHost) -> Result<(), Failure> {
        let VerifyHost { host, step } = command;
        let fold = self.shell.load::<HostDecider>(&host_stream(&host)?).await?;
        if !matches!(fold.state.phase, HostPhase::Verifying { .. }) || !fold.state.waits_for(&step) {
            return Ok(());
        }
        let look = async || self.look(&host, &fold.state).await;
        let input = match self.through_breakers(&host, look).await {
            Ok(facts) => HostInput::RecordFacts { step, facts },
            Err(Called::Failed(DriverFailure { category, reason, .. })) => {
                HostInput::FailVerification { step, category, reason }
            }
            Err(Called::Open(open)) => return Err(open.into()),
        };
        self.tell_from(&host, fold, cause, &input).await.map(drop)
    }

    async fn look(
        &self,
        host: &hostler_events::HostId,
        state: &HostState,
    ) -> Result<HostFacts, DriverFailure> {
        let bmc = self.bmc(host, state)?;
        let power = bmc.settled_power_state(&self.settings.patience).await?;
        let facts = bmc.inspect().await?;
        Ok(HostFacts {
            power_state: power_state(&power),
            hardware: Hardware {
                manufacturer: facts.manufacturer,
                model: facts.model,
                serial: facts.serial,
                processors: facts.processors,
                memory_gib: facts.memory_gib,
            },
        })
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
