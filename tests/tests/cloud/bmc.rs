//! The Redfish driver against a real emulator, without anything in between but the fault proxy.

use std::time::Duration;

use hostler_drivers::{
    Bmc, BmcEndpoint, BootImage, BootMethod, Patience, PowerGoal, PowerState, RedfishBmc, TlsTrust,
};
use hostler_localstack::Fleet;
use hostler_localstack::fleet::Fault;

use crate::world::fleet;

const PATIENCE: Patience =
    Patience { deadline: Duration::from_secs(30), poll_interval: Duration::from_millis(100) };

fn driver(fleet: &Fleet, password: &str) -> RedfishBmc {
    driver_of(fleet, 0, password)
}

fn driver_of(fleet: &Fleet, host: usize, password: &str) -> RedfishBmc {
    let (username, _) = fleet.credentials();
    let endpoint = BmcEndpoint {
        system_url: fleet.hosts()[host].bmc_url.clone(),
        username: username.to_owned(),
        password: password.to_owned(),
        trust: TlsTrust::System,
    };
    RedfishBmc::new(&endpoint).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_inspected_booted_and_brought_to_rest() {
    let fleet = Fleet::start(fleet(3)).await.unwrap();
    // The third one has no virtual media.
    for (host, method) in [(0, BootMethod::VirtualMedia), (2, BootMethod::UefiHttp)] {
        let driver = driver_of(&fleet, host, fleet.credentials().1);
        is_booted_and_brought_to_rest(&driver, method).await;
    }
}

async fn is_booted_and_brought_to_rest(driver: &RedfishBmc, method: BootMethod) {
    assert_eq!(driver.boot_method().await.unwrap(), method);
    assert_eq!(driver.inspect().await.unwrap().power_state, PowerState::Off);
    let image = BootImage {
        image: "http://images.local/debian.iso".to_owned(),
        callback: "http://127.0.0.1:9/callbacks?token=t&x=1 2".to_owned(),
        host: "h-01".to_owned(),
        step: "s-1".to_owned(),
    };
    let url = image.url().unwrap();
    let booted = driver.boot_from_image(&url, &PATIENCE).await.unwrap();
    assert_eq!(booted.power_changes, [PowerState::On]);
    // By UEFI HTTP the boot target is set with the image.
    assert!(booted.inserted && booted.boot_target_set == (method == BootMethod::VirtualMedia), "{booted:?}");
    let seen = driver.boot_image().await.unwrap().unwrap();
    assert_eq!(BootImage::parse(&seen).unwrap(), image, "the BMC keeps the URL as it is");
    assert!(driver.boot_from_image(&url, &PATIENCE).await.unwrap().already_running, "once is enough");

    let rested = driver.return_to_rest(&PATIENCE).await.unwrap();
    assert!(rested.ejected && rested.boot_restored, "{rested:?}");
    assert_eq!(driver.boot_image().await.unwrap(), None);
    assert!(!driver.set_power(PowerGoal::ForceOff, &PATIENCE).await.unwrap().changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_power_is_not_believed_and_a_wrong_password_is_told() {
    let fleet = Fleet::start(fleet(1)).await.unwrap();
    let honest = driver(&fleet, fleet.credentials().1);
    fleet.faults().set(&fleet.hosts()[0].host_id, Fault::LiePower { times: 1 }).unwrap();
    assert_eq!(honest.settled_power_state(&PATIENCE).await.unwrap(), PowerState::Off);

    let stranger = driver(&fleet, "wr0ng");
    let error = stranger.power_state().await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("h-01") || error.to_string().contains("Systems"), "{error}");
    assert!(!error.to_string().contains("wr0ng"), "{error}");
}
