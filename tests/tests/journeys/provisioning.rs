//! From a request to hosts in service.

use hostler_domain::provisioning::host_of;
use std::collections::BTreeSet;

use crate::site::{Setup, Site};

#[tokio::test]
async fn a_host_is_enrolled_verified_cleaned_and_free() {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.run().await;
    assert_eq!(site.phase("h-1"), "available");
    let bmc = site.fleet.bmc("h-1").state();
    assert_eq!((bmc.inserts, bmc.resets), (1, 2), "booted into the cleaning image, and off again");
    site.check();
}

#[tokio::test]
async fn a_request_of_five_hosts_brings_five_into_service_with_each_effect_once() {
    let mut site = Site::new();
    for n in 1..=7 {
        site.enrol(&format!("h-{n}"), &[]).await;
    }
    site.run().await;
    site.request("r-1", 5).await;
    site.run().await;
    site.check();
    let mut serving = BTreeSet::new();
    for n in 1..=5 {
        let saga = site.saga(&format!("r-1.{n}"));
        assert_eq!(saga.status.name(), "completed");
        serving.insert(host_of(&saga).unwrap().to_string());
    }
    assert_eq!(serving.len(), 5, "each saga has a host of its own");
    for host in &serving {
        let state = site.host(host);
        assert_eq!(state.role.unwrap().as_str(), "web-server");
        let bmc = site.fleet.bmc(host).state();
        assert_eq!((bmc.inserts, bmc.resets), (2, 3), "{host}: cleaned and deployed");
        assert_eq!(site.control_value(&format!("configuration/{host}"))["runs"], 1);
        assert_eq!(site.control_value(&format!("monitoring/{host}"))["registered"], 1);
    }
    assert_eq!(site.count("host.in-service"), 5);
    assert_eq!(site.count("host.power-state-changed"), 7 * 2 + 5, "each change of power is on record");
    assert_eq!(site.views.rows("hosts").iter().filter(|row| row.group == "web/available").count(), 2);
}

#[tokio::test]
async fn a_request_that_is_sent_again_changes_nothing() {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.enrol("h-2", &[]).await;
    site.run().await;
    for _ in 0..3 {
        site.request("r-1", 1).await;
        site.run().await;
    }
    assert_eq!((site.status("r-1.1"), site.count("host.in-service")), ("completed", 1));
    site.check();
}

#[tokio::test]
async fn two_requests_race_for_the_last_host_and_one_of_them_gets_it() {
    let mut lost = 0;
    for seed in 1..=20 {
        let mut site = Site::with(Setup { at_once: Some(seed), ..Setup::default() });
        site.enrol("h-1", &[]).await;
        site.run().await;
        site.request("r-1", 1).await;
        site.request("r-2", 1).await;
        site.run().await;
        site.check();
        let ends = BTreeSet::from([site.status("r-1.1"), site.status("r-2.1")]);
        assert_eq!(ends, BTreeSet::from(["compensated", "completed"]), "seed {seed}");
        assert_eq!((site.phase("h-1"), site.count("host.in-service")), ("in-service", 1), "seed {seed}");
        lost += site.count("reservation.candidate-lost");
    }
    assert!(lost > 0, "they did race: both had chosen the host, and one of them lost it");
}

#[tokio::test]
async fn many_sagas_race_for_few_hosts_and_every_host_is_used() {
    for seed in 1..=3 {
        let mut site = Site::with(Setup { at_once: Some(seed), ..Setup::default() });
        for n in 1..=6 {
            site.enrol(&format!("h-{n}"), &[]).await;
        }
        site.run().await;
        for n in 1..=5 {
            site.request(&format!("r-{n}"), 2).await;
        }
        site.run().await;
        site.check();
        let completed = site.sagas().iter().filter(|(_, saga)| saga.status.name() == "completed").count();
        assert_eq!((completed, site.count("host.in-service")), (6, 6), "ten sagas, six hosts; seed {seed}");
    }
}

#[tokio::test]
async fn a_host_that_comes_free_in_time_is_taken_by_a_saga_that_waits() {
    let mut site = Site::with(Setup { batch: 1, ..Setup::default() });
    site.request("r-1", 1).await;
    // The first tries find nothing; the host is clean before the last one.
    site.enrol("h-1", &[]).await;
    site.run().await;
    assert!(["completed", "compensated"].contains(&site.status("r-1.1")));
    site.request("r-2", 1).await;
    site.run().await;
    site.check();
    let completed = ["r-1.1", "r-2.1"].map(|saga| site.status(saga));
    assert!(completed.contains(&"completed"), "{completed:?}");
}
