//! Looks at all hosts, a page at a time: each page asks for its hosts and for the next page in one commit.

use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::SweepDecider;
use hostler_domain::inventory::{SweepInput, SweepPage};
use hostler_domain::views::HOSTS;
use hostler_events::HostId;
use hostler_events::inventory::SweepInventory;
use hostler_runtime::state::shell::Cause;

use crate::WatchInventory;

/// How many hosts one page has: as many commands are in its commit.
const PAGE_HOSTS: usize = 100;

impl WatchInventory {
    /// Asks for the hosts of a page. How fast they are looked at is the number of consumers of the queue.
    pub(crate) async fn sweep(&self, cause: &Cause, order: SweepInventory) -> Result<(), Failure> {
        let stream = StreamId::new(SweepDecider::CATEGORY, order.sweep.as_str()).map_err(Failure::invalid)?;
        let after = order.after.as_ref().map(HostId::as_str);
        let rows = self.views.list(HOSTS, None, after, PAGE_HOSTS).await?;
        let hosts = rows.rows.iter().filter_map(|row| HostId::new(row.key.as_str()).ok()).collect();
        let page = SweepPage { hosts, more: rows.next.is_some() };
        let done = self.shell.execute::<SweepDecider>(&stream, cause, &SweepInput { order, page }).await?;
        tracing::info!(%stream, outcome = ?done.outcome, hosts = done.fold.state.hosts, "hosts asked for");
        Ok(())
    }
}
