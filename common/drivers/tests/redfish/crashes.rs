//! Callers that are cut off at any request and call again: the host still boots exactly once.

use std::time::Duration;

use hostler_drivers::{Bmc, DriverError, PowerGoal, PowerState, RedfishBmcs, RedfishLimits};

use crate::IMAGE;
use crate::support::{self, Cut, FakeBmc, patience};

/// Runs an operation until the BMC cuts it off. Returns whether it was cut off, or done before.
async fn cut_off<T>(fake: &FakeBmc, operation: impl Future<Output = T>) -> bool {
    let was_cut = tokio::select! {
        () = fake.cut_reached() => true,
        _ = operation => false,
    };
    fake.state().cut = None;
    was_cut
}

fn every_cut() -> impl Iterator<Item = Cut> {
    (0..80).flat_map(|n| [Cut::BeforeRequest(n), Cut::AfterRequest(n)])
}

/// A request may take as long as it likes here: what is cut off must be cut off by the test alone.
fn patient_bmcs() -> RedfishBmcs {
    RedfishBmcs::new(RedfishLimits { request_timeout: Duration::from_secs(5), ..support::limits() })
}

#[tokio::test]
async fn booting_survives_a_crash_at_any_request_and_boots_exactly_once() {
    let bmcs = patient_bmcs();
    for by_http in [false, true] {
        boots_exactly_once(&bmcs, by_http).await;
    }
}

async fn boots_exactly_once(bmcs: &RedfishBmcs, by_http: bool) {
    let mut cuts = 0;
    for cut in every_cut() {
        let fake = if by_http { FakeBmc::start_by_http().await } else { FakeBmc::start().await };
        {
            let mut state = fake.state();
            state.power = "On".to_owned();
            state.cut = Some(cut);
        }
        let driver = bmcs.redfish(&fake.endpoint()).unwrap();
        if !cut_off(&fake, driver.boot_from_image(IMAGE, &patience())).await {
            break;
        }
        cuts += 1;
        let driver = bmcs.redfish(&fake.endpoint()).unwrap();
        driver
            .boot_from_image(IMAGE, &patience())
            .await
            .unwrap_or_else(|error| panic!("after {cut:?}: {error}"));
        let state = fake.state();
        assert_eq!(state.power, "On", "after {cut:?}");
        assert_eq!(state.image, IMAGE, "after {cut:?}");
        assert_eq!((state.boots_from_cd, state.boots_otherwise, state.inserts), (1, 0, 1), "after {cut:?}");
    }
    assert!(cuts > 30, "only {cuts} crash points were tried");
}

#[tokio::test]
async fn an_order_under_way_is_not_undone_by_the_next_call() {
    let bmcs = patient_bmcs();
    for reads_until_applied in 0..16 {
        let fake = FakeBmc::start().await;
        {
            let mut state = fake.state();
            state.reads_until_applied = reads_until_applied;
            state.cut = Some(Cut::AfterOrder("On"));
        }
        let driver = bmcs.redfish(&fake.endpoint()).unwrap();
        let patience = patience();
        assert!(cut_off(&fake, driver.boot_from_image(IMAGE, &patience)).await);
        driver.boot_from_image(IMAGE, &patience).await.unwrap();
        let state = fake.state();
        let boots = (state.boots_from_cd, state.boots_otherwise);
        assert_eq!(
            (boots, state.power.as_str()),
            ((1, 0), "On"),
            "applied after {reads_until_applied} reads"
        );
    }
}

#[tokio::test]
async fn a_host_switched_on_too_early_is_started_anew() {
    let fake = FakeBmc::start().await;
    fake.state().switched_on_meanwhile = 1;
    let booted = fake.driver().boot_from_image(IMAGE, &patience()).await.unwrap();
    assert_eq!(booted.power_changes, [PowerState::Off, PowerState::On]);
    {
        let state = fake.state();
        assert_eq!((state.boots_otherwise, state.boots_from_cd), (1, 1));
    }
}

#[tokio::test]
async fn returning_to_rest_survives_a_crash_at_any_request() {
    let bmcs = patient_bmcs();
    let mut cuts = 0;
    for cut in every_cut() {
        let fake = FakeBmc::start().await;
        let driver = bmcs.redfish(&fake.endpoint()).unwrap();
        driver.boot_from_image(IMAGE, &patience()).await.unwrap();
        fake.state().cut = Some(cut);
        if !cut_off(&fake, driver.return_to_rest(&patience())).await {
            break;
        }
        cuts += 1;
        driver.return_to_rest(&patience()).await.unwrap();
        let state = fake.state();
        assert_eq!(
            (state.power.as_str(), state.image.as_str(), state.boot_target.as_str()),
            ("Off", "", "Hdd"),
            "after {cut:?}"
        );
        assert_eq!(state.ejects, 1, "after {cut:?}");
    }
    assert!(cuts > 15, "only {cuts} crash points were tried");
}

#[tokio::test]
async fn rest_waits_for_an_order_that_takes_effect_late() {
    let fake = FakeBmc::start().await;
    let driver = fake.driver();
    // A start that was cut off right after its order: the host is still off, and comes on while it is put to rest.
    fake.state().reads_until_applied = 5;
    let patience = patience();
    let start = driver.set_power(PowerGoal::On, &patience);
    fake.state().cut = Some(Cut::AfterRequest(3));
    assert!(cut_off(&fake, start).await);
    assert_eq!(fake.state().resets, ["On"]);
    driver.return_to_rest(&patience).await.unwrap();
    assert_eq!(fake.state().power, "Off");
    assert_eq!(fake.state().resets, ["On", "ForceOff"]);
}

/// Calls again as long as that can help, as the functions do.
async fn until_done<T, F>(mut operation: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, DriverError>>,
{
    for _ in 0..6 {
        match operation().await {
            Ok(done) => return done,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    panic!("not done after six calls");
}

#[tokio::test]
async fn everything_works_through_constant_trouble() {
    let fake = FakeBmc::start().await;
    let driver = fake.driver();
    for round in 0..5 {
        let trouble = || {
            let mut state = fake.state();
            (state.busy, state.lies, state.cut_short, state.hangs) = (2, 1, 1, round % 2);
            state.hang_posts_after_doing = 1;
        };
        let image = format!("{IMAGE}&round={round}");
        trouble();
        until_done(|| async { driver.boot_from_image(&image, &patience()).await }).await;
        let power = fake.state().power.clone();
        assert_eq!(power, "On");
        assert_eq!(driver.boot_image().await.unwrap(), Some(image));
        trouble();
        until_done(|| async { driver.return_to_rest(&patience()).await }).await;
        assert_eq!(fake.state().power, "Off");
    }
    let state = fake.state();
    assert_eq!((state.boots_from_cd, state.boots_otherwise, state.inserts), (5, 0, 5));
}
