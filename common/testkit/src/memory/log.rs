//! The event log in memory: all that the store holds, page by page.

use async_trait::async_trait;
use hostler_core::Commit;
use hostler_runtime::operations::replay::{EventLog, LogPage};
use hostler_runtime::ports::PortError;

use super::MemoryStore;
use crate::faults::{Fault, injected};

/// How many commits a page has: few, so that paging is seen to work.
const PAGE: usize = 3;

#[async_trait]
impl EventLog for MemoryStore {
    async fn page(&self, after: Option<&str>) -> Result<LogPage, PortError> {
        if self.faults().on_read() {
            let (table, key) = ("events", "the log".to_owned());
            return Err(PortError::Unavailable {
                table,
                action: "read",
                key,
                source: injected(&Fault::Fail),
            });
        }
        let all: Vec<Commit> = self.streams().iter().flat_map(|stream| self.commits(stream)).collect();
        let from = after.and_then(|after| after.parse().ok()).unwrap_or(0);
        let to = all.len().min(from + PAGE);
        let next = (to < all.len()).then(|| to.to_string());
        Ok(LogPage { commits: all[from.min(to)..to].to_vec(), next })
    }
}
