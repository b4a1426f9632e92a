//! The hosts that have a vulnerability, as the view lists them.

use std::collections::BTreeMap;

use hostler_core::Failure;
use hostler_domain::views::{FINDINGS, FindingView, finding_group};
use hostler_domain::{FleetFacts, PolicyState};
use hostler_events::AdvisoryId;
use hostler_events::packages::FindingStatus;
use hostler_events::patching::{FIXES_MAX, Fix};
use hostler_events::site::Autonomy;
use hostler_events::{FaultDomain, PoolId};
use serde::Deserialize;

use crate::PatchFleet;

/// How many rows one page of a listing has.
const PAGE_ROWS: usize = 1_000;
/// How many pages of a vulnerability are counted: more hosts than a site has.
const PAGES_MAX: usize = 300;
/// How many pages of a rack are looked at: more hosts than a rack has.
const RACK_PAGES_MAX: usize = 20;
/// How many rows one page of a rack has: a rack of usual size. What is beyond its end is of other racks, and read for nothing.
const RACK_PAGE_ROWS: usize = 40;
/// Whoever has one of these has it still: what is installed and waits for a reboot is not fixed.
const TO_PATCH: [FindingStatus; 2] = [FindingStatus::Open, FindingStatus::RebootPending];

impl PatchFleet {
    /// How many hosts have a vulnerability, rack by rack.
    pub(crate) async fn fleet(&self, advisory: &AdvisoryId) -> Result<FleetFacts, Failure> {
        let policies = self.policies.now().await?;
        let policy = policies.policy.campaigns.clone();
        let mut facts = FleetFacts {
            racks: BTreeMap::new(),
            excepted: 0,
            without_fix: 0,
            withheld: 0,
            autonomy: policy.autonomy,
            policy,
            policy_version: policies.policy_version,
        };
        for status in TO_PATCH {
            self.each(advisory, status, |row| count(row, &policies, &mut facts)).await?;
        }
        let mut excepted = 0_u32;
        self.each(advisory, FindingStatus::Excepted, |_| excepted = excepted.saturating_add(1)).await?;
        facts.excepted = excepted;
        Ok(facts)
    }

    async fn each(
        &self,
        advisory: &AdvisoryId,
        status: FindingStatus,
        mut seen: impl FnMut(&FindingView) + Send,
    ) -> Result<(), Failure> {
        let group = finding_group(advisory, status);
        let mut after = None;
        for _page in 0..PAGES_MAX {
            let page = self.views.list(FINDINGS, Some(&group), after.as_deref(), PAGE_ROWS).await?;
            for row in &page.rows {
                if let Some(row) = read(&row.key, &row.body) {
                    seen(&row);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The hosts of a rack that have a vulnerability, in the order in which they are patched.
    pub(crate) async fn rack(
        &self,
        advisory: &AdvisoryId,
        rack: &FaultDomain,
    ) -> Result<Vec<FindingView>, Failure> {
        let mut rows = Vec::new();
        for status in TO_PATCH {
            let group = finding_group(advisory, status);
            // Rows are listed by key, rack by rack: the first of a rack comes after this.
            let mut after = Some(format!("{advisory}/{rack}/"));
            for _page in 0..RACK_PAGES_MAX {
                let page = self.views.list(FINDINGS, Some(&group), after.as_deref(), RACK_PAGE_ROWS).await?;
                let all = page.rows.len();
                let of_rack = page.rows.iter().filter_map(|row| read(&row.key, &row.body));
                let before = rows.len();
                rows.extend(of_rack.filter(|row| row.fault_domain == *rack));
                after = page.next.filter(|_| rows.len() - before == all);
                if after.is_none() {
                    break;
                }
            }
        }
        rows.sort_by(|a, b| a.host.cmp(&b.host));
        Ok(rows)
    }
}

fn count(row: &FindingView, policies: &PolicyState, facts: &mut FleetFacts) {
    let autonomy = autonomy(&row.pool, policies);
    if fixes(row).is_empty() {
        facts.without_fix = facts.without_fix.saturating_add(1);
    } else if autonomy == Autonomy::Observe {
        facts.withheld = facts.withheld.saturating_add(1);
    } else {
        facts.autonomy = facts.autonomy.min(autonomy);
        let hosts = facts.racks.entry(row.fault_domain.clone()).or_default();
        *hosts = hosts.saturating_add(1);
    }
}

/// The most that may be done in a pool without a person. Of a pool that the policies do not know, nothing is patched.
pub(crate) fn autonomy(pool: &PoolId, policies: &PolicyState) -> Autonomy {
    policies.policy.pools.get(pool).map_or(Autonomy::Observe, |pool| pool.autonomy)
}

/// What is to be installed: nothing, where no fixed version is known. A host that only waits for its reboot has the
/// version already.
pub(crate) fn fixes(row: &FindingView) -> Vec<Fix> {
    let fixes = row.packages.iter().filter_map(|affected| {
        Some(Fix { package: affected.package.clone(), version: affected.fixed.clone()? })
    });
    fixes.take(FIXES_MAX).collect()
}

fn read(key: &str, body: &serde_json::Value) -> Option<FindingView> {
    match FindingView::deserialize(body) {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::warn!(key, %error, "a row of the findings view does not read; rebuild the view");
            None
        }
    }
}
