//! The same saga as a Step Functions state machine on the same endpoint: five steps, each of which sends a message with a
//! task token and waits for its answer.
//!
//! Its worker answers at once and does nothing else: no host, no store, no read model. What is compared is the way there and
//! back of a step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hostler_bench::{Figures, percentile};
use serde_json::{Value, json};

use crate::world::World;

/// The steps of a provisioning.
const STEPS: [&str; 5] =
    ["reserve-host", "deploy-image", "finish-deploy", "apply-role", "register-monitoring"];

/// A client of the services that the functions have no client for.
pub struct StateMachines {
    http: reqwest::Client,
    endpoint: String,
    account: String,
}

impl StateMachines {
    pub fn of(world: &World) -> Self {
        let account = &world.site.account;
        Self {
            http: reqwest::Client::new(),
            endpoint: account.endpoint().to_owned(),
            account: account.id().to_owned(),
        }
    }

    fn authorization(&self, service: &str) -> String {
        format!("AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/{service}/aws4_request", self.account)
    }

    async fn states(&self, action: &str, body: &Value) -> Value {
        let call =
            self.http.post(&self.endpoint).header("x-amz-target", format!("AWSStepFunctions.{action}"));
        let call = call.header("authorization", self.authorization("states"));
        let call = call.header("content-type", "application/x-amz-json-1.0").body(body.to_string());
        let answer = call.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{action}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Calls a function that has nothing to do.
    pub async fn invoke(&self, function: &str) {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint);
        let call = self.http.post(url).header("authorization", self.authorization("lambda"));
        let answer = call.body(json!({ "Records": [] }).to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

/// Runs `count` executions side by side.
pub async fn measure(figures: &mut Figures, world: &World, count: usize) {
    let machines = StateMachines::of(world);
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let queue = sqs.create_queue().queue_name("state-machine-steps").send().await.unwrap();
    let queue = queue.queue_url().unwrap().to_owned();
    let created = machines
        .states(
            "CreateStateMachine",
            &json!({
                "name": "provisioning",
                "definition": definition(&queue).to_string(),
                "roleArn": format!("arn:aws:iam::{}:role/states", machines.account),
            }),
        )
        .await;
    let machine = created["stateMachineArn"].as_str().unwrap();
    let begun = Instant::now();
    for number in 0..count {
        let start = json!({ "stateMachineArn": machine, "name": format!("saga-{number}"), "input": "{}" });
        machines.states("StartExecution", &start).await;
    }
    // When each step of each execution asked.
    let mut asked: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    let mut answered = 0;
    while answered < count * STEPS.len() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{answered} steps answered");
        let receive = sqs.receive_message().queue_url(&queue).max_number_of_messages(10).wait_time_seconds(1);
        for message in receive.send().await.unwrap().messages.unwrap_or_default() {
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            asked.entry(body["execution"].as_str().unwrap().to_owned()).or_default().push(Instant::now());
            let answer = json!({ "taskToken": body["token"], "output": "{}" });
            machines.states("SendTaskSuccess", &answer).await;
            let receipt = message.receipt_handle().unwrap();
            sqs.delete_message().queue_url(&queue).receipt_handle(receipt).send().await.unwrap();
            answered += 1;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let mut steps: Vec<f64> = asked
        .values()
        .flat_map(|moments| moments.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3))
        .collect();
    figures.row(
        "beside it: Step Functions on the same endpoint, sagas a second",
        format!("{:.1}", count as f64 / took),
        format!("{count} at a time, five steps, a worker that does nothing"),
    );
    figures.row(
        "beside it: Step Functions, p50 from a step's message to the next one's",
        format!("{:.0} ms", percentile(&mut steps, 0.5)),
        format!("p99 {:.0} ms", percentile(&mut steps, 0.99)),
    );
}

fn definition(queue: &str) -> Value {
    let states: serde_json::Map<String, Value> = STEPS
        .iter()
        .enumerate()
        .map(|(at, step)| {
            let mut state = json!({
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {
                    "QueueUrl": queue,
                    "MessageBody": {
                        "step": step, "token.$": "$$.Task.Token", "execution.$": "$$.Execution.Id",
                    },
                },
                "TimeoutSeconds": 300,
                "Retry": [{ "ErrorEquals": ["States.ALL"], "MaxAttempts": 3 }],
            });
            match STEPS.get(at + 1) {
                Some(next) => state["Next"] = json!(next),
                None => state["End"] = json!(true),
            }
            ((*step).to_owned(), state)
        })
        .collect();
    json!({ "StartAt": STEPS[0], "States": states })
}
