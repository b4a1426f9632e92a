//! Lists of packages: recorded, and compared with the advisories that speak of them.

use std::collections::BTreeMap;

use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::{HostDecider, HostPlace, PackagesDecider, PackagesInput, PackagesState, Phase};
use hostler_events::HostId;
use hostler_events::findings::{PackageReport, RecordPackages};
use hostler_runtime::state::shell::{Cause, Outcome};
use jiff::Timestamp;

use crate::{AssessHosts, packages_stream, part};

/// The label by which a host is exposed.
const EXPOSED_LABEL: &str = "exposed";
/// Who says that a host has nothing any more.
const CLEANING: &str = "cleaning";
/// How many commits one list may lead to. A list of the most packages with a vulnerability each needs 33.
const PARTS_MAX: usize = 50;

impl AssessHosts {
    pub(crate) async fn record_packages(
        &self,
        cause: &Cause,
        command: RecordPackages,
    ) -> Result<(), Failure> {
        match self.place(&command.host).await? {
            Some(place) => self.observed(cause, place, command.report).await.map(drop),
            None => {
                let host = &command.host;
                tracing::warn!(%host, signals_dropped = 1, "a list of packages is of a host that is not enrolled");
                Ok(())
            }
        }
    }

    /// A host was cleaned: whatever it had is gone.
    pub(crate) async fn erased(&self, cause: &Cause, host: &str, at: Timestamp) -> Result<(), Failure> {
        let host = HostId::new(host).map_err(Failure::invalid)?;
        let fold = self.worker.shell.load::<PackagesDecider>(&packages_stream(&host)?).await?;
        let Some(place) = fold.state.place else { return Ok(()) };
        let report = PackageReport {
            source: CLEANING.to_owned(),
            ecosystem: None,
            complete: true,
            packages: BTreeMap::new(),
            gone: Vec::new(),
            reboot_pending: Some(false),
            observed_at: at,
        };
        self.observed(cause, place, report).await.map(drop)
    }

    /// Where a host is; none where it is not enrolled, or retired.
    pub(crate) async fn place(&self, host: &HostId) -> Result<Option<HostPlace>, Failure> {
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let state = self.worker.shell.load::<HostDecider>(&stream).await?.state;
        let is_retired = state.phase.name() == Phase::Retired.name();
        let Some(profile) = state.profile.filter(|_| !is_retired) else { return Ok(None) };
        let policies = self.policies.now().await?;
        let is_labelled = profile.labels.get(EXPOSED_LABEL).is_some_and(|value| value == "true");
        let exposed = is_labelled || policies.policy.vulnerabilities.exposed_pools.contains(&profile.pool);
        let (host, pool, fault_domain) = (profile.host, profile.pool, profile.fault_domain);
        Ok(Some(HostPlace { host, pool, fault_domain, exposed }))
    }

    /// Records a list, and compares what is installed then with all advisories that speak of it. Gives what is known then.
    pub(crate) async fn observed(
        &self,
        cause: &Cause,
        place: HostPlace,
        report: PackageReport,
    ) -> Result<PackagesState, Failure> {
        let stream = packages_stream(&place.host)?;
        let input = PackagesInput::Observed { place, report: Box::new(report) };
        let state = self.until_unchanged(cause, &stream, "observed", |_| input.clone()).await?;
        let advisories = self.known.of(&state).await?;
        self.until_unchanged(cause, &stream, "assessed", |_| PackagesInput::Match {
            advisories: advisories.clone(),
        })
        .await
    }

    /// A list may be too long for one commit: each records a part of it, until there is nothing left. Each decides by what is
    /// known then, so that it does not matter which parts were recorded by an earlier try.
    async fn until_unchanged(
        &self,
        cause: &Cause,
        stream: &StreamId,
        name: &str,
        input: impl Fn(&PackagesState) -> PackagesInput,
    ) -> Result<PackagesState, Failure> {
        let mut state = PackagesState::default();
        for number in 0..PARTS_MAX {
            let cause = part(cause, &format!("{name}:{number}"))?;
            let done = self.worker.shell.execute::<PackagesDecider>(stream, &cause, &input(&state)).await?;
            state = done.fold.state;
            if done.outcome == Outcome::Unchanged {
                return Ok(state);
            }
        }
        Err(Failure::retryable(TooMany { stream: stream.clone() }))
    }
}

/// There was always more to record.
#[derive(Debug, thiserror::Error)]
#[error(
    "what is to be recorded of {stream} has no end: {PARTS_MAX} commits were not enough; it is tried again"
)]
struct TooMany {
    stream: StreamId,
}
