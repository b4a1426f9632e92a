//! Bringing back the versions that packages had before the saga changed them.

use hostler_app::host_steps::{deferred, step_failure};
use hostler_domain::{HostDecider, HostInput, HostState, PatchInput};
use hostler_drivers::Changing;
use hostler_events::patching::RollBackPackages;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};

use crate::{PatchHost, changed, target, told};

impl Step<RollBackPackages> for PatchHost {
    type Entity = HostDecider;
    type Output = Changing;

    fn target(&self, command: &RollBackPackages) -> Target {
        target(&command.host)
    }

    /// A runner may report before it is known that it has taken the job.
    fn begin(&self, command: &RollBackPackages, _: &HostState) -> Option<Begin<HostInput>> {
        Some(Begin::once(told(&command.saga, &command.step, PatchInput::StartRollBack)))
    }

    fn is_wanted(&self, command: &RollBackPackages, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.package_change(&command.saga, &command.step).is_some())
    }

    async fn perform(
        &self,
        command: &RollBackPackages,
        host: &HostState,
        _: Fence,
    ) -> Result<Changing, StepError> {
        let RollBackPackages { saga, step, host: id } = command;
        match host.package_change(saga, step) {
            Some(running) => self.change(id, host, saga, running).await,
            None => Err(StepError::refused("the host does not wait for this change any more")),
        }
    }

    fn succeeded(&self, command: &RollBackPackages, changing: Changing) -> Vec<HostInput> {
        changed(&command.saga, &command.step, changing)
    }

    /// The host counts failures, and says when it is given up.
    fn failed(&self, command: &RollBackPackages, error: &StepError) -> Option<HostInput> {
        let failed = PatchInput::RollBackFailed { failure: step_failure(error) };
        Some(told(&command.saga, &command.step, failed))
    }

    fn deferred(&self, command: &RollBackPackages, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}
