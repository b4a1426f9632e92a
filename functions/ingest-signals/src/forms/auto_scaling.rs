//! Lifecycle actions of EC2 Auto Scaling (*Amazon EC2 Auto Scaling User Guide: EventBridge event reference*, November 2026).
//!
//! An instance that is about to be terminated is a host that leaves: the fault `terminating`. One that is launched is there,
//! and whatever was said of its leaving is over.

use hostler_events::signal::SignalStatus;
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{About, Claim, Said, short, text, texts, time};

/// The detail-type of an instance that leaves.
pub(super) const TERMINATES: &str = "EC2 Instance-terminate Lifecycle Action";
/// The detail-type of an instance that comes.
pub(super) const LAUNCHES: &str = "EC2 Instance-launch Lifecycle Action";
const SOURCE: &str = "auto-scaling";
const FAULT: &str = "terminating";

pub(super) fn read(event: &Value, received_at: Timestamp) -> Reading {
    let instance = text(&event["detail"], "EC2InstanceId").unwrap_or_default();
    let mut reading = Reading::default();
    let place = || format!("the lifecycle action of {:?}", short(instance, 60));
    reading.take(place, said(event, instance, received_at));
    reading
}

fn said(event: &Value, instance: &str, received_at: Timestamp) -> Result<Said, String> {
    let detail = &event["detail"];
    if instance.is_empty() {
        return Err("it has no EC2InstanceId".to_owned());
    }
    let group = text(detail, "AutoScalingGroupName").ok_or("it has no AutoScalingGroupName")?;
    let at = time(event, "time", received_at)?.ok_or("it has no time")?;
    let (status, does) = match text(event, "detail-type") {
        Some(TERMINATES) => (SignalStatus::Firing, "terminates"),
        _ => (SignalStatus::Resolved, "launches"),
    };
    let fingerprint = format!("{group} {instance}");
    let claim = Claim { source: SOURCE, fingerprint, status, starts_at: at, observed_at: at };
    // The token lets its holder go on with the action: it is none of the labels.
    let labels = texts(detail).filter(|(name, _)| *name != "LifecycleActionToken");
    let summary = format!("the Auto Scaling group {group} {does} {instance}");
    claim.of_host(instance, FAULT, About::new("", &summary).labelled(labels))
}
