//! Pools that grow and shrink by what they have to do, at the size of a data centre. After every event it is checked that no pool
//! has fewer or more hosts than its policy says, that free hosts are left to spare, and that no more hosts leave than the budget
//! allows. Beside it: static provisioning, a plan by the hour, and a polling orchestrator with the same rules.

use std::time::Instant;

use hostler_testkit::seeds::in_one_thread;
use serde_json::{Value, json};

use crate::elastic::Service;
use crate::load::{Curve, HIGH, LOW, Work};
use crate::model::{DataCentre, POOLS, Size, policies};
use crate::planned::{Polled, by_the_hour, statically};
use crate::report::percentile;

const DAY_SECONDS: i64 = 86_400;

/// So many hosts of a pool of 5,000, in a pool of this size.
fn part(size: Size, hosts: f64) -> f64 {
    hosts * size.hosts() as f64 / 25_000.0
}

/// The policies of all pools, of which these scale.
fn elastic_policies(size: Size, work: &[Work], seconds: i64) -> Value {
    let mut all = policies(size);
    let count = |hosts: f64| (part(size, hosts).round() as u32).max(2);
    all["budget"] = json!({
        "site": count(300.0), "poolPercent": 5, "pool": 250, "rack": 10, "powerDomain": count(200.0),
        "starts": count(400.0).max(20), "windowSeconds": 600,
    });
    for of in work {
        let pool = size.hosts() / POOLS;
        let least = work_least(of, seconds);
        all["pools"][format!("pool-{}", of.pool)]["scaling"] = json!({
            "autonomy": "auto", "metrics": ["load"], "min": (least / HIGH).floor().max(1.0) as u32,
            "max": pool - count(100.0) as usize, "spareHosts": count(100.0),
        });
    }
    all
}

fn work_least(work: &Work, seconds: i64) -> f64 {
    work.samples(seconds).into_iter().fold(f64::MAX, f64::min)
}

/// Lets pools do this for so long, and prints what that took, beside others.
async fn works(name: &str, work: &[Work], seconds: i64) -> DataCentre {
    let (began, size) = (Instant::now(), Size::wanted());
    let policies = elastic_policies(size, work, seconds);
    let mut serving = [(size.hosts() / POOLS) as u32 - 1; POOLS];
    for of in work {
        // In the middle between the thresholds.
        serving[of.pool] = (of.curve.at(0.0) / f64::midpoint(HIGH, LOW)).ceil() as u32;
    }
    let mut centre = DataCentre::serving(size, serving, policies.clone()).await;
    println!("built in {:.1} s", began.elapsed().as_secs_f64());
    centre.works(work, seconds);
    centre.pass(seconds).await;
    centre.settle(48).await;
    centre.report(name, began);
    println!("  alerts about pools: {}", centre.loads.told);
    println!("  calls of ports: {:?}", centre.site.port_calls);
    let elastic = centre.watch.elastic.as_ref().unwrap();
    println!(
        "  left at a time, at most: {}, within the window: {}",
        elastic.leaving_most, elastic.window_most
    );
    for of in work {
        let pool = of.pool;
        println!("\n  pool-{pool}: {:?}; in service {:?}", of.curve, elastic.range(pool));
        println!("  held back, or made less, by: {:?}", elastic.rules(pool));
        let racks: Vec<String> =
            centre.places.iter().filter(|place| place.pool == pool).map(|place| place.rack_name()).collect();
        let polled = Polled::new(pool, &racks, serving[pool], &policies).runs(of, seconds);
        println!("  polling: {} looks at hosts, {} passes that decided", polled.reads, polled.useful);
        table(&[
            ("Hostler", elastic.service(pool)),
            ("polling, 30 s", &polled.service),
            ("plan by the hour", &by_the_hour(of, seconds)),
            ("static, for the peak", &statically(of, seconds)),
        ]);
        assert_eq!(elastic.service(pool).flaps, 0, "pool-{pool} flaps");
    }
    centre
}

fn table(all: &[(&str, &Service)]) {
    println!(
        "  {:<22} {:>7} {:>11} {:>11} {:>7} {:>11} {:>9} {:>17} {:>17} {:>9} {:>5}",
        "",
        "used %",
        "host-hours",
        "held hours",
        "saves %",
        "short h-min",
        "over min",
        "to decide p50/99",
        "to serve p50/99",
        "out/in",
        "flaps"
    );
    let held = all.last().map_or(0.0, |(_, of)| of.held_hours);
    for (name, of) in all {
        let times = |values: &[f64]| {
            let mut values = values.to_vec();
            match values.is_empty() {
                true => "-".to_owned(),
                false => format!("{:.1}/{:.1}", percentile(&mut values, 50.0), percentile(&mut values, 99.0)),
            }
        };
        println!(
            "  {name:<22} {:>7.1} {:>11.0} {:>11.0} {:>7.1} {:>11.1} {:>9.1} {:>17} {:>17} {:>9} {:>5}",
            of.utilisation(),
            of.host_hours,
            of.held_hours,
            100.0 * (1.0 - of.held_hours / held),
            of.short_minutes,
            of.over_minutes,
            times(&of.to_decision),
            times(&of.to_service),
            format!("{}/{}", of.decisions[0], of.decisions[1]),
            of.flaps,
        );
    }
}

/// Three pools of five: one that serves people by day, one that works at night, and one that is always as busy, more or less.
#[test]
fn day_of_load() {
    in_one_thread(async {
        let size = Size::wanted();
        let day = |low: f64, high: f64, most_at_hour: f64| Curve::Day {
            low: part(size, low),
            high: part(size, high),
            most_at_hour,
        };
        let work = [
            Work { pool: 0, curve: day(1_000.0, 2_600.0, 14.0), noise_percent: 2 },
            Work { pool: 1, curve: day(600.0, 1_200.0, 2.0), noise_percent: 2 },
            Work { pool: 2, curve: Curve::Flat(part(size, 2_000.0)), noise_percent: 10 },
        ];
        works("a day of load on three pools", &work, DAY_SECONDS).await;
    });
}

/// Four times what is usual, within two minutes and for an hour.
#[test]
fn flash_sale() {
    in_one_thread(async {
        let size = Size::wanted();
        let usual = part(size, 800.0);
        let curve = Curve::Sale { usual, times: 4.0, from: 1_800.0, ramp: 120.0, until: 5_400.0 };
        let work = [Work { pool: 0, curve, noise_percent: 1 }];
        let centre =
            works("a flash sale: four times the load within two minutes, for an hour", &work, 6 * 3_600)
                .await;
        let elastic = centre.watch.elastic.as_ref().unwrap();
        let (least, most) = elastic.range(0);
        assert!(f64::from(most) * HIGH * 1.1 >= 4.0 * usual, "{most} hosts at most");
        assert!(
            f64::from(elastic.serving(0)) <= usual / LOW * 1.2,
            "it shrinks again: {}",
            elastic.serving(0)
        );
        assert!(least > 0);
    });
}
