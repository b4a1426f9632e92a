//! The whole on the local cloud: what each unit of work costs in calls and units, counted at the SDK of the real
//! functions, and how long it takes beside the endpoint's own floor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a panic is how a benchmark fails; the site is the tests'"
)]

#[path = "../../tests/cloud/edge.rs"]
mod edge;
#[path = "../../tests/cloud/ledger.rs"]
mod ledger;
#[path = "../../tests/cloud/world.rs"]
mod world;

mod floor;
mod metered;
mod states;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_app::Register;
use hostler_aws::{DynamoEventLog, EventBridgeBus, SqsQueues, SystemClock, commit_of_item};
use hostler_bench::{Figures, percentile};
use hostler_core::Commit;
use hostler_localstack::{Build, Cloud, FleetOptions, SiteOptions};
use hostler_runtime::operations::replay::{Replayer, Selection};
use serde_json::{Value, json};

use metered::Bill;
use world::{World, fleet};

/// How many sagas are counted.
const SAGAS: usize = 20;
/// How long a host boots: long enough for the function that booted it to have gone on, as it has when machines boot.
const BOOT_MS: u64 = 1_000;
/// How many of each other unit of work are counted.
const UNITS: usize = 20;
/// The steps of a provisioning saga: reserve, deploy, finish the deployment, apply the role, register.
const STEPS: usize = 5;
/// What the busiest of them may take on this machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() {
    // As they are deployed.
    let _ = world::BUILD.set(Build::Release);
    let mut figures = Figures::here();
    let file = std::env::temp_dir().join(format!("hostler-meter-{}.jsonl", std::process::id()));
    let world = site(&file).await;
    world.enrol_within(PATIENCE, "web").await;
    world.at_rest().await;

    println!("\n== Calls and units of each unit of work\n");
    let sagas = calls(&mut figures, &world, &file).await;
    println!("\n== Time on the local cloud\n");
    times(&mut figures, &world, &file, &sagas).await;
    states::measure(&mut figures, &world, SAGAS).await;
    figures.save("local");
    let _ = std::fs::remove_file(&file);
}

async fn site(file: &Path) -> World {
    let path = file.to_string_lossy().into_owned();
    let edit = Box::new(move |template: &mut Value| {
        template["Globals"]["Function"]["Environment"]["Variables"]["METER_FILE"] = json!(path);
    });
    let fleet = FleetOptions { boot_ms: BOOT_MS, ..fleet(2 * SAGAS) };
    let options = SiteOptions { fleet, edit: Some(edit), ..SiteOptions::default() };
    World::start_on(Cloud::shared().await.unwrap(), options).await
}

/// What functions did meanwhile.
async fn billed(world: &World, file: &Path, work: impl Future<Output = ()>) -> Bill {
    world.at_rest().await;
    let from = metered::lines(file);
    work.await;
    world.at_rest().await;
    // The last function to be done writes its line when it is done.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Bill::read(file, from)
}

/// Tells what each unit of work costs; gives what the sagas did.
async fn calls(figures: &mut Figures, world: &World, file: &Path) -> Bill {
    let accepted = billed(world, file, async {
        for number in 0..UNITS {
            let host = &world.site.fleet.hosts()[0].host_id;
            let label = json!({ "host": host, "set": { "bench": number.to_string() } });
            world.accepted("label-host", &label).await;
        }
    })
    .await;
    accepted.tell(figures, "command accepted (a label)", UNITS as f64);

    let sagas = billed(world, file, async {
        world.request("counted", "web", SAGAS as u32).await;
        let ended = world.settled_within(PATIENCE, "counted", SAGAS).await;
        assert!(ended.iter().all(|saga| saga["status"] == "completed"), "{ended:#?}");
    })
    .await;
    sagas.tell(figures, "provisioning saga", SAGAS as f64);
    sagas.tell(figures, "saga step", (SAGAS * STEPS) as f64);
    sagas.by_function(figures, SAGAS as f64);

    let repeated = billed(world, file, async { republish(world).await }).await;
    let messages = messages(world).await;
    repeated.tell(figures, "duplicate message", messages as f64);

    let queues = world.queue_urls();
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let failed = billed(world, file, async {
        for number in 0..UNITS {
            let body = format!("no message {number}");
            sqs.send_message().queue_url(&queues["deploy-host"]).message_body(body).send().await.unwrap();
        }
        world
            .until("all failures are recorded", async || {
                (world.rows("/failures").await.len() >= UNITS).then_some(())
            })
            .await;
    })
    .await;
    failed.tell(figures, "failure, until it is quarantined", UNITS as f64);
    sagas
}

/// All commits of the event store.
async fn commits(world: &World) -> Vec<Commit> {
    let client = aws_sdk_dynamodb::Client::new(&world.site.account.sdk_config());
    let table = &world.site.stack.outputs["EventsTable"];
    let items: Vec<_> = client
        .scan()
        .table_name(table)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .unwrap();
    items.into_iter().map(|item| commit_of_item(item).unwrap()).collect()
}

/// Says everything again: each consumer gets each of its messages a second time.
async fn republish(world: &World) {
    let config = world.site.account.sdk_config();
    let outputs = &world.site.stack.outputs;
    let log = DynamoEventLog::new(aws_sdk_dynamodb::Client::new(&config), &outputs["EventsTable"]);
    let queues = SqsQueues::new(aws_sdk_sqs::Client::new(&config), world.queue_urls());
    let bus = EventBridgeBus::new(aws_sdk_eventbridge::Client::new(&config), &outputs["EventBus"]);
    let relay = Register::relay(Arc::new(bus), Arc::new(queues), Arc::new(SystemClock));
    let replayer = Replayer::new(Arc::new(log), Arc::new(SystemClock), 200);
    replayer.republish(&Selection::default(), &relay.signed_by(World::integrity()), |_| ()).await.unwrap();
}

/// How many messages a republishing comes to: each event on the bus, a change notice for each commit, and each command.
async fn messages(world: &World) -> usize {
    commits(world).await.iter().map(|commit| commit.events.len() + commit.commands.len() + 1).sum()
}

async fn times(figures: &mut Figures, world: &World, file: &Path, counted: &Bill) {
    let bill = billed(world, file, async {
        world.request("timed", "web", SAGAS as u32).await;
        world.settled_within(PATIENCE, "timed", SAGAS).await;
    })
    .await;
    let commits = commits(world).await;
    let of = |stream: &str| {
        let moments = commits.iter().filter(|commit| commit.stream.as_str().starts_with(stream));
        moments.map(|commit| commit.recorded_at).max().unwrap()
    };
    let took = of("provisioning#timed.").duration_since(of("request#timed")).as_secs_f64();
    figures.row(
        "sagas a second, 20 at a time, hosts that boot in 1 s",
        format!("{:.1}", SAGAS as f64 / took),
        format!("{took:.2} s for all of them"),
    );
    figures.row(
        "of the functions' time, how much they wait for no call",
        format!("{:.0} %", bill.own() * 100.0),
        "without deploy-host, which waits for machines",
    );
    let mut waits = step_latencies(&commits, "timed");
    let count = waits.len();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let milliseconds = percentile(&mut waits, share) * 1e3;
        figures.row(
            format!("{name} from a command's commit to its answer's"),
            format!("{milliseconds:.0} ms"),
            format!("{count} steps"),
        );
    }
    let floor = floor::measure(figures, world, counted, SAGAS).await;
    figures.row("the sagas' time beside the floor's", format!("{:.1} ×", took / floor), "");
}

/// From the commit that sends a command to the commit that it causes, for each command of a request's sagas whose
/// step waits for nothing outside.
fn step_latencies(commits: &[Commit], request: &str) -> Vec<f64> {
    let saga = format!("provisioning#{request}");
    let mut sent = std::collections::BTreeMap::new();
    for commit in commits.iter().filter(|commit| commit.stream.as_str().starts_with(&saga)) {
        for command in &commit.commands {
            if ["apply-role", "register-monitoring"].contains(&command.command_type.as_str()) {
                sent.insert(command.command_id.to_string(), commit.recorded_at);
            }
        }
    }
    let answered = commits.iter().filter_map(|commit| {
        let begun = sent.get(commit.causation_id.as_str().split(':').next()?)?;
        Some(commit.recorded_at.duration_since(*begun).as_secs_f64())
    });
    answered.collect()
}
