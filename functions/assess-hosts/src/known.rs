//! The advisories that are on record, by the packages that they speak of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_app::Remembered;
use hostler_core::Failure;
use hostler_domain::packages::is_compared;
use hostler_domain::views::{ADVISORIES, AdvisoryView};
use hostler_domain::{AdvisoryBrief, PackagesState};
use hostler_events::AdvisoryId;
use hostler_runtime::ports::{Row, Views};
use hostler_runtime::state::shell::Shell;

/// For how long what was read is believed. The fleet is looked through once more after a new advisory, later than this.
const FRESH_SECONDS: i64 = 60;
/// For how long it is believed where a host is known to have what it does not speak of.
const NEWEST_SECONDS: i64 = 5;
/// How many rows one page of a listing has.
const PAGE_ROWS: usize = 500;
/// How many pages are read: more than there are vulnerabilities of one system at a time.
const PAGES_MAX: usize = 200;

/// Lists the advisories, and remembers them for a minute.
#[derive(Clone)]
pub struct KnownAdvisories {
    shell: Shell,
    views: Arc<dyn Views>,
    known: Remembered<(), Arc<Index>>,
    newest: Remembered<(), Arc<Index>>,
}

#[derive(Default)]
struct Index {
    advisories: BTreeMap<AdvisoryId, AdvisoryBrief>,
    by_package: BTreeMap<String, BTreeSet<AdvisoryId>>,
}

impl KnownAdvisories {
    /// Reads by these.
    #[must_use]
    pub fn new(shell: Shell, views: Arc<dyn Views>) -> Self {
        Self {
            shell,
            views,
            known: Remembered::for_seconds(FRESH_SECONDS),
            newest: Remembered::for_seconds(NEWEST_SECONDS),
        }
    }

    /// The advisories that speak of what is installed on a host, or that it has or had a finding of.
    ///
    /// # Errors
    /// Those of the views; and when one that the host was compared with is not listed yet.
    pub async fn of(&self, host: &PackagesState) -> Result<Vec<AdvisoryBrief>, Failure> {
        let mut index = self.read_within(&self.known).await?;
        // Somebody else has found on it what was published since. A listing may be old, and what it leaves out would stay open.
        if unlisted(host, &index).is_some() {
            index = self.read_within(&self.newest).await?;
        }
        if let Some(advisory) = unlisted(host, &index) {
            return Err(Failure::retryable(format!(
                "the advisories that are listed lack {advisory}, of which it has a verdict"
            )));
        }
        let by_name = host.names().filter_map(|name| index.by_package.get(name)).flatten();
        let chosen: BTreeSet<&AdvisoryId> = by_name.chain(host.verdicts.keys()).collect();
        Ok(chosen.into_iter().filter_map(|advisory| index.advisories.get(advisory).cloned()).collect())
    }

    async fn read_within(&self, remembered: &Remembered<(), Arc<Index>>) -> Result<Arc<Index>, Failure> {
        let now = self.shell.now();
        if let Some(index) = remembered.get(&(), now) {
            return Ok(index);
        }
        let mut index = Index::default();
        let mut after = None;
        for _page in 0..PAGES_MAX {
            let page = self.views.list(ADVISORIES, None, after.as_deref(), PAGE_ROWS).await?;
            page.rows.into_iter().for_each(|row| index.add(row));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if after.is_some() {
            tracing::error!("there are more advisories than are compared with lists: withdraw old ones");
        }
        let index = Arc::new(index);
        for remembered in [&self.known, &self.newest] {
            remembered.put((), now, Arc::clone(&index));
        }
        Ok(index)
    }
}

/// An advisory that a host was compared with, and that is not listed.
fn unlisted<'a>(host: &'a PackagesState, index: &Index) -> Option<&'a AdvisoryId> {
    host.verdicts.keys().find(|advisory| !index.advisories.contains_key(advisory))
}

impl Index {
    fn add(&mut self, row: Row) {
        let key = row.key;
        let view: AdvisoryView = match serde_json::from_value(row.body) {
            Ok(view) => view,
            Err(error) => {
                tracing::warn!(key, %error, "a row of the advisories view does not read; rebuild the view");
                return;
            }
        };
        let is_compared = |record: &hostler_events::advisory::AdvisoryRecord| {
            record.affected.iter().any(|of| is_compared(&of.ecosystem))
        };
        let records = view.records.into_iter().filter(is_compared).collect();
        let brief = view.decision.as_ref().and_then(|decision| AdvisoryBrief::of(decision, records));
        let Some(brief) = brief else { return };
        for affected in brief.records.iter().flat_map(|record| &record.affected) {
            let of = self.by_package.entry(affected.package.clone()).or_default();
            of.insert(brief.advisory.clone());
        }
        self.advisories.insert(brief.advisory.clone(), brief);
    }
}
