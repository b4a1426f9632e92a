//! Reads what is on record of a running system, by the API that everything is shown by.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use hostler_core::Payload;
use hostler_domain::shadow::{Recorded, Recording};
use hostler_domain::{Phase, PoolHost};
use hostler_events::site::SITE;
use hostler_events::{HostId, PoolId};
use jiff::Timestamp;
use serde::Serialize;

use crate::api::{Api, CommitShown, Entity, FaultDomainRow, HostRow, IncidentRow, PoolRow, View};
use crate::error::CliError;

/// How many commits of a stream are read: the newest.
const COMMITS_MAX: u64 = 5_000;
/// How many hosts are read: those whose health changed last.
const HOSTS_MAX: usize = 2_000;
/// How many streams are read at a time.
const AT_ONCE: usize = 8;

/// How much was read, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extent {
    pub(super) streams: usize,
    pub(super) commits: usize,
    /// What was left out because there is so much of it.
    pub(super) left_out: Vec<String>,
}

/// What was read so far. It can be read on.
pub(super) struct Reader<'a> {
    api: &'a Api,
    pub(super) recording: Recording,
    /// The pool of each host.
    pub(super) pools: BTreeMap<HostId, PoolId>,
    pub(super) extent: Extent,
    /// Up to which version each stream was read.
    versions: BTreeMap<String, u64>,
}

/// A stream that has moved, and from where on it is read.
struct Moved<'a, K> {
    view: View<'a>,
    id: String,
    key: K,
    after: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(api: &'a Api, since: Timestamp) -> Self {
        let recording = Recording::between(since, since);
        let (pools, extent, versions) = (BTreeMap::new(), Extent::default(), BTreeMap::new());
        Self { api, recording, pools, extent, versions }
    }

    /// Reads what was recorded since the last time, until now.
    pub(super) async fn read_on(&mut self, now: Timestamp) -> Result<(), CliError> {
        self.recording.until = now;
        let policies = self.site::<hostler_events::site::PolicyEvent>(View::Policies).await?;
        self.recording.policies.extend(policies);
        let budget = self.site::<hostler_events::budget::BudgetEvent>(View::Budget).await?;
        self.recording.budget.extend(budget);
        self.domains().await?;
        self.hosts().await?;
        self.pools().await
    }

    /// A stream of which a site has one.
    async fn site<E: Payload>(&mut self, view: View<'a>) -> Result<Vec<Recorded<E>>, CliError> {
        let moved = self.moved(view, SITE.to_owned(), (), None);
        let read = self.read::<E, ()>(moved.into_iter().collect()).await?;
        Ok(read.into_iter().flat_map(|(_, commits)| commits).collect())
    }

    async fn domains(&mut self) -> Result<(), CliError> {
        let rows: Vec<FaultDomainRow> = self.rows().await?;
        let moved = rows.into_iter().filter_map(|row| {
            let key = row.domain.domain.clone();
            self.moved(View::FaultDomain, row.domain.domain, key, Some(row.version))
        });
        let moved = moved.collect();
        for (domain, commits) in self.read(moved).await? {
            self.recording.domains.entry(domain).or_default().extend(commits);
        }
        Ok(())
    }

    /// Hosts whose health has changed since the beginning, or whose incident goes on.
    async fn hosts(&mut self) -> Result<(), CliError> {
        let mut rows: Vec<IncidentRow> = self.rows().await?;
        let since = self.recording.since;
        rows.retain(|row| row.updated_at >= since || row.incident.closed_at.is_none());
        rows.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
        let left_out = rows.len().saturating_sub(HOSTS_MAX);
        if left_out > 0 {
            self.left_out(format!("{left_out} hosts whose health changed before that of {HOSTS_MAX} others"));
        }
        rows.truncate(HOSTS_MAX);
        let pools = rows.iter().map(|row| (row.incident.host.clone(), row.incident.pool.clone()));
        self.pools.extend(pools);
        let health = rows.iter().filter_map(|row| {
            let host = row.incident.host.clone();
            self.moved(View::Incident, host.to_string(), host, Some(row.version))
        });
        let health = health.collect();
        for (host, commits) in self.read(health).await? {
            self.recording.health.entry(host).or_default().extend(commits);
        }
        // What became of them is on streams of their own, which the view of incidents says nothing of.
        let hosts = rows.into_iter().map(|row| {
            let host = row.incident.host;
            let after = self.versions.get(&name(View::Host, host.as_str())).copied().unwrap_or(0);
            Moved { view: View::Host, id: host.to_string(), key: host, after }
        });
        let hosts = hosts.collect();
        for (host, commits) in self.read(hosts).await? {
            self.recording.hosts.entry(host).or_default().extend(commits);
        }
        Ok(())
    }

    async fn pools(&mut self) -> Result<(), CliError> {
        let rows: Vec<PoolRow> = self.rows().await?;
        let moved = rows.into_iter().filter_map(|row| {
            let pool = row.pool.pool;
            self.moved(View::Pool, pool.to_string(), pool, Some(row.version))
        });
        let moved: Vec<_> = moved.collect();
        if moved.is_empty() {
            return Ok(());
        }
        for (pool, commits) in self.read(moved).await? {
            self.recording.pools.entry(pool).or_default().extend(commits);
        }
        self.members().await
    }

    /// The hosts of the pools that scale, as they are now.
    async fn members(&mut self) -> Result<(), CliError> {
        let rows: Vec<HostRow> = self.rows().await?;
        self.recording.members.clear();
        for row in rows {
            let phase = Phase::ALL.iter().copied().find(|phase| phase.name() == row.phase);
            let (Ok(pool), Ok(host), Ok(rack)) =
                (row.pool.parse(), row.host.parse(), row.fault_domain.parse())
            else {
                continue;
            };
            let (Some(phase), true) = (phase, self.recording.pools.contains_key::<PoolId>(&pool)) else {
                continue;
            };
            let stays = PoolHost::is_protected(&row.labels);
            let member = PoolHost { host, phase, rack, saga: None, stays, is_lent: false };
            self.recording.members.entry(pool).or_default().push(member);
        }
        Ok(())
    }

    async fn rows<T: Entity>(&self) -> Result<Vec<T>, CliError> {
        self.api.rows(None).await
    }

    /// A stream, if it may have moved since it was last read.
    fn moved<'v, K>(&self, view: View<'v>, id: String, key: K, version: Option<u64>) -> Option<Moved<'v, K>> {
        let known = self.versions.get(&name(view, &id)).copied();
        if known.zip(version).is_some_and(|(known, version)| known >= version) {
            return None;
        }
        let newest = version.unwrap_or(0).saturating_sub(COMMITS_MAX);
        Some(Moved { view, id, key, after: known.unwrap_or(newest) })
    }

    /// Reads streams to their ends, some at a time.
    async fn read<E: Payload, K>(
        &mut self,
        moved: Vec<Moved<'_, K>>,
    ) -> Result<Vec<(K, Vec<Recorded<E>>)>, CliError> {
        let api = self.api;
        let read = stream::iter(moved).map(|of| async move {
            let read = api.commits(of.view, &of.id, of.after, COMMITS_MAX).await;
            // A site without policies, or on which nobody was ever disturbed, has no such stream.
            let commits = match read {
                Err(CliError::NotFound { .. }) => Vec::new(),
                read => read?,
            };
            Ok::<_, CliError>((of, commits))
        });
        let read: Vec<(Moved<'_, K>, Vec<CommitShown>)> = read.buffered(AT_ONCE).try_collect().await?;
        let mut all = Vec::new();
        for (Moved { view, id, key, after }, commits) in read {
            let name = name(view, &id);
            let is_new = !self.versions.contains_key(&name);
            if is_new && after > 0 {
                self.left_out(format!("the first {after} commits of {name}"));
            }
            if commits.len() as u64 >= COMMITS_MAX {
                self.left_out(format!("what {name} has after {COMMITS_MAX} commits"));
            }
            self.extent.streams += usize::from(is_new);
            self.extent.commits += commits.len();
            self.versions.insert(name, commits.last().map_or(after, |last| last.version));
            all.push((key, commits.iter().map(decoded).collect::<Result<_, _>>()?));
        }
        Ok(all)
    }

    fn left_out(&mut self, what: String) {
        if !self.extent.left_out.contains(&what) {
            self.extent.left_out.push(what);
        }
    }
}

fn name(view: View<'_>, id: &str) -> String {
    format!("{}/{id}", view.path())
}

fn decoded<E: Payload>(commit: &CommitShown) -> Result<Recorded<E>, CliError> {
    let events = commit.events.iter().map(|event| {
        E::from_data(&event.event_type, event.schema_version, &event.data).map_err(CliError::failed(
            "what is on record is not understood, so this program and the application differ in age: build both again",
        ))
    });
    Ok(Recorded { at: commit.recorded_at, events: events.collect::<Result<_, _>>()? })
}
