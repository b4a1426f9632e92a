//! What may happen to a data centre. Each scenario checks the budget after every commit and, at the end, that nothing is left
//! half done; and prints what it came to.

use std::time::{Duration, Instant};

use hostler_testkit::clock::Random;
use hostler_testkit::seeds::in_one_thread;
use jiff::SignedDuration;

use crate::alerts::storm;
use crate::model::{DataCentre, Happening, POOLS, Size, What};
use crate::polling::month;

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

#[test]
fn flapping_host() {
    in_one_thread(async {
        let began = Instant::now();
        let mut centre = DataCentre::new(Size::wanted()).await;
        let number = centre.hosts_where(|place| place.rack == 1)[0];
        let host = centre.places[number].host.clone();
        // It hangs again half a minute after each time it is well.
        for _ in 0..480 {
            if centre.site.phase(&host) == "in-service" && centre.site.fleet.faults.is_well(&host) {
                centre.breaks(number, What::Hang);
            }
            centre.pass(30).await;
        }
        centre.settle(48).await;
        centre.report("a host hangs again whenever it is well, for four hours", began);
        let tried: Vec<_> =
            centre.watch.incidents.values().flat_map(|incident| incident.tried.clone()).collect();
        println!("  tried: {tried:?}");
        assert!(centre.watch.count("host.power-cycled") <= 2, "it is not power-cycled for ever");
        let ended = centre.watch.count("host.retired") + centre.watch.count("health.escalated");
        assert_eq!(ended, 1, "another host serves in its place, or a person knows");
    });
}

#[test]
fn monitoring_away() {
    in_one_thread(async {
        let began = Instant::now();
        let mut centre = DataCentre::new(Size::wanted()).await;
        let hosts = some(&centre, centre.size.hosts() / 200);
        let (before, during) = hosts.split_at(hosts.len() / 2);
        let mut random = Random::new(11);
        let now = centre.now();
        for (n, number) in before.iter().enumerate() {
            let at = now + SignedDuration::from_secs(n as i64 * 120 / before.len() as i64);
            centre.breaks_at(at, *number, What::drawn(&mut random));
        }
        centre.pass(180).await;
        centre.site.outages.take_away("monitoring", Duration::from_secs(3_600));
        centre.plan(centre.now(), Happening::Away(centre.now() + SignedDuration::from_hours(1)));
        let now = centre.now();
        for (n, number) in during.iter().enumerate() {
            let at = now + SignedDuration::from_secs(n as i64 * 3_000 / during.len() as i64);
            centre.breaks_at(at, *number, What::drawn(&mut random));
        }
        centre.settle(48).await;
        centre.report("monitoring is away for an hour, while hosts break", began);
        assert_eq!(needless_rungs(&centre), 0, "a host that nobody can see is not repaired further");
    });
}

#[test]
fn hours_old_signals() {
    in_one_thread(async {
        let began = Instant::now();
        let mut centre = DataCentre::new(Size::wanted()).await;
        let hosts = some(&centre, centre.size.hosts() / 25);
        let until = centre.now() + SignedDuration::from_hours(4);
        centre.site.queues.hold_until("signals", until);
        for number in &hosts {
            centre.breaks(*number, What::Dead);
            centre.after(1_800.0, Happening::Heals(*number));
        }
        centre.pass(3 * 3_600).await;
        assert_eq!(centre.watch.count("health.suspected"), 0, "nobody has read it yet");
        // What is said of this one comes late as well, and is said again.
        let all = centre.hosts_where(|place| place.rack == 1);
        let fresh = all.into_iter().find(|number| !hosts.contains(number)).unwrap();
        centre.breaks(fresh, What::Hang);
        centre.pass(2 * 3_600).await;
        centre.settle(48).await;
        centre.report("signals of hours ago, after an outage of four hours", began);
        let stale = hosts.len() as u64 + 1;
        assert_eq!(centre.watch.count("health.signal-dropped"), stale, "each is on record, once");
        assert_eq!((centre.watch.count("host.cordoned"), centre.watch.count("host.power-cycled")), (1, 1));
    });
}

/// So many hosts, evenly spread.
fn some(centre: &DataCentre, count: usize) -> Vec<usize> {
    let all = centre.hosts_where(|_| true);
    let mut step = all.len() / count.max(2);
    // Not the same pool each time.
    step -= usize::from(step.is_multiple_of(POOLS));
    all.iter().step_by(step).copied().collect()
}

/// How often more was tried than the fault of a host needs.
fn needless_rungs(centre: &DataCentre) -> usize {
    centre.watch.incidents.values().filter(|incident| !incident.follows_its_runbook()).count()
}

/// Single faults, so many a day, for so many days; and what a polling orchestrator makes of the same.
async fn single_faults(per_day: usize, days: usize, began: Instant) {
    let mut centre = DataCentre::new(Size::wanted()).await;
    let mut random = Random::new(per_day as u64);
    let mut hosts = centre.hosts_where(|_| true);
    let seconds = days as u64 * 86_400;
    let start = centre.now();
    let mut faults = Vec::new();
    for _ in 0..per_day * days {
        let number = hosts.swap_remove(random.below(hosts.len() as u64) as usize);
        let at = start + SignedDuration::from_secs(random.below(seconds).cast_signed());
        let what = What::drawn(&mut random);
        centre.breaks_at(at, number, what);
        faults.push((at, what));
    }
    let ended = start + SignedDuration::from_secs(seconds.cast_signed());
    centre.pass(seconds.cast_signed()).await;
    centre.settle(48).await;
    centre.report(&format!("{per_day} single faults a day for {days} days"), began);
    centre.compare(&month(centre.size.hosts(), start, ended, &faults));
    assert_eq!(centre.watch.incidents.len(), faults.len(), "each fault is one incident");
    assert_eq!(needless_rungs(&centre), 0, "each runbook is followed");
}

#[test]
fn month_of_single_faults() {
    in_one_thread(async {
        let days = if Size::wanted().hosts() < 10_000 { 1 } else { 30 };
        for per_day in [5, 95] {
            // So few hosts do not have that many faults.
            let per_day = if days == 1 { per_day.min(10) } else { per_day };
            single_faults(per_day, days, Instant::now()).await;
        }
    });
}
