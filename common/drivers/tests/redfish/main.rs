//! The Redfish driver against a BMC that lies, hangs, is busy and loses orders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

mod crashes;
mod support;

use std::time::{Duration, Instant};

use hostler_drivers::{Bmc, BootMethod, BootStarted, DriverError, Patience, PowerGoal, PowerState, Rested};
use serde_json::json;
use support::{FakeBmc, PASSWORD, patience};

pub(crate) const IMAGE: &str =
    "http://images/debian.iso?callback=http%3A%2F%2Fapi%2Fc%3Ftoken%3Dt0ken&host=h-01&step=s";

/// The message of an error with those of its sources.
fn whole_text(error: &DriverError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(" {error}"));
        source = error.source();
    }
    text
}

#[tokio::test]
async fn facts_are_read_with_tolerance() {
    let fake = FakeBmc::start().await;
    let facts = fake.driver().inspect().await.unwrap();
    assert_eq!(facts.power_state, PowerState::Off);
    assert_eq!(facts.manufacturer.as_deref(), Some("Fake"));
    assert_eq!((facts.model, facts.serial), (None, None));
    assert_eq!((facts.processors, facts.memory_gib), (Some(2), None));
    assert_eq!(facts.nics.len(), 1);
    assert_eq!(facts.nics[0].mac.as_deref(), Some("00:5c:52:31:3a:9c"));
}

#[tokio::test]
async fn one_order_brings_power_although_it_comes_late() {
    let fake = FakeBmc::start().await;
    fake.state().reads_until_applied = 6;
    let driver = fake.driver();
    let on = driver.set_power(PowerGoal::On, &patience()).await.unwrap();
    assert!(on.changed);
    assert_eq!(on.resets_sent, 1);
    let again = driver.set_power(PowerGoal::On, &patience()).await.unwrap();
    assert!(!again.changed);
    let off = driver.set_power(PowerGoal::ForceOff, &patience()).await;
    assert!(off.unwrap().changed);
    assert_eq!(fake.state().resets, ["On", "ForceOff"]);
}

#[tokio::test]
async fn a_single_lie_is_not_believed() {
    let fake = FakeBmc::start().await;
    fake.state().lies = 1;
    let driver = fake.driver();
    assert_eq!(driver.settled_power_state(&patience()).await.unwrap(), PowerState::Off);
    fake.state().lies = 1;
    let off = driver.set_power(PowerGoal::ForceOff, &patience()).await.unwrap();
    assert!(!off.changed);
    assert!(fake.state().resets.is_empty(), "no order on a lie");
    fake.state().lies = 1;
    assert!(
        driver.set_power(PowerGoal::On, &patience()).await.unwrap().changed,
        "a lie does not hide what is to be done"
    );
}

#[tokio::test]
async fn an_unknown_power_state_never_settles() {
    let fake = FakeBmc::start().await;
    for nonsense in [json!(null), json!(17), json!("PoweringOn"), json!("Paused")] {
        fake.state().nonsense_power = Some(nonsense);
        let patience = Patience { deadline: Duration::from_millis(400), ..patience() };
        let error = fake.driver().settled_power_state(&patience).await.unwrap_err();
        assert_eq!(error.label(), "power-not-settled");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_lost_order_is_given_again_but_not_for_ever() {
    let fake = FakeBmc::start().await;
    fake.state().lost_resets = 1;
    let patience = Patience { deadline: Duration::from_millis(1_500), ..patience() };
    let on = fake.driver().set_power(PowerGoal::On, &patience).await;
    assert_eq!(on.unwrap().resets_sent, 2);
    {
        let mut state = fake.state();
        state.lost_resets = u32::MAX;
        state.resets.clear();
    }
    let error = fake.driver().set_power(PowerGoal::ForceOff, &patience).await.unwrap_err();
    assert!(matches!(
        &error,
        DriverError::PowerNotReached { last_read: Some(PowerState::On), wanted: PowerGoal::ForceOff, .. }
    ));
    assert!(error.is_transient());
    assert!(error.to_string().contains("power is not Off after 1.5 s"));
    let orders = fake.state().resets.len();
    assert!((2..=3).contains(&orders), "{orders} orders");
}

#[tokio::test]
async fn an_order_without_an_answer_is_judged_by_the_state() {
    let fake = FakeBmc::start().await;
    fake.state().hang_posts_after_doing = 1;
    let on = fake.driver().set_power(PowerGoal::On, &patience()).await;
    assert_eq!(on.unwrap().resets_sent, 1);
    fake.state().hang_posts_after_doing = 1;
    assert!(fake.driver().set_boot_image(IMAGE).await.unwrap());
    let state = fake.state();
    assert_eq!((state.inserts, state.resets.len()), (1, 1));
}

#[tokio::test]
async fn busy_is_waited_for_as_long_as_it_asks() {
    let fake = FakeBmc::start().await;
    let driver = fake.driver();
    fake.state().busy = 2;
    assert_eq!(driver.power_state().await.unwrap(), PowerState::Off);
    {
        let mut state = fake.state();
        state.busy = 1;
        state.retry_after = Some("1".to_owned());
    }
    let started = Instant::now();
    driver.power_state().await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    {
        let mut state = fake.state();
        (state.busy, state.requests) = (9, 0);
        state.retry_after = Some("30".to_owned());
    }
    let error = driver.power_state().await.unwrap_err();
    assert_eq!(error.retry_after_seconds(), Some(30));
    assert!(error.is_transient() && error.to_string().contains("in 30 s"));
    assert_eq!(fake.state().requests, 1, "not asked earlier than it wants to be");
    {
        let mut state = fake.state();
        (state.busy, state.requests, state.retry_after) = (9, 0, None);
    }
    assert_eq!(driver.power_state().await.unwrap_err().label(), "busy");
    assert_eq!(fake.state().requests, 3, "attempts are bounded");
}

#[tokio::test]
async fn orders_are_repeated_when_the_bmc_was_busy() {
    let fake = FakeBmc::start().await;
    let driver = fake.driver();
    assert_eq!(driver.boot_image().await.unwrap(), None);
    fake.state().busy = 2;
    assert!(driver.set_boot_image(IMAGE).await.unwrap());
    fake.state().busy = 2;
    assert!(driver.set_boot_once().await.unwrap());
    assert_eq!(fake.state().inserts, 1);
}

#[tokio::test]
async fn a_hang_ends_in_time_and_a_passing_one_is_survived() {
    let fake = FakeBmc::start().await;
    fake.state().hangs = 1;
    assert_eq!(fake.driver().power_state().await.unwrap(), PowerState::Off);
    fake.state().hangs = u32::MAX;
    let started = Instant::now();
    let error = fake.driver().power_state().await.unwrap_err();
    assert_eq!(error.label(), "timed-out");
    assert!(error.is_transient() && started.elapsed() < Duration::from_secs(5));
    let patience = Patience { deadline: Duration::from_millis(60), ..patience() };
    let started = Instant::now();
    let error = fake.driver().boot_from_image(IMAGE, &patience).await.unwrap_err();
    assert_eq!(error.label(), "out-of-time");
    assert!(started.elapsed() < Duration::from_secs(5));
    let error = fake.driver().set_power(PowerGoal::On, &patience).await.unwrap_err();
    assert_eq!(error.label(), "timed-out");
}

#[tokio::test]
async fn nobody_there_and_wrong_answers_are_told_apart() {
    let fake = FakeBmc::start().await;
    let mut endpoint = fake.endpoint();
    endpoint.system_url = "http://127.0.0.1:1/redfish/v1/Systems/u-1".to_owned();
    let error = support::driver(&endpoint).power_state().await.unwrap_err();
    assert!(error.label() == "unreachable" && error.is_transient());

    endpoint = fake.endpoint();
    endpoint.password = "wrong".to_owned();
    let error = support::driver(&endpoint).power_state().await.unwrap_err();
    assert!(error.label() == "unauthorized" && !error.is_transient());

    endpoint = fake.endpoint();
    endpoint.system_url = endpoint.system_url.replace("u-1", "u-2");
    let error = support::driver(&endpoint).power_state().await.unwrap_err();
    assert!(error.label() == "not-found" && !error.is_transient());
    assert!(error.to_string().contains("/redfish/v1/Systems/u-2"));

    fake.state().cut_short = 1;
    assert_eq!(fake.driver().power_state().await.unwrap(), PowerState::Off);
    fake.state().cut_short = 9;
    let error = fake.driver().power_state().await.unwrap_err();
    assert!(error.label() == "malformed" && error.is_transient());
}

#[tokio::test]
async fn a_refused_order_fails_at_once_and_shows_no_secret() {
    let fake = FakeBmc::start().await;
    fake.state().post_answer = Some((400, format!("can't fetch '{IMAGE}' as operator with {PASSWORD}")));
    let insert = fake.driver().set_boot_image(IMAGE).await.unwrap_err();
    let power = fake.driver().set_power(PowerGoal::On, &patience()).await.unwrap_err();
    for error in [insert, power] {
        assert!(error.label() == "refused" && !error.is_transient());
        let text = whole_text(&error);
        assert!(text.contains("http://images/debian.iso?…"), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains("t0ken"), "{text}");
    }
    fake.state().post_answer = Some((500, "out of memory".to_owned()));
    let error = fake.driver().set_boot_image(IMAGE).await.unwrap_err();
    assert!(error.label() == "failed" && error.is_transient());
    assert!(!format!("{:?} {:?}", fake.driver(), fake.endpoint()).contains(PASSWORD));
}

#[tokio::test]
async fn a_refusal_of_what_is_already_so_is_no_failure() {
    let fake = FakeBmc::start().await;
    {
        let mut state = fake.state();
        state.strict_resets = true;
        // Switched on by somebody between our reading and our order: shown as two lies first.
        state.power = "On".to_owned();
        state.lies = 2;
    }
    let on = fake.driver().set_power(PowerGoal::On, &patience()).await;
    assert!(on.is_ok());
}

#[tokio::test]
async fn links_to_other_servers_are_not_followed() {
    let fake = FakeBmc::start().await;
    fake.state().foreign_links = true;
    let power = fake.driver().set_power(PowerGoal::On, &patience()).await.unwrap_err();
    let media = fake.driver().boot_image().await.unwrap_err();
    for error in [power, media] {
        assert_eq!(error.label(), "malformed");
        assert!(whole_text(&error).contains("another server"));
    }
}

#[tokio::test]
async fn bad_endpoints_are_refused_without_a_call() {
    let endpoint = FakeBmc::start().await.endpoint();
    for url in [
        "",
        "10.0.0.7",
        "ftp://bmc/redfish/v1/Systems/1",
        "http://bmc/",
        "http://a:s3cret-Pa55@bmc/redfish/v1/Systems/1",
    ] {
        let mut endpoint = endpoint.clone();
        endpoint.system_url = url.to_owned();
        let error = hostler_drivers::RedfishBmc::new(&endpoint).unwrap_err();
        assert!(error.label() == "bad-endpoint" && !error.is_transient());
        assert!(!whole_text(&error).contains(PASSWORD));
    }
    let mut endpoint = endpoint;
    endpoint.trust = hostler_drivers::TlsTrust::Authorities("no pem".to_owned());
    let error = hostler_drivers::RedfishBmc::new(&endpoint).unwrap_err();
    assert_eq!(error.label(), "bad-endpoint");
}

#[tokio::test]
async fn the_drive_is_found_under_system_or_manager_or_missed() {
    for under_manager in [false, true] {
        let fake = FakeBmc::start().await;
        fake.state().media_under_manager = under_manager;
        let driver = fake.driver();
        assert_eq!(driver.boot_image().await.unwrap(), None);
        assert!(driver.set_boot_image(IMAGE).await.unwrap());
        assert!(!driver.set_boot_image(IMAGE).await.unwrap());
        assert_eq!(driver.boot_image().await.unwrap().as_deref(), Some(IMAGE));
        assert!(driver.set_boot_image("http://images/other.iso").await.unwrap());
        assert!(driver.clear_boot_image().await.unwrap());
        assert!(!driver.clear_boot_image().await.unwrap());
        let state = fake.state();
        assert_eq!((state.inserts, state.ejects), (2, 2));
    }
    let fake = FakeBmc::start().await;
    fake.state().no_media = true;
    let error = fake.driver().set_boot_image(IMAGE).await.unwrap_err();
    assert!(error.label() == "unsupported" && !error.is_transient());
    let error = fake.driver().boot_method().await.unwrap_err();
    assert!(
        error.to_string().contains("virtual CD drive") && error.to_string().contains("UEFI HTTP"),
        "{error}"
    );
    let rested = fake.driver().return_to_rest(&patience()).await.unwrap();
    assert_eq!(rested, Rested::default());
}

#[tokio::test]
async fn the_boot_target_is_set_once_and_given_back() {
    let fake = FakeBmc::start().await;
    let driver = fake.driver();
    assert!(!driver.restore_boot().await.unwrap());
    assert!(driver.set_boot_once().await.unwrap());
    assert!(!driver.set_boot_once().await.unwrap());
    assert!(driver.restore_boot().await.unwrap());
    assert!(!driver.restore_boot().await.unwrap());
    assert_eq!(
        fake.state().patches,
        [
            json!({ "Boot": { "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd" } }),
            json!({ "Boot": { "BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "Hdd" } }),
        ]
    );
}

#[tokio::test]
async fn a_host_is_booted_once_and_brought_to_rest_once() {
    let fake = FakeBmc::start().await;
    {
        let mut state = fake.state();
        state.power = "On".to_owned();
        state.image = "http://images/left-behind.iso".to_owned();
    }
    let driver = fake.driver();
    let booted = driver.boot_from_image(IMAGE, &patience()).await.unwrap();
    assert_eq!(
        booted,
        BootStarted {
            already_running: false,
            power_changes: vec![PowerState::Off, PowerState::On],
            ejected: true,
            inserted: true,
            boot_target_set: true,
        }
    );
    let again = driver.boot_from_image(IMAGE, &patience()).await.unwrap();
    assert!(again.already_running && again.power_changes.is_empty());
    let rested = driver.return_to_rest(&patience()).await.unwrap();
    assert_eq!(rested, Rested { power_changes: vec![PowerState::Off], ejected: true, boot_restored: true });
    let again = driver.return_to_rest(&patience()).await.unwrap();
    assert_eq!(again, Rested::default());
    let state = fake.state();
    assert_eq!((state.boots_from_cd, state.boots_otherwise), (1, 0));
    assert_eq!(state.resets, ["ForceOff", "On", "ForceOff"]);
}

#[tokio::test]
async fn the_way_to_boot_is_chosen_from_what_the_bmc_says_it_can() {
    let fake = FakeBmc::start().await;
    assert_eq!(fake.driver().boot_method().await.unwrap(), BootMethod::VirtualMedia);
    fake.state().by_http = true;
    assert_eq!(
        fake.driver().boot_method().await.unwrap(),
        BootMethod::UefiHttp,
        "it lists no CD as a target"
    );
    fake.state().no_media = true;
    assert_eq!(fake.driver().boot_method().await.unwrap(), BootMethod::UefiHttp);
}

#[tokio::test]
async fn a_host_without_a_drive_is_booted_by_uefi_http_once_and_brought_to_rest_once() {
    let fake = FakeBmc::start_by_http().await;
    {
        let mut state = fake.state();
        state.power = "On".to_owned();
        state.image = "http://images/left-behind.iso".to_owned();
    }
    let driver = fake.driver();
    let booted = driver.boot_from_image(IMAGE, &patience()).await.unwrap();
    assert_eq!(booted.power_changes, [PowerState::Off, PowerState::On]);
    assert!(booted.ejected && booted.inserted, "{booted:?}");
    let once = json!({ "Boot": {
        "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp",
        "BootSourceOverrideMode": "UEFI", "HttpBootUri": IMAGE,
    }});
    assert_eq!(fake.state().patches.last(), Some(&once), "address and target in one request");
    assert!(driver.boot_from_image(IMAGE, &patience()).await.unwrap().already_running);
    assert_eq!(fake.driver().boot_image().await.unwrap().as_deref(), Some(IMAGE));

    let rested = driver.return_to_rest(&patience()).await.unwrap();
    assert_eq!(rested, Rested { power_changes: vec![PowerState::Off], ejected: true, boot_restored: true });
    assert_eq!(driver.return_to_rest(&patience()).await.unwrap(), Rested::default());
    let state = fake.state();
    assert_eq!((state.boots_from_cd, state.boots_otherwise), (1, 0));
    assert_eq!((state.image.as_str(), state.boot_target.as_str()), ("", "Hdd"));
}

/// The host has taken its one boot, and the BMC says so: it still has the address, and is not booted again.
#[tokio::test]
async fn a_host_whose_one_boot_by_uefi_http_is_used_up_is_not_booted_again() {
    let fake = FakeBmc::start_by_http().await;
    let driver = fake.driver();
    driver.boot_from_image(IMAGE, &patience()).await.unwrap();
    {
        let mut state = fake.state();
        state.boot_enabled = "Disabled".to_owned();
        state.boot_target = "None".to_owned();
    }
    assert!(driver.boot_from_image(IMAGE, &patience()).await.unwrap().already_running);
    assert!(!driver.restore_boot().await.unwrap(), "its disk is next already");
    assert!(driver.clear_boot_image().await.unwrap());
    assert_eq!(fake.state().boots_from_cd, 1);
}

#[tokio::test]
async fn a_bmc_that_keeps_the_address_for_uefi_http_is_brought_to_rest_all_the_same() {
    let fake = FakeBmc::start_by_http().await;
    fake.state().keeps_address = true;
    let driver = fake.driver();
    driver.boot_from_image(IMAGE, &patience()).await.unwrap();
    let rested = driver.return_to_rest(&patience()).await.unwrap();
    assert_eq!(rested, Rested { power_changes: vec![PowerState::Off], ejected: false, boot_restored: true });
    assert_eq!(fake.state().boot_target, "Hdd");
}
