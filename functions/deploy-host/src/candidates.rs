//! Which hosts a reservation may try, the best first.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_app::Remembered;
use hostler_core::Failure;
use hostler_domain::views::{HOSTS, host_group};
use hostler_domain::{Candidate, candidate_order};
use hostler_events::commands::ReserveHost;
use hostler_events::{FaultDomain, HostId, PoolId, Sku};
use hostler_runtime::ports::{Row, Views};
use jiff::Timestamp;
use serde::Deserialize;

/// How many rows one page of a listing has.
const PAGE_ROWS: usize = 1_000;
/// How many pages of a pool are looked at for one reservation: more rows than a pool has hosts.
const PAGES_MAX: usize = 30;
/// For how many seconds a list of free hosts is used again. A host that was taken since costs whoever tries it one read.
const FREE_SECONDS: i64 = 5;
/// For how many seconds a count of hosts in service is used again. It only says which racks are preferred, by order of magnitude.
const IN_USE_SECONDS: i64 = 60;

type InUse = Arc<BTreeMap<FaultDomain, usize>>;
type Free = Arc<Vec<Candidate>>;

/// Lists candidates. A pool that grows by hundreds of hosts reserves them within seconds, and its hosts are listed once for many of
/// them: a list for each would read as many rows as the pool has hosts, times the hosts that it asks for.
pub struct Candidates {
    views: Arc<dyn Views>,
    in_use: Remembered<PoolId, InUse>,
    free: Remembered<(PoolId, Option<Sku>), Free>,
}

/// The hosts that may be tried, and whether all of that was read just now.
pub(crate) struct Listed {
    pub(crate) hosts: Vec<HostId>,
    pub(crate) is_fresh: bool,
}

/// What a reservation needs of a host's row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostRow {
    host: HostId,
    sku: Sku,
    fault_domain: FaultDomain,
}

impl Candidates {
    /// Reads them from the view of hosts.
    #[must_use]
    pub fn new(views: Arc<dyn Views>) -> Self {
        let (in_use, free) = (Remembered::for_seconds(IN_USE_SECONDS), Remembered::for_seconds(FREE_SECONDS));
        Self { views, in_use, free }
    }

    /// Available hosts of the pool, or of those that they are taken from. The view may be a little old, and the list as well where that
    /// is allowed: each host is asked itself.
    pub(crate) async fn of(
        &self,
        command: &ReserveHost,
        now: Timestamp,
        may_be_old: bool,
    ) -> Result<Listed, Failure> {
        let in_use = self.in_use(&command.pool, now).await?;
        let own = std::slice::from_ref(&command.pool);
        let pools = if command.take_from.is_empty() { own } else { command.take_from.as_slice() };
        let (mut hosts, mut is_fresh) = (Vec::new(), true);
        for pool in pools {
            let of = (pool.clone(), command.sku.clone());
            let known = self.free.get(&of, now).filter(|_| may_be_old);
            is_fresh &= known.is_none();
            let free = match known {
                Some(free) => free,
                None => {
                    let free = Arc::new(self.free(pool, command.sku.as_ref()).await?);
                    self.free.put(of, now, Arc::clone(&free));
                    free
                }
            };
            hosts.extend(candidate_order(&command.saga, command.sku.as_ref(), &free, &in_use));
        }
        Ok(Listed { hosts, is_fresh })
    }

    /// How many hosts of the pool are in service in each rack.
    async fn in_use(&self, pool: &PoolId, now: Timestamp) -> Result<InUse, Failure> {
        if let Some(known) = self.in_use.get(pool, now) {
            return Ok(known);
        }
        let mut in_use: BTreeMap<FaultDomain, usize> = BTreeMap::new();
        self.each(pool, "in-service", |row| {
            *in_use.entry(row.fault_domain).or_default() += 1;
            false
        })
        .await?;
        let in_use = Arc::new(in_use);
        self.in_use.put(pool.clone(), now, Arc::clone(&in_use));
        Ok(in_use)
    }

    /// Free hosts, up to the first full page of them: hosts of a rare model may lie behind a thousand others.
    async fn free(&self, pool: &PoolId, sku: Option<&Sku>) -> Result<Vec<Candidate>, Failure> {
        let mut free = Vec::new();
        self.each(pool, "available", |HostRow { host, sku: has, fault_domain }| {
            if sku.is_none_or(|sku| has == *sku) {
                free.push(Candidate { host, sku: has, fault_domain });
            }
            free.len() >= PAGE_ROWS
        })
        .await?;
        Ok(free)
    }

    /// Looks at the rows of a phase, until a page ends with enough of them.
    async fn each(
        &self,
        pool: &PoolId,
        phase: &str,
        mut is_enough: impl FnMut(HostRow) -> bool,
    ) -> Result<(), Failure> {
        let (group, mut after) = (host_group(pool, phase), None);
        for _page in 0..PAGES_MAX {
            let page = self.views.list(HOSTS, Some(&group), after.as_deref(), PAGE_ROWS).await?;
            let enough = page.rows.into_iter().filter_map(read_row).fold(false, |_, row| is_enough(row));
            after = page.next;
            if after.is_none() || enough {
                break;
            }
        }
        Ok(())
    }
}

fn read_row(row: Row) -> Option<HostRow> {
    match serde_json::from_value(row.body) {
        Ok(host) => Some(host),
        Err(error) => {
            tracing::warn!(key = row.key, %error, "a row of the hosts view does not read; rebuild the view");
            None
        }
    }
}
