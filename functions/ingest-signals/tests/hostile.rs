//! What no vendor documents: nothing panics, and whatever is not understood is named.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_events::signal::{SignalForm, TakeSignals};
use ingest_signals::forms::{Reading, read};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FORMS: [SignalForm; 7] = [
    SignalForm::Alertmanager,
    SignalForm::Redfish,
    SignalForm::Heartbeat,
    SignalForm::EventBridge,
    SignalForm::Osv,
    SignalForm::Packages,
    SignalForm::Debezium,
];

fn now() -> Timestamp {
    "2026-01-31T11:00:00Z".parse().unwrap()
}

fn reading(form: SignalForm, body: Value) -> Reading {
    read(&TakeSignals { form, received_at: now(), body })
}

fn alert() -> Value {
    json!({
        "status": "firing",
        "labels": { "alertname": "HostDown", "host": "h-01", "fault": "unreachable" },
        "annotations": { "summary": "h-01 does not answer" },
        "startsAt": "2026-01-31T10:59:40Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "1a30ba71cca2921f",
    })
}

/// The alert with one thing changed.
fn with(path: &str, value: Value) -> Value {
    let mut alert = alert();
    *alert.pointer_mut(path).unwrap_or_else(|| panic!("the alert has no {path}")) = value;
    alert
}

fn without(part: &str, field: &str) -> Value {
    let mut alert = alert();
    let of = if part.is_empty() { &mut alert } else { &mut alert[part] };
    of.as_object_mut().unwrap().remove(field).unwrap();
    alert
}

fn labelled(labels: Value, annotations: Value) -> Value {
    let mut alert = alert();
    (alert["labels"], alert["annotations"]) = (labels, annotations);
    alert
}

#[test]
fn each_mistake_in_an_alert_is_named_with_what_to_do() {
    let mut nothing = without("labels", "fault");
    nothing["labels"]["alertname"] = "…".into();
    let pool = |direction: &str| json!({ "pool": "web", "metric": "load", "direction": direction });
    for (alert, says) in [
        (without("labels", "host"), "give its rule the label host"),
        (with("/labels/host", json!("h 01")), "only letters, digits"),
        (with("/labels/host", json!("h".repeat(201))), "longer than 200 bytes"),
        (with("/labels/host", json!("")), "give its rule the label host"),
        (with("/labels/host", json!({ "name": "h-01" })), "give its rule the label host"),
        (with("/labels/fault", json!("what\u{7}")), "fault class"),
        (nothing, "give its rule the label fault"),
        (without("", "status"), "neither firing nor resolved"),
        (with("/status", json!("pending")), "neither firing nor resolved"),
        (without("", "startsAt"), "it has no startsAt"),
        (with("/startsAt", json!("0001-01-01T00:00:00Z")), "it has no startsAt"),
        (with("/startsAt", json!("9999-12-30T00:00:00Z")), "clock set by NTP"),
        (with("/startsAt", json!("2026-01-31T11:06:00Z")), "clock set by NTP"),
        (with("/startsAt", json!(17)), "no time"),
        (with("/startsAt", json!("yesterday")), "no time"),
        (with("/fingerprint", json!("x".repeat(601))), "fingerprint"),
        (with("/fingerprint", json!("a\nb")), "fingerprint"),
        (labelled(json!({ "pool": "web", "metric": "load" }), json!({})), "direction=above"),
        (labelled(pool("up"), json!({})), "direction=above"),
        (labelled(pool("above"), json!({ "value": "93%" })), "without a unit"),
        (labelled(pool("above"), json!({ "threshold": "NaN" })), "no number"),
        (json!("an alert"), "neither firing nor resolved"),
        (json!(null), "neither firing nor resolved"),
        (json!([[[]]]), "neither firing nor resolved"),
    ] {
        let reading = reading(SignalForm::Alertmanager, json!({ "version": "4", "alerts": [alert] }));
        assert_eq!((reading.len(), reading.not_understood.len()), (1, 1), "{alert}");
        let complaint = reading.complaint().unwrap();
        assert!(complaint.contains(says) && complaint.contains("alerts[0]"), "{alert}: {complaint}");
        assert!(complaint.chars().all(|c| !c.is_control()), "{complaint:?}");
    }
}

fn debezium(op: &str, before: Value, after: Value) -> Value {
    json!({ "op": op, "before": before, "after": after, "source": { "table": "hosts", "ts_ms": 1_769_857_199_250_i64 } })
}

#[test]
fn what_no_form_has_is_named() {
    for (form, body, says) in [
        (SignalForm::Alertmanager, json!([]), "no object"),
        (SignalForm::Alertmanager, json!({}), "no list `alerts`"),
        (SignalForm::Alertmanager, json!({ "alerts": {} }), "no list `alerts`"),
        (SignalForm::Alertmanager, json!({ "version": "5", "alerts": [] }), "version is \"5\""),
        (SignalForm::Alertmanager, json!({ "alerts": [], "truncatedAlerts": 3 }), "left 3 alerts out"),
        (SignalForm::Redfish, json!({ "MetricValues": [] }), "not MetricReport"),
        (SignalForm::Redfish, json!({ "Events": [{ "MessageSeverity": "OK" }] }), "as its Context"),
        (
            SignalForm::Redfish,
            json!({ "Context": "h-01", "Events": [{}] }),
            "none of OK, Warning and Critical",
        ),
        (
            SignalForm::Redfish,
            json!({ "Context": "h-01", "Events": [{ "Severity": "OK" }] }),
            "about nothing",
        ),
        (SignalForm::Heartbeat, json!({ "host": "h-01" }), "send host, sequence"),
        (
            SignalForm::Heartbeat,
            json!({ "host": "h-01", "sequence": 1, "intervalSeconds": 0, "healthy": true }),
            "send 1 to 3600",
        ),
        (SignalForm::Debezium, json!({}), "without the transformation ExtractNewRecordState"),
        (
            SignalForm::Debezium,
            json!({ "hostname": "h-01" }),
            "without the transformation ExtractNewRecordState",
        ),
        (SignalForm::Debezium, debezium("x", json!({}), json!({})), "none of c, u, r, d, t and m"),
        (SignalForm::Debezium, debezium("t", json!(null), json!(null)), "delete the records one by one"),
        (SignalForm::Debezium, debezium("c", json!(null), json!(null)), "no `after`"),
        (SignalForm::Debezium, debezium("d", json!(null), json!(null)), "REPLICA IDENTITY FULL"),
        (SignalForm::Debezium, debezium("u", json!("h-01"), json!({})), "no record"),
        (SignalForm::Debezium, json!({ "op": "c", "after": {}, "ts_ms": 1 }), "names no table"),
        (SignalForm::Debezium, json!({ "op": "c", "after": {}, "source": { "table": "t" } }), "no ts_ms"),
        (
            SignalForm::Debezium,
            json!({ "op": "c", "after": {}, "source": { "table": "t", "ts_ms": 1_990_000_000_000_i64 } }),
            "clock set by NTP",
        ),
        (
            SignalForm::EventBridge,
            json!({ "source": "aws.s3", "detail-type": "Object Created" }),
            "is no signal",
        ),
        (
            SignalForm::EventBridge,
            json!({ "source": "aws.health", "detail-type": "AWS Health Event", "detail": {} }),
            "no affectedEntities",
        ),
        (
            SignalForm::EventBridge,
            json!({
                "source": "aws.health", "detail-type": "AWS Health Event", "time": "2026-01-31T10:00:00Z",
                "detail": {
                    "eventTypeCode": "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", "statusCode": "upcoming",
                    "affectedEntities": [{ "entityValue": "i-1" }],
                },
            }),
            "nothing is wrong with i-1 yet",
        ),
        (
            SignalForm::EventBridge,
            json!({
                "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "time": "2026-01-31T10:00:00Z",
                "detail": { "alarmName": "Composite", "state": { "value": "ALARM" }, "configuration": { "alarmRule": "ALARM(a)" } },
            }),
            "neither a host nor a pool",
        ),
        (
            SignalForm::EventBridge,
            json!({
                "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "time": "2026-01-31T10:00:00Z",
                "detail": { "alarmName": "Both", "state": { "value": "ALARM" }, "configuration": { "metrics": [
                    { "metricStat": { "metric": { "dimensions": { "InstanceId": "i-1" } } } },
                    { "metricStat": { "metric": { "dimensions": { "InstanceId": "i-2" } } } },
                ] } },
            }),
            "more than one host (i-1, i-2)",
        ),
        (
            SignalForm::EventBridge,
            json!({ "source": "aws.autoscaling", "detail-type": "EC2 Instance-launch Lifecycle Action", "detail": {} }),
            "no EC2InstanceId",
        ),
    ] {
        let reading = reading(form, body.clone());
        let complaint = reading.complaint().unwrap_or_else(|| panic!("{body} is understood: {reading:?}"));
        assert!(complaint.contains(says), "{body}: {complaint}");
    }
}

#[test]
fn good_alerts_are_read_beside_bad_ones_and_all_bad_ones_are_counted() {
    let mut alerts = vec![alert(); 3];
    alerts.extend(vec![without("labels", "host"); 1_000]);
    let reading = reading(SignalForm::Alertmanager, json!({ "alerts": alerts }));
    assert_eq!((reading.signals.len(), reading.not_understood.len()), (3, 1_000));
    let complaint = reading.complaint().unwrap();
    assert!(
        complaint.starts_with("1000 of 1003 signals were not understood; alerts[3] (HostDown): "),
        "{complaint}"
    );
    let (_, more) = complaint.rsplit_once("; and ").unwrap();
    let more: usize = more.strip_suffix(" more").unwrap().parse().unwrap();
    assert_eq!(complaint.matches("alerts[").count() + more, 1_000);
    assert!(complaint.chars().count() < 2_000, "a dead letter holds it whole");
}

#[test]
fn what_is_kept_of_an_alert_is_bounded() {
    let labels: Map<String, Value> = (0..10_000)
        .map(|n| (format!("label-{n:05}\u{1b}[2J"), Value::from("x\n".repeat(50))))
        .chain(json!({ "host": "h-01", "alertname": "A".repeat(1_000_000) }).as_object().unwrap().clone())
        .collect();
    let alert = labelled(labels.into(), json!({ "summary": "\u{202e}".repeat(100_000) }));
    let reading = reading(SignalForm::Alertmanager, json!({ "alerts": [alert] }));
    let [report] = &reading.signals[..] else { panic!("{:?}", reading.complaint()) };
    let text = serde_json::to_string(report).unwrap();
    assert!(text.len() < 20_000, "{}", text.len());
    let shown =
        [&report.signal.summary].into_iter().chain(report.signal.labels.iter().flat_map(|(n, t)| [n, t]));
    for text in shown {
        assert!(!text.chars().any(char::is_control) && !text.contains('\u{202e}'), "{text:?}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "firing",
            "resolved",
            "ALARM",
            "OK",
            "Critical",
            "h-01",
            "0001-01-01T00:00:00Z",
            "-009999-01-02T00:00:00Z",
            "9999-12-30T22:00:00Z",
            "2026-01-31T10:59:40Z",
            "aws.cloudwatch",
            "Sat, 31 Jan 2026 10:19:03 GMT",
            "closed",
            "upcoming",
            "INSUFFICIENT_DATA",
            "4",
            "c",
            "d",
            "ResourceRemoved",
            "ResourceEvent.1.3.0.ResourceCreated",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![
            ".{0,10}",
            prop::sample::select(vec![
                "alerts",
                "status",
                "labels",
                "annotations",
                "startsAt",
                "endsAt",
                "fingerprint",
                "host",
                "pool",
                "metric",
                "Events",
                "Context",
                "Severity",
                "detail",
                "state",
                "value",
                "timestamp",
                "metrics",
                "affectedEntities",
                "entityValue",
                "statusCode",
                "since",
                "sentAt",
                "healthy",
                "affected",
                "package",
                "versions",
                "packages",
                "version",
                "op",
                "before",
                "after",
                "source",
                "ts_ms",
                "schema",
                "payload",
                "EventType",
                "MessageId",
            ])
            .prop_map(str::to_owned),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// The places of a value, as JSON pointers.
fn places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| self::places(value, &format!("{at}/{}", escaped(name)), places));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| self::places(value, &format!("{at}/{n}"), places));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn vendors() -> Vec<(SignalForm, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/samples/vendors");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let form = |name: &str| match name {
        "alertmanager" => SignalForm::Alertmanager,
        "redfish" | "redfish-resource" => SignalForm::Redfish,
        name if name.starts_with("debezium") => SignalForm::Debezium,
        "heartbeat" => SignalForm::Heartbeat,
        "osv" => SignalForm::Osv,
        "packages" => SignalForm::Packages,
        _ => SignalForm::EventBridge,
    };
    let read = |file: &std::path::PathBuf| {
        let body = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        (form(file.file_stem().unwrap().to_str().unwrap()), body)
    };
    files.iter().map(read).collect()
}

/// How many things a body says, as its form counts them.
fn said(form: SignalForm, body: &Value) -> usize {
    let listed = |field: &str| body[field].as_array().map_or(1, Vec::len);
    match form {
        SignalForm::Alertmanager => {
            let truncated = body["truncatedAlerts"].as_u64().unwrap_or(0) > 0;
            let is_read = body.is_object() && (body["version"].is_null() || body["version"] == "4");
            let is_list = body["alerts"].is_array();
            if is_read && is_list { listed("alerts") + usize::from(truncated) } else { 1 }
        }
        SignalForm::Redfish => listed("Events"),
        SignalForm::Heartbeat | SignalForm::Packages | SignalForm::Debezium => 1,
        // One record may be about several vulnerabilities, each of which is told.
        SignalForm::Osv => reading(form, body.clone()).advisories.len().max(1),
        // A finding is told of its vulnerability, package by package, and of its host.
        SignalForm::EventBridge if body["source"] == "aws.inspector2" => {
            let of = reading(form, body.clone());
            (of.advisories.len() + of.packages.len()).max(1)
        }
        SignalForm::EventBridge => {
            let is_health = body["source"] == "aws.health" && body["detail-type"] == "AWS Health Event";
            let entities = body["detail"]["affectedEntities"].as_array().map_or(0, Vec::len);
            if is_health { entities.max(1) } else { 1 }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_json_is_read_without_a_panic_and_nothing_of_it_is_lost(body in any_value()) {
        for form in FORMS {
            let reading = reading(form, body.clone());
            prop_assert_eq!(reading.len(), said(form, &body), "{:?} of {}: {:?}", form, body, reading);
            prop_assert_eq!(reading.complaint().is_some(), !reading.not_understood.is_empty());
        }
    }

    #[test]
    fn a_vendors_form_with_anything_in_any_place_is_understood_or_named(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        other in any_value(),
    ) {
        let vendors = vendors();
        let (form, mut body) = which.get(&vendors[..]).clone();
        let mut all = Vec::new();
        places(&body, "", &mut all);
        *body.pointer_mut(place.get(&all[..]).as_str()).unwrap() = other;
        let reading = reading(form, body.clone());
        prop_assert_eq!(reading.len(), said(form, &body), "{}: {:?}", body, reading);
        for report in &reading.signals {
            let header = &report.signal.header;
            prop_assert!(header.expires_at.duration_since(now()) <= jiff::SignedDuration::from_mins(20), "{:?}", header);
            prop_assert!(serde_json::to_string(report).is_ok_and(|text| text.len() < 40_000));
        }
    }
}
