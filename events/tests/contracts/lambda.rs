//! `samples/lambda/`: inputs that the functions' own types read, with bodies that decode.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::event::dynamodb::Event as DynamoDbEvent;
use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use hostler_core::saga::SagaEvent;
use hostler_core::{Envelope, Incoming, Payload};
use hostler_events::{OperatorCommand, StepCommand, samples};
use serde_json::Value;

use crate::folder;
use crate::inputs::{self, sample};
use crate::samples::validator;

const ADVICE: &str =
    "The functions' inputs are made from the contracts' samples by tests/contracts/inputs.rs.";

#[test]
fn every_input_is_what_the_samples_make() {
    folder::compare_or_bless("samples/lambda", &inputs::lambda_inputs(), ADVICE);
    folder::compare_or_bless("samples/eventbridge", &inputs::event_bridge_inputs(), ADVICE);
}

#[test]
fn every_input_has_its_line() {
    let listed: Vec<String> = samples::lambda_samples()
        .iter()
        .map(|(function, name, _)| format!("{function}.{name}.json"))
        .collect();
    let made: Vec<String> = inputs::lambda_inputs().into_keys().collect();
    let lines = made.iter().map(|name| {
        let (function, rest) = name.trim_end_matches(".json").split_once('.').unwrap();
        format!("    {function:?} . {rest:?},")
    });
    if folder::list_or_bless("src/files.rs", "lambda_files!", lines) {
        return;
    }
    assert_eq!(listed, made, "the files changed since this test was compiled: run it again");
    assert_eq!(folder::names("samples/lambda").into_iter().collect::<Vec<_>>(), made);
    assert_eq!(samples::lambda_sample("relay-outbox", "stream").map(str::is_empty), Some(false));
    assert_eq!(samples::lambda_sample("relay-outbox", "nonsense"), None);
}

fn of_kind(kind: &str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    samples::lambda_samples()
        .iter()
        .copied()
        .filter(move |(_, name, _)| name.rsplit('.').next() == Some(kind))
}

#[test]
fn every_queue_input_is_a_batch_of_messages_that_decode() {
    let timers = validator("timer", 1);
    let mut seen = Vec::new();
    for (function, name, text) in of_kind("sqs") {
        let batch: SqsEvent = serde_json::from_str(text).unwrap();
        assert!(!batch.records.is_empty(), "{function}.{name}");
        for record in batch.records {
            assert!(
                record.message_id.is_some()
                    && record.receipt_handle.is_some()
                    && record.event_source_arn.is_some()
            );
            let body = record.body.unwrap();
            if name.starts_with("aws.") {
                // AWS's own services put events there that are none of our messages.
                let event: EventBridgeEvent<Value> = serde_json::from_str(&body).unwrap();
                assert!(event.source.starts_with("aws.") && Incoming::decode(&body).is_err(), "{body}");
                continue;
            }
            let incoming = Incoming::decode(&body).unwrap();
            match &incoming {
                Incoming::Command(command) => {
                    let contract = hostler_events::find(&command.command_type).unwrap();
                    (contract.check)(&command.data).unwrap();
                    let reader = inputs::reader(contract.queue.unwrap());
                    let dead_letter = name.starts_with("dead-letter");
                    assert!(dead_letter || reader == function, "{name} is on the queue of another function");
                    seen.push(command.command_type.clone());
                }
                Incoming::Timer(timer) => {
                    assert!(timers.is_valid(&serde_json::to_value(timer).unwrap()), "{function}.{name}");
                }
                Incoming::Event(event) => {
                    assert_eq!(serde_json::to_value(event).unwrap(), sample(&event.event_type));
                }
            }
        }
    }
    for name in inputs::command_names() {
        assert!(seen.iter().any(|seen| seen == name), "no function has an input with {name}");
    }
}

#[test]
fn every_http_input_is_a_request_of_payload_format_2() {
    for (function, name, text) in of_kind("http") {
        let request: ApiGatewayV2httpRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.version.as_deref(), Some("2.0"), "{function}.{name}");
        assert!(request.raw_path.is_some_and(|path| path.starts_with('/')), "{function}.{name}");
        let shows_a_token = name.starts_with("callback") || function == "ingest-signals";
        assert_eq!(request.request_context.authorizer.is_none(), shows_a_token, "{function}.{name}");
    }
    let text = samples::lambda_sample("accept-commands", "http").unwrap();
    let request: ApiGatewayV2httpRequest = serde_json::from_str(text).unwrap();
    let data: Value = serde_json::from_str(&request.body.unwrap()).unwrap();
    OperatorCommand::from_data("request-hosts", 1, &data.into()).unwrap();
}

#[test]
fn the_outbox_input_is_a_commit_of_the_samples() {
    let text = samples::lambda_sample("relay-outbox", "stream").unwrap();
    let batch: DynamoDbEvent = serde_json::from_str(text).unwrap();
    assert_eq!(batch.records.len(), 1);
    let record: Value = serde_json::from_str(text).unwrap();
    let image = &record["Records"][0]["dynamodb"]["NewImage"];
    let list = |name: &str| image[name]["S"].as_str().unwrap();
    let read = |name: &str| serde_json::from_str::<Vec<Value>>(list(name)).unwrap();
    for event in read("events") {
        SagaEvent::<Value>::from_data(event["t"].as_str().unwrap(), 1, &event["d"].clone().into()).unwrap();
    }
    for command in read("commands") {
        StepCommand::from_data(command["t"].as_str().unwrap(), 1, &command["d"].clone().into()).unwrap();
    }
    assert_eq!(read("timers")[0]["n"], "deadline:web-1.1/reserve-host/1");
}

#[test]
fn the_bus_input_has_the_envelope_as_its_detail() {
    let text = samples::event_bridge_sample();
    let event: EventBridgeEvent<Value> = serde_json::from_str(text).unwrap();
    let envelope: Envelope = serde_json::from_value(event.detail).unwrap();
    assert_eq!((&event.detail_type, &event.source), (&envelope.event_type, &envelope.source));
    assert!(matches!(Incoming::decode(text).unwrap(), Incoming::Event(decoded) if *decoded == envelope));
}
