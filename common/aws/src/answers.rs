//! What adapters make of answers that no emulator gives: partial failures, throttles, refusals, silence.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use hostler_runtime::ports::{
    Clock, CommandStatus, Control, EventBus, EventStore, ManagedNode, NodeCommand, NodeCommands, Outbound,
    Parameters, Queues, StoreError, TargetGroups, Views,
};
use hostler_testkit::sample;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    DynamoControl, DynamoEventStore, DynamoViews, ElbTargetGroups, EventBridgeBus, SqsQueues, SsmNodes,
};

/// An endpoint that gives prepared answers, one for each request, and keeps what it was asked.
struct Endpoint {
    config: SdkConfig,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Endpoint {
    async fn answering(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (seen, answers) = (asked.clone(), answers.into_iter().collect::<Vec<_>>());
        tokio::spawn(async move {
            for (status, body) in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let request = answer(stream, status, &body).await;
                seen.lock().unwrap().push(request);
            }
        });
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(2)).build())
            .load()
            .await;
        Self { config, asked }
    }

    async fn failing(code: &str) -> Self {
        Self::answering([(400, json!({ "__type": code, "message": "so it is" }))]).await
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    fn bus(&self) -> EventBridgeBus {
        EventBridgeBus::new(aws_sdk_eventbridge::Client::new(&self.config), "bus")
    }

    fn target_groups(&self) -> ElbTargetGroups {
        ElbTargetGroups::new(aws_sdk_elasticloadbalancingv2::Client::new(&self.config))
    }

    fn nodes(&self) -> SsmNodes {
        self.nodes_at(&Noon::default())
    }

    fn nodes_at(&self, clock: &Noon) -> SsmNodes {
        SsmNodes::new(aws_sdk_ssm::Client::new(&self.config), Arc::new(clock.clone()))
    }

    fn queues(&self) -> SqsQueues {
        let urls = [("steps".to_owned(), format!("{}/1/steps", self.config.endpoint_url().unwrap()))];
        SqsQueues::new(aws_sdk_sqs::Client::new(&self.config), BTreeMap::from(urls))
    }
}

async fn answer(mut stream: TcpStream, status: u16, body: &Value) -> Value {
    let mut request = Vec::new();
    let mut chunk = vec![0; 65_536];
    let asked = loop {
        let read = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, sent)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if sent.len() >= length.unwrap_or(0) {
            // A service of the query protocol is asked by a form.
            break serde_json::from_str(sent).unwrap_or_else(|_form| Value::from(sent));
        }
    };
    // What is no JSON is given as a text.
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    asked
}

fn messages(count: usize) -> Vec<Outbound> {
    (0..count).map(|number| Outbound { body: number.to_string(), ..Outbound::default() }).collect()
}

fn events(count: usize) -> Vec<hostler_core::Envelope> {
    (0..count).map(|_| sample::envelope("order#1", "order.placed", json!({}))).collect()
}

#[tokio::test]
async fn each_entry_of_the_bus_has_its_own_answer() {
    let answer = json!({ "FailedEntryCount": 2, "Entries": [
        { "EventId": "1" },
        { "ErrorCode": "ThrottlingException", "ErrorMessage": "slower" },
        { "ErrorCode": "MalformedDetail", "ErrorMessage": "no object" },
    ]});
    let endpoint = Endpoint::answering([(200, answer)]).await;
    let results = endpoint.bus().publish(&events(4)).await;
    assert_eq!(results[0], Ok(()));
    assert!(results[1].as_ref().unwrap_err().retryable);
    assert!(!results[2].as_ref().unwrap_err().retryable);
    let silent = results[3].as_ref().unwrap_err();
    assert!(silent.retryable && silent.code == "NoAnswer", "no answer is not a yes: {silent}");
}

#[tokio::test]
async fn events_go_ten_to_a_call_with_their_names_beside_them() {
    let taken =
        |count| (200, json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "1" }); count] }));
    let endpoint = Endpoint::answering([taken(10), taken(10)]).await;
    let results = endpoint.bus().publish(&events(20)).await;
    assert_eq!(results, vec![Ok(()); 20]);
    for call in endpoint.asked() {
        let entries = call["Entries"].as_array().unwrap();
        assert_eq!(entries.len(), 10);
        let entry = &entries[0];
        let names = (&entry["EventBusName"], &entry["Source"], &entry["DetailType"]);
        assert_eq!(names, (&json!("bus"), &json!("testkit"), &json!("order.placed")));
        assert_eq!(entry["Time"], json!(1_772_600_767));
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        assert_eq!(detail["eventType"], "order.placed");
    }
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_answer() {
    let answer = json!({
        "Successful": [{ "Id": "2", "MessageId": "m", "MD5OfMessageBody": "c81e728d9d4c2f636f067f89cc14862c" }],
        "Failed": [
            { "Id": "0", "SenderFault": true, "Code": "InvalidMessageContents", "Message": "bad" },
            { "Id": "1", "SenderFault": false, "Code": "InternalError", "Message": "later" },
        ],
    });
    let endpoint = Endpoint::answering([(200, answer)]).await;
    let results = endpoint.queues().send("steps", &messages(4)).await;
    assert!(!results[0].as_ref().unwrap_err().retryable, "the sender is at fault");
    assert!(results[1].as_ref().unwrap_err().retryable, "the service is at fault");
    assert_eq!(results[2], Ok(()));
    assert!(results[3].as_ref().unwrap_err().retryable, "no answer is not a yes");
}

#[tokio::test]
async fn one_entry_that_fails_its_call_does_not_fail_its_neighbours() {
    let invalid = (400, json!({ "__type": "InvalidParameterValue", "message": "one of them" }));
    let taken =
        json!({ "Successful": [{ "Id": "0", "MessageId": "m", "MD5OfMessageBody": "x" }], "Failed": [] });
    let endpoint = Endpoint::answering([invalid.clone(), (200, taken), invalid]).await;
    let results = endpoint.queues().send("steps", &messages(2)).await;
    assert_eq!(results[0], Ok(()));
    assert!(!results[1].as_ref().unwrap_err().retryable);
    assert_eq!(endpoint.asked().len(), 3);
}

#[tokio::test]
async fn what_is_not_permitted_says_what_to_add_and_is_tried_again() {
    let store =
        DynamoEventStore::new(Endpoint::failing("AccessDeniedException").await.dynamodb(), "events-1");
    let error = store.append(&sample::commit("order#1", 1)).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{said}");
    assert!(said.contains("policy lacks dynamodb:PutItem on table events-1"), "{said}");
    let endpoint = Endpoint::failing("AccessDeniedException").await;
    let failure = endpoint.bus().publish(&events(1)).await.remove(0).unwrap_err();
    assert!(failure.retryable && failure.message.contains("events:PutEvents on bus bus"), "{failure}");
}

#[tokio::test]
async fn a_throttle_is_tried_again_and_an_invalid_request_is_not() {
    for (code, retryable) in
        [("ProvisionedThroughputExceededException", true), ("ValidationException", false)]
    {
        let views = DynamoViews::new(Endpoint::failing(code).await.dynamodb(), "views");
        let error = views.put(&sample::row("hosts", "h-1", "web", 1)).await.unwrap_err();
        let unavailable = matches!(error, hostler_runtime::ports::PortError::Unavailable { .. });
        assert_eq!(unavailable, retryable, "{error}");
    }
}

#[tokio::test]
async fn silence_is_tried_again() {
    let nobody = Endpoint::answering([]).await;
    let store = DynamoEventStore::new(nobody.dynamodb(), "events");
    let error = store.load(&"order#1".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    let failure = nobody.queues().change_visibility("steps", "receipt", 1).await.unwrap_err();
    assert!(failure.retryable, "{failure}");
}

#[tokio::test]
async fn a_condition_that_fails_on_our_own_write_is_success() {
    let commit = sample::commit("order#1", 1);
    let there = |commit_id: &str| {
        let item = json!({ "commit_id": { "S": commit_id } });
        (400, json!({ "__type": "ConditionalCheckFailedException", "message": "no", "Item": item }))
    };
    let ours = Endpoint::answering([there(&commit.commit_id.to_string())]).await;
    DynamoEventStore::new(ours.dynamodb(), "events").append(&commit).await.unwrap();
    let theirs = Endpoint::answering([there("00000000-0000-7000-8000-000000000000")]).await;
    let error = DynamoEventStore::new(theirs.dynamodb(), "events").append(&commit).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    // Nothing is known about what is there: a conflict, which has the shell read it.
    let silent = json!({ "__type": "ConditionalCheckFailedException", "message": "no" });
    let silent = Endpoint::answering([(400, silent)]).await;
    assert!(!DynamoControl::new(silent.dynamodb(), "control").put("key", &json!(1), 1).await.unwrap());
}

#[tokio::test]
async fn an_item_that_cannot_be_read_names_its_version() {
    let item = json!({ "stream": { "S": "order#1" }, "version": { "N": "4" }, "hops": { "N": "1" } });
    let endpoint = Endpoint::answering([(200, json!({ "Items": [item], "Count": 1 }))]).await;
    let store = DynamoEventStore::new(endpoint.dynamodb(), "events");
    let error = store.load(&"order#1".parse().unwrap()).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{said}");
    assert!(said.contains("version 4") && said.contains("source is missing"), "{said}");
}

const WEB: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/1";

/// What Elastic Load Balancing answers to a call that it refuses.
fn refusal(code: &str, message: &str) -> (u16, Value) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (400, Value::from(format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>")))
}

fn taken(action: &str) -> (u16, Value) {
    let text = format!("<{action}Response><{action}Result/></{action}Response>");
    (200, Value::from(text))
}

fn zones(endpoint: &Endpoint) -> Vec<bool> {
    let asked = endpoint.asked().into_iter();
    let forms = asked.map(|form| form.as_str().unwrap().to_owned());
    let zones = forms.map(|form| {
        assert!(form.contains("Targets.member.1.Id=10.0.0.7&Targets.member.1.Port=80"), "{form}");
        form.contains("Targets.member.1.AvailabilityZone=all")
    });
    zones.collect()
}

#[tokio::test]
async fn an_address_outside_of_the_vpc_is_registered_for_all_zones() {
    let outside = "The Availability Zone is required for IP address '10.0.0.7' because it is not in the VPC";
    let answers = [refusal("ValidationError", outside), taken("RegisterTargets")];
    let endpoint = Endpoint::answering(answers).await;
    endpoint.target_groups().register(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap();
    assert_eq!(zones(&endpoint), [false, true]);
    // Where it is not the zone, the first answer says what it is.
    let answers = [refusal("ValidationError", "the real reason"), refusal("ValidationError", "another")];
    let endpoint = Endpoint::answering(answers).await;
    let error = endpoint.target_groups().register(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("the real reason"), "{error}");
    assert!(!error.retryable);
}

#[tokio::test]
async fn an_address_is_deregistered_however_it_was_registered() {
    let inside = "The IP address '10.0.0.7' is within the VPC";
    for second in [
        taken("DeregisterTargets"),
        refusal("ValidationError", inside),
        refusal("InvalidTarget", "it is not registered"),
    ] {
        let endpoint = Endpoint::answering([taken("DeregisterTargets"), second]).await;
        endpoint.target_groups().deregister(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap();
        assert_eq!(zones(&endpoint), [false, true]);
    }
    let outside = refusal("ValidationError", "The Availability Zone is required");
    let endpoint = Endpoint::answering([outside, taken("DeregisterTargets")]).await;
    endpoint.target_groups().deregister(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap();
    let neither = ["the first", "the second"].map(|message| refusal("ValidationError", message));
    let endpoint = Endpoint::answering(neither).await;
    let error = endpoint.target_groups().deregister(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("the first"), "{error}");
}

#[tokio::test]
async fn what_a_target_group_refuses_is_sorted_by_what_can_be_done() {
    for (code, retryable) in [
        ("Throttling", true),
        ("AccessDenied", true),
        ("TargetGroupNotFound", false),
        ("TooManyTargets", false),
    ] {
        let endpoint = Endpoint::answering([refusal(code, "so it is")]).await;
        let error = endpoint.target_groups().register(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap_err();
        assert_eq!(error.retryable, retryable, "{error}");
        assert!(error.to_string().contains(WEB), "{error}");
    }
    let gone = Endpoint::answering([refusal("TargetGroupNotFound", "so it is")]).await;
    gone.target_groups().deregister(WEB, "10.0.0.7:80".parse().unwrap()).await.unwrap();
}

/// A clock that stands at noon, and keeps how long was waited.
#[derive(Debug, Clone, Default)]
struct Noon(Arc<Mutex<Vec<Duration>>>);

#[async_trait]
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-01-31T12:00:00.5Z".parse().unwrap()
    }

    async fn sleep(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
    }
}

fn node_command() -> NodeCommand {
    NodeCommand {
        document: "AWS-ApplyAnsiblePlaybooks".to_owned(),
        parameters: BTreeMap::from([("Check".to_owned(), "False".to_owned())]),
        comment: "hostler/h-1/0123456789abcdef/newest/7".to_owned(),
        same: "hostler/h-1/0123456789abcdef/newest/".to_owned(),
        delivery_seconds: 120,
    }
}

#[tokio::test]
async fn nodes_are_found_by_their_tag_on_all_pages() {
    let listed = |id: &str, ping: &str| json!({ "InstanceId": id, "PingStatus": ping, "RegistrationDate": 1_769_857_200.0 });
    let endpoint = Endpoint::answering([
        (200, json!({ "InstanceInformationList": [], "NextToken": "more" })),
        (200, json!({ "InstanceInformationList": [listed("mi-0123456789abcdef0", "Online"), listed("mi-1", "ConnectionLost")] })),
    ])
    .await;
    let nodes = endpoint.nodes().nodes("hostler-host", "h-1").await.unwrap();
    let registered_at = Some("2026-01-31T11:00:00Z".parse().unwrap());
    let node = |id: &str, is_online| ManagedNode { id: id.to_owned(), registered_at, is_online };
    assert_eq!(nodes, [node("mi-0123456789abcdef0", true), node("mi-1", false)]);
    let asked = endpoint.asked();
    assert_eq!(asked[0]["Filters"], json!([{ "Key": "tag:hostler-host", "Values": ["h-1"] }]));
    assert_eq!(asked[1]["NextToken"], "more");
}

/// `SendCommand` has no client token: what was sent is known by its comment.
#[tokio::test]
async fn an_order_that_a_node_has_already_is_not_sent_again() {
    let older = json!({ "Comment": "hostler/h-1/0123456789abcdef/newest/6" });
    let other = json!({ "Comment": "hostler/h-1/0123456789abcdef/asked/6" });
    let endpoint = Endpoint::answering([(200, json!({ "Commands": [{}, older] }))]).await;
    endpoint.nodes().send("mi-1", &node_command()).await.unwrap();
    assert_eq!(endpoint.asked().len(), 1);
    let sent = (200, json!({ "Command": { "CommandId": "c-1" } }));
    let page = |commands: Value, next: &str| (200, json!({ "Commands": commands, "NextToken": next }));
    let endpoint = Endpoint::answering([page(json!([other]), "more"), page(json!([]), ""), sent]).await;
    endpoint.nodes().send("mi-1", &node_command()).await.unwrap();
    let asked = endpoint.asked();
    assert_eq!((&asked[0]["InstanceId"], &asked[1]["NextToken"]), (&json!("mi-1"), &json!("more")));
    // Only what the order may be among is read, and not all that the node ever did.
    let filters = json!([
        { "key": "InvokedAfter", "value": "2026-01-31T11:00:00Z" },
        { "key": "DocumentName", "value": "AWS-ApplyAnsiblePlaybooks" },
    ]);
    assert_eq!((&asked[0]["Filters"], &asked[1]["Filters"]), (&filters, &filters));
    let expected = json!({
        "InstanceIds": ["mi-1"], "DocumentName": "AWS-ApplyAnsiblePlaybooks", "TimeoutSeconds": 120,
        "Comment": "hostler/h-1/0123456789abcdef/newest/7", "Parameters": { "Check": ["False"] },
    });
    assert_eq!(asked[2], expected);
}

#[tokio::test]
async fn a_node_whose_agent_does_not_answer_is_tried_again_and_a_document_that_is_none_is_not() {
    for (code, retryable) in [("InvalidInstanceId", true), ("InvalidDocument", false)] {
        let refused = (400, json!({ "__type": code, "message": "so it is" }));
        let endpoint = Endpoint::answering([(200, json!({})), refused]).await;
        let failure = endpoint.nodes().send("mi-1", &node_command()).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), (code, retryable));
    }
    // Also where it is only asked for its commands.
    for (code, retryable) in [("InvalidInstanceId", true), ("InvalidFilterKey", false)] {
        let failure = Endpoint::failing(code).await.nodes().send("mi-1", &node_command()).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), (code, retryable));
    }
}

#[tokio::test]
async fn a_command_whose_answer_was_lost_is_looked_for_before_it_is_sent_again() {
    let none = (200, json!({}));
    let lost = (500, json!({ "__type": "InternalServerError", "message": "oh" }));
    let sent = json!({ "Commands": [{ "Comment": "hostler/h-1/0123456789abcdef/newest/7" }] });
    let endpoint = Endpoint::answering([none.clone(), lost.clone(), (200, sent)]).await;
    let clock = Noon::default();
    endpoint.nodes_at(&clock).send("mi-1", &node_command()).await.unwrap();
    // The API is eventually consistent: what was sent a moment ago is not listed yet.
    assert_eq!(*clock.0.lock().unwrap(), [Duration::from_secs(2)]);
    let endpoint = Endpoint::answering([none.clone(), lost.clone(), none, lost]).await;
    let failure = endpoint.nodes().send("mi-1", &node_command()).await.unwrap_err();
    assert!(failure.retryable && failure.code == "InternalServerError", "{failure}");
    assert_eq!(endpoint.asked().len(), 4);
}

#[tokio::test]
async fn an_invocation_that_is_not_seen_yet_and_a_parameter_that_is_not_there_are_none() {
    let told = json!({
        "Comment": "hostler/…", "StatusDetails": "Failed", "ResponseCode": 2,
        "StandardOutputContent": "PLAY [all]", "StandardErrorContent": "oh",
    });
    let endpoint = Endpoint::answering([(200, told)]).await;
    let told = endpoint.nodes().invocation("c-1", "mi-1", "runShellScript").await.unwrap().unwrap();
    assert_eq!((told.details.as_str(), told.code, told.output.as_str()), ("Failed", 2, "PLAY [all]"));
    assert_eq!((told.comment.as_str(), told.errors.as_str()), ("hostler/…", "oh"));
    assert_eq!(
        endpoint.asked()[0],
        json!({ "CommandId": "c-1", "InstanceId": "mi-1", "PluginName": "runShellScript" })
    );
    // A step that has not ended, or never began, is no plugin, and an agent that is away makes its node no valid one.
    for code in ["InvocationDoesNotExist", "InvalidPluginName", "InvalidInstanceId"] {
        let nodes = Endpoint::failing(code).await.nodes();
        assert_eq!(nodes.invocation("c-1", "mi-1", "runShellScript").await.unwrap(), None, "{code}");
    }
    let nodes = Endpoint::failing("AccessDeniedException").await.nodes();
    let failure = nodes.invocation("c-1", "mi-1", "runShellScript").await.unwrap_err();
    assert!(failure.retryable && failure.message.contains("ssm:GetCommandInvocation"), "{failure}");
    let endpoint = Endpoint::answering([(200, json!({ "Parameter": { "Value": "7" } }))]).await;
    assert_eq!(endpoint.nodes().parameter("/hostler/roles/web").await.unwrap().as_deref(), Some("7"));
    let nodes = Endpoint::failing("ParameterNotFound").await.nodes();
    assert_eq!(nodes.parameter("/hostler/roles/web").await.unwrap(), None);
}

/// A command that never began has no result of any step, and is known all the same.
#[tokio::test]
async fn a_command_is_named_by_its_invocations_where_no_step_was_begun() {
    let told = json!({ "CommandInvocations": [{
        "CommandId": "c-1", "InstanceId": "mi-1", "Comment": "hostler/…", "Status": "TimedOut",
        "StatusDetails": "DeliveryTimedOut",
    }]});
    let endpoint = Endpoint::answering([(200, told), (200, json!({ "CommandInvocations": [] }))]).await;
    let nodes = endpoint.nodes();
    let status = CommandStatus { comment: "hostler/…".to_owned(), details: "DeliveryTimedOut".to_owned() };
    assert_eq!(nodes.status("c-1", "mi-1").await.unwrap(), Some(status));
    assert_eq!(endpoint.asked()[0], json!({ "CommandId": "c-1", "InstanceId": "mi-1" }));
    assert_eq!(nodes.status("c-1", "mi-1").await.unwrap(), None, "not listed yet");
    let nodes = Endpoint::failing("InvalidInstanceId").await.nodes();
    assert_eq!(nodes.status("c-1", "mi-1").await.unwrap(), None);
    let failure =
        Endpoint::failing("AccessDeniedException").await.nodes().status("c-1", "mi-1").await.unwrap_err();
    assert!(failure.retryable && failure.message.contains("ssm:ListCommandInvocations"), "{failure}");
}
