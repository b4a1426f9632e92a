//! What may happen to a data centre. Each scenario checks the budget after every commit and, at the end, that nothing is left
//! half done; and prints what it came to.

use std::time::Instant;

use hostler_testkit::clock::Random;
use hostler_testkit::seeds::in_one_thread;

use crate::alerts::storm;
use crate::model::{DataCentre, Happening, Size, What};

/// How long power is away.
const OUTAGE_SECONDS: i64 = 1_200;
/// Of a hundred hosts that get their power back, so many hang.
const HANG_PERCENT: u8 = 10;

/// These hosts lose their power and get it back; some of them hang then.
async fn loses_power(centre: &mut DataCentre, hosts: &[usize], rules: usize, within_seconds: f64) -> u64 {
    let now = centre.now();
    for number in hosts {
        centre.plan(now, Happening::Breaks(*number, What::Dead));
    }
    for (at, happening) in storm(hosts, rules, within_seconds, now) {
        centre.plan(at, happening);
    }
    centre.pass(OUTAGE_SECONDS).await;
    let acted = centre.watch.count("host.cordoned");
    let mut random = Random::new(7);
    for number in hosts {
        let hangs = random.percent(HANG_PERCENT);
        let next = if hangs { Happening::Breaks(*number, What::Hang) } else { Happening::Heals(*number) };
        centre.after(random.below(60) as f64, next);
    }
    centre.settle(48).await;
    acted
}

#[test]
fn rack_lost() {
    in_one_thread(async {
        let began = Instant::now();
        let mut centre = DataCentre::new(Size::wanted()).await;
        println!("built in {:.1} s", began.elapsed().as_secs_f64());
        let hosts = centre.hosts_where(|place| place.rack == 3);
        let acted = loses_power(&mut centre, &hosts, 10, 9.0).await;
        centre.report("a rack is lost: ten alarms for each of its hosts in 10 s", began);
        assert_eq!(acted, 0, "nobody is repaired for what the rack has lost");
        assert_eq!(centre.watch.count("domain.incident-opened"), 1);
        assert_eq!(centre.watch.count("health.escalated"), 0);
    });
}

#[test]
fn power_domain_lost() {
    in_one_thread(async {
        let began = Instant::now();
        let mut centre = DataCentre::new(Size::wanted()).await;
        let hosts = centre.hosts_where(|place| place.power_domain == 0);
        let acted = loses_power(&mut centre, &hosts, 1, 55.0).await;
        centre.report("a power domain is lost: an alarm for each of its hosts in 60 s", began);
        assert_eq!(acted, 0, "no storm of power cycles");
        let cut = centre.watch.count("host.power-cycled");
        assert!(cut <= 2 * hosts.len() as u64 * u64::from(HANG_PERCENT) / 50, "{cut} power cycles");
    });
}
