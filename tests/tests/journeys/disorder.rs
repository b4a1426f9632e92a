//! Messages that come late, twice and in any order, and functions that get in each other's way.

use crate::site::{Boot, Order, Setup, Site};

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
    assert_eq!(site.phase("h-6"), "quarantined");
    assert_eq!(site.sagas().len(), 5);
    assert_eq!(site.status("r-2.1"), "compensated");
    let completed = site.sagas().iter().filter(|(_, saga)| saga.status_name() == "completed").count();
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
    check(&busy_day(Setup { order: Order::NewestFirst, duplicates: true, batch: 1 }).await);
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
        let setup = Setup { order: Order::Shuffled(seed), duplicates: true, batch: 3 };
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
        let host = state.host.unwrap();
        assert_eq!(site.control_value(&format!("configuration/{host}"))["applied"], 1, "{saga}");
        assert_eq!(site.control_value(&format!("monitoring/{host}"))["registered"], 1, "{saga}");
        assert_eq!(site.fleet.bmc(host.as_str()).state().inserts, 2, "{saga}");
    }
}
