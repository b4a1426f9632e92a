//! Installing fixed versions. It is two commands: what is installed is read by the first one, and on record before the second one has
//! anything changed.

use std::collections::BTreeMap;

use hostler_app::host_steps::{deferred, failed};
use hostler_domain::{HostDecider, HostInput, HostState, PatchInput};
use hostler_drivers::{Changing, PackageList};
use hostler_events::patching::{ChangePackages, Fix, InstallPackages};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};

use crate::{PatchHost, asked, changed, target, told};

impl Step<InstallPackages> for PatchHost {
    type Entity = HostDecider;
    type Output = PackageList;

    fn target(&self, command: &InstallPackages) -> Target {
        target(&command.host)
    }

    fn begin(&self, command: &InstallPackages, _: &HostState) -> Option<Begin<HostInput>> {
        Some(Begin::once(told(&command.saga, &command.step, PatchInput::StartInstall)))
    }

    /// An order that came late must not change a host that its saga has left. One whose packages are being changed for this very step
    /// has had this read.
    fn is_wanted(&self, command: &InstallPackages, host: &HostState) -> Wanted<HostInput> {
        let is_read = host.package_change(&command.saga, &command.step).is_some();
        Wanted::when(host.awaits_packages_for(&command.saga) && !is_read)
    }

    async fn perform(
        &self,
        command: &InstallPackages,
        host: &HostState,
        _: Fence,
    ) -> Result<PackageList, StepError> {
        Ok(self.packages.list(&asked(&command.host, host)).await?)
    }

    fn succeeded(&self, command: &InstallPackages, list: PackageList) -> Vec<HostInput> {
        let (before, to) = found(&command.fixes, &list);
        let reboot_pending = list.reboot_pending;
        let found = PatchInput::Found { before, to, reboot_pending };
        vec![told(&command.saga, &command.step, found)]
    }

    fn failed(&self, command: &InstallPackages, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &InstallPackages, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}

/// What the host has of the packages, and what of it is to be changed. A package that it does not have is left alone, and so is one
/// that has its version. Whether another version is newer is for the host's package system to say.
pub(crate) fn found(fixes: &[Fix], list: &PackageList) -> (Vec<Fix>, Vec<Fix>) {
    let installed: BTreeMap<&str, &str> =
        list.packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
    let other = |fix: &&Fix| installed.get(fix.package.as_str()).is_some_and(|has| *has != fix.version);
    let to: Vec<Fix> = fixes.iter().filter(other).cloned().collect();
    let before = to.iter().filter_map(|fix| {
        let version = (*installed.get(fix.package.as_str())?).to_owned();
        Some(Fix { package: fix.package.clone(), version })
    });
    (before.collect(), to)
}

impl Step<ChangePackages> for PatchHost {
    type Entity = HostDecider;
    type Output = Changing;

    fn target(&self, command: &ChangePackages) -> Target {
        target(&command.host)
    }

    fn is_wanted(&self, command: &ChangePackages, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.package_change(&command.saga, &command.step).is_some())
    }

    async fn perform(
        &self,
        command: &ChangePackages,
        host: &HostState,
        _: Fence,
    ) -> Result<Changing, StepError> {
        let ChangePackages { saga, step, host: id } = command;
        match host.package_change(saga, step) {
            Some(running) => self.change(id, host, saga, running).await,
            None => Err(StepError::refused("the host does not wait for this change any more")),
        }
    }

    fn succeeded(&self, command: &ChangePackages, changing: Changing) -> Vec<HostInput> {
        changed(&command.saga, &command.step, changing)
    }

    fn failed(&self, command: &ChangePackages, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &ChangePackages, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}
