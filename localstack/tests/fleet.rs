//! The fleet: real Redfish over the proxy, faults, and hosts that boot and call back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use hostler_localstack::fleet::{Behaviour, Fault, FleetAdmin, FleetHost, RequestKind};
use hostler_localstack::{Fleet, FleetOptions, group_members};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A BMC as a client sees it.
struct Bmc<'a> {
    client: Client,
    fleet: &'a Fleet,
    host: &'a FleetHost,
}

impl<'a> Bmc<'a> {
    fn of(fleet: &'a Fleet, index: usize) -> Self {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        Self { client, fleet, host: &fleet.hosts()[index] }
    }

    async fn try_ask(&self, method: Method, path: &str, body: Value) -> reqwest::Result<(u16, Value)> {
        let (user, password) = self.fleet.credentials();
        let url = format!("{}{path}", self.host.bmc_url);
        let request = self.client.request(method, url).basic_auth(user, Some(password));
        let answer = request.json(&body).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or_default()))
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.try_ask(method, path, body).await.unwrap()
    }

    async fn power(&self) -> String {
        let (_, system) = self.ask(Method::GET, "", Value::Null).await;
        system["PowerState"].as_str().unwrap_or_default().to_owned()
    }

    async fn reset(&self, kind: &str) -> u16 {
        self.ask(Method::POST, "/Actions/ComputerSystem.Reset", json!({"ResetType": kind})).await.0
    }

    /// Boots from media that name a callback, reading until the power is on.
    async fn boot(&self, callback: &str) {
        let image = reqwest::Url::parse_with_params(
            "http://images.example/boot.iso",
            [("callback", callback), ("token", "t-1")],
        );
        self.give(image.unwrap().as_str()).await;
        assert_eq!(self.reset("On").await, 204);
        self.wait_for_power("On").await;
    }

    /// Has the host boot from this image next.
    async fn give(&self, image: &str) {
        let mut boot = json!({"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once"});
        if self.host.uefi_http {
            boot["BootSourceOverrideTarget"] = json!("UefiHttp");
            boot["HttpBootUri"] = json!(image);
        } else {
            let insert = "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia";
            assert_eq!(self.ask(Method::POST, insert, json!({"Image": image})).await.0, 204);
        }
        assert_eq!(self.ask(Method::PATCH, "", json!({"Boot": boot})).await.0, 204);
    }

    async fn wait_for_power(&self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.power().await != wanted {
            assert!(Instant::now() < deadline, "the power did not go {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A listener for callbacks, which refuses so many at first.
#[derive(Clone, Default)]
struct Listener {
    heard: Arc<Mutex<Vec<Value>>>,
    refusals: Arc<Mutex<u32>>,
}

impl Listener {
    async fn start(&self) -> String {
        async fn hear(State(listener): State<Listener>, Json(body): Json<Value>) -> StatusCode {
            let mut refusals = listener.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            listener.heard.lock().unwrap().push(body);
            StatusCode::OK
        }
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callback", socket.local_addr().unwrap());
        let app = Router::new().route("/callback", post(hear)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(socket, app).await });
        url
    }

    async fn wait(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let heard = self.heard.lock().unwrap().clone();
            if heard.len() >= count {
                return heard;
            }
            assert!(Instant::now() < deadline, "heard only {heard:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn fleet(hosts: usize) -> Fleet {
    let options = FleetOptions { hosts, boot_ms: 50, power_seconds: 0.0..=0.1, ..FleetOptions::default() };
    Fleet::start(options).await.unwrap()
}

#[tokio::test]
async fn a_host_boots_its_media_and_calls_back() {
    let fleet = fleet(2).await;
    let listener = Listener::default();
    *listener.refusals.lock().unwrap() = 2;
    let callback = listener.start().await;
    let bmc = Bmc::of(&fleet, 1);
    assert_eq!(bmc.power().await, "Off");
    bmc.boot(&callback).await;
    let heard = listener.wait(1).await;
    assert_eq!(heard, [json!({"host": "h-02", "outcome": "succeeded", "token": "t-1"})]);

    let counts = fleet.record().of("h-02");
    assert_eq!(counts.of(RequestKind::InsertMedia), 1);
    assert_eq!(counts.of(RequestKind::BootOverride), 1);
    assert_eq!(counts.resets["On"], 1);
    assert_eq!(fleet.record().of("h-01").of(RequestKind::ReadSystem), 0);
    let boots = fleet.simulated().boots("h-02");
    assert_eq!((boots.power_ons, boots.from_media), (1, 1));

    // Without the password nothing works.
    let bare = bmc.client.get(&bmc.host.bmc_url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    fleet.stop().await;
}

#[tokio::test]
async fn hosts_behave_as_told() {
    let fleet = fleet(3).await;
    let listener = Listener::default();
    let callback = listener.start().await;
    let admin = FleetAdmin::new(&fleet.access()).unwrap();
    admin.set_behaviour("h-01", &Behaviour::Fails { reason: "no disk".to_owned() }).await.unwrap();
    admin.set_behaviour("h-02", &Behaviour::NeverAnswers).await.unwrap();
    admin.set_behaviour("h-03", &Behaviour::Slow { ms: 400 }).await.unwrap();
    for index in 0..3 {
        Bmc::of(&fleet, index).boot(&callback).await;
    }
    let heard = listener.wait(2).await;
    assert_eq!(heard[0]["outcome"], "failed");
    assert_eq!(heard[0]["reason"], "no disk");
    assert_eq!(heard[1]["host"], "h-03");
    assert_eq!(heard.len(), 2, "h-02 stays silent");
    let status = admin.hosts().await.unwrap();
    assert_eq!(status[1].behaviour, Behaviour::NeverAnswers);
    assert_eq!(status[1].boots.from_media, 1);
    assert!(admin.clear_faults("h-77").await.unwrap_err().to_string().contains("h-01 to h-03"));
}

#[tokio::test]
async fn power_off_ends_a_boot() {
    let fleet = fleet(1).await;
    let listener = Listener::default();
    let callback = listener.start().await;
    fleet.simulated().set_behaviour("h-01", Behaviour::Slow { ms: 500 }).unwrap();
    let bmc = Bmc::of(&fleet, 0);
    bmc.boot(&callback).await;
    assert_eq!(bmc.reset("ForceOff").await, 204);
    bmc.wait_for_power("Off").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(listener.heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn faults_meet_the_requests_of_one_host() {
    let fleet = fleet(2).await;
    let (bmc, other) = (Bmc::of(&fleet, 0), Bmc::of(&fleet, 1));
    let faults = fleet.faults();

    faults.set("h-01", Fault::Busy503 { times: 2 }).unwrap();
    assert_eq!(bmc.reset("On").await, 503);
    assert_eq!(other.ask(Method::GET, "", Value::Null).await.0, 200);
    assert_eq!(bmc.ask(Method::GET, "", Value::Null).await.0, 503);
    assert_eq!(bmc.power().await, "Off", "a refused reset does nothing");
    let counts = fleet.record().of("h-01");
    assert_eq!((counts.refused, counts.of(RequestKind::Reset)), (2, 0));

    faults.set("h-01", Fault::LiePower { times: 1 }).unwrap();
    assert_eq!(bmc.power().await, "On");
    assert_eq!(bmc.power().await, "Off");

    faults.set("h-01", Fault::LostAnswer { times: 1, seconds: 30 }).unwrap();
    let impatient = Client::builder().no_proxy().timeout(Duration::from_millis(400)).build().unwrap();
    let impatient = Bmc { client: impatient, fleet: &fleet, host: bmc.host };
    let reset = json!({"ResetType": "On"});
    let lost = impatient.try_ask(Method::POST, "/Actions/ComputerSystem.Reset", reset).await;
    assert!(lost.unwrap_err().is_timeout());
    bmc.wait_for_power("On").await;

    let admin = FleetAdmin::new(&fleet.access()).unwrap();
    admin.set_fault("h-01", &Fault::Timeout { times: 1, seconds: 30 }).await.unwrap();
    assert!(impatient.try_ask(Method::GET, "", Value::Null).await.unwrap_err().is_timeout());
    assert_eq!(impatient.ask(Method::GET, "", Value::Null).await.0, 200);

    admin.set_fault("h-01", &Fault::Latency { ms: 200 }).await.unwrap();
    let start = Instant::now();
    bmc.power().await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    admin.clear_faults("h-01").await.unwrap();
    assert!(admin.hosts().await.unwrap()[0].faults.is_empty());
}

#[tokio::test]
async fn two_hundred_hosts_are_served_and_nothing_is_left() {
    const READS: u32 = 600;
    let fleet = fleet(200).await;
    let group = fleet.process_group();
    let start = Instant::now();
    let reads = (0..8).map(|task| {
        let fleet = &fleet;
        async move {
            let mut bmc = Bmc::of(fleet, 0);
            for read in 0..READS / 8 {
                bmc.host = &fleet.hosts()[(task * 25 + read as usize) % 200];
                assert_eq!(bmc.ask(Method::GET, "", Value::Null).await.0, 200);
            }
        }
    });
    futures::future::join_all(reads).await;
    let per_second = f64::from(READS) / start.elapsed().as_secs_f64();
    assert!(per_second > 50.0, "only {per_second:.0} requests per second");
    println!("{per_second:.0} requests per second");
    assert!(!group_members(group).is_empty());
    fleet.stop().await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while !group_members(group).is_empty() {
        assert!(Instant::now() < deadline, "the emulator is still running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A page in the developer's browser can reach loopback; it must not reach the fleet.
#[tokio::test]
async fn no_page_in_a_browser_reaches_the_fleet() {
    let fleet = fleet(1).await;
    let access = fleet.access();
    let client = Client::builder().no_proxy().build().unwrap();
    let refused = |request: reqwest::RequestBuilder, why: &'static str| async move {
        let answer = request.send().await.unwrap();
        let (status, said) = (answer.status(), answer.text().await.unwrap());
        assert!(status == StatusCode::FORBIDDEN && said.contains(why), "{status}: {said}");
    };
    let faults = format!("{}/hosts/h-01/faults", access.url);
    let fault = || client.post(&faults).json(&Fault::Latency { ms: 1 });
    let told = || fault().header("x-hostler-fleet-secret", &access.secret);

    refused(told().header("origin", "https://evil.example"), "Origin").await;
    refused(told().header("origin", "null"), "Origin").await;
    refused(told().header("host", "evil.example:8080"), "not this machine").await;
    refused(fault(), "x-hostler-fleet-secret").await;
    refused(fault().header("x-hostler-fleet-secret", "guessed"), "x-hostler-fleet-secret").await;
    refused(client.get(format!("{}/hosts", access.url)), "x-hostler-fleet-secret").await;
    refused(client.get(&fleet.hosts()[0].bmc_url).header("origin", "https://evil.example"), "Origin").await;
    assert!(fleet.faults().of("h-01").is_empty());
    assert_eq!(told().send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(fleet.faults().of("h-01"), [Fault::Latency { ms: 1 }]);
    assert!(!format!("{access:?} {fleet:?}").contains(&access.secret), "the secret is not logged");
}

/// The third host has no virtual media.
#[tokio::test]
async fn a_host_without_virtual_media_boots_by_uefi_http() {
    let fleet = fleet(3).await;
    let listener = Listener::default();
    let callback = listener.start().await;
    let bmc = Bmc::of(&fleet, 2);
    let (_, system) = bmc.ask(Method::GET, "", Value::Null).await;
    assert_eq!((&system["VirtualMedia"], &system["Boot"]["HttpBootUri"]), (&Value::Null, &Value::Null));
    let targets = &system["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"];
    assert_eq!(*targets, json!(["Pxe", "UefiHttp", "Hdd"]));
    assert_eq!(bmc.ask(Method::GET, "/VirtualMedia", Value::Null).await.0, 404);
    let by_cd = json!({"Boot": {"BootSourceOverrideTarget": "Cd", "BootSourceOverrideEnabled": "Once"}});
    assert_eq!(bmc.ask(Method::PATCH, "", by_cd).await.0, 400);

    let image = reqwest::Url::parse_with_params("http://images.example/boot.efi", [("callback", callback)]);
    let image = image.unwrap();
    bmc.give(image.as_str()).await;
    let (_, system) = bmc.ask(Method::GET, "", Value::Null).await;
    assert_eq!(system["Boot"]["HttpBootUri"], image.as_str(), "kept as it is");
    assert_eq!(system["Boot"]["BootSourceOverrideTarget"], "UefiHttp");
    assert_eq!(bmc.reset("On").await, 204);
    bmc.wait_for_power("On").await;
    assert_eq!(listener.wait(1).await[0]["host"], "h-03");

    let rest = json!({"Boot": {"HttpBootUri": null, "BootSourceOverrideTarget": "Hdd"}});
    assert_eq!(bmc.ask(Method::PATCH, "", rest).await.0, 204);
    let (_, system) = bmc.ask(Method::GET, "", Value::Null).await;
    assert_eq!(
        (&system["Boot"]["HttpBootUri"], &system["Boot"]["BootSourceOverrideTarget"]),
        (&Value::Null, &json!("Hdd"))
    );
    let counts = fleet.record().of("h-03");
    assert_eq!((counts.of(RequestKind::InsertMedia), counts.of(RequestKind::EjectMedia)), (1, 1));
    let (_, other) = Bmc::of(&fleet, 0).ask(Method::GET, "", Value::Null).await;
    assert!(other["VirtualMedia"].is_object(), "the others have virtual media");
}
