//! The AWS adapters keep the ports' contracts, on the local cloud that `HOSTLER_TEST_CLOUD` asks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../../common/drivers/tests/load_balancer/contract.rs"]
mod load_balancer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::ScalarAttributeType::{N as Number, S as Text};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetHealthStateEnum, TargetTypeEnum};
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_ssm::types::ParameterType;
use hostler_aws::meter::Metered;
use hostler_aws::{Aws, Class, Settings, SqsQueues, SystemClock, tables};
use hostler_drivers::{LoadBalancer, TargetGroupLoadBalancer, TrafficServer};
use hostler_localstack::{Account, Cloud, needs};
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::messages::timers::{TIMERS_QUEUE, fire};
use hostler_runtime::ports::{
    Clock, Control, EventBus, EventStore, NodeCommand, NodeCommands, Parameters, Queues, StoreError, Views,
};
use hostler_testkit::contract::{self, Delivery, Inbox, Supports};
use hostler_testkit::memory::outbox_records;
use hostler_testkit::{TestClock, sample};
use jiff::SignedDuration;
use serde_json::json;

const QUEUE: &str = "contract-inbox";
const BUS: &str = "contract-bus";

/// An account of its own on the endpoint, with the tables, a bus and a queue.
struct Place {
    config: SdkConfig,
    aws: Aws,
}

async fn place() -> Place {
    let config = Cloud::shared_services().await.unwrap().new_account().sdk_config();
    let tables = Tables(aws_sdk_dynamodb::Client::new(&config));
    tables.create("events", [(tables::events::STREAM, Text), (tables::events::VERSION, Number)]).await;
    tables.create("views", [(tables::views::VIEW, Text), (tables::views::KEY, Text)]).await;
    tables.create("control", [(tables::control::KEY, Text)]).await;
    tables.create("idempotency", [(tables::idempotency::ID, Text)]).await;
    let url = create_bus_and_queue(&config).await;
    let settings = Settings::from_lookup(|name| match name {
        tables::env::EVENTS_TABLE => Some("events".to_owned()),
        tables::env::VIEWS_TABLE => Some("views".to_owned()),
        tables::env::CONTROL_TABLE => Some("control".to_owned()),
        tables::env::IDEMPOTENCY_TABLE => Some("idempotency".to_owned()),
        tables::env::EVENT_BUS => Some(BUS.to_owned()),
        tables::env::QUEUE_URLS => Some(json!({ QUEUE: url }).to_string()),
        _ => None,
    });
    let aws = Aws::new(&config, settings.unwrap());
    aws.warm().await;
    Place { config, aws }
}

struct Tables(aws_sdk_dynamodb::Client);

impl Tables {
    async fn create<const N: usize>(&self, name: &str, keys: [(&str, ScalarAttributeType); N]) {
        let kinds = [KeyType::Hash, KeyType::Range];
        let mut call = self.0.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for ((key, of), kind) in keys.into_iter().zip(kinds) {
            call = call.attribute_definitions(attribute(key, of)).key_schema(element(key, kind));
        }
        if name == "views" {
            let index = GlobalSecondaryIndex::builder()
                .index_name(tables::views::BY_GROUP)
                .key_schema(element(tables::views::GROUP, KeyType::Hash))
                .key_schema(element(tables::views::KEY, KeyType::Range))
                .projection(Projection::builder().projection_type(ProjectionType::All).build());
            call = call
                .attribute_definitions(attribute(tables::views::GROUP, Text))
                .global_secondary_indexes(index.build().unwrap());
        }
        call.send().await.unwrap();
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

fn element(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

/// Creates a queue, and a bus that brings the suite's events to it; the queue's URL.
async fn create_bus_and_queue(config: &SdkConfig) -> String {
    let sqs = aws_sdk_sqs::Client::new(config);
    let url = sqs.create_queue().queue_name(QUEUE).send().await.unwrap().queue_url.unwrap();
    let arn = QueueAttributeName::QueueArn;
    let answer =
        sqs.get_queue_attributes().queue_url(&url).attribute_names(arn.clone()).send().await.unwrap();
    let queue_arn = answer.attributes.unwrap()[&arn].clone();
    let bus = aws_sdk_eventbridge::Client::new(config);
    bus.create_event_bus().name(BUS).send().await.unwrap();
    let pattern = json!({ "detail-type": contract::SUBSCRIBED }).to_string();
    bus.put_rule().name("contract").event_bus_name(BUS).event_pattern(pattern).send().await.unwrap();
    let target = Target::builder().id("queue").arn(queue_arn).build().unwrap();
    bus.put_targets().rule("contract").event_bus_name(BUS).targets(target).send().await.unwrap();
    url
}

/// The receiving side of SQS, in real time.
struct SqsInbox(SqsQueues);

#[async_trait]
impl Inbox for SqsInbox {
    async fn receive(&self, queue: &str) -> Vec<Delivery> {
        let received = self.0.receive(queue, 10, 0).await.unwrap().into_iter();
        received
            .map(|message| Delivery {
                body: message.body,
                attributes: message.attributes,
                receipt: message.receipt,
            })
            .collect()
    }

    async fn delete(&self, queue: &str, receipt: &str) {
        self.0.delete(queue, receipt).await.unwrap();
    }

    async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

const SUPPORTS: Supports =
    Supports { group_lag: Duration::from_secs(5), delivery_lag: Duration::from_secs(5), full_size: true };

#[tokio::test(flavor = "multi_thread")]
async fn the_event_store_keeps_its_contract() {
    needs!();
    let place = place().await;
    contract::event_store(&place.aws.event_store().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_log_keeps_its_contract() {
    needs!();
    let place = place().await;
    let log = hostler_aws::DynamoEventLog::new(aws_sdk_dynamodb::Client::new(&place.config), "events");
    contract::event_log(&place.aws.event_store().unwrap(), &log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_keep_their_contract() {
    needs!();
    let place = place().await;
    contract::views(&place.aws.views().unwrap(), SUPPORTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_keeps_its_contract() {
    needs!();
    let place = place().await;
    contract::control(&place.aws.control().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leases_keep_their_contract() {
    needs!();
    let place = place().await;
    contract::leases(&place.aws.leases().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queues_keep_their_contract() {
    needs!();
    let place = place().await;
    let queues = place.aws.queues().unwrap();
    contract::queues(&queues, &SqsInbox(queues.clone()), QUEUE, SUPPORTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_keeps_its_contract() {
    needs!();
    let place = place().await;
    let inbox = SqsInbox(place.aws.queues().unwrap());
    contract::event_bus(&place.aws.bus().unwrap(), &inbox, QUEUE, SUPPORTS).await;
}

/// Beside what a place has, a queue of timers and a group of schedules that send to it; calls are counted in a file.
async fn with_schedules(place: &Place, calls: &Path) -> Aws {
    let sqs = aws_sdk_sqs::Client::new(&place.config);
    let url = sqs.create_queue().queue_name(TIMERS_QUEUE).send().await.unwrap().queue_url.unwrap();
    let arn = QueueAttributeName::QueueArn;
    let answer =
        sqs.get_queue_attributes().queue_url(&url).attribute_names(arn.clone()).send().await.unwrap();
    let queue = answer.attributes.unwrap()[&arn].clone();
    let group = "contract-timers";
    let client = aws_sdk_scheduler::Client::new(&place.config);
    client.create_schedule_group().name(group).send().await.unwrap();
    // "arn:aws:sqs:<region>:<account>:<name>"
    let account = queue.split(':').nth(4).unwrap();
    let role = format!("arn:aws:iam::{account}:role/{group}");
    let schedules = json!({ "group": group, "role": role, "queue": queue, "deadLetters": queue });
    let orders = &place.aws.settings().queue_urls().unwrap()[QUEUE];
    let settings = Settings::from_lookup(|name| match name {
        tables::env::EVENT_BUS => Some(BUS.to_owned()),
        tables::env::QUEUE_URLS => Some(json!({ TIMERS_QUEUE: url, "orders": orders }).to_string()),
        tables::env::SCHEDULES => Some(schedules.to_string()),
        tables::env::METER_FILE => Some(calls.display().to_string()),
        _ => None,
    });
    Aws::new(&place.config, settings.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedules_keep_their_contract() {
    needs!(Schedules);
    let aws = with_schedules(&place().await, Path::new("/dev/null")).await;
    let inbox = SqsInbox(aws.queues().unwrap());
    contract::schedules(&aws.schedules().unwrap(), &inbox, &SystemClock, TIMERS_QUEUE, SUPPORTS).await;
}

/// The relay and the function of timers, each at its time, with calls counted where the SDK makes them.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_of_two_days_is_one_schedule_and_two_messages() {
    needs!(Schedules);
    let (place, calls) = (place().await, tempfile::NamedTempFile::new().unwrap());
    let aws = with_schedules(&place, calls.path()).await;
    let (queues, schedules) = (aws.queues().unwrap(), aws.schedules().unwrap());
    let due_at = SystemClock.now() + SignedDuration::from_hours(48);
    let mut commit = sample::full_commit("order#1", 1);
    (commit.events, commit.commands) = (Vec::new(), Vec::new());
    commit.timers.truncate(1);
    (commit.timers[0].due_at, commit.timers[0].deliver_to) = (due_at, "orders".to_owned());
    let timer = commit.timer_messages().next().unwrap();

    let clock = TestClock::default();
    clock.set(SystemClock.now());
    let ports = (Arc::new(aws.bus().unwrap()), Arc::new(queues.clone()), Arc::new(clock));
    let relay =
        Relay::new(ports.0, ports.1, ports.2, "failures").scheduling(Some(Arc::new(schedules.clone())));
    let meter = aws.meter().unwrap();
    meter.begin();
    relay.relay(&outbox_records([commit])).await.unwrap();
    for at in [due_at - SignedDuration::from_mins(2), due_at] {
        fire(&timer, at, &queues, Some(&schedules)).await.unwrap();
    }
    meter.end("all of them", Duration::ZERO);
    let metered: Metered = serde_json::from_str(&std::fs::read_to_string(calls.path()).unwrap()).unwrap();
    let counted: Vec<_> = metered.calls.iter().map(|(name, calls)| (name.as_str(), calls.calls)).collect();
    assert_eq!(counted, [("CreateSchedule", 1), ("SendMessageBatch", 2), ("messages sent", 2)]);
}

/// Target groups of an endpoint that sends nobody requests: what it would do is seen by what is registered.
struct Registered {
    driver: TargetGroupLoadBalancer,
    client: aws_sdk_elasticloadbalancingv2::Client,
    group: String,
}

impl load_balancer::Subject for Registered {
    fn driver(&self) -> &dyn LoadBalancer {
        &self.driver
    }

    fn server(&self, host: &str) -> TrafficServer {
        let address = host.replace("h-", "10.2.0.") + ":8080";
        TrafficServer { backend: "web".to_owned(), host: host.to_owned(), address }
    }

    fn counts_requests(&self) -> bool {
        false
    }

    async fn takes_requests(&self, host: &str) -> bool {
        let address: SocketAddr = self.server(host).address.parse().unwrap();
        let (ip, port) = (address.ip().to_string(), Some(i32::from(address.port())));
        let health = self.client.describe_target_health().target_group_arn(&self.group).send().await.unwrap();
        health.target_health_descriptions().iter().any(|described| {
            let target = described.target().unwrap();
            let state = described.target_health().and_then(|health| health.state());
            target.id() == Some(&ip)
                && target.port() == port
                && state == Some(&TargetHealthStateEnum::Healthy)
        })
    }

    async fn begin_request(&mut self, _: &str) {
        unreachable!("it counts no requests")
    }

    async fn end_request(&mut self, _: &str) -> bool {
        unreachable!("it counts no requests")
    }
}

/// The id of a new VPC. One call is no reason for one more SDK, and local endpoints read of a signature only whose it is.
async fn create_vpc(account: &Account) -> String {
    let scope = format!("{}/20261128/{}/ec2/aws4_request", account.id(), account.region());
    let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let form = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.2.0.0/16";
    let call = reqwest::Client::new().post(account.endpoint()).header("authorization", signed);
    let call = call.header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = call.send().await.unwrap().text().await.unwrap();
    let (_, rest) = answer.split_once("<vpcId>").unwrap();
    rest.split_once("</vpcId>").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn target_groups_keep_the_contract_of_load_balancers() {
    needs!(TargetGroups);
    let account = Cloud::shared_services().await.unwrap().new_account();
    let client = aws_sdk_elasticloadbalancingv2::Client::new(&account.sdk_config());
    let vpc = create_vpc(&account).await;
    let create = async |name: &str| {
        let call = client.create_target_group().name(name).target_type(TargetTypeEnum::Ip).vpc_id(&vpc);
        let made = call.protocol(ProtocolEnum::Http).port(80).send().await.unwrap();
        made.target_groups()[0].target_group_arn().unwrap().to_owned()
    };
    let (group, gone) = (create("web").await, create("no-such-backend").await);
    client.delete_target_group().target_group_arn(&gone).send().await.unwrap();
    let driver = TargetGroupLoadBalancer::new(
        Arc::new(hostler_aws::ElbTargetGroups::new(client.clone())),
        format!("{group},{gone}").parse().unwrap(),
    );
    load_balancer::holds(Registered { driver, client, group }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_run_command_is_sent_to_a_node_once_and_found_by_its_comment() {
    needs!(RunCommand);
    let account = Cloud::shared_services().await.unwrap().new_account();
    let client = aws_sdk_ssm::Client::new(&account.sdk_config());
    let call = client.put_parameter().name("/hostler/roles/web").value("7").r#type(ParameterType::String);
    call.send().await.unwrap();
    let nodes = hostler_aws::SsmNodes::new(client.clone(), Arc::new(SystemClock));
    assert_eq!(nodes.parameter("/hostler/roles/web").await.unwrap().as_deref(), Some("7"));
    assert_eq!(nodes.parameter("/hostler/roles/db").await.unwrap(), None);
    let order = |step: &str, revision: &str| NodeCommand {
        document: "AWS-ApplyAnsiblePlaybooks".to_owned(),
        parameters: BTreeMap::from([("Check".to_owned(), "False".to_owned())]),
        comment: format!("hostler/h-1/{step}/newest/{revision}"),
        same: format!("hostler/h-1/{step}/newest/"),
        delivery_seconds: 120,
    };
    let node = "mi-0123456789abcdef0";
    for (step, revision) in [("one", "7"), ("one", "8"), ("two", "8")] {
        nodes.send(node, &order(step, revision)).await.unwrap();
    }
    let sent = client.list_commands().instance_id(node).send().await.unwrap();
    let comments: BTreeSet<&str> = sent.commands().iter().filter_map(|command| command.comment()).collect();
    assert_eq!(comments, BTreeSet::from(["hostler/h-1/one/newest/7", "hostler/h-1/two/newest/8"]));
    let command = sent.commands()[0].command_id().unwrap();
    // The endpoint knows one step, of another document.
    let told = nodes.invocation(command, node, "aws:runShellScript").await.unwrap().unwrap();
    assert!(comments.contains(&*told.comment), "{told:?}");
    assert_eq!(nodes.invocation(command, node, "runShellScript").await.unwrap(), None);
    assert_eq!(nodes.invocation(command, "mi-1", "aws:runShellScript").await.unwrap(), None);
}

/// What is not there is missing, not broken: callers retry, and the text says what to deploy.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_resource_is_named_and_retried() {
    needs!();
    let place = place().await;
    let urls: BTreeMap<String, String> = place
        .aws
        .settings()
        .queue_urls()
        .unwrap()
        .values()
        .map(|url| ("gone".to_owned(), format!("{url}-gone")))
        .collect();
    let queues = SqsQueues::new(aws_sdk_sqs::Client::new(&place.config), urls);
    let failure = queues.send("gone", &[outbound()]).await.remove(0).unwrap_err();
    assert!(failure.retryable && failure.message.contains("deploy"), "{failure}");
    let client = aws_sdk_dynamodb::Client::new(&place.config);
    let store = hostler_aws::DynamoEventStore::new(client.clone(), "gone");
    let error = store.append(&sample::commit("order#1", 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("table gone is not there"), "{error}");
    let control = hostler_aws::DynamoControl::new(client.clone(), "gone");
    assert!(control.get("key").await.unwrap_err().to_string().contains("dynamodb:GetItem"));
    let views = hostler_aws::DynamoViews::new(client, "gone");
    assert!(views.list("view", Some("group"), None, 1).await.unwrap_err().to_string().contains("not there"));
    let bus = aws_sdk_eventbridge::Client::new(&place.config);
    let bus = hostler_aws::EventBridgeBus::new(bus, "gone");
    // AWS accepts the call and drops the event, or says that the bus is missing: never a lasting refusal.
    let event = sample::envelope("order#1", "order.placed", json!({}));
    let result = bus.publish(&[event]).await.remove(0);
    assert!(result.is_ok() || result.is_err_and(|failure| failure.retryable));
    assert!(Class::Missing.retryable());
}

fn outbound() -> hostler_runtime::ports::Outbound {
    hostler_runtime::ports::Outbound { body: "{}".to_owned(), ..Default::default() }
}
