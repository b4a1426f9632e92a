//! How a pool is right now: its policy, and its hosts as the view lists them.

use std::sync::Arc;

use hostler_core::Failure;
use hostler_core::saga::SagaRef;
use hostler_domain::Phase;
use hostler_domain::pool::{Lender, PoolFacts, PoolHost};
use hostler_domain::views::{HOSTS, host_group};
use hostler_events::{FaultDomain, HostId, Labels, PoolId, SitePolicy};
use hostler_runtime::ports::Row;
use serde::Deserialize;

use crate::ScalePools;

/// How many rows one page of a listing has.
const PAGE_ROWS: usize = 1_000;
/// How many pages of a phase are looked at: more rows than a pool has hosts.
const PAGES_MAX: usize = 250;
/// With fewer free hosts than one decision may ask for, other pools are looked at as well.
const LENDERS_BELOW: usize = 250;
/// The phases that count. Hosts in others are neither there nor on their way.
const PHASES: [Phase; 9] = [
    Phase::InService,
    Phase::Available,
    Phase::Reserved,
    Phase::Deploying,
    Phase::Configuring,
    Phase::RegisteringMonitoring,
    Phase::Draining,
    Phase::Deprovisioning,
    Phase::Quarantined,
];

/// What a decision needs of a host's row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostRow {
    host: HostId,
    fault_domain: FaultDomain,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    home: Option<PoolId>,
    #[serde(default)]
    saga: Option<SagaRef>,
    #[serde(default)]
    cordoned_by: Option<SagaRef>,
}

impl ScalePools {
    /// How a pool is; none where the policies do not say how it scales.
    pub(crate) async fn facts(&self, pool: &PoolId) -> Result<Option<PoolFacts>, Failure> {
        let policies = self.policies.now().await?;
        let Some(empty) = PoolFacts::of(pool, &policies, self.provisioning, Vec::new(), Arc::default())
        else {
            return Ok(None);
        };
        let mut hosts = Vec::new();
        for phase in PHASES {
            self.list(pool, phase, &mut hosts).await?;
        }
        let free = hosts.iter().filter(|host| host.phase == Phase::Available).count();
        let lenders = match free < LENDERS_BELOW {
            true => self.lenders(&policies.policy, &empty.scaling.reclaim_from).await?,
            false => Vec::new(),
        };
        Ok(Some(PoolFacts { hosts, unhealthy: self.unhealthy.of(pool).await?, lenders, ..empty }))
    }

    /// How many hosts others could give.
    async fn lenders(&self, policy: &SitePolicy, from: &[PoolId]) -> Result<Vec<Lender>, Failure> {
        let mut lenders = Vec::new();
        for pool in from {
            let Some(scaling) = policy.pools.get(pool).and_then(|policy| policy.scaling.as_ref()) else {
                continue;
            };
            let free = self.count(pool, &[Phase::Available]).await?;
            let in_service = self.count(pool, &[Phase::InService]).await?;
            lenders.push(Lender {
                pool: pool.clone(),
                lendable: free.saturating_sub(scaling.spare_hosts),
                coming: self.count(pool, &[Phase::Draining, Phase::Deprovisioning, Phase::Cleaning]).await?,
                may_give: in_service.saturating_sub(scaling.min),
            });
        }
        Ok(lenders)
    }

    async fn count(&self, pool: &PoolId, phases: &[Phase]) -> Result<u32, Failure> {
        let mut hosts = Vec::new();
        for phase in phases {
            self.list(pool, *phase, &mut hosts).await?;
        }
        Ok(u32::try_from(hosts.len()).unwrap_or(u32::MAX))
    }

    async fn list(&self, pool: &PoolId, phase: Phase, hosts: &mut Vec<PoolHost>) -> Result<(), Failure> {
        let group = host_group(pool, phase.name());
        let mut after = None;
        for _page in 0..PAGES_MAX {
            let page = self.views.list(HOSTS, Some(&group), after.as_deref(), PAGE_ROWS).await?;
            hosts.extend(page.rows.into_iter().filter_map(|row| read_row(row, phase)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

fn read_row(row: Row, phase: Phase) -> Option<PoolHost> {
    let key = row.key;
    match serde_json::from_value(row.body) {
        Ok(HostRow { host, fault_domain, labels, home, saga, cordoned_by }) => {
            let stays = cordoned_by.is_some() || PoolHost::is_protected(&labels);
            Some(PoolHost { host, phase, rack: fault_domain, saga, stays, is_lent: home.is_some() })
        }
        Err(error) => {
            tracing::warn!(key, %error, "a row of the hosts view does not read; rebuild the view");
            None
        }
    }
}
