//! A vulnerability that is exploited, on nearly all hosts of a data centre: from its publication to the last host that is patched.
//! After every commit it is checked that the disruption budget holds, that no two hosts of a rack are worked on at a time, and that
//! nothing happens to a host without the package. Beside it: the same hosts, patched in a maintenance window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

use hostler_core::{Commit, Decider, Payload};
use hostler_domain::views::FindingView;
use hostler_domain::{CampaignDecider, CampaignRackDecider, FindingDecider, PackagesDecider};
use hostler_drivers::packages::PackagesRow;
use hostler_drivers::{ControlState, PlainPackages};
use hostler_events::campaign::{CampaignCompleted, CampaignEvent, CampaignRackEvent};
use hostler_events::packages::{FindingEvent, FindingStatus};
use hostler_events::site::BudgetPolicy;
use hostler_runtime::ports::Control;
use hostler_testkit::clock::Random;
use hostler_testkit::seeds::in_one_thread;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::model::{DataCentre, POOLS, Place, Size, policies};
use crate::report::percentile;

const CVE: &str = "CVE-2026-12345";
const PACKAGE: &str = "libssl3:amd64";
const VULNERABLE: &str = "3.0.15-1~deb12u1";
const FIXED: &str = "3.0.16-1~deb12u1";
/// Of a hundred hosts, so many do not have the package.
const WITHOUT_PERCENT: u8 = 2;
/// On so many in a hundred it cannot be installed.
const FAILS_PERCENT: u8 = 2;
/// How long the packages of a host take to be changed.
const INSTALL_SECONDS: u32 = 480;
/// How long the deadline of what is exploited is.
const DEADLINE: SignedDuration = SignedDuration::from_hours(72);
/// Days between two maintenance windows, where there is one a month, and one a week.
const WINDOWS_DAYS: [f64; 2] = [30.0, 7.0];

fn has_it(number: usize) -> bool {
    !Random::new(number as u64).percent(WITHOUT_PERCENT)
}

fn fails(number: usize) -> bool {
    has_it(number) && Random::new(u64::MAX - number as u64).percent(FAILS_PERCENT)
}

/// All pools serve the internet, and are patched without a person's word: two hosts in a hundred at a time, and three in a hundred
/// within ten minutes.
fn patching_policies(size: Size) -> Value {
    let mut all = policies(size);
    let count = |hosts: usize| (hosts * size.hosts() / 25_000).max(2);
    all["budget"] = json!({
        "site": count(500), "poolPercent": 5, "pool": 250, "rack": 4, "powerDomain": count(250),
        "starts": count(750).max(20), "windowSeconds": 600,
    });
    all["campaigns"] = json!({ "autonomy": "auto" });
    let pools: Vec<String> = (0..POOLS).map(|number| format!("pool-{number}")).collect();
    for pool in &pools {
        all["pools"][pool]["autonomy"] = json!("auto");
    }
    all["vulnerabilities"] = json!({ "exposedPools": pools });
    all
}

/// What Debian publishes.
fn osv() -> Value {
    json!({
        "schema_version": "1.7.0", "id": "DSA-6012-1", "modified": "2026-01-01T00:00:00Z", "upstream": [CVE],
        "summary": "openssl - security update",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": FIXED }] }],
        }],
    })
}

/// What the agent of a host sends.
fn list(host: &str, has_it: bool, at: Timestamp) -> Value {
    let package = |name: &str, source: &str, version: &str| json!({ "name": name, "version": version, "source": source, "sourceVersion": version });
    let mut packages = vec![package("bash", "bash", "5.2.15-2")];
    packages.extend(has_it.then(|| package(PACKAGE, "openssl", VULNERABLE)));
    json!({
        "host": host, "ecosystem": "Debian:12", "observedAt": at, "rebootPending": false, "packages": packages,
    })
}

/// What is seen of the patching of all hosts.
pub struct Patched {
    with_package: BTreeSet<String>,
    limits: BudgetPolicy,
    /// The racks of hosts that are cordoned.
    racks: BTreeMap<usize, String>,
    /// When hosts were begun, within the window of the budget.
    begun: Vec<Timestamp>,
    pub begun_most: usize,
    pub cordoned_most: usize,
    pub detected: BTreeMap<String, Timestamp>,
    /// When a scan has found that each host does not have it any more.
    pub resolved: BTreeMap<String, Timestamp>,
    /// The hosts that had it at their deadline.
    pub breached: BTreeSet<String>,
    /// How many hosts the campaign had when it was planned.
    pub planned: u32,
    /// When each wave was started, and how many hosts it has.
    pub waves: Vec<(Timestamp, u32)>,
    /// When each was over.
    pub waves_over: Vec<Timestamp>,
    pub completed: Vec<CampaignCompleted>,
    /// By which rules racks were held back.
    pub held: BTreeMap<String, u64>,
}

impl Patched {
    fn new(places: &[Place], policies: &Value) -> Self {
        let hosts = places.iter().enumerate().filter(|(number, place)| has_it(*number) && !place.is_free);
        Self {
            with_package: hosts.map(|(_, place)| place.host.clone()).collect(),
            limits: serde_json::from_value(policies["budget"].clone()).unwrap(),
            racks: BTreeMap::new(),
            begun: Vec::new(),
            begun_most: 0,
            cordoned_most: 0,
            detected: BTreeMap::new(),
            resolved: BTreeMap::new(),
            breached: BTreeSet::new(),
            planned: 0,
            waves: Vec::new(),
            waves_over: Vec::new(),
            completed: Vec::new(),
            held: BTreeMap::new(),
        }
    }

    /// Something was recorded of a host.
    pub fn host_event(&mut self, place: &Place, event: &str) {
        let host = &place.host;
        assert!(self.with_package.contains(host), "{host} does not have the package, and there is {event}");
        match event {
            "host.cordoned" => {
                let other = self.racks.insert(place.rack, host.clone());
                assert_eq!(other, None, "{host} and another host of its rack are worked on");
                self.cordoned_most = self.cordoned_most.max(self.racks.len());
            }
            "host.uncordoned" => assert_eq!(self.racks.remove(&place.rack).as_ref(), Some(host)),
            _ => {}
        }
    }

    /// Something was recorded elsewhere.
    pub fn commit(&mut self, commit: &Commit) {
        let at = commit.recorded_at;
        for event in &commit.events {
            let (name, version, data) = (&event.event_type, event.schema_version, &event.data);
            match commit.stream.category() {
                FindingDecider::CATEGORY => {
                    self.finding(&FindingEvent::from_data(name, version, data).unwrap(), at);
                }
                CampaignRackDecider::CATEGORY => {
                    match CampaignRackEvent::from_data(name, version, data).unwrap() {
                        CampaignRackEvent::HostStarted(_) => self.begun_at(at),
                        CampaignRackEvent::Held(held) => *self.held.entry(held.rule).or_default() += 1,
                        CampaignRackEvent::WaveBegun(_)
                        | CampaignRackEvent::HostEnded(_)
                        | CampaignRackEvent::WaveEnded(_) => {}
                    }
                }
                PackagesDecider::CATEGORY => {
                    let host = commit.stream.key();
                    assert!(
                        self.with_package.contains(host),
                        "{host} does not have the package, and there is {name}"
                    );
                }
                CampaignDecider::CATEGORY => match CampaignEvent::from_data(name, version, data).unwrap() {
                    CampaignEvent::Planned(planned) => self.planned = planned.hosts,
                    CampaignEvent::WaveStarted(wave) => self.waves.push((at, wave.hosts)),
                    CampaignEvent::WaveCompleted(_) => self.waves_over.push(at),
                    CampaignEvent::WaveHalted(halted) => panic!("a wave is halted: {halted:?}"),
                    CampaignEvent::Completed(completed) => self.completed.push(completed),
                    CampaignEvent::Requested(_)
                    | CampaignEvent::Prioritised(_)
                    | CampaignEvent::Approved(_)
                    | CampaignEvent::Rejected(_)
                    | CampaignEvent::Paused(_)
                    | CampaignEvent::Resumed(_)
                    | CampaignEvent::Held(_)
                    | CampaignEvent::RackReported(_)
                    | CampaignEvent::DeadlineBreached(_) => {}
                },
                _ => {}
            }
        }
    }

    fn finding(&mut self, event: &FindingEvent, at: Timestamp) {
        match event {
            FindingEvent::Detected(detected) => {
                let host = detected.found.host.as_str();
                assert!(
                    self.with_package.contains(host),
                    "{host} does not have the package, and has a finding"
                );
                let again = self.detected.insert(host.to_owned(), at);
                assert_eq!(again, None, "{host} has it again");
            }
            FindingEvent::Resolved(resolved) => {
                let (_, host) = resolved.finding.as_str().rsplit_once('/').unwrap();
                self.resolved.insert(host.to_owned(), at);
            }
            FindingEvent::DeadlineBreached(breached) => {
                let is_first = self.breached.insert(breached.host.to_string());
                assert!(is_first, "the breached deadline of {} is told again", breached.host);
            }
            FindingEvent::Changed(_)
            | FindingEvent::RebootPending(_)
            | FindingEvent::Excepted(_)
            | FindingEvent::ExceptionEnded(_) => {}
        }
    }

    /// The budget counts beginnings when they are granted, just before.
    fn begun_at(&mut self, at: Timestamp) {
        let window =
            SignedDuration::from_secs(self.limits.window_seconds.into()) - SignedDuration::from_secs(5);
        self.begun.push(at);
        self.begun.retain(|begun| at.duration_since(*begun) < window);
        self.begun_most = self.begun_most.max(self.begun.len());
        assert!(self.begun.len() <= self.limits.starts as usize, "{} were begun", self.begun.len());
    }
}

/// All hosts are in service, and what is installed on each is known.
async fn centre(size: Size) -> DataCentre {
    let policies = patching_policies(size);
    let mut centre = DataCentre::labelled(size, policies.clone(), |number| match fails(number) {
        true => json!({ "simulate.install": "fail" }),
        false => json!({}),
    })
    .await;
    let at = centre.now();
    let places = centre.places.clone();
    for (number, place) in places.iter().enumerate().filter(|(_, place)| !place.is_free) {
        let mut row = PackagesRow::default();
        row.installed.insert("bash".to_owned(), "5.2.15-2".to_owned());
        row.installed.extend(has_it(number).then(|| (PACKAGE.to_owned(), VULNERABLE.to_owned())));
        let key = PlainPackages::<ControlState>::key(&place.host);
        assert!(centre.site.control.put(&key, &json!(row), 0).await.unwrap());
        let taken = centre.site.post_signals("packages", &list(&place.host, has_it(number), at)).await;
        assert_eq!(taken.status, 202, "{}", taken.body);
        if number % 1_000 == 999 {
            centre.pass(60).await;
        }
    }
    centre.pass(600).await;
    centre.site.fleet.faults.install_seconds.store(INSTALL_SECONDS, Ordering::Relaxed);
    centre.watch.patched = Some(Patched::new(&centre.places, &policies));
    centre
}

fn findings(centre: &DataCentre, status: FindingStatus) -> BTreeSet<String> {
    let rows = centre.site.views.rows("findings").into_iter();
    let views = rows.map(|row| serde_json::from_value::<FindingView>(row.body).unwrap());
    views.filter(|view| view.status == status).map(|view| view.host.to_string()).collect()
}

#[test]
fn hot_cve() {
    in_one_thread(async {
        let (began, size) = (Instant::now(), Size::wanted());
        let mut centre = centre(size).await;
        println!("built in {:.1} s", began.elapsed().as_secs_f64());
        let before = (centre.watch.commits, centre.watch.messages, centre.dollars());
        let listed = centre.site.views.rows_listed();
        let published = centre.now();
        assert_eq!(centre.site.post_signals("osv", &osv()).await.status, 202);
        centre.pass(5).await;
        let exploited = json!({ "advisory": CVE, "exploitedSince": "2026-01-01" });
        centre.site.accepted("refresh-advisory", exploited).await;
        while centre.watch.patched.as_ref().unwrap().completed.is_empty() {
            centre.pass(600).await;
            assert!(centre.now().duration_since(published) < DEADLINE * 2, "it goes on for ever");
        }
        // Past the deadline, with all that is told of it.
        centre.pass(4 * 86_400).await;
        centre.site.world.run().await;
        centre.watch.look(&mut centre.site);
        centre.report("a vulnerability that is exploited, on nearly all hosts", began);
        let (commits, messages, dollars) = before;
        println!(
            "  of which the lists of packages: {commits} commits, {messages} messages, {dollars:.4} dollars"
        );
        println!("  rows listed since: {}", centre.site.views.rows_listed() - listed);
        let patched = centre.watch.patched.as_ref().unwrap();
        tell(patched, published);
        compare(patched, published);
        check(&centre, patched, published);
    });
}

/// When each part of the hosts was patched.
fn tell(patched: &Patched, published: Timestamp) {
    let minutes = |at: &Timestamp| at.duration_since(published).as_secs_f64() / 60.0;
    let last = minutes(patched.detected.values().max().unwrap());
    println!("  found on {} hosts, on the last after {:.1} s", patched.detected.len(), last * 60.0);
    println!("  planned: {} hosts", patched.planned);
    for (number, ((began, hosts), over)) in patched.waves.iter().zip(&patched.waves_over).enumerate() {
        let (began, over) = (minutes(began), minutes(over));
        println!(
            "  wave {} of {hosts} hosts: began after {began:.1} min, over after {over:.1} min",
            number + 1
        );
    }
    let mut times: Vec<f64> = patched.resolved.values().map(minutes).collect();
    for percent in [50.0, 90.0, 99.0, 100.0] {
        let within = percentile(&mut times, percent);
        println!("  {percent} % of {} patched hosts after {within:.1} min", times.len());
    }
    println!("  campaigns: {:?}", patched.completed);
    println!("  hosts cordoned at a time, at most: {}", patched.cordoned_most);
    println!(
        "  hosts begun within the budget's window, at most: {} of {}",
        patched.begun_most, patched.limits.starts
    );
    println!("  racks held by: {:?}", patched.held);
    println!("  deadlines breached: {}", patched.breached.len());
}

/// A window patches the same hosts as fast, and opens half its interval after a publication, on average.
fn compare(patched: &Patched, published: Timestamp) {
    let days = |at: &Timestamp| at.duration_since(published).as_secs_f64() / 86_400.0;
    let times: Vec<f64> = patched.resolved.values().map(days).collect();
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let last = times.iter().copied().fold(0.0, f64::max);
    let begun = patched.waves.first().map_or(0.0, |(at, _)| days(at));
    let less = |ours: f64, theirs: f64| 100.0 * (1.0 - ours / theirs);
    for window in WINDOWS_DAYS {
        let waited = window / 2.0 - begun;
        println!(
            "  a window each {window} days: exposure of a host, mean, {mean:.3} days beside {:.3} ({:.1} % less); until all are patched {last:.3} beside {:.3} ({:.1} % faster)",
            mean + waited,
            less(mean, mean + waited),
            last + waited,
            less(last, last + waited),
        );
    }
}

fn check(centre: &DataCentre, patched: &Patched, published: Timestamp) {
    let hosts = centre.places.iter().enumerate().filter(|(number, place)| fails(*number) && !place.is_free);
    let cannot: BTreeSet<String> = hosts.map(|(_, place)| place.host.clone()).collect();
    assert_eq!(
        findings(centre, FindingStatus::Open),
        cannot,
        "where it cannot be installed it is still open"
    );
    let resolved: BTreeSet<String> = patched.resolved.keys().cloned().collect();
    let wanted: BTreeSet<String> = patched.with_package.difference(&cannot).cloned().collect();
    assert_eq!(resolved, wanted, "all others are patched");
    assert_eq!(patched.breached, cannot, "each breach of the deadline is told, once, and no other");
    assert!(patched.racks.is_empty(), "cordoned for ever: {:?}", patched.racks);
    let last = patched.detected.values().max().unwrap();
    assert!(
        last.duration_since(published) < SignedDuration::from_mins(5),
        "found on all hosts within five minutes"
    );
    let [completed] = patched.completed.as_slice() else { panic!("one campaign: {:?}", patched.completed) };
    assert_eq!(completed.in_time, Some(true), "{completed:?}");
    assert_eq!((completed.patched as usize, completed.failed as usize), (wanted.len(), cannot.len()));
}
