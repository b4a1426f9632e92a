//! The shapes of events that functions take.
//!
//! An event of another shape is an error of the invocation. It comes from a wrong connection or a wrong call: a function
//! that answered it as if nothing had been in it would lose what was, in silence.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use hostler_core::mutants;
use hostler_runtime::messages::batch::Records;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// Where the records of a queue come from.
const OF_QUEUE: &str = "aws:sqs";
/// Where the records of a table's stream come from.
const OF_STREAM: &str = "aws:dynamodb";
/// What EventBridge calls the event of a schedule, be it a rule or one of the scheduler's.
const TICK: &str = "Scheduled Event";
/// How much of an unknown event is told.
const NAMES_MAX: usize = 8;
/// How much of each of its names.
const NAME_CHARS_MAX: usize = 60;

const BATCH: &str = "a batch of an SQS queue";
const STREAM: &str = "a batch of the events table's DynamoDB stream";
const REQUEST: &str = "a request of an API Gateway HTTP API (payload format 2.0)";
const BATCH_OR_REQUEST: &str =
    "a batch of an SQS queue, or a request of an API Gateway HTTP API (payload format 2.0)";
const SCHEDULE: &str = "the event of an EventBridge schedule";

/// An event of a shape that the function does not know. Nothing of it was handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this function takes {taken}, and {came} came: connect it to what it is for, or call the function that takes this"
)]
pub(super) struct WrongShape {
    taken: &'static str,
    came: String,
}

/// What a function takes that serves a queue and an HTTP API.
pub(super) enum BatchOrRequest {
    /// Messages.
    Batch(Records),
    /// A request.
    Request(Box<ApiGatewayV2httpRequest>),
}

/// A batch of a queue.
pub(super) fn batch(event: &RawValue) -> Result<Records, WrongShape> {
    read_batch(event).ok_or_else(|| wrong(BATCH, event))
}

/// A request of an HTTP API.
pub(super) fn request(event: &RawValue) -> Result<ApiGatewayV2httpRequest, WrongShape> {
    read_request(event).ok_or_else(|| wrong(REQUEST, event))
}

/// Either of them.
pub(super) fn batch_or_request(event: &RawValue) -> Result<BatchOrRequest, WrongShape> {
    if let Some(batch) = read_batch(event) {
        return Ok(BatchOrRequest::Batch(batch));
    }
    let request = read_request(event).map(|request| BatchOrRequest::Request(Box::new(request)));
    request.ok_or_else(|| wrong(BATCH_OR_REQUEST, event))
}

/// A batch of a table's stream: every record says what happened to which item. What that is, is read elsewhere.
pub(super) fn stream(event: &RawValue) -> Result<Value, WrongShape> {
    let batch: Option<Value> = read(event);
    let of_stream = |record: &Value| {
        record["eventSource"] == OF_STREAM
            && record["eventName"].is_string()
            && record["dynamodb"].is_object()
    };
    batch
        .filter(|batch| batch["Records"].as_array().is_some_and(|records| records.iter().all(of_stream)))
        .ok_or_else(|| wrong(STREAM, event))
}

/// The tick of a schedule.
pub(super) fn tick(event: &RawValue) -> Result<(), WrongShape> {
    #[derive(Deserialize)]
    struct Tick {
        #[serde(rename = "detail-type")]
        detail_type: String,
    }
    match read::<Tick>(event) {
        Some(tick) if tick.detail_type == TICK => Ok(()),
        _ => Err(wrong(SCHEDULE, event)),
    }
}

fn read_batch(event: &RawValue) -> Option<Records> {
    let of_queue =
        |batch: &Records| {
            batch.records.iter().all(|record| {
                record.event_source.as_deref() == Some(OF_QUEUE) && !record.message_id.is_empty()
            }) || mutants::on("shapes.any-records-are-a-batch")
        };
    read::<Records>(event).filter(of_queue)
}

fn read_request(event: &RawValue) -> Option<ApiGatewayV2httpRequest> {
    // The gateway's own type takes whatever it is given: what it must have is looked for first.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Request {
        request_context: Context,
    }
    #[derive(Deserialize)]
    struct Context {
        http: Http,
    }
    #[derive(Deserialize)]
    struct Http {
        method: String,
    }
    let named = read::<Request>(event)?;
    (!named.request_context.http.method.is_empty()).then(|| read(event)).flatten()
}

/// An object as a record. A list is none, though serde would read one, field by field.
fn read<T: DeserializeOwned>(event: &RawValue) -> Option<T> {
    let text = event.get().trim_start();
    text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

fn wrong(taken: &'static str, event: &RawValue) -> WrongShape {
    let value: Value = serde_json::from_str(event.get()).unwrap_or_default();
    WrongShape { taken, came: came(&value) }
}

/// What an event looks like, in a few words.
fn came(event: &Value) -> String {
    let fields = match event {
        Value::Object(fields) => fields,
        Value::Array(_) => return "a list".to_owned(),
        Value::Null => return "null".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => return "no object".to_owned(),
    };
    let said = |value: &Value| value.as_str().map_or_else(|| "none".to_owned(), cut);
    if let Some(records) = fields.get("Records") {
        return match records.as_array().map(|records| records.first()) {
            Some(Some(first)) => match first["eventSource"].as_str().or(first["EventSource"].as_str()) {
                Some(source) => format!("a batch with records of {}", cut(source)),
                None => "a batch with records that name no eventSource".to_owned(),
            },
            Some(None) => "a batch without records".to_owned(),
            None => "an object whose Records are no list".to_owned(),
        };
    }
    if let Some(kind) = fields.get("detail-type") {
        return format!("an event of EventBridge (detail-type {:?})", said(kind));
    }
    if fields.contains_key("requestContext") {
        return "a request of an API".to_owned();
    }
    if fields.is_empty() {
        return "an empty object".to_owned();
    }
    let names: Vec<String> = fields.keys().take(NAMES_MAX).map(|name| cut(name)).collect();
    format!("an object with the fields {}", names.join(", "))
}

fn cut(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::json;

    use super::*;

    fn raw(event: &Value) -> Box<RawValue> {
        RawValue::from_string(event.to_string()).unwrap()
    }

    /// One event of each shape that a function may be handed, and shapes that none takes.
    fn events() -> Vec<(&'static str, Value)> {
        let message = json!({
            "messageId": "m-1", "receiptHandle": "r", "body": "{}", "attributes": {}, "messageAttributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders",
        });
        let change = json!({
            "eventID": "e-1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {},
        });
        let request = json!({
            "version": "2.0", "rawPath": "/commands/x", "headers": {},
            "requestContext": { "http": { "method": "POST", "path": "/commands/x" } },
        });
        let mut other_kind = message.clone();
        other_kind["eventSource"] = json!("aws:sns");
        let mut nameless = message.clone();
        nameless["messageId"] = json!("");
        vec![
            ("batch", json!({ "Records": [message] })),
            ("stream", json!({ "Records": [change] })),
            ("request", request),
            ("tick", json!({ "detail-type": "Scheduled Event", "source": "aws.events", "detail": {} })),
            ("nothing", json!({})),
            ("nothing", json!([])),
            ("nothing", json!([[message]])),
            ("nothing", json!(null)),
            ("nothing", json!("text")),
            ("nothing", json!({ "Records": null })),
            ("nothing", json!({ "Records": {} })),
            ("nothing", json!({ "Records": [[]] })),
            ("nothing", json!({ "Records": ["what"] })),
            ("nothing", json!({ "Records": [{}] })),
            ("nothing", json!({ "Records": [message, other_kind] })),
            ("nothing", json!({ "Records": [message, change] })),
            ("nothing", json!({ "Records": [nameless] })),
            ("nothing", json!({ "Records": [{ "eventSource": "aws:dynamodb", "eventName": "INSERT" }] })),
            ("nothing", json!({ "detail-type": "host.in-service", "source": "hostler", "detail": {} })),
            ("nothing", json!({ "requestContext": {}, "path": "/commands/x", "httpMethod": "POST" })),
            ("nothing", json!({ "requestContext": { "http": {} } })),
            ("nothing", json!({ "rawPath": "/commands/x" })),
        ]
    }

    #[test]
    fn each_kind_of_function_takes_its_own_shapes_and_no_other() {
        for (kind, event) in events() {
            let event = raw(&event);
            let took = [
                ("batch", batch(&event).is_ok()),
                ("request", request(&event).is_ok()),
                ("stream", stream(&event).is_ok()),
                ("tick", tick(&event).is_ok()),
            ];
            for (of, taken) in took {
                assert_eq!(taken, of == kind, "{of} and {event}");
            }
            let either = batch_or_request(&event).is_ok();
            assert_eq!(either, ["batch", "request"].contains(&kind), "either and {event}");
        }
    }

    #[test]
    fn it_is_said_what_came_and_what_is_taken() {
        let said = |event: Value| batch(&raw(&event)).unwrap_err().to_string();
        for (event, words) in [
            (json!({}), "an empty object"),
            (json!([]), "a list"),
            (json!({ "Records": null }), "Records are no list"),
            (json!({ "Records": [{ "eventSource": "aws:dynamodb" }] }), "records of aws:dynamodb"),
            (json!({ "Records": [{ "EventSource": "aws:sns" }] }), "records of aws:sns"),
            (json!({ "detail-type": "host.in-service" }), "detail-type \"host.in-service\""),
            (json!({ "requestContext": { "http": { "method": "GET" } } }), "a request of an API"),
            (json!({ "a": 1, "b": 2 }), "the fields a, b"),
        ] {
            let said = said(event);
            assert!(said.contains(words) && said.contains("a batch of an SQS queue"), "{said}");
        }
        let long = said(json!({ ("x".repeat(100_000)): 1 }));
        assert!(long.len() < 400, "{}", long.len());
    }
}
