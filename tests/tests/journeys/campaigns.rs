//! Campaigns: what is urgent is patched over the fleet, in waves, within the budget, and stops where it does harm.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hostler_core::StreamId;
use hostler_domain::campaign::{Stage, Stop};
use hostler_domain::patching::Patching;
use hostler_domain::views::FindingView;
use hostler_domain::{
    BudgetDecider, CampaignDecider, CampaignRackDecider, CampaignState, HostDecider, HostState,
};
use hostler_drivers::packages::PackagesRow;
use hostler_drivers::{ControlState, PlainPackages, StateStore};
use hostler_events::packages::FindingStatus;
use hostler_runtime::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::site::{Site, WriteFault, system_url};

const CVE: &str = "CVE-2026-12345";
const CAMPAIGN: &str = "CVE-2026-12345.1";
const PACKAGE: &str = "libssl3:amd64";
const VULNERABLE: &str = "3.0.15-1~deb12u1";
const FIXED: &str = "3.0.16-1~deb12u1";
const NETWORK: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const HOSTS: u32 = 20;
const RACKS: u32 = 4;
const MINUTE: Duration = Duration::from_secs(60);

fn campaigns() -> Value {
    json!({
        "autonomy": "auto", "soakSeconds": 600, "waves": [25, 100], "errors": 1, "errorsPercent": 0,
        "emergency": { "waves": [25, 100], "soakSeconds": 600 },
    })
}

/// Twenty hosts in service in four racks, which have the vulnerable package; and one more that has not, and one that is free.
async fn site(campaigns: Value) -> Site {
    let mut site = Site::new();
    for n in 0..HOSTS + 2 {
        let host = host(n);
        site.fleet.add(&host);
        let command = json!({
            "host": host, "pool": "web", "sku": "cpu", "faultDomain": format!("rack-{}", n % RACKS),
            "bmc": { "systemUrl": system_url(&host) }, "labels": {},
        });
        site.accepted("enrol-host", command).await;
    }
    site.run().await;
    site.request("r-1", HOSTS + 1).await;
    site.run().await;
    let policies = json!({
        "budget": { "site": 3, "poolPercent": 50, "pool": 3, "rack": 2, "powerDomain": 4, "starts": 1_000, "brakePercent": 90 },
        "pools": { "web": { "role": "web-server", "image": "debian-13", "hosts": 24 } },
        "campaigns": campaigns,
    });
    let apply = json!({ "policies": "site", "policy": policies, "reason": "a test" });
    site.accepted("apply-policies", apply).await;
    let serving: Vec<String> = in_service(&site);
    assert_eq!(serving.len(), 21);
    for (n, host) in serving.iter().enumerate() {
        list(&site, host, (n > 0).then_some(VULNERABLE)).await;
    }
    site.settle().await;
    site
}

fn host(n: u32) -> String {
    format!("h-{n:02}")
}

fn in_service(site: &Site) -> Vec<String> {
    let rows = site.views.rows("hosts").into_iter();
    rows.filter(|row| row.group == "web/in-service").map(|row| row.key).collect()
}

/// What is installed on a host, and what its agent says of that.
async fn list(site: &Site, host: &str, openssl: Option<&str>) {
    let bash = ("bash", "5.2.15-2", "bash");
    let packages = [Some(bash), openssl.map(|version| (PACKAGE, version, "openssl"))];
    let packages: Vec<(&str, &str, &str)> = packages.into_iter().flatten().collect();
    let installed = packages.iter().map(|(name, version, _)| ((*name).to_owned(), (*version).to_owned()));
    let row = PackagesRow { installed: installed.collect(), ..PackagesRow::default() };
    let key = PlainPackages::<ControlState>::key(host);
    ControlState(Arc::new(site.control.clone())).put(&key, json!(row)).await.unwrap();
    let packages = packages.iter().map(|(name, version, source)| {
        json!({ "name": name, "version": version, "source": source, "sourceVersion": version })
    });
    let body = json!({
        "host": host, "ecosystem": "Debian:12", "observedAt": site.clock.now(), "rebootPending": false,
        "packages": packages.collect::<Vec<Value>>(),
    });
    assert_eq!(site.post_signals("packages", &body).await.status, 202);
}

/// The advisory is published, and is known to be exploited.
async fn publish(site: &mut Site) {
    let record = json!({
        "schema_version": "1.7.0", "id": "DSA-6012-1", "modified": "2025-12-30T10:40:00Z", "upstream": [CVE],
        "summary": "openssl - security update", "severity": [{ "type": "CVSS_V3", "score": NETWORK }],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": FIXED }] }],
        }],
    });
    assert_eq!(site.post_signals("osv", &record).await.status, 202);
    site.settle().await;
}

fn with(site: &Site, status: FindingStatus) -> usize {
    let rows = site.views.rows("findings").into_iter();
    let found = rows.map(|row| serde_json::from_value::<FindingView>(row.body).unwrap());
    found.filter(|finding| finding.status == status).count()
}

fn campaign(site: &Site) -> CampaignState {
    site.state::<CampaignDecider>(CAMPAIGN)
}

fn host_state(site: &Site, host: &str) -> HostState {
    site.state::<HostDecider>(host)
}

/// The hosts that are patched now, with their racks; and that this is within the limits.
fn patched_now(site: &Site) -> Vec<(String, String)> {
    let campaign_racks = (0..RACKS).map(|rack| format!("{CAMPAIGN}.rack-{rack}"));
    let running =
        campaign_racks.filter_map(|campaign_rack| site.state::<CampaignRackDecider>(&campaign_rack).running);
    let running: Vec<(String, String)> =
        running.map(|running| (running.host.to_string(), running.rack.to_string())).collect();
    let racks: BTreeSet<&String> = running.iter().map(|(_, rack)| rack).collect();
    assert_eq!(racks.len(), running.len(), "two hosts of a rack at a time: {running:?}");
    let holders = site.state::<BudgetDecider>("site").holders;
    assert!(holders.len() <= 3, "{holders:?}");
    for (host, _) in &running {
        assert!(holders.iter().any(|holder| holder.disruption.host.as_str() == host), "{host}: {holders:?}");
    }
    for n in 0..HOSTS + 2 {
        let (host, state) = (host(n), host_state(site, &host(n)));
        let is_patched = running.iter().any(|(of, _)| *of == host);
        assert!(state.cordon.is_none() || is_patched, "{host} is cordoned, and nobody patches it");
    }
    running
}

/// Nothing is cordoned, nobody holds a part of the budget, and all hosts serve.
fn is_at_rest(site: &Site) {
    assert_eq!(patched_now(site), []);
    assert_eq!(site.state::<BudgetDecider>("site").holders, []);
    assert_eq!(in_service(site).len(), 21);
    site.check_no_failures();
}

/// Minute by minute until it is so.
async fn until(site: &mut Site, minutes: u32, is_so: impl Fn(&Site) -> bool) {
    for _ in 0..minutes {
        if is_so(site) {
            return;
        }
        site.advance(MINUTE).await;
        patched_now(site);
    }
    panic!("it never was: {:#?}", campaign(site));
}

#[tokio::test]
async fn an_urgent_advisory_is_patched_over_the_fleet_in_waves_within_the_budget() {
    let mut site = site(campaigns()).await;
    publish(&mut site).await;
    assert_eq!(with(&site, FindingStatus::Open), 20);
    // The canary is one host, and soaks.
    let soaks = |site: &Site| matches!(campaign(site).stage, Stage::Ready { .. });
    until(&mut site, 60, |site| soaks(site) && !campaign(site).waves.is_empty()).await;
    assert_eq!((with(&site, FindingStatus::Resolved), campaign(&site).waves.len()), (1, 1));
    until(&mut site, 600, |site| campaign(site).is_over()).await;
    let state = campaign(&site);
    assert_eq!(state.stage, Stage::Completed, "{state:#?}");
    let sizes: Vec<(u32, u32)> = state.waves.iter().map(|wave| (wave.left, wave.hosts)).collect();
    assert_eq!(sizes, [(20, 1), (19, 5), (14, 14)]);
    assert_eq!((state.patched(), state.failed(), state.skipped()), (20, 0, 0));
    for waves in state.waves.windows(2) {
        let soaked = waves[1].started_at.duration_since(waves[0].completed_at.unwrap());
        assert!(soaked >= SignedDuration::from_mins(10), "{soaked}");
    }
    // Verified by a scan of what is installed; the host without the package was never touched.
    assert_eq!((with(&site, FindingStatus::Resolved), with(&site, FindingStatus::Open)), (20, 0));
    assert_eq!(site.world.sagas::<Patching>().len(), 20);
    is_at_rest(&site);
    let commits = site.store.commits(&StreamId::new("campaign", CAMPAIGN).unwrap());
    let longest = commits.iter().map(|commit| commit.hops).max();
    assert!(longest < Some(6), "{longest:?}");
    assert!(commits.len() < 40, "{}", commits.len());
}

/// Three hosts may be disturbed, and there are four racks: none is done while another one has yet to begin.
#[tokio::test]
async fn racks_that_the_budget_holds_back_have_their_turn() {
    let mut site = site(campaigns()).await;
    site.fleet.faults.install_seconds.store(480, Ordering::Relaxed);
    publish(&mut site).await;
    let apart = Cell::new(0);
    let ended = |site: &Site| {
        let racks = (0..RACKS).map(|rack| format!("{CAMPAIGN}.rack-{rack}"));
        let racks: Vec<_> = racks.map(|rack| site.state::<CampaignRackDecider>(&rack)).collect();
        // Of the last wave, in which each rack has three hosts or four.
        if racks.iter().all(|rack| rack.wave == 3) {
            let used = || racks.iter().map(|rack| rack.used);
            apart.set(apart.get().max(used().max().unwrap_or(0) - used().min().unwrap_or(0)));
        }
        campaign(site).is_over()
    };
    until(&mut site, 600, ended).await;
    assert_eq!(campaign(&site).patched(), 20);
    assert!(apart.get() <= 2, "some rack was {} hosts behind another one", apart.get());
    is_at_rest(&site);
}

#[tokio::test]
async fn a_package_that_breaks_its_health_gate_halts_the_wave_and_is_rolled_back() {
    let mut site = site(campaigns()).await;
    publish(&mut site).await;
    site.fleet.faults.bad_versions.lock().unwrap().insert(FIXED.to_owned());
    until(&mut site, 180, |site| campaign(site).stop.is_some()).await;
    let state = campaign(&site);
    let Some(Stop::Halted(halted)) = &state.stop else { panic!("it goes on: {state:#?}") };
    assert_eq!((halted.wave, halted.limit, halted.value), (1, 0, 1));
    assert_eq!((state.failed(), state.patched()), (1, 0));
    // The host has what it had before, is healthy, in traffic and not cordoned; nothing more is begun.
    site.advance(120 * MINUTE).await;
    assert_eq!(site.world.sagas::<Patching>().len(), 1);
    assert_eq!((with(&site, FindingStatus::Open), with(&site, FindingStatus::Resolved)), (20, 0));
    is_at_rest(&site);
    // A person ends it.
    let word = json!({ "campaign": CAMPAIGN, "reason": "the fix breaks the web server" });
    site.accepted("reject-campaign", word).await;
    site.advance(600 * MINUTE).await;
    assert_eq!((campaign(&site).stage, site.world.sagas::<Patching>().len()), (Stage::Rejected, 1));
    is_at_rest(&site);
}

#[tokio::test]
async fn a_paused_campaign_finishes_what_runs_and_begins_nothing_until_it_is_resumed() {
    let mut site = site(campaigns()).await;
    publish(&mut site).await;
    let is_under_way = |state: &CampaignState| state.waves.len() == 2 && state.patched() < 3;
    let begun = |site: &Site| is_under_way(&site.state::<CampaignDecider>(CAMPAIGN));
    assert!(site.run_until(|site| begun(site) && site.world.sagas::<Patching>().len() > 2).await);
    assert!(!patched_now(&site).is_empty());
    let word = json!({ "campaign": CAMPAIGN, "reason": "a sale is on" });
    site.accepted("pause-campaign", word.clone()).await;
    let begun = site.world.sagas::<Patching>().len();
    site.advance(300 * MINUTE).await;
    assert_eq!(site.world.sagas::<Patching>().len(), begun);
    is_at_rest(&site);
    site.accepted("resume-campaign", word).await;
    until(&mut site, 600, |site| campaign(site).is_over()).await;
    assert_eq!((campaign(&site).stage, campaign(&site).patched()), (Stage::Completed, 20));
    is_at_rest(&site);
}

/// What is not an emergency waits for its window, and nothing is begun after the cutoff.
#[tokio::test]
async fn no_host_is_begun_outside_of_a_maintenance_window() {
    let mut policy = campaigns();
    // The last host is begun twenty minutes after the beginning.
    policy["windows"] = json!([{ "start": "02:00", "minutes": 60, "cutoffMinutes": 40 }]);
    policy["soakSeconds"] = json!(60);
    let mut site = site(policy).await;
    publish(&mut site).await;
    until(&mut site, 5, |site| campaign(site).held.is_some()).await;
    assert_eq!(campaign(&site).held.unwrap().rule, "window");
    until(&mut site, 6 * 24 * 60, |site| campaign(site).is_over()).await;
    assert_eq!(campaign(&site).patched(), 20);
    let mut days = BTreeSet::new();
    for rack in 0..RACKS {
        for commit in site.store.commits(&StreamId::new("lane", &format!("{CAMPAIGN}.rack-{rack}")).unwrap())
        {
            if commit.events.iter().any(|event| event.event_type == "lane.host-started") {
                days.insert(day_of(commit.recorded_at));
            }
        }
    }
    assert!(!days.is_empty());
    is_at_rest(&site);
}

/// The day on which a host was begun, which is in the window.
fn day_of(begun: Timestamp) -> i64 {
    let second = begun.as_second().rem_euclid(86_400);
    assert!((7_200..7_200 + 1_200).contains(&second), "{begun} is outside of the window");
    begun.as_second().div_euclid(86_400)
}

#[tokio::test]
async fn the_end_of_a_patching_that_nobody_tells_is_found_all_the_same() {
    let mut site = site(campaigns()).await;
    publish(&mut site).await;
    let mut lost = 0;
    while lost < 6 && site.go_on().await {
        // What is not lost is left where it is.
        if !site.queues.peek("patch-fleet").iter().any(|message| message.body.contains("saga.completed")) {
            continue;
        }
        for message in site.queues.receive("patch-fleet", 10) {
            if message.body.contains("saga.completed") {
                site.queues.delete("patch-fleet", &message.receipt);
                lost += 1;
            }
        }
    }
    assert_eq!(lost, 6);
    until(&mut site, 1_200, |site| campaign(site).is_over()).await;
    assert_eq!((campaign(&site).stage, campaign(&site).patched()), (Stage::Completed, 20));
    is_at_rest(&site);
}

/// The number of the write that begins the first host: the last one of the invocation that has claimed its part of the budget.
async fn write_that_begins_the_first_host() -> usize {
    let mut site = site(campaigns()).await;
    publish(&mut site).await;
    assert!(site.run_until(|site| !site.state::<BudgetDecider>("site").holders.is_empty()).await);
    site.switch.writes().len() - 1
}

/// patch-fleet dies with a part of the budget in its hands, and meanwhile a person ends the campaign.
#[tokio::test]
async fn what_was_claimed_for_a_host_that_is_not_begun_is_given_back() {
    let n = write_that_begins_the_first_host().await;
    let mut site = site(campaigns()).await;
    site.switch.plan(n, WriteFault::DieBefore);
    publish(&mut site).await;
    assert!(site.run_until(|site| !site.state::<BudgetDecider>("site").holders.is_empty()).await);
    assert_eq!((patched_now(&site), site.world.sagas::<Patching>().len()), (Vec::new(), 0));
    let word = json!({ "campaign": CAMPAIGN, "reason": "not today" });
    site.accepted("reject-campaign", word).await;
    site.advance(10 * MINUTE).await;
    assert_eq!((campaign(&site).stage, site.world.sagas::<Patching>().len()), (Stage::Rejected, 0));
    is_at_rest(&site);
}

/// What the site does not let happen by itself waits for a person, who is told.
#[tokio::test]
async fn a_campaign_that_needs_approval_waits_for_a_person() {
    let mut policy = campaigns();
    policy["autonomy"] = json!("approve");
    let mut site = site(policy).await;
    publish(&mut site).await;
    site.advance(180 * MINUTE).await;
    assert_eq!(
        (site.world.sagas::<Patching>().len(), campaign(&site).held.unwrap().rule.as_str()),
        (0, "approval")
    );
    let word = json!({ "campaign": CAMPAIGN, "reason": "agreed" });
    site.accepted("approve-campaign", word).await;
    until(&mut site, 600, |site| campaign(site).is_over()).await;
    assert_eq!(campaign(&site).patched(), 20);
    is_at_rest(&site);
}
