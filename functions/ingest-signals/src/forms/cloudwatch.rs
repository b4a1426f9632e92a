//! State changes of CloudWatch alarms (*Amazon CloudWatch User Guide: Alarm events and EventBridge*, November 2026).
//!
//! Which host or pool an alarm is about is told by its tags (`alarmTags`, where tag propagation is on), else by the
//! dimensions of its metrics.

use std::collections::BTreeSet;

use hostler_events::signal::SignalStatus;
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{About, Claim, Said, class_of, short, text, texts, time};
use super::threshold::Measured;

/// Its detail-type.
pub(super) const KIND: &str = "CloudWatch Alarm State Change";
const SOURCE: &str = "cloudwatch";
/// What the names of alarms about hosts and pools begin with: others do not come here (`AlarmSignalsRule` in template.yaml).
const PREFIX: &str = "signal-";
/// What the state begins with in which nothing is known.
const UNKNOWN: &str = "INSUFFICIENT";
/// Tags and dimensions that name a host, the most telling first.
const HOST: [&str; 3] = ["host", "Host", "InstanceId"];
/// Tags and dimensions that name a pool.
const POOL: [&str; 3] = ["pool", "Pool", "AutoScalingGroupName"];

pub(super) fn read(event: &Value, received_at: Timestamp) -> Reading {
    let mut reading = Reading::default();
    let name = text(&event["detail"], "alarmName").unwrap_or_default();
    reading.take(|| format!("the alarm {:?}", short(name, 60)), said(event, name, received_at));
    reading
}

fn said(event: &Value, name: &str, received_at: Timestamp) -> Result<Said, String> {
    let detail = &event["detail"];
    let (state, before) = (&detail["state"], &detail["previousState"]);
    let status = match text(state, "value") {
        Some("ALARM") => SignalStatus::Firing,
        Some("OK") => SignalStatus::Resolved,
        // That nothing is known proves neither.
        Some(value) if value.starts_with(UNKNOWN) => return Ok(Said::Nothing),
        other => {
            let other = short(other.unwrap_or_default(), 40);
            return Err(format!("its state is {other:?}, and none of ALARM, OK and INSUFFICIENT_DATA"));
        }
    };
    if name.is_empty() {
        return Err("it has no alarmName".to_owned());
    }
    let at = match time(state, "timestamp", received_at)? {
        Some(at) => at,
        None => time(event, "time", received_at)?.ok_or("it does not say when its state changed")?,
    };
    // What is over began when the state before did.
    let began = match (status, text(before, "value")) {
        (SignalStatus::Resolved, Some("ALARM")) => time(before, "timestamp", received_at)?.unwrap_or(at),
        _ => at,
    };
    let arn = event["resources"].get(0).and_then(Value::as_str);
    let fingerprint = arn.unwrap_or(name).to_owned();
    let claim = Claim { source: SOURCE, fingerprint, status, starts_at: began, observed_at: at };
    let summary = text(state, "reason").or_else(|| text(&detail["configuration"], "description"));
    let tag = |name: &str| text(&detail["alarmTags"], name);
    if let Some(host) = one_of(detail, &HOST, "host")? {
        let fault =
            tag("fault").map(str::to_owned).or_else(|| class_of(name.strip_prefix(PREFIX).unwrap_or(name)));
        let fault =
            fault.ok_or("its name is no class of faults: tag it with fault, and have its tags propagated")?;
        let labels = texts(&detail["alarmTags"]).chain([("alarmname", name)]);
        let about = About::new(tag("severity").unwrap_or_default(), summary.unwrap_or(name)).labelled(labels);
        return claim.of_host(host, &fault, about);
    }
    let Some(pool) = one_of(detail, &POOL, "pool")? else {
        return Err(
            "it names neither a host nor a pool: tag it with host or pool and have its tags propagated, or give its metric the dimension Host, InstanceId, Pool or AutoScalingGroupName"
                .to_owned(),
        );
    };
    let measured = metrics(detail).find_map(|metric| text(metric, "name")).and_then(class_of);
    let metric = tag("metric").map(str::to_owned).or(measured);
    let metric = metric.ok_or("it does not say what was measured: tag it with metric")?;
    let data: Value =
        text(state, "reasonData").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let value = data["recentDatapoints"].as_array().and_then(|points| points.last()?.as_f64());
    let direction = tag("direction").or_else(|| side(summary.unwrap_or_default()));
    Measured { pool, metric: &metric, direction, value, threshold: data["threshold"].as_f64() }.claimed(claim)
}

fn metrics(detail: &Value) -> impl Iterator<Item = &Value> {
    let metrics = detail["configuration"]["metrics"].as_array().into_iter().flatten();
    metrics.map(|metric| &metric["metricStat"]["metric"])
}

/// The one value of the first of these names that is a tag or a dimension.
fn one_of<'a>(detail: &'a Value, names: &[&str], what: &str) -> Result<Option<&'a str>, String> {
    for name in names {
        let tag = text(&detail["alarmTags"], name);
        let dimensions = metrics(detail).filter_map(|metric| text(&metric["dimensions"], name));
        let found: BTreeSet<&str> = match tag {
            Some(tag) => [tag].into(),
            None => dimensions.collect(),
        };
        if found.len() > 1 {
            let some: Vec<String> = found.iter().take(5).map(|name| short(name, 40)).collect();
            return Err(format!(
                "it is about more than one {what} ({}): make an alarm for each",
                some.join(", ")
            ));
        }
        if let Some(only) = found.first() {
            return Ok(Some(only));
        }
    }
    Ok(None)
}

/// On which side of its threshold a metric is, in the words of CloudWatch's reason.
fn side(reason: &str) -> Option<&'static str> {
    let (greater, less) = (reason.contains("greater than"), reason.contains("less than"));
    match (greater, less) {
        // "not greater than" ends an alarm on what was above.
        (true, false) => Some("above"),
        (false, true) => Some("below"),
        _ => None,
    }
}
