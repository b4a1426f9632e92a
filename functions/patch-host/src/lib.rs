//! Changes the packages of a host in service: it reads what is installed, which is put on record, has the fixed versions installed,
//! and has the versions before brought back where the saga turns back. Where a runner does the work it reports to accept-commands.

mod install;
mod roll_back;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::saga::SagaRef;
use hostler_core::{Decider, Failure, Incoming, StreamId};
use hostler_domain::{HostDecider, HostInput, HostState, PatchInput, RunningChange};
use hostler_drivers::{ChangeOrder, ChangedPackages, Changing, HostAsked, Packages};
use hostler_events::host::{PackageChangeKind, PackagesReport, RunOutcome};
use hostler_events::patching::{Fix, PackageChange};
use hostler_events::{HostId, PatchCommand, StepId};
use hostler_runtime::effects::steps::{StepError, StepWorker, Target};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::state::shell::Cause;

/// Changes packages.
pub struct PatchHost {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// What reads and changes packages.
    pub packages: Arc<dyn Packages>,
    /// What the tokens are made with by which a runner's reports are believed.
    pub callback_key: CallbackKey,
}

#[async_trait]
impl Handler for PatchHost {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (worker, cause) = (&self.worker, &Cause::of(message));
        match &message.command::<PatchCommand>()? {
            PatchCommand::InstallPackages(command) => worker.run(self, cause, command).await.map(drop),
            PatchCommand::ChangePackages(command) => worker.run(self, cause, command).await.map(drop),
            PatchCommand::RollBackPackages(command) => worker.run(self, cause, command).await.map(drop),
        }
    }
}

impl PatchHost {
    /// Has the packages changed as the host's record says.
    async fn change(
        &self,
        host: &HostId,
        state: &HostState,
        saga: &SagaRef,
        running: &RunningChange,
    ) -> Result<Changing, StepError> {
        // The id of a host that is on record makes a stream.
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str());
        let stream = stream.map_err(|error| StepError::refused(error.to_string()))?;
        let wanted = |Fix { package, version }: &Fix| hostler_drivers::Wanted {
            package: package.clone(),
            version: version.clone(),
        };
        let order = ChangeOrder {
            saga: saga.to_string(),
            step: running.step.to_string(),
            token: self.callback_key.token(&stream, &running.step),
            host: asked(host, state),
            packages: running.to.iter().map(wanted).collect(),
            roll_back: running.change == PackageChangeKind::RollBack,
        };
        Ok(self.packages.change(&order).await?)
    }
}

/// The packages of a host are worked on by one at a time, and by whatever configures it as well.
fn target(host: &HostId) -> Target {
    Target::of(host.as_str()).leased(format!("configuration/{host}")).calling("configuration")
}

fn asked(host: &HostId, state: &HostState) -> HostAsked {
    let labels = state.profile.as_ref().map(|profile| profile.labels.clone()).unwrap_or_default();
    HostAsked { host: host.to_string(), labels }
}

/// What a runner has begun is recorded when it reports its end.
fn changed(saga: &SagaRef, step: &StepId, changing: Changing) -> Vec<HostInput> {
    let ChangedPackages { changed, reboot_pending } = match changing {
        Changing::Done(changed) => changed,
        Changing::Begun => return Vec::new(),
    };
    let changed = changed.into_iter().map(|(package, from, to)| PackageChange { package, from, to });
    let report = PackagesReport {
        outcome: RunOutcome::Succeeded,
        message: String::new(),
        changed: changed.collect(),
        failed: Vec::new(),
        reboot_pending,
    };
    vec![told(saga, step, PatchInput::Changed { report })]
}

fn told(saga: &SagaRef, step: &StepId, told: PatchInput) -> HostInput {
    HostInput::Patch { saga: saga.clone(), step: step.clone(), told }
}
