//! The plain configuration and monitoring drivers, and the BMC in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_drivers::memory::{MemoryBmcs, MemoryStore, busy};
use hostler_drivers::{
    Applied, ApplyRole, Applying, Bmcs, ChangeOrder, Changing, Checking, Configuration, HostAsked,
    Monitoring, Packages, Patience, PlainConfiguration, PlainMonitoring, PlainPackages, PowerState,
    RegisterHost, StateStore, Wanted,
};
use hostler_runtime::ports::Clock;
use jiff::{SignedDuration, Timestamp};

/// A clock that is set by hand.
#[derive(Debug, Clone, Default)]
struct HandClock(Arc<Mutex<Timestamp>>);

impl HandClock {
    fn advance_minute(&self) {
        *self.0.lock().unwrap() += SignedDuration::from_mins(1);
    }
}

#[async_trait::async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, _: Duration) {}
}

fn monitoring() -> (PlainMonitoring<MemoryStore>, HandClock) {
    let clock = HandClock::default();
    (PlainMonitoring::new(MemoryStore::default(), Arc::new(clock.clone())), clock)
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn role(name: &str, revision: Option<u64>, simulate: &[(&str, &str)]) -> ApplyRole {
    let (host, revision) = ("h-01".to_owned(), revision.map(|revision| revision.to_string()));
    ApplyRole { host, role: name.to_owned(), revision, labels: labels(simulate), ..ApplyRole::default() }
}

/// What was applied at once.
fn done(applying: Applying) -> Applied {
    match applying {
        Applying::Done(applied) => applied,
        Applying::Begun => panic!("it is only begun"),
    }
}

fn watched(simulate: &[(&str, &str)]) -> RegisterHost {
    let (host, role) = ("h-01".to_owned(), "web".to_owned());
    RegisterHost { host, role, labels: labels(simulate), ..RegisterHost::default() }
}

#[tokio::test]
async fn a_role_is_applied_once_and_counted() {
    let store = MemoryStore::default();
    let driver = PlainConfiguration::new(store.clone());
    let applied = done(driver.apply_role(&role("web", Some(7), &[])).await.unwrap());
    assert_eq!(applied, Applied { role: "web".to_owned(), revision: "7".to_owned(), changed: true });
    let again = done(driver.apply_role(&role("web", None, &[])).await.unwrap());
    assert!(!again.changed && again.revision == "7");
    let newer = done(driver.apply_role(&role("web", Some(8), &[])).await.unwrap());
    assert!(newer.changed);
    let other = done(driver.apply_role(&role("db", None, &[])).await.unwrap());
    assert!(other.changed && other.revision == "1");
    let row = driver.row("h-01").await.unwrap();
    assert_eq!((row.runs, row.applied), (4, 3));
    assert_eq!(store.rows()["configuration/h-01"]["applied"], 3);
    let odd = ApplyRole { revision: Some("9f3b".to_owned()), ..role("web", None, &[]) };
    assert!(!driver.apply_role(&odd).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_host_has_drifted_where_its_row_is_not_what_was_applied() {
    let store = MemoryStore::default();
    let driver = PlainConfiguration::new(store.clone());
    driver.apply_role(&role("web", Some(7), &[])).await.unwrap();
    let wanted = role("web", Some(7), &[]);
    assert_eq!(driver.check_role(&wanted).await.unwrap(), Checking::Done(Vec::new()));
    driver.apply_role(&role("web", Some(8), &[])).await.unwrap();
    let Checking::Done(changes) = driver.check_role(&wanted).await.unwrap() else {
        panic!("it is only begun")
    };
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].path.as_str(), changes[0].diff.as_str()),
        ("configuration/h-01", "-web 8\n+web 7\n")
    );
    assert_eq!(driver.row("h-01").await.unwrap().runs, 2, "a check applies nothing");
}

#[tokio::test]
async fn labels_make_steps_fail_as_they_say() {
    let driver = PlainConfiguration::new(MemoryStore::default());
    let transient = role("web", None, &[("simulate.configure", "fail-transient")]);
    for _ in 0..3 {
        assert!(driver.apply_role(&transient).await.unwrap_err().is_transient());
    }
    let once = role("web", None, &[("simulate.configure", "fail-once")]);
    let error = driver.apply_role(&once).await.unwrap_err();
    assert!(error.is_transient() && error.label() == "step-failed");
    assert!(done(driver.apply_role(&once).await.unwrap()).changed);
    let other_host = ApplyRole { host: "h-02".to_owned(), ..once };
    assert!(driver.apply_role(&other_host).await.is_err());
    let wrong = role("web", None, &[("simulate.configure", "explode")]);
    let error = driver.apply_role(&wrong).await.unwrap_err();
    assert_eq!(error.label(), "bad-label");
}

#[tokio::test]
async fn a_slow_step_takes_its_time() {
    let driver = PlainConfiguration::new(MemoryStore::default());
    let started = tokio::time::Instant::now();
    let slow = role("web", None, &[("simulate.configure", "slow:1")]);
    driver.apply_role(&slow).await.unwrap();
    assert!(started.elapsed().as_secs() >= 1);
}

#[tokio::test]
async fn a_host_is_watched_once_seen_once_and_let_go_once() {
    let (driver, clock) = monitoring();
    let error = driver.first_sample("h-01", clock.now()).await.unwrap_err();
    assert!(!error.is_transient());
    let registered = driver.register(&watched(&[])).await.unwrap();
    assert!(registered.changed);
    clock.advance_minute();
    let again = driver.register(&watched(&[])).await.unwrap();
    assert!(!again.changed && again.since == registered.since);
    let sample = driver.first_sample("h-01", registered.since).await.unwrap();
    assert!(sample.healthy);
    clock.advance_minute();
    assert_eq!(driver.first_sample("h-01", registered.since).await.unwrap(), sample);
    let newer = driver.first_sample("h-01", clock.now()).await.unwrap();
    assert!(newer.observed_at >= clock.now(), "a sample from before a repair says nothing of it");
    assert!(driver.deregister("h-01").await.unwrap().changed);
    assert!(!driver.deregister("h-01").await.unwrap().changed);
    assert!(!driver.deregister("h-unknown").await.unwrap().changed);
    let row = driver.row("h-01").await.unwrap();
    assert_eq!((row.runs, row.registered, row.deregistered), (2, 1, 1));
}

#[tokio::test]
async fn monitoring_fails_once_per_step() {
    let (driver, clock) = monitoring();
    let once = watched(&[("simulate.monitor", "fail-once")]);
    assert!(driver.register(&once).await.unwrap_err().is_transient());
    driver.register(&once).await.unwrap();
    assert!(driver.first_sample("h-01", clock.now()).await.unwrap_err().is_transient());
    driver.first_sample("h-01", clock.now()).await.unwrap();
    let fail = watched(&[("simulate.monitor", "fail")]);
    assert!(!driver.register(&fail).await.unwrap_err().is_transient());
    assert!(driver.deregister("h-01").await.unwrap().changed);
}

#[tokio::test]
async fn a_row_of_somebody_else_is_named() {
    use hostler_drivers::StateStore;
    let store = MemoryStore::default();
    let row = serde_json::json!({ "runs": "many" });
    store.put("configuration/h-01", row).await.unwrap();
    let driver = PlainConfiguration::new(store);
    let error = driver.apply_role(&role("web", None, &[])).await.unwrap_err();
    assert_eq!(error.label(), "corrupt-state");
    assert!(error.to_string().contains("configuration/h-01"));
}

#[tokio::test]
async fn the_bmc_in_memory_keeps_the_same_promises() {
    let bmcs = MemoryBmcs::default();
    let url = "http://bmc/redfish/v1/Systems/1";
    let endpoint = hostler_drivers::BmcEndpoint {
        system_url: url.to_owned(),
        username: String::new(),
        password: String::new(),
        trust: hostler_drivers::TlsTrust::default(),
    };
    let driver = bmcs.connect(&endpoint).unwrap();
    let patience = Patience::default();
    bmcs.bmc(url).fail_next(busy(url));
    let error = driver.boot_from_image("http://i/a.iso", &patience).await;
    assert!(error.unwrap_err().is_transient());
    let booted = driver.boot_from_image("http://i/a.iso", &patience).await;
    assert_eq!(booted.unwrap().power_changes, [PowerState::On]);
    let again = driver.boot_from_image("http://i/a.iso", &patience).await;
    assert!(again.unwrap().already_running);
    let rested = driver.return_to_rest(&patience).await.unwrap();
    assert!(rested.ejected && rested.boot_restored);
    let state = bmcs.bmc(url).state();
    assert_eq!((state.resets, state.inserts), (2, 1));
}

fn change(version: &str, roll_back: bool, simulate: &[(&str, &str)]) -> ChangeOrder {
    ChangeOrder {
        host: HostAsked { host: "h-01".to_owned(), labels: labels(simulate) },
        packages: ["openssl", "curl"]
            .map(|package| Wanted { package: package.to_owned(), version: version.to_owned() })
            .into(),
        roll_back,
        ..ChangeOrder::default()
    }
}

#[tokio::test]
async fn packages_are_noted_and_one_that_a_host_does_not_have_is_left_alone() {
    let store = MemoryStore::default();
    let clock = HandClock::default();
    let driver = PlainPackages::new(store.clone(), Arc::new(clock.clone()));
    assert!(driver.list(&HostAsked::default()).await.unwrap().packages.is_empty());
    let row = serde_json::json!({
        "installed": { "openssl": "1" }, "reboot_pending": false, "needs_reboot": ["openssl"], "changes": 0,
    });
    store.put("packages/h-01", row).await.unwrap();
    let Changing::Done(changed) = driver.change(&change("2", false, &[])).await.unwrap() else {
        panic!("begun")
    };
    assert_eq!(changed.changed, [("openssl".to_owned(), "1".to_owned(), "2".to_owned())]);
    assert!(changed.reboot_pending);
    driver.change(&change("2", false, &[])).await.unwrap();
    assert_eq!(driver.row("h-01").await.unwrap().changes, 1, "what is installed is not installed again");
    clock.advance_minute();
    let host = HostAsked { host: "h-01".to_owned(), ..HostAsked::default() };
    let list = driver.list(&host).await.unwrap();
    assert_eq!((list.packages[0].version.as_str(), list.observed_at), ("2", clock.now()));

    let once = [("simulate.install", "fail-once"), ("simulate.roll-back", "fail")];
    assert!(driver.change(&change("3", false, &once)).await.unwrap_err().is_transient());
    driver.change(&change("3", false, &once)).await.unwrap();
    assert!(!driver.change(&change("1", true, &once)).await.unwrap_err().is_transient());
    let plain = hostler_drivers::packages_of(String::new(), String::new(), (store, Arc::new(clock))).unwrap();
    let list = plain.list(&host).await.unwrap();
    assert_eq!(list.packages[0].version, "3", "without a runner's address there is no runner");
}
