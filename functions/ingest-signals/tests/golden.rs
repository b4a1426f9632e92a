//! What each vendor's documented form comes to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;

use hostler_events::host::RunCommandEnd;
use hostler_events::inventory::{ObserveHost, ObserveRecord, Presence, RecordChange};
use hostler_events::signal::{
    Direction, ReportSignal, ReportThreshold, SignalForm, SignalStatus, TakeSignals,
};
use hostler_events::{InventoryCommand, InventorySource};
use ingest_signals::forms::{Reading, read};
use jiff::Timestamp;
use serde_json::Value;

const NOW: &str = "2026-01-31T11:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn sample(name: &str) -> Value {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../events/samples/vendors/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn reading(form: SignalForm, body: Value) -> Reading {
    let reading = read(&TakeSignals { form, received_at: at(NOW), body });
    assert_eq!(reading.complaint(), None, "all of a documented form is understood");
    reading
}

fn of(form: SignalForm, name: &str) -> Reading {
    reading(form, sample(name))
}

/// Host, fault, source, fingerprint and status.
fn named(report: &ReportSignal) -> (&str, &str, &str, &str, SignalStatus) {
    let ReportSignal { host, signal } = report;
    let header = &signal.header;
    (host.as_str(), signal.fault.as_str(), &header.source, &header.fingerprint, header.status)
}

/// Since when, until when known, and until when it may be acted on.
fn times(report: &ReportSignal) -> [Timestamp; 3] {
    let header = &report.signal.header;
    [header.starts_at, header.observed_at, header.expires_at]
}

#[test]
fn alertmanager() {
    let reading = of(SignalForm::Alertmanager, "alertmanager");
    let [down, service] = &reading.signals[..] else { panic!("{reading:#?}") };
    assert_eq!(
        named(down),
        ("h-01", "unreachable", "alertmanager", "1a30ba71cca2921f", SignalStatus::Firing)
    );
    // It fires when it comes, however long ago it began.
    assert_eq!(times(down), [at("2026-01-31T10:59:40.500Z"), at(NOW), at("2026-01-31T11:15:00Z")]);
    assert_eq!(
        (&*down.signal.severity, &*down.signal.summary),
        ("critical", "h-01 has not answered for 15 seconds")
    );
    let labels: Vec<&str> = down.signal.labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["alertname", "instance", "job"]);
    // No label `host`: what was scraped, without its port. It is over since it ended.
    assert_eq!(
        named(service),
        ("h-02", "service", "alertmanager", "5c1f7be2a9d03e44", SignalStatus::Resolved)
    );
    assert_eq!(
        times(service),
        [at("2026-01-31T10:40:00Z"), at("2026-01-31T10:58:00Z"), at("2026-01-31T11:13:00Z")]
    );
    let [ReportThreshold { pool, header, metric, value, threshold, direction }] = &reading.thresholds[..]
    else {
        panic!("{reading:#?}")
    };
    assert_eq!((pool.as_str(), metric.as_str(), *direction), ("web", "load", Direction::Above));
    assert_eq!((*value, *threshold, header.status), (Some(0.93), Some(0.8), SignalStatus::Firing));
}

#[test]
fn cloudwatch_alarms_of_a_host() {
    let reading = of(SignalForm::EventBridge, "cloudwatch-alarm");
    let [failed] = &reading.signals[..] else { panic!("{reading:#?}") };
    let arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:signal-StatusCheckFailed";
    assert_eq!(
        named(failed),
        ("i-12345678901234567", "status-check-failed", "cloudwatch", arn, SignalStatus::Firing)
    );
    let changed = at("2026-01-31T10:59:40.985Z");
    assert_eq!(times(failed), [changed, changed, at("2026-01-31T11:14:40.985Z")]);
    assert!(failed.signal.summary.starts_with("Threshold Crossed: 1 out of the last 1 datapoints"));
}

#[test]
fn cloudwatch_alarms_end_with_ok_and_not_with_insufficient_data() {
    let mut ok = sample("cloudwatch-alarm");
    let detail = &mut ok["detail"];
    let before = detail["state"].take();
    detail["previousState"] = before;
    detail["state"] = serde_json::json!({ "value": "OK", "timestamp": "2026-01-31T10:59:58.000+0000" });
    let over = &reading(SignalForm::EventBridge, ok.clone()).signals[0];
    assert_eq!(over.signal.header.status, SignalStatus::Resolved);
    // It began when the alarm did, by which the two belong together.
    assert_eq!(times(over)[..2], [at("2026-01-31T10:59:40.985Z"), at("2026-01-31T10:59:58Z")]);
    ok["detail"]["state"]["value"] = "INSUFFICIENT_DATA".into();
    let unknown = reading(SignalForm::EventBridge, ok);
    assert_eq!((unknown.signals.len(), unknown.thresholds.len(), unknown.quiet), (0, 0, 1));
}

#[test]
fn cloudwatch_alarms_of_a_pool() {
    let reading = of(SignalForm::EventBridge, "cloudwatch-pool");
    let [ReportThreshold { pool, header, metric, value, threshold, direction }] = &reading.thresholds[..]
    else {
        panic!("{reading:#?}")
    };
    assert_eq!((pool.as_str(), metric.as_str(), *direction), ("web", "cpu-utilization", Direction::Above));
    assert_eq!((*value, *threshold, header.status), (Some(41.5), Some(80.0), SignalStatus::Resolved));
    assert_eq!(header.starts_at, at("2026-01-31T10:54:40.989Z"));
}

#[test]
fn tags_of_an_alarm_say_more_than_its_dimensions() {
    let mut tagged = sample("cloudwatch-alarm");
    tagged["detail"]["alarmTags"] =
        serde_json::json!({ "host": "h-07", "fault": "hardware", "severity": "high" });
    let reading = reading(SignalForm::EventBridge, tagged);
    let [report] = &reading.signals[..] else { panic!("{reading:#?}") };
    assert_eq!(
        (report.host.as_str(), report.signal.fault.as_str(), &*report.signal.severity),
        ("h-07", "hardware", "high")
    );
}

#[test]
fn aws_health() {
    let reading = of(SignalForm::EventBridge, "aws-health");
    let [impaired, well] = &reading.signals[..] else { panic!("{reading:#?}") };
    let fault = "aws-ec2-instance-store-drive-performance-degraded";
    assert_eq!(
        (impaired.host.as_str(), impaired.signal.fault.as_str(), impaired.signal.header.status),
        ("i-12345678901234567", fault, SignalStatus::Firing)
    );
    assert_eq!(
        (well.host.as_str(), well.signal.header.status),
        ("i-76543210987654321", SignalStatus::Resolved)
    );
    assert_ne!(impaired.signal.header.fingerprint, well.signal.header.fingerprint);
    assert_eq!(times(impaired)[..2], [at("2026-01-31T10:19:03Z"), at("2026-01-31T10:59:21Z")]);
}

#[test]
fn auto_scaling() {
    for (name, status) in
        [("auto-scaling-terminate", SignalStatus::Firing), ("auto-scaling-launch", SignalStatus::Resolved)]
    {
        let reading = of(SignalForm::EventBridge, name);
        let [report] = &reading.signals[..] else { panic!("{reading:#?}") };
        assert_eq!(
            named(report),
            ("i-1234567890abcdef0", "terminating", "auto-scaling", "web i-1234567890abcdef0", status)
        );
        let has_token = report.signal.labels.contains_key("LifecycleActionToken");
        assert!(!has_token, "who has the token may go on with the action");
    }
}

#[test]
fn redfish() {
    let reading = of(SignalForm::Redfish, "redfish");
    let faults: Vec<(&str, SignalStatus)> = reading
        .signals
        .iter()
        .map(|report| (report.signal.fault.as_str(), report.signal.header.status))
        .collect();
    use SignalStatus::{Firing, Resolved};
    assert_eq!(faults, [("hardware", Firing), ("hardware", Resolved), ("hardware-warning", Firing)]);
    assert!(reading.signals.iter().all(|report| report.host.as_str() == "h-01"));
    assert_eq!(
        reading.signals[0].signal.header.fingerprint, "h-01 /redfish/v1/Systems/1/Memory/DIMM3",
        "what is over has another message, and is of the same part"
    );
    assert_eq!(reading.signals[1].signal.header.starts_at, at("2026-01-31T10:59:41Z"));
}

#[test]
fn a_heartbeat_that_says_unhealthy_is_a_signal_and_one_that_says_nothing_new_is_none() {
    let sick = of(SignalForm::Heartbeat, "heartbeat");
    let [report] = &sick.signals[..] else { panic!("{sick:#?}") };
    assert_eq!(named(report), ("h-01", "service", "heartbeat", "h-01", SignalStatus::Firing));
    // Three intervals: without another heartbeat it is worth nothing any more.
    assert_eq!(
        times(report),
        [at("2026-01-31T10:59:38Z"), at("2026-01-31T10:59:58Z"), at("2026-01-31T11:00:28Z")]
    );
    assert!(report.signal.summary.contains("web"), "{}", report.signal.summary);
    let mut beat = sample("heartbeat");
    beat["healthy"] = true.into();
    let again = reading(SignalForm::Heartbeat, beat.clone());
    assert_eq!(again.signals[0].signal.header.status, SignalStatus::Resolved);
    beat["since"] = "2026-01-31T10:00:00Z".into();
    assert_eq!(reading(SignalForm::Heartbeat, beat).quiet, 1);
}

#[test]
fn an_osv_record_is_told_of_each_of_its_vulnerabilities() {
    let reading = of(SignalForm::Osv, "osv");
    let advisories: Vec<&str> = reading.advisories.iter().map(|record| record.advisory.as_str()).collect();
    assert_eq!(advisories, ["CVE-2026-12345", "CVE-2026-12346"]);
    let record = &reading.advisories[0].record;
    assert_eq!((record.id.as_str(), record.modified_at), ("DSA-6012-1", at("2026-01-31T10:40:00Z")));
    assert_eq!(record.cvss, ["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"]);
    let [openssl] = &record.affected[..] else { panic!("{record:#?}") };
    assert_eq!((openssl.ecosystem.as_str(), openssl.package.as_str()), ("Debian:12", "openssl"));
    let range = &openssl.ranges[0];
    assert_eq!((range.introduced.as_str(), range.fixed.as_deref()), ("0", Some("3.0.16-1~deb12u1")));
    assert_eq!(openssl.versions.len(), 3);
}

/// Whatever its publishers call it, a vulnerability goes by its CVE id.
#[test]
fn an_osv_record_goes_by_its_cve_id_where_it_has_one() {
    let named = |id: &str, field: &str, ids: &[&str]| {
        let mut record = sample("osv");
        record["id"] = id.into();
        record["upstream"] = serde_json::json!([]);
        record[field] = serde_json::json!(ids);
        let reading = reading(SignalForm::Osv, record);
        reading.advisories.into_iter().map(|of| of.advisory.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(named("CVE-2026-1", "aliases", &["GHSA-x", "CVE-2026-2"]), ["CVE-2026-1"]);
    assert_eq!(named("DEBIAN-CVE-2026-1", "upstream", &["CVE-2026-1"]), ["CVE-2026-1"]);
    assert_eq!(named("GHSA-x", "aliases", &["CVE-2026-2"]), ["CVE-2026-2"]);
    assert_eq!(named("DLA-1-1", "related", &["CVE-2026-3"]), ["CVE-2026-3"]);
    assert_eq!(named("GHSA-x", "related", &["CVE-2026-3"]), ["GHSA-x"]);
}

#[test]
fn ranges_of_an_osv_record_end_with_the_next_event_and_those_of_commits_are_left() {
    let mut record = sample("osv");
    record["affected"][0]["ranges"] = serde_json::json!([
        { "type": "GIT", "events": [{ "introduced": "0" }, { "fixed": "abc" }] },
        { "type": "ECOSYSTEM", "events": [
            { "introduced": "1.0" }, { "fixed": "1.5" }, { "introduced": "2.0" }, { "last_affected": "2.3" }, { "introduced": "3.0" },
        ] },
    ]);
    let reading = reading(SignalForm::Osv, record);
    let ranges: Vec<(&str, Option<&str>, Option<&str>)> = reading.advisories[0].record.affected[0]
        .ranges
        .iter()
        .map(|of| (of.introduced.as_str(), of.fixed.as_deref(), of.last_affected.as_deref()))
        .collect();
    assert_eq!(ranges, [("1.0", Some("1.5"), None), ("2.0", None, Some("2.3")), ("3.0", None, None)]);
}

#[test]
fn the_packages_of_a_host_with_their_sources() {
    let reading = of(SignalForm::Packages, "packages");
    let [list] = &reading.packages[..] else { panic!("{reading:#?}") };
    let report = &list.report;
    assert_eq!((list.host.as_str(), report.ecosystem.as_deref()), ("h-01", Some("Debian:12")));
    assert!(report.complete);
    assert_eq!(report.observed_at, at("2026-01-31T10:59:58Z"));
    let libssl = &report.packages["libssl3:amd64"];
    assert_eq!((libssl.source.as_deref(), libssl.source_version.as_deref()), (Some("openssl"), None));
    let bash = &report.packages["bash"];
    assert_eq!((bash.version.as_str(), bash.source_version.as_deref()), ("5.2.15-2+b7", Some("5.2.15-2")));
    assert_eq!(report.packages["openssl"].source, None);
}

#[test]
fn a_finding_of_inspector_is_a_record_and_a_part_of_a_list() {
    let reading = of(SignalForm::EventBridge, "inspector-finding");
    let ([record], [list]) = (&reading.advisories[..], &reading.packages[..]) else { panic!("{reading:#?}") };
    assert_eq!(record.advisory.as_str(), "CVE-2026-12345");
    assert_eq!(record.epss.as_ref().map(|epss| (epss.score, &*epss.date)), Some((0.91, "2026-01-31")));
    let affected = &record.record.affected[0];
    assert_eq!((affected.ecosystem.as_str(), affected.package.as_str()), ("Debian:12", "libssl3"));
    assert_eq!(affected.ranges[0].fixed.as_deref(), Some("0:3.0.16-1~deb12u1"));
    assert_eq!(list.host.as_str(), "i-0c2a343f1948d5205");
    assert_eq!(list.report.packages["libssl3"].version, "3.0.15-1~deb12u1");
    assert!(!list.report.complete);
}

#[test]
fn a_finding_of_inspector_that_is_closed_says_that_the_package_is_gone_and_others_say_nothing() {
    let mut closed = sample("inspector-finding");
    closed["detail"]["status"] = "CLOSED".into();
    let list = reading(SignalForm::EventBridge, closed.clone()).packages.remove(0);
    assert_eq!((list.report.packages.len(), list.report.gone), (0, vec!["libssl3".to_owned()]));
    closed["detail"]["status"] = "SUPPRESSED".into();
    assert_eq!(reading(SignalForm::EventBridge, closed.clone()).quiet, 1);
    closed["detail"]["status"] = "ACTIVE".into();
    closed["detail"]["resources"][0]["type"] = "AWS_ECR_CONTAINER_IMAGE".into();
    assert_eq!(reading(SignalForm::EventBridge, closed).quiet, 1);
}

#[test]
fn an_invocation_of_run_command_that_ended_is_a_run_to_be_read_and_others_say_nothing() {
    let reading = of(SignalForm::EventBridge, "run-command");
    let [run] = &reading.runs[..] else { panic!("{reading:#?}") };
    assert_eq!(
        (run.command.as_str(), run.node.as_str(), run.end),
        ("e8d3c0e4-71f7-4491-898f-c9b35bee5f3b", "i-9bb89e2b", RunCommandEnd::Succeeded)
    );
    let with = |field: &str, value: &str| {
        let mut body = sample("run-command");
        body["detail"][field] = value.into();
        read(&TakeSignals { form: SignalForm::EventBridge, received_at: at(NOW), body })
    };
    for (status, end) in [
        ("Failed", RunCommandEnd::Failed),
        ("TimedOut", RunCommandEnd::TimedOut),
        ("Cancelled", RunCommandEnd::Cancelled),
    ] {
        assert_eq!(with("status", status).runs[0].end, end);
    }
    for status in ["Pending", "InProgress", "Delayed", "Cancelling"] {
        assert_eq!(with("status", status).quiet, 1, "{status}");
    }
    assert_eq!(with("document-name", "AWS-RunPatchBaseline").quiet, 1);
    for (field, wrong) in [("status", "Done"), ("command-id", "c-1"), ("instance-id", "h-1; rm")] {
        let complaint = with(field, wrong).complaint().unwrap();
        assert!(complaint.contains(&format!("its {field} is {wrong:?}")), "{complaint}");
    }
}

/// The one record that a body is about.
fn record(name: &str) -> ObserveRecord {
    let reading = of(SignalForm::Debezium, name);
    let [InventoryCommand::ObserveRecord(record)] = &reading.inventory[..] else { panic!("{reading:#?}") };
    assert!(reading.beside.is_empty(), "its source is heard by the record");
    assert_eq!((&*record.table, record.received_at), ("public.hosts", at(NOW)));
    record.clone()
}

#[test]
fn debezium_with_its_schema_and_without_it() {
    let update = record("debezium");
    assert_eq!((update.change, update.observed_at), (RecordChange::Written, at("2026-01-31T10:59:59.250Z")));
    assert_eq!(update.before.unwrap()["rack"], "rack-1");
    assert_eq!(update.after.unwrap()["rack"], "rack-2");
    for (name, change) in [
        ("debezium-create", RecordChange::Written),
        ("debezium-snapshot", RecordChange::Written),
        ("debezium-delete", RecordChange::Deleted),
    ] {
        let record = record(name);
        assert_eq!(record.change, change, "{name}");
        assert_eq!(record.after.is_none(), change == RecordChange::Deleted, "{name}");
    }
}

#[test]
fn debezium_heartbeats_and_tombstones_say_that_it_is_there_and_nothing_else() {
    for body in [sample("debezium-heartbeat"), serde_json::json!({ "schema": null, "payload": null })] {
        let reading = reading(SignalForm::Debezium, body);
        assert_eq!((reading.inventory.len(), reading.quiet), (0, 1));
        let [InventoryCommand::HearSource(heard)] = &reading.beside[..] else { panic!("{reading:#?}") };
        assert_eq!((heard.source, heard.received_at), (InventorySource::Cmdb, at(NOW)));
    }
}

#[test]
fn redfish_tells_what_has_come_and_gone_and_only_the_removal_of_the_system_says_that_the_host_is_gone() {
    let reading = of(SignalForm::Redfish, "redfish-resource");
    assert_eq!((reading.signals.len(), reading.inventory.len()), (0, 4), "none of it is a fault");
    let told: Vec<(Presence, bool)> = reading
        .inventory
        .iter()
        .map(|command| match command {
            InventoryCommand::ObserveHost(ObserveHost { host, source, presence, look, .. }) => {
                assert_eq!((host.as_str(), *source), ("h-01", InventorySource::Redfish));
                (*presence, *look)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    use Presence::{Gone, Present};
    assert_eq!(told, [(Present, true), (Present, true), (Present, true), (Gone, false)]);
    assert!(matches!(&reading.beside[..], [InventoryCommand::HearSource(_)]));
}

#[test]
fn a_heartbeat_that_is_told_says_that_its_host_is_there() {
    let sick = of(SignalForm::Heartbeat, "heartbeat");
    let [InventoryCommand::ObserveHost(seen)] = &sick.beside[..] else { panic!("{sick:#?}") };
    assert_eq!(
        (seen.host.as_str(), seen.source, seen.presence),
        ("h-01", InventorySource::Agent, Presence::Present)
    );
}
