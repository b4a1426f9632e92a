//! A function that is handed an event of a shape that it does not know fails its invocation: nothing is acknowledged that
//! was not looked at.

use aws_sdk_lambda::primitives::Blob;
use hostler_app::Hostler;
use hostler_localstack::needs;
use hostler_runtime::register::{Application, Does};
use serde_json::{Value, json};

use crate::world::World;

/// Events of shapes that no function takes, and one of each shape that some take.
fn events() -> Vec<(&'static str, Value)> {
    let message = json!({
        "messageId": "m-1", "receiptHandle": "r", "body": "{}", "attributes": {}, "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:nowhere",
    });
    let change = json!({ "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {} });
    let request = json!({
        "version": "2.0", "rawPath": "/nowhere", "headers": {},
        "requestContext": { "http": { "method": "GET", "path": "/nowhere" } },
    });
    vec![
        ("nothing", json!({})),
        ("nothing", json!([])),
        ("nothing", json!({ "Records": null })),
        ("nothing", json!({ "Records": [{}] })),
        ("nothing", json!({ "detail-type": "host.in-service", "source": "hostler", "detail": {} })),
        ("batch", json!({ "Records": [message] })),
        ("stream", json!({ "Records": [change] })),
        ("request", request),
    ]
}

/// What a function takes.
fn taken(does: Does) -> &'static [&'static str] {
    match does {
        Does::Commands | Does::Signals => &["batch", "request"],
        Does::Sagas | Does::Steps | Does::Timers | Does::Views | Does::Triage => &["batch"],
        Does::Relay => &["stream"],
        Does::Queries => &["request"],
        Does::Flow => &["tick"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_refuses_what_is_of_another_shape() {
    needs!(Functions, Processes, HttpApi, VerbatimBodies);
    let world = World::start(1).await;
    let lambda = aws_sdk_lambda::Client::new(&world.site.account.sdk_config());
    for function in Hostler::FUNCTIONS {
        let pascal: String =
            function.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let physical = world.site.stack.physical_id(&format!("{pascal}Function")).unwrap();
        for (shape, event) in events() {
            if taken(function.does).contains(&shape) {
                continue;
            }
            let payload = Blob::new(event.to_string());
            let answer = lambda.invoke().function_name(physical).payload(payload).send().await.unwrap();
            let said = String::from_utf8_lossy(answer.payload().unwrap().as_ref()).into_owned();
            assert!(answer.function_error().is_some(), "{} took {event}: {said}", function.name);
            assert!(said.contains("this function takes"), "{} and {event}: {said}", function.name);
        }
    }
}
