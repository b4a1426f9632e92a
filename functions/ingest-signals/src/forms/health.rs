//! Events of AWS Health about machines (*AWS Health User Guide: AWS Health events Amazon EventBridge schema*, November 2026).

use hostler_events::signal::SignalStatus;
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{About, Claim, Said, class_of, short, text, time};

/// Its detail-type.
pub(super) const KIND: &str = "AWS Health Event";
const SOURCE: &str = "aws-health";

pub(super) fn read(event: &Value, received_at: Timestamp) -> Reading {
    let detail = &event["detail"];
    let code = text(detail, "eventTypeCode").unwrap_or_default();
    let named = format!("the event {:?}", short(code, 80));
    let entities = match detail["affectedEntities"].as_array() {
        Some(entities) if !entities.is_empty() => entities,
        _ => {
            return Reading::misread(
                &named,
                "it names no affectedEntities, so that it is about no host: read it in the AWS Health Dashboard, and discard it",
            );
        }
    };
    let mut reading = Reading::default();
    for (n, entity) in entities.iter().enumerate() {
        let place = || format!("{named}, affectedEntities[{n}]");
        reading.take(place, said(event, code, entity, received_at));
    }
    reading
}

fn said(event: &Value, code: &str, entity: &Value, received_at: Timestamp) -> Result<Said, String> {
    let detail = &event["detail"];
    let value = text(entity, "entityValue").ok_or("it has no entityValue")?;
    // An ARN names the instance in its last part.
    let host = value.rsplit('/').next().unwrap_or(value);
    let is_over = match text(entity, "status") {
        Some("UNIMPAIRED" | "RESOLVED") => true,
        // Not every entity has a status.
        _ => match text(detail, "statusCode") {
            Some("open") | None => false,
            Some("closed") => true,
            Some("upcoming") => {
                let when = short(text(detail, "startTime").unwrap_or("later"), 40);
                return Err(format!(
                    "it announces a change at {when}, and nothing is wrong with {} yet: release the host before, and discard this",
                    short(host, 60)
                ));
            }
            Some(other) => {
                let other = short(other, 40);
                return Err(format!("its statusCode is {other:?}, and none of open, closed and upcoming"));
            }
        },
    };
    let status = if is_over { SignalStatus::Resolved } else { SignalStatus::Firing };
    let sent_at = time(event, "time", received_at)?.unwrap_or(received_at);
    let starts_at = time(detail, "startTime", received_at)?.unwrap_or(sent_at);
    let fault = class_of(code).ok_or("it has no eventTypeCode")?;
    // The same ARN is sent to each account that an event is about.
    let arn = text(detail, "eventArn").unwrap_or(code);
    let fingerprint = format!("{arn} {host}");
    let claim = Claim { source: SOURCE, fingerprint, status, starts_at, observed_at: sent_at };
    let description = detail["eventDescription"].get(0).and_then(|first| text(first, "latestDescription"));
    let labels = ["service", "eventTypeCategory", "eventRegion"];
    let labels = labels.into_iter().filter_map(|name| Some((name, text(detail, name)?)));
    claim.of_host(host, &fault, About::new("", description.unwrap_or(code)).labelled(labels))
}
