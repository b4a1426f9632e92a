//! Advisories: what is published, how urgent it is, and which hosts of the fleet have it.

use hostler_core::{Decider, Failure};
use hostler_domain::views::HOSTS;
use hostler_domain::{AdvisoryBrief, AdvisoryDecider, AdvisoryInput, PackagesDecider, PackagesInput};
use hostler_events::findings::{AssessFleet, MatchHosts, RecordAdvisory};
use hostler_events::{AdvisoryId, HostId};
use hostler_runtime::state::shell::Cause;

use crate::{AssessHosts, advisory_stream, packages_stream, part};

/// How many hosts a page of the fleet has.
const PAGE_ROWS: usize = 1_000;

impl AssessHosts {
    pub(crate) async fn record_advisory(
        &self,
        cause: &Cause,
        command: RecordAdvisory,
    ) -> Result<(), Failure> {
        let stream = advisory_stream(&command.advisory)?;
        let RecordAdvisory { advisory, record, epss } = command;
        let input = AdvisoryInput::Record { advisory, record: Box::new(record), epss };
        Ok(self.worker.shell.execute::<AdvisoryDecider>(&stream, cause, &input).await.map(drop)?)
    }

    pub(crate) async fn prioritise(&self, cause: &Cause, advisory: &AdvisoryId) -> Result<(), Failure> {
        let table = Box::new(self.policies.now().await?.policy.vulnerabilities.clone());
        let (stream, input) = (advisory_stream(advisory)?, AdvisoryInput::Prioritise { table });
        let done = self.worker.shell.execute::<AdvisoryDecider>(&stream, cause, &input).await?;
        let decision = done.fold.state.decision.as_ref();
        let priority = decision.map(|decision| decision.priority.name());
        tracing::info!(%stream, outcome = ?done.outcome, priority, "advisory prioritised");
        Ok(())
    }

    /// Lists some hosts, and has them compared.
    pub(crate) async fn read_page(&self, cause: &Cause, page: AssessFleet) -> Result<(), Failure> {
        let stream = advisory_stream(&page.advisory)?;
        let fold = self.worker.shell.load::<AdvisoryDecider>(&stream).await?;
        if fold.state.revision() != page.revision {
            return Ok(());
        }
        let read = self.views.list(HOSTS, None, page.after.as_deref(), PAGE_ROWS).await?;
        let hosts: Vec<HostId> = read.rows.iter().filter_map(|row| row.key.parse().ok()).collect();
        let input = AdvisoryInput::Page { revision: page.revision, hosts, next: read.next };
        Ok(self.worker.shell.execute_from::<AdvisoryDecider>(&stream, fold, cause, &input).await.map(drop)?)
    }

    pub(crate) async fn match_hosts(&self, cause: &Cause, command: MatchHosts) -> Result<(), Failure> {
        let state =
            self.worker.shell.load::<AdvisoryDecider>(&advisory_stream(&command.advisory)?).await?.state;
        let Some(brief) = state.brief().filter(|brief| brief.revision == command.revision) else {
            return Ok(());
        };
        for host in &command.hosts {
            self.match_host(cause, host, &brief).await?;
        }
        Ok(())
    }

    /// Most hosts do not have it: those are only read.
    async fn match_host(&self, cause: &Cause, host: &HostId, brief: &AdvisoryBrief) -> Result<(), Failure> {
        let stream = packages_stream(host)?;
        let fold = self.worker.shell.load::<PackagesDecider>(&stream).await?;
        let input = PackagesInput::Match { advisories: vec![brief.clone()] };
        let decided = PackagesDecider::decide(&fold.state, &input, self.worker.shell.now());
        if decided.is_ok_and(|decision| decision.is_empty()) {
            return Ok(());
        }
        let cause = part(cause, host.as_str())?;
        Ok(self
            .worker
            .shell
            .execute_from::<PackagesDecider>(&stream, fold, &cause, &input)
            .await
            .map(drop)?)
    }
}
