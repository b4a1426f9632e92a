//! The tables are lost and restored, as docs/operations.md says it step by step: nothing is lost, and what was at work
//! goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{BillingMode, StreamSpecification, StreamViewType};
use hostler_aws::{DynamoEventLog, EventBridgeBus, SqsQueues, SystemClock};
use hostler_localstack::fleet::Behaviour;
use hostler_localstack::needs;
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::operations::replay::{Replayer, Selection, Told};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::faults::impatience;
use crate::ledger::Ledger;
use crate::world::World;

/// What is lost, by the stack's outputs.
const TABLES: [&str; 4] = ["EventsTable", "ViewsTable", "ControlTable", "IdempotencyTable"];
/// Commits a second that are republished.
const RATE: u32 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn lost_tables_are_restored_and_the_books_add_up() {
    needs!(Functions, Processes, HttpApi, Recovery);
    let world = World::start_with(impatience(5, 100)).await;
    world.enrol("web").await;
    world.request("r-1", "web", 2).await;
    world.settled("r-1", 2).await;
    world.at_rest().await;
    let begun_at = Timestamp::now();
    // Two more that have begun and will end only afterwards.
    for host in world.site.fleet.hosts() {
        world.site.fleet.simulated().set_behaviour(&host.host_id, Behaviour::Slow { ms: 3_000 }).unwrap();
    }
    world.request("r-2", "web", 2).await;
    world
        .until("the hosts boot", async || (world.hosts_in("web", "deploying").await.len() == 2).then_some(()))
        .await;

    let begun = Instant::now();
    let step = |what: &str| eprintln!("{:>7.2?} until {what}", begun.elapsed());
    // 1. Nothing is published any more; what is under way comes to rest in the store. Hosts that boot are no part of it:
    // what they have to say comes whenever they have booted, and in this test before the loss.
    let relay = Mapping::of(&world).await;
    relay.stop(&world).await;
    world.at_rest().await;
    world.until("no host boots any more", async || (booting(&world) == 0).then_some(())).await;
    world.at_rest().await;
    let before = Ledger::of(&world).await;
    step("the relay is stopped and all is at rest");

    let tables = Tables(aws_sdk_dynamodb::Client::new(&world.stack.account.sdk_config()));
    for output in TABLES {
        // 2. Point-in-time recovery, into a new table.
        let name = &world.stack.outputs[output];
        let restored = format!("{name}-restored");
        tables.recover(name, &restored).await;
        // 3. The loss.
        tables.lose(name).await;
        // 4. Back under the name that functions, roles and alarms know.
        tables.rename(&restored, name).await;
    }
    step("the tables are back");
    // 5. A restored table has no stream: a new one, from now on, for the relay.
    let stream = tables.stream(&world.stack.outputs["EventsTable"]).await;
    relay.replace(&world, &stream).await;
    let after = Ledger::of(&world).await;
    assert_eq!((after.commits, &after.events), (before.commits, &before.events), "nothing is lost");

    // 6. What nobody was told since the relay stopped, and some time before, for consumers recognise what they had.
    let told = republish(&world, begun_at).await;
    step("everything is republished");
    assert!(told.failed == 0 && told.commits > 0, "{told:?}");

    let sagas = world.settled("r-2", 2).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    step("the sagas that were at work have ended");
    world.at_rest().await;
    let ledger = Ledger::read(&world).await;
    ledger.print();
    ledger.check_exact();
    // And it goes on.
    world.request("r-3", "web", 1).await;
    let sagas = world.settled("r-3", 1).await;
    assert_eq!(sagas[0]["status"], "completed", "{sagas:#?}");
}

/// Hosts that boot from media and have not yet called back.
fn booting(world: &World) -> u64 {
    let hosts = world.site.fleet.hosts();
    let boots = hosts.iter().map(|host| world.site.fleet.simulated().boots(&host.host_id));
    boots.map(|boots| boots.from_media - boots.callbacks_taken - boots.callbacks_lost).sum()
}

/// The step `events republish`.
async fn republish(world: &World, since: Timestamp) -> Told {
    let config = world.stack.account.sdk_config();
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let log = DynamoEventLog::new(dynamodb, &world.stack.outputs["EventsTable"]);
    let queues: BTreeMap<String, String> = world.queue_urls();
    let queues = Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(&config), queues));
    let bus = aws_sdk_eventbridge::Client::new(&config);
    let bus = Arc::new(EventBridgeBus::new(bus, &world.stack.outputs["EventBus"]));
    let relay = Relay::new(bus, queues, Arc::new(SystemClock), "relay-outbox-dlq")
        .notifying("project-views", ["host", "provisioning"])
        .signed_by(World::integrity());
    let replayer = Replayer::new(Arc::new(log), Arc::new(SystemClock), RATE).signed_by(World::integrity());
    let selection = Selection { since: Some(since), ..Selection::default() };
    replayer.republish(&selection, &relay, |_| {}).await.unwrap()
}

struct Tables(aws_sdk_dynamodb::Client);

impl Tables {
    async fn recover(&self, from: &str, to: &str) {
        let call = self.0.restore_table_to_point_in_time().source_table_name(from).target_table_name(to);
        let call = call.use_latest_restorable_time(true).billing_mode_override(BillingMode::PayPerRequest);
        call.send().await.unwrap();
        self.active(to).await;
    }

    async fn lose(&self, name: &str) {
        self.0.update_table().table_name(name).deletion_protection_enabled(false).send().await.unwrap();
        self.0.delete_table().table_name(name).send().await.unwrap();
    }

    /// A table has no other name ever; a backup of it can be restored under one that is free.
    async fn rename(&self, from: &str, to: &str) {
        let backup = self.0.create_backup().table_name(from).backup_name("rename").send().await.unwrap();
        let arn = backup.backup_details.unwrap().backup_arn;
        self.0.restore_table_from_backup().backup_arn(arn).target_table_name(to).send().await.unwrap();
        self.active(to).await;
    }

    /// Gives a table a stream; its ARN.
    async fn stream(&self, name: &str) -> String {
        let new_image =
            StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
        let call = self.0.update_table().table_name(name).stream_specification(new_image.build().unwrap());
        let table = call.send().await.unwrap().table_description.unwrap();
        table.latest_stream_arn.unwrap()
    }

    async fn active(&self, name: &str) {
        for _ in 0..100 {
            let table = self.0.describe_table().table_name(name).send().await.unwrap().table.unwrap();
            if table.table_status.is_some_and(|status| status.as_str() == "ACTIVE") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("table {name} is not active after 10 s");
    }
}

/// What hands the stream to the relay.
struct Mapping {
    id: String,
    function: String,
}

impl Mapping {
    async fn of(world: &World) -> Self {
        let function = world.stack.outputs["RelayOutboxFunction"].clone();
        let found = lambda(world, Method::GET, &format!("?FunctionName={function}"), &Value::Null).await;
        let id = found["EventSourceMappings"][0]["UUID"].as_str().unwrap().to_owned();
        Self { id, function }
    }

    async fn stop(&self, world: &World) {
        lambda(world, Method::PUT, &format!("/{}", self.id), &json!({ "Enabled": false })).await;
    }

    /// A mapping keeps its stream for life, so a new one takes its place.
    async fn replace(&self, world: &World, stream: &str) {
        lambda(world, Method::DELETE, &format!("/{}", self.id), &Value::Null).await;
        let new = json!({
            "FunctionName": self.function, "EventSourceArn": stream, "StartingPosition": "LATEST", "BatchSize": 100,
            "BisectBatchOnFunctionError": true, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        lambda(world, Method::POST, "", &new).await;
    }
}

/// A call of Lambda's API about mappings, by the account's root user.
async fn lambda(world: &World, method: Method, path: &str, body: &Value) -> Value {
    let account = &world.stack.account;
    let url = format!("{}/2015-03-31/event-source-mappings{path}", account.endpoint());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260131/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0",
        account.id()
    );
    let request = reqwest::Client::new().request(method, url).header("authorization", authorization);
    let answer = request.body(body.to_string()).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}
