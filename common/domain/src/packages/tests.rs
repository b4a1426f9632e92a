//! What is installed, compared with what is published.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::Decider;
use hostler_core::saga::StepOutcome;
use hostler_events::advisory::{AdvisoryRecord, Affected, AffectedRange, Priority};
use hostler_events::findings::{PackageReport, Urgency};
use hostler_events::packages::InstalledVersion;
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn place() -> HostPlace {
    HostPlace {
        host: "h-1".parse().unwrap(),
        pool: "web".parse().unwrap(),
        fault_domain: "rack-1".parse().unwrap(),
        exposed: false,
    }
}

/// A list of names and versions; `libssl3=1.0 openssl` is made from the source openssl.
fn report(minute: i64, packages: &[&str]) -> PackageReport {
    let package = |text: &&str| {
        let (is, source) =
            text.split_once(' ').map_or((*text, None), |(is, source)| (is, Some(source.to_owned())));
        let (name, version) = is.split_once('=').unwrap();
        let is = InstalledVersion { version: version.to_owned(), source, source_version: None };
        (name.to_owned(), is)
    };
    PackageReport {
        source: "agent".to_owned(),
        ecosystem: Some("Debian:12".to_owned()),
        complete: true,
        packages: packages.iter().map(package).collect(),
        gone: Vec::new(),
        reboot_pending: Some(false),
        observed_at: at(minute),
    }
}

fn range(introduced: &str, fixed: Option<&str>) -> AffectedRange {
    AffectedRange { introduced: introduced.to_owned(), fixed: fixed.map(str::to_owned), last_affected: None }
}

fn affected_of(package: &str, fixed: Option<&str>) -> Affected {
    Affected {
        ecosystem: "Debian:12".to_owned(),
        package: package.to_owned(),
        purl: None,
        ranges: vec![range("0", fixed)],
        versions: Vec::new(),
    }
}

fn record(id: &str, affected: Vec<Affected>) -> AdvisoryRecord {
    AdvisoryRecord {
        id: id.to_owned(),
        aliases: Vec::new(),
        summary: String::new(),
        modified_at: at(0),
        withdrawn_at: None,
        cvss: Vec::new(),
        affected,
    }
}

fn brief(revision: u32, records: Vec<AdvisoryRecord>) -> AdvisoryBrief {
    let urgency = Urgency { priority: Priority::Attend, decided_at: at(0), deadline: None, days: None };
    let advisory = "CVE-2026-1".parse().unwrap();
    AdvisoryBrief { advisory, revision, records, exposed: urgency, unexposed: urgency }
}

fn openssl(fixed: &str) -> AdvisoryBrief {
    brief(1, vec![record("DSA-1-1", vec![affected_of("openssl", Some(fixed))])])
}

fn tell(state: PackagesState, input: &PackagesInput) -> (PackagesState, PackagesDecision) {
    let decision = PackagesDecider::decide(&state, input, at(0)).unwrap();
    (decision.events.iter().fold(state, PackagesDecider::evolve), decision)
}

fn observed(state: PackagesState, report: PackageReport) -> PackagesState {
    tell(state, &PackagesInput::Observed { place: place(), report: Box::new(report) }).0
}

fn matched(state: PackagesState, brief: AdvisoryBrief) -> (PackagesState, PackagesDecision) {
    tell(state, &PackagesInput::Match { advisories: vec![brief] })
}

fn notes(decision: &PackagesDecision) -> Vec<Option<Verdict>> {
    let note = |command: &PackagesCommand| match command {
        PackagesCommand::Findings(FindingsCommand::NoteFinding(note)) => Some(note.verdict.clone()),
        _ => None,
    };
    decision.commands.iter().filter_map(note).collect()
}

/// DOMAIN C: dedupe by host, CVE and package; the source that a record names is matched by its binary packages.
#[test]
fn a_finding_is_one_for_each_host_cve_and_package_whatever_the_number_of_records() {
    let state = observed(
        PackagesState::default(),
        report(1, &["libssl3:amd64=3.0.15-1 openssl", "openssl=3.0.15-1", "bash=5.2-1"]),
    );
    let records = vec![
        record("DSA-1-1", vec![affected_of("openssl", Some("3.0.15-1+deb12u1"))]),
        record("DEBIAN-CVE-2026-1", vec![affected_of("openssl", Some("3.0.15-1+deb12u2"))]),
    ];
    let (state, decision) = matched(state, brief(1, records.clone()));
    let verdict = notes(&decision).remove(0).unwrap();
    let said: Vec<(String, Option<String>)> =
        verdict.packages.into_iter().map(|of| (of.package, of.fixed)).collect();
    let fixed = Some("3.0.15-1+deb12u2".to_owned());
    assert_eq!(said, [("libssl3:amd64".to_owned(), fixed.clone()), ("openssl".to_owned(), fixed)]);
    assert_eq!(matched(state, brief(1, records)).1, Decision::nothing());
}

/// DOMAIN C: a fixed backport is not vulnerable, and epochs count.
#[test]
fn a_fixed_backport_is_not_vulnerable() {
    for (installed, fixed, is_vulnerable) in [
        ("3.0.15-1~deb12u1", "3.0.15-1~deb12u1", false),
        ("3.0.14-1~deb12u2", "3.0.15-1~deb12u1", true),
        ("1:2.0-1", "9.0-1", false),
        ("9.0-1", "1:2.0-1", true),
        ("3.0.15-1~deb12u1+b1", "3.0.15-1~deb12u1", false),
    ] {
        let state = observed(PackagesState::default(), report(1, &[&format!("openssl={installed}")]));
        let (_, decision) = matched(state, openssl(fixed));
        assert_eq!(!decision.is_empty(), is_vulnerable, "{installed} {fixed}");
    }
}

/// DOMAIN C: hosts without the package are never touched.
#[test]
fn a_host_without_the_package_is_never_touched() {
    let state = observed(PackagesState::default(), report(1, &["bash=5.2-1"]));
    assert_eq!(matched(state, openssl("9")).1, Decision::nothing());
    assert_eq!(matched(PackagesState::default(), openssl("9")).1, Decision::nothing());
}

/// DOMAIN C: "installed, reboot pending" is not fixed.
#[test]
fn what_is_installed_and_waits_for_a_reboot_is_not_fixed() {
    let state = observed(PackagesState::default(), report(1, &["openssl=1.0"]));
    let (state, _) = matched(state, openssl("2.0"));
    let pending = PackageReport { reboot_pending: Some(true), ..report(2, &["openssl=2.0"]) };
    let (state, decision) = matched(observed(state, pending), openssl("2.0"));
    assert!(notes(&decision).remove(0).unwrap().reboot_pending);
    assert!(state.verdict(&"CVE-2026-1".parse().unwrap()).is_some());
    let (state, decision) = matched(observed(state, report(3, &["openssl=2.0"])), openssl("2.0"));
    assert_eq!(notes(&decision), [None]);
    assert_eq!(state.verdicts.len(), 0);
}

/// DOMAIN, rules shared by all: an older observation never replaces a newer one.
#[test]
fn an_older_list_changes_nothing() {
    let state = observed(PackagesState::default(), report(5, &["openssl=2.0"]));
    let same = observed(state.clone(), report(9, &["openssl=2.0"]));
    assert_eq!(same.observed_at, Some(at(9)));
    assert_eq!(observed(same.clone(), report(7, &["openssl=1.0"])), same);
    let older = PackagesInput::Observed { place: place(), report: Box::new(report(4, &[])) };
    assert_eq!(tell(state, &older).1, Decision::nothing());
}

#[test]
fn a_list_of_some_packages_says_nothing_of_the_others() {
    let state = observed(PackagesState::default(), report(1, &["openssl=1.0", "bash=5"]));
    let some = PackageReport {
        complete: false,
        ecosystem: None,
        reboot_pending: None,
        ..report(2, &["openssl=2.0"])
    };
    let state = observed(state, some);
    assert_eq!(state.installed.len(), 2);
    assert_eq!(state.ecosystem, "Debian:12");
    let gone = PackageReport { complete: false, gone: vec!["bash".to_owned()], ..report(3, &[]) };
    assert_eq!(observed(state, gone).installed.len(), 1);
}

#[test]
fn a_withdrawn_record_affects_nothing_and_another_release_is_not_compared() {
    let state = observed(PackagesState::default(), report(1, &["openssl=1.0"]));
    let mut withdrawn = record("DSA-1-1", vec![affected_of("openssl", Some("2.0"))]);
    withdrawn.withdrawn_at = Some(at(1));
    assert_eq!(matched(state.clone(), brief(1, vec![withdrawn])).1, Decision::nothing());
    let mut other = affected_of("openssl", Some("2.0"));
    other.ecosystem = "Debian:11".to_owned();
    assert_eq!(matched(state.clone(), brief(1, vec![record("DSA-1-1", vec![other])])).1, Decision::nothing());
    let mut pypi = affected_of("openssl", Some("2.0"));
    pypi.ecosystem = "PyPI".to_owned();
    assert_eq!(matched(state, brief(1, vec![record("GHSA-1", vec![pypi])])).1, Decision::nothing());
}

#[test]
fn versions_that_are_named_one_by_one_count_too() {
    let mut named = affected_of("openssl", Some("2.0"));
    named.ranges = vec![range("1.5", Some("2.0"))];
    named.versions = vec!["1.0".to_owned()];
    let state = observed(PackagesState::default(), report(1, &["openssl=1.0"]));
    let (_, decision) = matched(state, brief(1, vec![record("DSA-1-1", vec![named])]));
    assert_eq!(notes(&decision).remove(0).unwrap().packages[0].fixed.as_deref(), Some("2.0"));
}

/// A new decision is told to those who have it, and an older one changes nothing.
#[test]
fn a_new_decision_reaches_the_hosts_that_have_it() {
    let state = observed(PackagesState::default(), report(1, &["openssl=1.0"]));
    let (state, _) = matched(state, openssl("2.0"));
    let newer = AdvisoryBrief { revision: 2, ..openssl("2.0") };
    let (state, decision) = matched(state, newer);
    assert_eq!(notes(&decision).len(), 1);
    assert_eq!(matched(state, openssl("2.0")).1, Decision::nothing());
}

/// DOMAIN C: verified by rescan, and "installed, reboot pending" is not fixed.
#[test]
fn a_scan_answers_by_what_is_installed() {
    let (state, _) = matched(observed(PackagesState::default(), report(1, &["openssl=1.0"])), openssl("2.0"));
    let answer = |state: PackagesState| {
        let (saga, advisory) = ("patching#c-1.h-1".parse().unwrap(), "CVE-2026-1".parse().unwrap());
        let step = "c-1.h-1/scan-packages/1".parse().unwrap();
        let (_, decision) = tell(state, &PackagesInput::AnswerScan { saga, step, advisory });
        let PackagesCommand::Saga(SagaCommand::Answer(reply)) = decision.commands[0].clone() else {
            panic!("no answer")
        };
        let StepOutcome::Succeeded { output } = reply.outcome else { panic!("{reply:?}") };
        let scanned: PackagesScanned = serde_json::from_value(output).unwrap();
        (scanned.resolved, scanned.reboot_pending)
    };
    assert_eq!(answer(state.clone()), (false, false));
    let pending = PackageReport { reboot_pending: Some(true), ..report(2, &["openssl=2.0"]) };
    let (state, _) = matched(observed(state, pending), openssl("2.0"));
    assert_eq!(answer(state.clone()), (false, true));
    let (state, _) = matched(observed(state, report(3, &["openssl=2.0"])), openssl("2.0"));
    assert_eq!(answer(state), (true, false));
}

/// A scan reads names and versions; the sources that the agent has told stay known.
#[test]
fn a_list_without_sources_does_not_make_them_unknown() {
    let state = observed(PackagesState::default(), report(1, &["libssl3:amd64=1.0 openssl"]));
    let state = observed(state, report(2, &["libssl3:amd64=1.5"]));
    let (state, decision) = matched(state, openssl("2.0"));
    assert_eq!(notes(&decision).len(), 1);
    // Who reads some packages only may name them without their architecture.
    let some = PackageReport { complete: false, ..report(3, &["libssl3=2.0"]) };
    let (state, _) = matched(observed(state, some), openssl("2.0"));
    assert_eq!((state.installed.len(), state.verdicts.len()), (1, 0));
}

#[test]
fn too_many_packages_are_refused() {
    let names: Vec<String> = (0..=PACKAGES_MAX).map(|n| format!("p{n}=1")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let input = PackagesInput::Observed { place: place(), report: Box::new(report(1, &names)) };
    let refused = PackagesDecider::decide(&PackagesState::default(), &input, at(0)).unwrap_err();
    assert_eq!(refused.label(), "too-many-packages");
}

proptest! {
    /// In whatever order lists come, in the end the newest holds, however many commits it takes.
    #[test]
    fn the_newest_list_holds_in_whatever_order_lists_come(
        lists in proptest::collection::vec((0_i64..20, proptest::collection::btree_map("[a-d]", "[0-9]", 0..4)), 1..8),
    ) {
        let mut state = PackagesState::default();
        for (minute, packages) in &lists {
            let texts: Vec<String> = packages.iter().map(|(name, version)| format!("{name}={version}")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            state = observed(state, report(*minute, &texts));
        }
        let newest = lists.iter().map(|(minute, _)| *minute).max().unwrap();
        let (_, packages) = lists.iter().rev().find(|(minute, _)| *minute == newest).unwrap();
        let has: Vec<(String, String)> = state.installed.into_iter().map(|(name, is)| (name, is.version)).collect();
        let must: Vec<(String, String)> = packages.clone().into_iter().collect();
        prop_assert_eq!(has, must);
    }
}
