//! What holds whatever happens.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Happens {
    Says {
        metric: usize,
        above: bool,
        fires: bool,
        ratio: f64,
    },
    Arrives,
    Fails,
    Leaves,
    Passes(u32),
    /// Both metrics say for a while that there is too little to do.
    Idles(f64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0_usize..2, any::<bool>(), any::<bool>(), 0_u32..320)
            // Sixty-fourths are the same number after their way through JSON.
            .prop_map(|(metric, above, fires, ratio)| Happens::Says { metric, above, fires, ratio: f64::from(ratio) / 64.0 }),
        2 => Just(Happens::Arrives),
        1 => Just(Happens::Fails),
        2 => Just(Happens::Leaves),
        4 => (1_u32..900).prop_map(Happens::Passes),
        2 => (0_u32..64).prop_map(|ratio| Happens::Idles(f64::from(ratio) / 64.0)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is measured and whatever comes of it: never over the maximum or the spare hosts, never under the minimum, never
    /// shrinking on a missing metric or soon after growing, and never a host twice.
    #[test]
    fn no_decision_breaks_a_rule(all in proptest::collection::vec(happens(), 1..60)) {
        let mut facts = changed(facts(6, 24), |scaling| {
            scaling.spare_hosts = 5;
            scaling.down_seconds = 60;
            scaling.in_cooldown_seconds = 600;
        });
        let mut pool = Pool::new();
        let mut decided = 0;
        for of in all {
            let input = match of {
                Happens::Says { metric, above: is_above, fires, ratio } => {
                    let metric = ["load", "queue"][metric];
                    let said = if is_above { above(metric, ratio) } else { below(metric, ratio) };
                    let said = if fires { said } else { over(said) };
                    signal(&pool, &said, &facts)
                }
                Happens::Arrives => {
                    let ends = all_arrive(&mut pool, &mut facts);
                    pool.when(&ended(ends)).unwrap();
                    look(&facts)
                }
                Happens::Fails => {
                    let ends = pool.state.in_flight.keys().take(1).map(|provisioning| End::Failed {
                        provisioning: provisioning.clone(),
                        reason: "no".to_owned(),
                    });
                    let ends = ends.collect();
                    pool.when(&ended(ends)).unwrap();
                    look(&facts)
                }
                Happens::Leaves => {
                    let hosts: Vec<HostId> = pool.state.leaving.keys().cloned().collect();
                    for host in facts.hosts.iter_mut().filter(|host| hosts.contains(&host.host)) {
                        prop_assert_eq!(host.phase, Phase::InService);
                        host.phase = Phase::Available;
                        host.saga = None;
                    }
                    let ends = hosts.into_iter().map(|host| End::Left { host }).collect();
                    pool.when(&ended(ends)).unwrap();
                    look(&facts)
                }
                Happens::Idles(ratio) => {
                    for metric in ["load", "queue"] {
                        hears(&mut pool, &over(above(metric, 1.0)), &facts);
                        hears(&mut pool, &below(metric, ratio), &facts);
                    }
                    decided = pool.state.decisions;
                    pass(&mut pool, 65);
                    look(&facts)
                }
                Happens::Passes(seconds) => {
                    pass(&mut pool, seconds);
                    look(&facts)
                }
            };
            let before = pool.state.clone();
            pool.when(&input).unwrap();
            let sizes = facts.sizes(&pool.state, pool.now);
            if let Some(last) = pool.state.last.clone().filter(|last| last.number > decided) {
                decided = last.number;
                match last.direction {
                    ScalingDirection::Out => {
                        prop_assert!(last.chosen <= 40, "{last:?}");
                        prop_assert!(sizes.counts.free >= 5, "{last:?}");
                        prop_assert!(!last.provisionings.is_empty());
                    }
                    ScalingDirection::In => {
                        prop_assert!(last.chosen >= 2, "{last:?}");
                        prop_assert!(last.per_metric.iter().all(|said| said.says == MetricReading::Below), "{last:?}");
                        let since = before.grown_at().map(|at| last.decided_at.duration_since(at).as_secs());
                        prop_assert!(since.is_none_or(|since| since >= 600), "{last:?}");
                        prop_assert!(last.leaving.iter().all(|host| !before.leaving.contains_key(host)));
                        prop_assert_eq!(last.inputs.in_flight, 0);
                    }
                }
            }
            prop_assert!(sizes.capacity() <= 40);
        }
    }
}
