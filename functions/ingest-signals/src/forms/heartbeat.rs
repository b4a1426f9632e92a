//! Heartbeats of an agent on a host: a form of our own, which [docs/operations.md](../../../../docs/operations.md) describes.
//!
//! An agent says that its host is not well for as long as it is so, and that it is well for some intervals after it was not.
//! Any other heartbeat says nothing new, and leaves nothing behind. That none comes is noticed by Prometheus, which looks at the host
//! itself: a timer here would take a commit for each host and each wait, whether anything is wrong or not.

use hostler_events::InventorySource;
use hostler_events::inventory::{Facts, ObserveHost, Presence};
use hostler_events::signal::SignalStatus;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::Reading;
use super::item::{About, Claim, SHELF_LIFE, Said, short, time};

const SOURCE: &str = "heartbeat";
/// A service on the host is down, as its own agent says.
const FAULT: &str = "service";
/// The longest interval in seconds.
const INTERVAL_SECONDS_MAX: u32 = 3_600;
/// After so many intervals without another one, a heartbeat is worth nothing; and for so many it is told that a host is well
/// again, so that one may be lost.
const INTERVALS: i32 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Heartbeat {
    host: String,
    /// Counts up; for people, who see by it what was lost.
    sequence: u64,
    /// How often the agent sends one.
    interval_seconds: u32,
    healthy: bool,
    /// The services that are down.
    #[serde(default)]
    services: Vec<String>,
}

pub(super) fn read(body: &Value, received_at: Timestamp) -> Reading {
    let mut reading = Reading::default();
    let host = body["host"].as_str().unwrap_or_default();
    reading.take(|| format!("the heartbeat of {:?}", short(host, 60)), said(body, received_at));
    // Whatever an agent says of its host, the host is there.
    let sightings = reading.signals.iter().map(|report| ObserveHost {
        host: report.host.clone(),
        source: InventorySource::Agent,
        observed_at: report.signal.header.observed_at,
        received_at,
        presence: Presence::Present,
        facts: Facts::new(),
        look: false,
    });
    reading.beside = sightings.map(Into::into).collect();
    reading
}

fn said(body: &Value, received_at: Timestamp) -> Result<Said, String> {
    let beat = Heartbeat::deserialize(body).map_err(|error| {
        format!(
            "{}: send host, sequence, sentAt, intervalSeconds, healthy and since",
            short(&error.to_string(), 200)
        )
    })?;
    let Heartbeat { host, sequence, interval_seconds, healthy, services } = beat;
    if !(1..=INTERVAL_SECONDS_MAX).contains(&interval_seconds) {
        return Err(format!("its intervalSeconds is {interval_seconds}: send 1 to {INTERVAL_SECONDS_MAX}"));
    }
    let sent_at = time(body, "sentAt", received_at)?.ok_or("it has no sentAt")?;
    let since = time(body, "since", received_at)?;
    let since = since.ok_or("it has no since: send the time since when the host is as it says")?;
    let memory = SignedDuration::from_secs(i64::from(interval_seconds)) * INTERVALS;
    if healthy && sent_at.duration_since(since) > memory {
        return Ok(Said::Nothing);
    }
    let status = if healthy { SignalStatus::Resolved } else { SignalStatus::Firing };
    let claim =
        Claim { source: SOURCE, fingerprint: host.clone(), status, starts_at: since, observed_at: sent_at };
    let down: Vec<String> = services.iter().take(10).map(|name| short(name, 60)).collect();
    let summary = match (healthy, down.is_empty()) {
        (true, _) => "the agent says that the host is well again".to_owned(),
        (false, true) => "the agent says that the host is not well".to_owned(),
        (false, false) => format!("the agent says that these are down: {}", down.join(", ")),
    };
    let sequence = sequence.to_string();
    let service = down.first().map(|service| ("service", service.as_str()));
    let labels = [("sequence", sequence.as_str())].into_iter().chain(service);
    let about = About::new("", &summary).labelled(labels);
    claim.of_host(&host, FAULT, About { shelf_life: memory.min(SHELF_LIFE), ..about })
}
