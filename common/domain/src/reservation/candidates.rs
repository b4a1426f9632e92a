//! The order in which hosts are tried: spread, so that many sagas do not race for one host.

use hostler_core::saga::SagaRef;
use std::collections::BTreeMap;

use hostler_events::{FaultDomain, HostId, Sku};

use crate::support::spread;

/// A host that could be reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The host.
    pub host: HostId,
    /// Its fault domain.
    pub fault_domain: FaultDomain,
    /// Its model.
    pub sku: Sku,
}

/// The hosts of the wanted model (all hosts, where none is given), the best first.
///
/// Fault domains that have fewer hosts of the pool in use come first; `in_use` counts them, and a domain that it does
/// not name has none. Counts are compared by order of magnitude (0, 1–2, 3–6, 7–14, …): they are a little old anyway,
/// and a finer order would send all sagas to the same few hosts. Hosts that are equal so far are ordered by a
/// rendezvous hash, which is the same everywhere for one saga and different for each saga.
#[must_use]
pub fn candidate_order(
    saga: &SagaRef,
    sku: Option<&Sku>,
    hosts: &[Candidate],
    in_use: &BTreeMap<FaultDomain, usize>,
) -> Vec<HostId> {
    let mut keyed: Vec<(u32, u64, HostId)> = hosts
        .iter()
        .filter(|candidate| sku.is_none_or(|sku| candidate.sku == *sku))
        .map(|candidate| {
            let used = in_use.get(&candidate.fault_domain).copied().unwrap_or(0);
            (magnitude(used), rendezvous(saga, &candidate.host), candidate.host.clone())
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, host)| host).collect()
}

/// 0 → 0, 1–2 → 1, 3–6 → 2, 7–14 → 3 and so on.
fn magnitude(count: usize) -> u32 {
    count.saturating_add(1).ilog2()
}

/// A hash of both ids that is the same in every process.
fn rendezvous(saga: &SagaRef, host: &HostId) -> u64 {
    spread(saga.id().bytes().chain([0xff]).chain(host.as_str().bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{id, saga_ref};

    fn hosts(count: usize, racks: usize) -> Vec<Candidate> {
        (0..count)
            .map(|n| Candidate {
                host: id(&format!("host-{n:04}")),
                fault_domain: id(&format!("rack-{}", n % racks)),
                sku: id(if n % 3 == 0 { "gpu" } else { "cpu" }),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_order_is_a_permutation(
            saga in "[a-z0-9-]{1,36}", count in 0usize..60, used in prop::collection::vec(0usize..200, 4),
        ) {
            let in_use: BTreeMap<FaultDomain, usize> =
                used.into_iter().enumerate().map(|(n, used)| (id(&format!("rack-{n}")), used)).collect();
            let mut order = candidate_order(&saga_ref(&saga), None, &hosts(count, 7), &in_use);
            order.sort();
            let mut all: Vec<HostId> = hosts(count, 7).into_iter().map(|c| c.host).collect();
            all.sort();
            prop_assert_eq!(order, all);
        }

        #[test]
        fn what_is_offered_first_makes_no_difference(saga in "[a-z0-9-]{1,36}", turn in 0usize..40) {
            let straight = candidate_order(&saga_ref(&saga), None, &hosts(40, 5), &BTreeMap::new());
            let mut turned = hosts(40, 5);
            turned.rotate_left(turn);
            prop_assert_eq!(candidate_order(&saga_ref(&saga), None, &turned, &BTreeMap::new()), straight);
        }
    }

    #[test]
    fn many_sagas_spread_over_the_hosts() {
        let mut firsts: BTreeMap<HostId, usize> = BTreeMap::new();
        for n in 0..1_000 {
            let saga = saga_ref(&format!("01890a5d-ac96-774b-bcce-{n:012}"));
            let order = candidate_order(&saga, None, &hosts(50, 5), &BTreeMap::new());
            *firsts.entry(order.into_iter().next().unwrap()).or_default() += 1;
        }
        assert_eq!(firsts.len(), 50, "every host is somebody's first choice");
        let most = firsts.values().max().copied().unwrap();
        assert!(most <= 45, "20 expected for each host, and one has {most}");
    }

    #[test]
    fn the_hash_never_changes() {
        // Computed by another implementation of the same functions.
        assert_eq!(rendezvous(&saga_ref("p-1"), &id("h-1")), 0xbc16_35c2_ef4a_2f3b);
        let order = candidate_order(&saga_ref("p-1"), None, &hosts(4, 2), &BTreeMap::new());
        let order: Vec<&str> = order.iter().map(HostId::as_str).collect();
        assert_eq!(order, ["host-0003", "host-0001", "host-0002", "host-0000"]);
    }

    #[test]
    fn only_the_asked_for_model_is_offered() {
        let order = candidate_order(&saga_ref("p-1"), Some(&id("gpu")), &hosts(9, 3), &BTreeMap::new());
        assert_eq!(order.len(), 3);
        assert!(
            candidate_order(&saga_ref("p-1"), Some(&id("tpu")), &hosts(9, 3), &BTreeMap::new()).is_empty()
        );
    }

    #[test]
    fn less_used_fault_domains_come_first() {
        let in_use = BTreeMap::from([(id("rack-0"), 9), (id("rack-1"), 1)]);
        let order = candidate_order(&saga_ref("p-1"), None, &hosts(9, 3), &in_use);
        let rack = |host: &HostId| hosts(9, 3).iter().position(|c| c.host == *host).map(|n| n % 3);
        let racks: Vec<usize> = order.iter().filter_map(rack).collect();
        assert_eq!(racks, [2, 2, 2, 1, 1, 1, 0, 0, 0]);
    }
}
