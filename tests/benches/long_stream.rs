//! A stream of 100,000 commits in the local cloud's DynamoDB: how long a host takes to load that somebody labelled every
//! half a minute for a month, and to be labelled again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

use std::sync::Arc;
use std::time::Instant;

use aws_sdk_dynamodb::types::ScalarAttributeType::{N, S};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use futures::StreamExt as _;
use hostler_aws::{DynamoEventStore, tables};
use hostler_bench::{Figures, median};
use hostler_core::{Actor, CausationId, CorrelationId, StreamId, StreamVersion};
use hostler_domain::host::{HostDecider, HostInput};
use hostler_events::HostPolicy;
use hostler_localstack::Cloud;
use hostler_runtime::ports::{Clock as _, EventStore};
use hostler_runtime::state::history::Fold;
use hostler_runtime::state::shell::{Cause, Outcome, Shell};
use hostler_testkit::memory::MemoryStore;
use hostler_testkit::{SeededIds, TestClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

const COMMITS: usize = 100_000;
const EVERY: SignedDuration = SignedDuration::from_secs(30);
/// How many commits are written at a time.
const AT_A_TIME: usize = 16;
/// How often each is measured.
const ROUNDS: usize = 20;

#[tokio::main]
async fn main() {
    let stream = StreamId::new("host", "r01-h01").unwrap();
    let (memory, clock) = (MemoryStore::default(), TestClock::default());
    label_all(&shell(&memory, &clock), &stream, &clock).await;
    let first = memory.read(&stream, StreamVersion(1), 1).await.unwrap()[0].recorded_at;

    let store = table().await;
    let commits = memory.commits(&stream);
    let begun = Instant::now();
    let writes = futures::stream::iter(&commits).for_each_concurrent(AT_A_TIME, async |commit| {
        store.append(commit).await.unwrap();
    });
    writes.await;
    println!("{COMMITS} commits written in {:.0?}", begun.elapsed());

    let shell = shell(&store, &clock);
    let mut figures = Figures::here();
    let mut tell = |what: &str, times: Vec<f64>| {
        let milliseconds = median(times) * 1e3;
        figures.row(what, format!("{milliseconds:.1} ms"), "");
    };
    tell(
        "the host is loaded",
        times(|_| async { shell.load::<HostDecider>(&stream).await.unwrap().version.0 > 0 }).await,
    );
    for (what, age) in [
        ("a label", SignedDuration::ZERO),
        ("a label that waited an hour", SignedDuration::from_hours(1)),
        ("a label that waited ten days", SignedDuration::from_hours(240)),
    ] {
        let labelled = times(|round| {
            let cause = cause(&format!("{}-{round}", age.as_hours()), clock.now() - age);
            let (shell, stream) = (&shell, &stream);
            async move {
                let done = shell.execute::<HostDecider>(stream, &cause, &label(round)).await.unwrap();
                matches!(done.outcome, Outcome::Committed)
            }
        });
        tell(what, labelled.await);
    }
    let repeated = times(|_| {
        let cause = cause("label-1", first);
        let (shell, stream) = (&shell, &stream);
        async move {
            let done = shell.execute::<HostDecider>(stream, &cause, &label(1)).await.unwrap();
            matches!(done.outcome, Outcome::Repeated)
        }
    });
    tell("a repeat of the first label", repeated.await);
    figures.save("long-stream");
}

/// How long each round took; each says whether it did what it should.
async fn times<F: Future<Output = bool>>(mut work: impl FnMut(usize) -> F) -> Vec<f64> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let begun = Instant::now();
        assert!(work(round).await, "it does what it should");
        times.push(begun.elapsed().as_secs_f64());
    }
    times
}

fn shell(store: &(impl EventStore + Clone + 'static), clock: &TestClock) -> Shell {
    Shell::new(Arc::new(store.clone()), Arc::new(clock.clone()), Arc::new(SeededIds::default()), "bench")
}

fn cause(id: &str, since: Timestamp) -> Cause {
    Cause {
        id: CausationId::new(id).unwrap(),
        since,
        correlation_id: CorrelationId(Uuid::nil()),
        trace_context: None,
        hops: 0,
        actor: Actor("bench".to_owned()),
    }
}

fn label(number: usize) -> HostInput {
    let command = json!({ "host": "r01-h01", "set": { "seen": number.to_string() } });
    HostInput::Label { command: serde_json::from_value(command).unwrap() }
}

/// Enrols a host and labels it, as the shell writes it.
async fn label_all(shell: &Shell, stream: &StreamId, clock: &TestClock) {
    let command = json!({
        "host": "r01-h01", "pool": "web", "sku": "c1", "faultDomain": "r01",
        "bmc": { "systemUrl": "https://bmc.example/redfish/v1/Systems/1" },
    });
    let enrol =
        HostInput::Enrol { command: serde_json::from_value(command).unwrap(), policy: HostPolicy::default() };
    let mut fold = Fold::<HostDecider>::default();
    for number in 0..COMMITS {
        let input = if number == 0 { enrol.clone() } else { label(number) };
        let cause = cause(&format!("label-{number}"), clock.now());
        fold = shell.execute_from(stream, fold, &cause, &input).await.unwrap().fold;
        clock.set(clock.now() + EVERY);
    }
}

/// An events table of its own on the endpoint.
async fn table() -> DynamoEventStore {
    let config = Cloud::shared_services().await.unwrap().new_account().sdk_config();
    let client = aws_sdk_dynamodb::Client::new(&config);
    let attribute = |name: &str, kind: ScalarAttributeType| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let element =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let create = client
        .create_table()
        .table_name("events")
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(tables::events::STREAM, S))
        .attribute_definitions(attribute(tables::events::VERSION, N))
        .key_schema(element(tables::events::STREAM, KeyType::Hash))
        .key_schema(element(tables::events::VERSION, KeyType::Range));
    create.send().await.unwrap();
    DynamoEventStore::new(client, "events")
}
