//! From what is published of vulnerabilities to the hosts that have them, and until they are rid of them.

use std::time::Duration;

use hostler_core::StreamVersion;
use hostler_domain::packages::PackagesState;
use hostler_domain::views::{AdvisoryView, FindingView, PackagesView};
use hostler_domain::{AdvisoryDecider, FindingDecider, PackagesDecider};
use hostler_drivers::packages::PackagesRow;
use hostler_drivers::{ControlState, PlainPackages};
use hostler_events::Priority;
use hostler_events::packages::FindingStatus;
use hostler_runtime::ports::{Clock, Control, Row, Views};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::site::Site;

const CVE: &str = "CVE-2026-12345";
const VULNERABLE: &str = "3.0.15-1~deb12u1";
const FIXED: &str = "3.0.16-1~deb12u1";
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn osv(modified: &str, cvss: &str) -> Value {
    json!({
        "schema_version": "1.7.0", "id": "DSA-6012-1", "modified": modified, "upstream": [CVE],
        "summary": "openssl - security update", "severity": [{ "type": "CVSS_V3", "score": cvss }],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": FIXED }] }],
        }],
    })
}

const NETWORK: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

/// What the agent of a host sends: bash, and openssl in this version, where it has it.
async fn list(site: &Site, host: &str, openssl: Option<&str>, reboot_pending: bool) {
    let openssl = openssl.map(|version| {
        json!({ "name": "libssl3:amd64", "version": version, "source": "openssl", "sourceVersion": version })
    });
    let bash =
        json!({ "name": "bash", "version": "5.2.15-2", "source": "bash", "sourceVersion": "5.2.15-2" });
    let packages: Vec<Value> = [Some(bash), openssl].into_iter().flatten().collect();
    let body = json!({
        "host": host, "ecosystem": "Debian:12", "observedAt": site.clock.now(), "rebootPending": reboot_pending,
        "packages": packages,
    });
    assert_eq!(site.post_signals("packages", &body).await.status, 202);
}

async fn publish(site: &Site, body: &Value) {
    assert_eq!(site.post_signals("osv", body).await.status, 202);
}

/// Six hosts, of which the first two do not have openssl, and the last has the fix as a backport.
async fn site() -> Site {
    let mut site = Site::new();
    for n in 0..6 {
        let labels: &[(&str, &str)] = if n == 2 { &[("exposed", "true")] } else { &[] };
        site.enrol(&format!("h-{n}"), labels).await;
    }
    // They are cleaned before anything is known of their packages.
    site.run().await;
    for n in 0..6 {
        let version = match n {
            0 | 1 => None,
            5 => Some(FIXED),
            _ => Some(VULNERABLE),
        };
        list(&site, &format!("h-{n}"), version, false).await;
    }
    site.settle().await;
    site
}

fn findings(site: &Site) -> Vec<FindingView> {
    let rows = site.views.rows("findings").into_iter();
    rows.map(|row| serde_json::from_value(row.body).unwrap()).collect()
}

fn with(site: &Site, status: FindingStatus) -> Vec<String> {
    let found = findings(site).into_iter().filter(|finding| finding.status == status);
    found.map(|finding| finding.host.to_string()).collect()
}

fn packages(site: &Site, host: &str) -> PackagesState {
    site.state::<PackagesDecider>(host)
}

#[tokio::test]
async fn an_advisory_finds_exactly_the_hosts_that_have_it_and_a_list_with_the_fix_resolves_it() {
    let mut site = site().await;
    let untouched = ["h-0", "h-1", "h-5"].map(|host| packages(&site, host));
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    site.settle().await;
    assert_eq!(with(&site, FindingStatus::Open), ["h-3", "h-4", "h-2"], "rack by rack");
    let exposed = findings(&site).into_iter().find(|finding| finding.host.as_str() == "h-2").unwrap();
    assert_eq!((exposed.priority, exposed.exposed), (Priority::Attend, true));
    let package = &exposed.packages[0];
    assert_eq!((&*package.package, package.fixed.as_deref()), ("libssl3:amd64", Some(FIXED)));
    let other = findings(&site).into_iter().find(|finding| finding.host.as_str() == "h-3").unwrap();
    assert_eq!(other.priority, Priority::TrackStar);
    // DOMAIN C: hosts without the package are never touched, and a fixed backport is not vulnerable.
    assert_eq!(["h-0", "h-1", "h-5"].map(|host| packages(&site, host)), untouched);

    site.advance(Duration::from_secs(60)).await;
    list(&site, "h-2", Some(FIXED), true).await;
    list(&site, "h-3", Some(FIXED), false).await;
    list(&site, "h-4", None, false).await;
    site.settle().await;
    assert_eq!(with(&site, FindingStatus::RebootPending), ["h-2"], "installed, reboot pending is not fixed");
    assert_eq!(with(&site, FindingStatus::Resolved), ["h-3", "h-4"]);
    site.advance(Duration::from_secs(60)).await;
    list(&site, "h-2", Some(FIXED), false).await;
    site.settle().await;
    assert_eq!(with(&site, FindingStatus::Resolved), ["h-3", "h-4", "h-2"]);
}

/// An older list comes late, and the same record again: nothing changes.
#[tokio::test]
async fn late_lists_and_repeated_records_change_nothing() {
    let mut site = site().await;
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    site.settle().await;
    let before = (findings(&site), site.count("packages.assessed"));
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    let late = json!({
        "host": "h-2", "ecosystem": "Debian:12", "observedAt": "2020-01-31T10:40:00Z", "rebootPending": false, "packages": [],
    });
    assert_eq!(site.post_signals("packages", &late).await.status, 202);
    // The fleet is looked through once more.
    site.advance(Duration::from_secs(900)).await;
    assert_eq!((findings(&site), site.count("packages.assessed")), before);
}

/// A host whose list comes after the advisory is compared with it as well.
#[tokio::test]
async fn a_host_that_comes_later_is_compared_with_what_is_on_record() {
    let mut site = site().await;
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    site.settle().await;
    site.enrol("h-9", &[]).await;
    assert!(site.run_until(|site| site.phase("h-9") == "available").await);
    list(&site, "h-9", Some(VULNERABLE), false).await;
    site.settle().await;
    assert!(with(&site, FindingStatus::Open).contains(&"h-9".to_owned()));
}

/// New facts make it more urgent, and that reaches the hosts that have it; a deadline that passes is told, once.
#[tokio::test]
async fn what_is_known_to_be_exploited_gets_three_days_and_a_breach_is_told_once() {
    let mut site = site().await;
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    site.settle().await;
    let refresh = json!({ "advisory": CVE, "exploitedSince": "2026-01-31", "epss": { "score": 0.9, "date": "2026-01-31" } });
    site.accepted("refresh-advisory", refresh).await;
    site.settle().await;
    let view: AdvisoryView = serde_json::from_value(site.views.rows("advisories")[0].body.clone()).unwrap();
    let decision = view.decision.unwrap();
    assert_eq!((decision.revision, decision.priority, decision.emergency), (2, Priority::Act, true));
    let due = site.clock.now() + SignedDuration::from_hours(72);
    for finding in findings(&site) {
        assert_eq!(finding.priority, Priority::Act);
        assert!(finding.deadline.unwrap() <= due, "{finding:?}");
    }
    let (finding, until) =
        (findings(&site)[0].finding.clone(), site.clock.now() + SignedDuration::from_hours(24 * 30));
    site.accepted(
        "except-finding",
        json!({
            "finding": finding, "owner": "ada", "reason": "no fix for its appliance",
            "until": until,
        }),
    )
    .await;
    site.advance(4 * DAY).await;
    assert_eq!(site.count("finding.deadline-breached"), 2, "an exception breaches nothing while it holds");
    site.advance(60 * DAY).await;
    assert_eq!(site.count("finding.exception-ended"), 1);
    assert_eq!(site.count("finding.deadline-breached"), 3);
    assert!(findings(&site).iter().all(|finding| finding.breached));
}

/// A host in service with an open finding.
async fn site_with_a_finding() -> Site {
    let mut site = Site::new();
    site.enrol("h-0", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    list(&site, "h-0", Some(VULNERABLE), false).await;
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    site.settle().await;
    assert_eq!(with(&site, FindingStatus::Open), ["h-0"]);
    site
}

/// A host that was cleaned has nothing of what it had.
#[tokio::test]
async fn a_host_that_was_cleaned_is_rid_of_its_findings() {
    let mut site = site_with_a_finding().await;
    site.accepted("release-host", json!({ "host": "h-0", "reason": "not needed" })).await;
    assert!(site.run_until(|site| site.count("finding.resolved") == 1).await);
    site.settle().await;
    let view: PackagesView = serde_json::from_value(site.views.rows("packages")[0].body.clone()).unwrap();
    assert_eq!((view.packages, view.findings.len()), (0, 0));
}

/// Given a host with a finding, when it is cleaned while the advisories that are listed lack that one, then it is compared with it once it
/// is listed again: what is left out of a listing is not what it does not have.
#[tokio::test]
async fn a_listing_that_lacks_an_advisory_leaves_no_finding_open() {
    let mut site = site_with_a_finding().await;
    // The fleet has been looked through once more by then.
    site.advance(DAY / 24).await;
    let listed = site.views.rows("advisories").remove(0);
    let views = site.views.clone();
    let put = async |body: &Value, later: u64| {
        let row =
            Row { body: body.clone(), version: StreamVersion(listed.version.0 + later), ..listed.clone() };
        assert!(views.put(&row).await.unwrap());
    };
    put(&Value::Null, 100).await;
    site.accepted("release-host", json!({ "host": "h-0", "reason": "not needed" })).await;
    let cleaned = |site: &Site| site.views.rows("packages").iter().all(|row| row.body["packages"] == 0);
    assert!(site.run_until(|site| site.count("host.cleaned") == 2 && cleaned(site)).await);
    site.settle().await;
    assert_eq!(with(&site, FindingStatus::Open), ["h-0"]);
    put(&listed.body, 200).await;
    assert!(site.run_until(|site| site.count("finding.resolved") == 1).await);
}

/// A scan asks whoever knows what is installed; where nothing is known there, what is known here stays.
#[tokio::test]
async fn a_scan_shows_what_is_installed_by_now() {
    let mut site = site().await;
    publish(&site, &osv("2025-12-30T10:40:00Z", NETWORK)).await;
    site.settle().await;
    site.advance(Duration::from_secs(60)).await;
    for host in ["h-2", "h-3"] {
        site.accepted("rescan-host", json!({ "host": host })).await;
        site.settle().await;
    }
    assert_eq!(with(&site, FindingStatus::Open).len(), 3, "nothing is known there of any package");
    let installed = [("libssl3:amd64".to_owned(), FIXED.to_owned())].into();
    let row = json!(PackagesRow { installed, ..PackagesRow::default() });
    site.control.put(&PlainPackages::<ControlState>::key("h-3"), &row, 0).await.unwrap();
    for host in ["h-2", "h-3"] {
        site.accepted("rescan-host", json!({ "host": host })).await;
    }
    site.settle().await;
    assert_eq!(with(&site, FindingStatus::Resolved), ["h-3"]);
}

/// Aliases are one: a CVE by its own record and by the advisory of its distribution.
#[tokio::test]
async fn an_advisory_is_on_record_under_its_cve_whoever_publishes_it() {
    let mut site = site().await;
    publish(&site, &osv("2025-12-30T10:40:00Z", "")).await;
    let mut cve = osv("2025-12-30T10:41:00Z", NETWORK);
    cve["id"] = json!(format!("DEBIAN-{CVE}"));
    cve["upstream"] = json!([]);
    publish(&site, &cve).await;
    site.settle().await;
    assert_eq!(site.views.rows("advisories").len(), 1);
    assert_eq!(site.state::<AdvisoryDecider>(CVE).records.len(), 2);
    assert_eq!(findings(&site).len(), 3);
    let finding = &findings(&site)[0].finding;
    assert_eq!(site.state::<FindingDecider>(finding.as_str()).status(), FindingStatus::Open);
}
