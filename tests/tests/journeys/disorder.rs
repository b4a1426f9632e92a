//! Messages that come late, twice and in any order, and functions that get in each other's way.

use crate::site::{Boot, Order, Setup, Site};
use hostler_domain::provisioning::host_of;

/// Three good hosts and three bad ones, two requests and a cancellation, with failures on the way.
async fn busy_day(setup: Setup) -> Site {
    let mut site = Site::with(setup);
    site.enrol("h-1", &[]).await;
    site.enrol("h-2", &[("simulate.configure", "fail-once")]).await;
    site.enrol("h-3", &[("simulate.monitor", "fail")]).await;
    site.enrol("h-4", &[]).await;
    site.enrol("h-5", &[]).await;
    site.enrol("h-6", &[]).await;
    site.fleet.deploys("h-4", [Boot::Fails]);
    site.fleet.deploys("h-5", [Boot::Silent, Boot::Silent]);
    site.fleet.cleans("h-6", [Boot::Fails; 3]);
    site.run().await;
    site.request("r-1", 3).await;
    site.request("r-2", 2).await;
    site.run_until(|site| site.status("r-2.1") == "running").await;
    site.cancel("r-2.1").await;
    site.run().await;
    site
}

fn check(site: &Site) {
    site.check();
    check_outcome(site);
}

fn check_outcome(site: &Site) {
    assert_eq!(site.phase("h-6"), "quarantined");
    assert_eq!(site.sagas().len(), 5);
    assert_eq!(site.status("r-2.1"), "compensated");
    let completed = site.sagas().iter().filter(|(_, saga)| saga.status.name() == "completed").count();
    let serving = (1..=6).filter(|n| site.phase(&format!("h-{n}")) == "in-service").count();
    assert_eq!(serving, completed);
}

#[tokio::test]
async fn the_newest_message_first() {
    check(&busy_day(Setup { order: Order::NewestFirst, ..Setup::default() }).await);
}

#[tokio::test]
async fn every_message_twice_and_once_more() {
    check(&busy_day(Setup { duplicates: true, ..Setup::default() }).await);
}

#[tokio::test]
async fn every_message_twice_and_the_newest_first() {
    check(
        &busy_day(Setup {
            order: Order::NewestFirst,
            duplicates: true,
            batch: 1,
            at_once: None,
            seed: 1,
            ..Setup::default()
        })
        .await,
    );
}

#[tokio::test]
async fn any_order() {
    for seed in 1..=6 {
        let site = busy_day(Setup { order: Order::Shuffled(seed), ..Setup::default() }).await;
        println!("seed {seed}");
        check(&site);
    }
}

#[tokio::test]
async fn any_order_and_every_message_twice() {
    for seed in 100..=103 {
        let setup = Setup {
            order: Order::Shuffled(seed),
            duplicates: true,
            batch: 3,
            at_once: None,
            seed: 1,
            ..Setup::default()
        };
        println!("seed {seed}");
        check(&busy_day(setup).await);
    }
}

#[tokio::test]
async fn nothing_but_the_good_hosts_serves_when_everything_comes_twice() {
    let setup = Setup { duplicates: true, ..Setup::default() };
    let mut site = Site::with(setup);
    for n in 1..=3 {
        site.enrol(&format!("h-{n}"), &[]).await;
    }
    site.run().await;
    site.request("r-1", 2).await;
    site.run().await;
    site.check();
    assert_eq!((site.count("host.in-service"), site.count("host.deploy-completed")), (2, 2));
    for (saga, state) in site.sagas() {
        let host = host_of(&state).unwrap();
        assert_eq!(site.control_value(&format!("configuration/{host}"))["runs"], 1, "{saga}");
        assert_eq!(site.control_value(&format!("monitoring/{host}"))["runs"], 1, "{saga}");
        assert_eq!(site.fleet.bmc(host.as_str()).state().inserts, 2, "{saga}");
    }
}

#[tokio::test]
async fn what_an_earlier_try_is_told_late_is_not_taken_for_the_next_one() {
    let mut site = Site::with(Setup { duplicates: true, ..Setup::default() });
    site.enrol("h-1", &[]).await;
    site.run().await;
    // The failure of the first boot is heard again while the second one is under way.
    site.fleet.deploys("h-1", [Boot::Fails]);
    site.request("r-1", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.count("saga.step-failed")), ("completed", 1));
}

#[tokio::test]
async fn everything_at_once_in_each_others_way() {
    for seed in 1..=4 {
        println!("seed {seed}");
        let at_once = Setup { at_once: Some(seed), order: Order::Shuffled(seed), ..Setup::default() };
        check(&busy_day(at_once).await);
    }
}

#[tokio::test]
async fn everything_at_once_and_twice() {
    for seed in 11..=14 {
        println!("seed {seed}");
        let order = Order::Shuffled(seed);
        let site = busy_day(Setup {
            order,
            duplicates: true,
            batch: 3,
            at_once: Some(seed),
            seed: 1,
            ..Setup::default()
        })
        .await;
        site.check();
        check_outcome(&site);
    }
}
