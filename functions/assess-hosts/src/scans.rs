//! Reading what is installed: because an operator asks for it, and as steps of patchings.

use std::collections::BTreeMap;

use hostler_core::saga::{SagaCommand, StepReply};
use hostler_core::{Category, Decider, Failure, StreamId};
use hostler_domain::packages::CHANGES_MAX;
use hostler_domain::{
    AdvisoryBrief, AdvisoryDecider, FindingDecider, HostDecider, HostPlace, PackagesDecider, PackagesInput,
    PackagesState,
};
use hostler_drivers::{DriverError, HostAsked};
use hostler_events::findings::PackageReport;
use hostler_events::packages::{FindingStatus, InstalledVersion};
use hostler_events::patching::{BeginPatching, PatchingWanted, ScanPackages};
use hostler_events::{AdvisoryId, HostId};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Step, StepError, Target, Wanted};
use hostler_runtime::state::shell::Cause;
use serde_json::json;

use crate::{AssessHosts, advisory_stream};

/// Who says what is installed.
const SCAN: &str = "scan";

/// What a scan has come to.
pub struct Scanned {
    place: HostPlace,
    /// What was read; none where nothing is known of the host's packages there.
    report: Option<PackageReport>,
    advisories: Vec<AdvisoryBrief>,
}

impl AssessHosts {
    pub(crate) async fn scan_host(&self, cause: &Cause, host: &HostId) -> Result<(), Failure> {
        let Some(place) = self.place(host).await? else { return Ok(()) };
        let report = self.read(host).await.map_err(|error| match error.is_transient() {
            true => Failure::retryable(error),
            false => Failure::terminal(Category::Business, error),
        })?;
        match report {
            Some(report) => self.observed(cause, place, report).await.map(drop),
            None => Ok(()),
        }
    }

    /// What is installed on a host by now. It was read after this moment, by our own clock, so that no other clock decides which of
    /// two lists is the newer one. Of a host without any package nothing is known, for no system is without.
    async fn read(&self, host: &HostId) -> Result<Option<PackageReport>, DriverError> {
        let observed_at = self.worker.shell.now();
        let labels = self.labels(host).await;
        let list = self.packages.list(&HostAsked { host: host.to_string(), labels }).await?;
        if list.packages.is_empty() {
            return Ok(None);
        }
        let installed = list.packages.into_iter().map(|package| {
            let (name, version) = (package.name, package.version);
            let is = InstalledVersion::of(&name, version, package.source, package.source_version);
            (name, is)
        });
        Ok(Some(PackageReport {
            source: SCAN.to_owned(),
            ecosystem: None,
            complete: true,
            packages: installed.collect(),
            gone: Vec::new(),
            reboot_pending: Some(list.reboot_pending),
            observed_at,
        }))
    }

    /// The labels of a host, which tell plain drivers what to simulate.
    async fn labels(&self, host: &HostId) -> BTreeMap<String, String> {
        let Ok(stream) = StreamId::new(HostDecider::CATEGORY, host.as_str()) else { return BTreeMap::new() };
        let fold = self.worker.shell.load::<HostDecider>(&stream).await;
        fold.ok().and_then(|fold| fold.state.profile).map(|profile| profile.labels).unwrap_or_default()
    }

    async fn brief(&self, advisory: &AdvisoryId) -> Result<Option<AdvisoryBrief>, Failure> {
        let stream = advisory_stream(advisory)?;
        Ok(self.worker.shell.load::<AdvisoryDecider>(&stream).await?.state.brief())
    }

    /// Whether a host has a vulnerability that is to be patched, and why not.
    async fn wanted(&self, host: &PackagesState, advisory: &AdvisoryId) -> Result<PatchingWanted, Failure> {
        let no = |why: &str| PatchingWanted { wanted: false, why: why.to_owned() };
        let Some(known) = host.verdicts.get(advisory) else {
            return Ok(no("the host does not have it any more"));
        };
        let stream = StreamId::new(FindingDecider::CATEGORY, known.finding.as_str());
        let stream = stream.map_err(Failure::invalid)?;
        let finding = self.worker.shell.load::<FindingDecider>(&stream).await?.state;
        Ok(match finding.status() {
            FindingStatus::Excepted => no("somebody answers for it that the host keeps it for now"),
            FindingStatus::Open | FindingStatus::RebootPending | FindingStatus::Resolved => {
                PatchingWanted { wanted: true, why: String::new() }
            }
        })
    }
}

/// What is asked is what is known: nothing outside is looked at.
impl Step<BeginPatching> for AssessHosts {
    type Entity = PackagesDecider;
    type Output = PatchingWanted;

    fn target(&self, BeginPatching { host, .. }: &BeginPatching) -> Target {
        Target::of(host.as_str())
    }

    fn is_wanted(&self, _: &BeginPatching, _: &PackagesState) -> Wanted<PackagesInput> {
        Wanted::Yes
    }

    async fn perform(
        &self,
        command: &BeginPatching,
        host: &PackagesState,
        _: Fence,
    ) -> Result<PatchingWanted, StepError> {
        let wanted = self.wanted(host, &command.advisory).await;
        wanted.map_err(|failure| StepError::transient(failure.to_string()))
    }

    fn succeeded(&self, command: &BeginPatching, wanted: PatchingWanted) -> Vec<PackagesInput> {
        let BeginPatching { saga, step, .. } = command.clone();
        vec![answer(StepReply::succeeded(saga, step, json!(wanted)))]
    }

    fn failed(&self, command: &BeginPatching, error: &StepError) -> Option<PackagesInput> {
        let BeginPatching { saga, step, .. } = command.clone();
        Some(answer(StepReply::failed(saga, step, error.category, &error.reason)))
    }

    fn deferred(&self, command: &BeginPatching, open: &BreakerOpen) -> Option<PackagesInput> {
        let BeginPatching { saga, step, .. } = command.clone();
        Some(answer(StepReply::deferred(saga, step, open.until, open.to_string())))
    }
}

/// Verified by what is installed, and not by what the installation said of itself.
impl Step<ScanPackages> for AssessHosts {
    type Entity = PackagesDecider;
    type Output = Scanned;

    fn target(&self, ScanPackages { host, .. }: &ScanPackages) -> Target {
        Target::of(host.as_str()).calling("configuration")
    }

    fn is_wanted(&self, _: &ScanPackages, _: &PackagesState) -> Wanted<PackagesInput> {
        Wanted::Yes
    }

    async fn perform(
        &self,
        command: &ScanPackages,
        state: &PackagesState,
        _: Fence,
    ) -> Result<Scanned, StepError> {
        let lost = |failure: Failure| StepError::transient(failure.to_string());
        let place = self.place(&command.host).await.map_err(lost)?;
        let place = place.ok_or_else(|| StepError::refused("the host is not enrolled any more"))?;
        let report = self.read(&command.host).await?;
        // What is asked about is compared first.
        let mut advisories: Vec<AdvisoryBrief> =
            self.brief(&command.advisory).await.map_err(lost)?.into_iter().collect();
        let others = self.known.of(state).await.map_err(lost)?;
        advisories.extend(others.into_iter().filter(|brief| brief.advisory != command.advisory));
        Ok(Scanned { place, report, advisories })
    }

    fn succeeded(&self, command: &ScanPackages, scanned: Scanned) -> Vec<PackagesInput> {
        let ScanPackages { saga, step, advisory, .. } = command.clone();
        let Scanned { place, report, advisories } = scanned;
        let observed = report.map(|report| {
            let commits = report.packages.len().div_ceil(CHANGES_MAX);
            let input = PackagesInput::Observed { place, report: Box::new(report) };
            vec![input; commits]
        });
        let mut inputs = observed.unwrap_or_default();
        inputs.push(PackagesInput::Match { advisories });
        inputs.push(PackagesInput::AnswerScan { saga, step, advisory });
        inputs
    }

    fn failed(&self, command: &ScanPackages, error: &StepError) -> Option<PackagesInput> {
        let ScanPackages { saga, step, .. } = command.clone();
        Some(answer(StepReply::failed(saga, step, error.category, &error.reason)))
    }

    fn deferred(&self, command: &ScanPackages, open: &BreakerOpen) -> Option<PackagesInput> {
        let ScanPackages { saga, step, .. } = command.clone();
        Some(answer(StepReply::deferred(saga, step, open.until, open.to_string())))
    }
}

fn answer(reply: StepReply) -> PackagesInput {
    PackagesInput::Answer(Box::new(SagaCommand::from(reply)))
}
