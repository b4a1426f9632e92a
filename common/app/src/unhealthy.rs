//! Which hosts of a pool are unhealthy: one count for whoever needs to know, so that recovery, scaling and the budget agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::views::{HOSTS, HostView, INCIDENTS, IncidentView, host_group, open_incidents};
use hostler_domain::{
    FaultDomainDecider, FaultDomainState, Phase, PolicyState, Surroundings, power_key, rack_key,
};
use hostler_events::budget::{Disruption, Unhealthy};
use hostler_events::{FaultDomain, HostId, PoolId};
use hostler_runtime::ports::{Row, Views};
use hostler_runtime::state::shell::Shell;
use serde::Deserialize;

use crate::Remembered;

/// For how long a count holds before it is made again. The views that it is made from are as old when they lag.
const FRESH_SECONDS: i64 = 5;
/// How many rows one page of a listing has.
const PAGE_ROWS: usize = 1_000;
/// How many pages of a group are counted at most. A pool with more unhealthy hosts is over any limit.
const PAGES_MAX: usize = 10;

/// The unhealthy hosts of a pool, and their racks.
pub type UnhealthyOfPool = Arc<BTreeMap<HostId, FaultDomain>>;

/// Counts the hosts that are in quarantine or known to be faulty, and remembers that for five seconds: the thousand claims of a
/// storm read it once.
#[derive(Clone)]
pub struct UnhealthyHosts {
    shell: Shell,
    views: Arc<dyn Views>,
    known: Remembered<PoolId, UnhealthyOfPool>,
}

impl UnhealthyHosts {
    /// Reads by these.
    #[must_use]
    pub fn new(shell: Shell, views: Arc<dyn Views>) -> Self {
        Self { shell, views, known: Remembered::for_seconds(FRESH_SECONDS) }
    }

    /// The unhealthy hosts of a pool.
    ///
    /// # Errors
    /// Those of the views.
    pub async fn of(&self, pool: &PoolId) -> Result<UnhealthyOfPool, Failure> {
        let now = self.shell.now();
        if let Some(unhealthy) = self.known.get(pool, now) {
            return Ok(unhealthy);
        }
        let mut unhealthy = BTreeMap::new();
        let quarantined = host_group(pool, Phase::Quarantined.name());
        self.list(HOSTS, &quarantined, &mut unhealthy, |row| {
            let view = HostView::deserialize(&row.body).ok()?;
            Some((view.host, view.fault_domain))
        })
        .await?;
        self.list(INCIDENTS, &open_incidents(pool), &mut unhealthy, |row| {
            let view = IncidentView::deserialize(&row.body).ok().filter(IncidentView::is_confirmed)?;
            Some((view.host, view.rack))
        })
        .await?;
        let unhealthy = Arc::new(unhealthy);
        self.known.put(pool.clone(), now, Arc::clone(&unhealthy));
        Ok(unhealthy)
    }

    /// A rack, and the power domain that the policies name for it.
    ///
    /// # Errors
    /// Those of the event store.
    pub async fn surroundings(
        &self,
        rack: &FaultDomain,
        policies: &PolicyState,
    ) -> Result<Surroundings, Failure> {
        let power = match policies.policy.topology.racks.get(rack) {
            Some(place) => self.fault_domain(&power_key(&place.power_domain)).await?,
            None => FaultDomainState::default(),
        };
        Ok(Surroundings { rack: self.fault_domain(&rack_key(rack)).await?, power })
    }

    /// How many hosts are unhealthy around a host that is to be disturbed, without that one.
    ///
    /// # Errors
    /// Those of the views.
    pub async fn around(
        &self,
        of: &Disruption,
        surroundings: &Surroundings,
        policies: &PolicyState,
    ) -> Result<Unhealthy, Failure> {
        let known = self.of(&of.pool).await?;
        Ok(surroundings.unhealthy(of, &known, policies))
    }

    /// A rack or a power domain, by its key.
    ///
    /// # Errors
    /// Those of the event store.
    pub async fn fault_domain(&self, key: &str) -> Result<FaultDomainState, Failure> {
        let stream = StreamId::new(FaultDomainDecider::CATEGORY, key).map_err(Failure::invalid)?;
        Ok(self.shell.load::<FaultDomainDecider>(&stream).await?.state)
    }

    async fn list(
        &self,
        view: &str,
        group: &str,
        found: &mut BTreeMap<HostId, FaultDomain>,
        read: impl Fn(&Row) -> Option<(HostId, FaultDomain)>,
    ) -> Result<(), Failure> {
        let mut after = None::<String>;
        for _page in 0..PAGES_MAX {
            let page = self.views.list(view, Some(group), after.as_deref(), PAGE_ROWS).await?;
            found.extend(page.rows.iter().filter_map(&read));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}
