//! Webhooks of Alertmanager, version 4 (*Alertmanager configuration: webhook_config*, November 2026).
//!
//! A firing alert is told again for as long as it fires, so that it was last known to be so when it came. That one is
//! resolved is told once; it was so when it ended.

use std::collections::BTreeMap;

use hostler_events::signal::SignalStatus;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::item::{About, Claim, Said, class_of, host_of_instance, short, text, texts, time};
use super::threshold::{Measured, number};
use super::{NotUnderstood, Reading};
use crate::hash::hash;

/// Its list of alerts.
pub(super) const LIST: &str = "alerts";
const SOURCE: &str = "alertmanager";
/// Labels that a signal has fields for.
const READ: [&str; 3] = ["host", "fault", "severity"];

pub(super) fn read(body: &Value, received_at: Timestamp) -> Reading {
    let version = &body["version"];
    if !version.is_null() && version != "4" {
        let version = short(&version.to_string(), 40);
        return Reading::misread(
            "the webhook",
            format!("its version is {version}, and \"4\" is read: use an Alertmanager that sends it"),
        );
    }
    let Some(alerts) = body[LIST].as_array() else {
        return Reading::misread(
            "the webhook",
            "it has no list `alerts`: send what Alertmanager's webhook_config sends",
        );
    };
    let mut reading = Reading::default();
    for (n, alert) in alerts.iter().enumerate() {
        reading.take(|| place(n, alert), said(alert, received_at));
    }
    let truncated = body["truncatedAlerts"].as_u64().unwrap_or(0);
    if truncated > 0 {
        reading.not_understood.push(NotUnderstood {
            place: "truncatedAlerts".to_owned(),
            reason: format!(
                "Alertmanager left {truncated} alerts out: take max_alerts off its webhook_config, or set it to 0"
            ),
        });
    }
    reading
}

fn place(n: usize, alert: &Value) -> String {
    match text(&alert["labels"], "alertname") {
        Some(name) => format!("alerts[{n}] ({})", short(name, 60)),
        None => format!("alerts[{n}]"),
    }
}

fn said(alert: &Value, received_at: Timestamp) -> Result<Said, String> {
    let status = match text(alert, "status") {
        Some("firing") => SignalStatus::Firing,
        Some("resolved") => SignalStatus::Resolved,
        other => {
            let other = short(other.unwrap_or_default(), 40);
            return Err(format!("its status is {other:?}, and neither firing nor resolved"));
        }
    };
    let starts_at = time(alert, "startsAt", received_at)?;
    let starts_at =
        starts_at.ok_or("it has no startsAt: send the time since when it is as its alert says")?;
    let ended = time(alert, "endsAt", received_at);
    let observed_at = match status {
        SignalStatus::Firing => received_at.max(starts_at),
        SignalStatus::Resolved => ended?.unwrap_or(received_at),
    };
    let labels: BTreeMap<&str, &str> = texts(&alert["labels"]).filter(|(_, text)| !text.is_empty()).collect();
    // Alertmanager names each alert by a hash of its labels; what does not, is named alike.
    let fingerprint = match text(alert, "fingerprint") {
        Some(fingerprint) => fingerprint.to_owned(),
        None => hash(&json!(labels)),
    };
    let claim = Claim { source: SOURCE, fingerprint, status, starts_at, observed_at };
    let label = |name: &str| labels.get(name).copied();
    let note = |name: &str| text(&alert["annotations"], name);
    if let (Some(pool), Some(metric)) = (label("pool"), label("metric")) {
        let value = number("value", note("value"))?;
        let threshold = number("threshold", note("threshold"))?;
        return Measured { pool, metric, direction: label("direction"), value, threshold }.claimed(claim);
    }
    let host = label("host").or_else(|| label("instance").map(host_of_instance)).ok_or(
        "it names no host: give its rule the label host (for a pool the labels pool, metric and direction)",
    )?;
    let name = label("alertname").unwrap_or_default();
    let fault = label("fault").map(str::to_owned).or_else(|| class_of(name));
    let fault = fault.ok_or("it names no fault: give its rule the label fault, such as fault=unreachable")?;
    let summary = note("summary").or_else(|| note("description")).unwrap_or(name);
    let others = labels.iter().filter(|(name, _)| !READ.contains(name)).map(|(name, text)| (*name, *text));
    let about = About::new(label("severity").unwrap_or_default(), summary).labelled(others);
    claim.of_host(host, &fault, about)
}
