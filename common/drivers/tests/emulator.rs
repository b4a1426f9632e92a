//! The Redfish driver against a real service, such as sushy-tools' emulator; run when its address is given.
//!
//! `HOSTLER_TEST_BMC=https://user:password@127.0.0.1:8000/redfish/v1/Systems/<id>`, then
//! `cargo test -p hostler-drivers --test emulator -- --ignored --nocapture`. Any certificate is accepted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests may fail loudly

use std::time::{Duration, Instant};

use axum::Router;
use hostler_drivers::{Bmc, BmcEndpoint, BootImage, Patience, PowerGoal, PowerState, RedfishBmc, TlsTrust};

fn endpoint() -> BmcEndpoint {
    let given = std::env::var("HOSTLER_TEST_BMC").expect("HOSTLER_TEST_BMC is the URL of a system");
    let mut url = reqwest::Url::parse(&given).unwrap();
    let (username, password) = (url.username().to_owned(), url.password().unwrap_or_default().to_owned());
    url.set_username("").unwrap();
    url.set_password(None).unwrap();
    BmcEndpoint { system_url: url.to_string(), username, password, trust: TlsTrust::AcceptAny }
}

async fn image_server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(|| async { "an image" });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    origin
}

#[tokio::test]
#[ignore = "needs HOSTLER_TEST_BMC"]
async fn a_host_is_inspected_booted_and_brought_to_rest() {
    let driver = RedfishBmc::new(&endpoint()).unwrap();
    let patience = Patience { deadline: Duration::from_secs(90), poll_interval: Duration::from_millis(300) };
    println!("{:?}", driver.inspect().await.unwrap());
    println!("at first: {:?}", driver.return_to_rest(&patience).await.unwrap());

    let image = BootImage {
        image: format!("{}/debian.iso", image_server().await),
        callback: "http://127.0.0.1:9/callbacks?token=t&x=1 2".to_owned(),
        host: "h-01".to_owned(),
        step: "s-1".to_owned(),
    };
    let url = image.url().unwrap();
    let started = Instant::now();
    let booted = driver.boot_from_image(&url, &patience).await.unwrap();
    println!("{booted:?} in {:?}", started.elapsed());
    assert_eq!(booted.power_changes, [PowerState::On]);
    assert!(booted.inserted && booted.boot_target_set);
    let seen = driver.inserted_media().await.unwrap().unwrap();
    assert_eq!(BootImage::parse(&seen).unwrap(), image, "the BMC keeps the URL as it is");
    assert!(driver.boot_from_image(&url, &patience).await.unwrap().already_running);

    let started = Instant::now();
    let rested = driver.return_to_rest(&patience).await.unwrap();
    println!("{rested:?} in {:?}", started.elapsed());
    assert!(rested.ejected && rested.boot_restored);
    assert_eq!(driver.inserted_media().await.unwrap(), None);
    assert!(!driver.set_power(PowerGoal::ForceOff, &patience).await.unwrap().changed);

    let error = driver.insert_media("http://127.0.0.1:1/none.iso?token=t0ken").await.unwrap_err();
    if endpoint().system_url.starts_with("https") {
        let doubted = BmcEndpoint { trust: TlsTrust::System, ..endpoint() };
        let error = RedfishBmc::new(&doubted).unwrap().power_state().await.unwrap_err();
        assert!(error.label() == "bad-endpoint" && !error.is_transient(), "{error:?}");
    }
    println!("{} (transient: {}): {error}", error.label(), error.is_transient());
    assert!(!error.to_string().contains("t0ken"));
}
