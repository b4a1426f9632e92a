//! The start of every function as it is deployed, against a mock of the Runtime API and of AWS: time and processor time
//! until it asks for work, time until the first message is answered, memory, and the size of its archive. Beside
//! them the same kind of function in Python and in Node, installed from their registries.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a benchmark fails")]

mod archive;
mod mock;
mod others;
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hostler_bench::{Figures, median};
use hostler_localstack::{Build, Progress, build_functions};

use mock::Mock;
use process::{Program, Started};

/// How often each program is started.
const STARTS: usize = 10;

/// The message that each function is handed first, of `events/samples/lambda/`.
const FIRST: [(&str, &str); 19] = [
    ("accept-commands", "accept-commands.http.json"),
    ("answer-queries", "answer-queries.http.json"),
    ("assess-hosts", "assess-hosts.prioritise-advisory.sqs.json"),
    ("configure-host", "configure-host.apply-role.sqs.json"),
    ("deploy-host", "deploy-host.finish-deploy.sqs.json"),
    ("fire-timers", "fire-timers.sqs.json"),
    ("ingest-signals", "ingest-signals.take-signals.sqs.json"),
    ("monitor-host", "monitor-host.register-monitoring.sqs.json"),
    ("patch-host", "patch-host.change-packages.sqs.json"),
    ("project-views", "project-views.sqs.json"),
    ("recover-hosts", "recover-hosts.report-signal.sqs.json"),
    ("relay-outbox", "relay-outbox.stream.json"),
    ("restart-service", "restart-service.restart-service.sqs.json"),
    ("run-sagas", "run-sagas.start-saga.sqs.json"),
    ("scale-pools", "scale-pools.look-at-pool.sqs.json"),
    ("patch-fleet", "patch-fleet.look-at-campaign.sqs.json"),
    ("shift-traffic", "shift-traffic.join-traffic.sqs.json"),
    ("triage-failures", "triage-failures.dead-letter.sqs.json"),
    ("watch-flow", "watch-flow.schedule.json"),
    ("watch-inventory", "watch-inventory.hear-source.sqs.json"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[tokio::main]
async fn main() {
    let mut figures = Figures::here();
    let mock = Mock::start().await;
    let binaries = build_functions(&root(), Build::Release, &Progress::default()).await.unwrap();
    for (name, first) in FIRST {
        let event = std::fs::read_to_string(root().join("events/samples/lambda").join(first)).unwrap();
        let program = Program::binary(&binaries[name]);
        let starts = starts(&mock, &program, &event).await;
        let archive = archive::bytes(&binaries[name]);
        tell(&mut figures, name, &starts, archive);
    }
    let event = std::fs::read_to_string(root().join("events/samples/lambda/fire-timers.sqs.json")).unwrap();
    for other in others::install().await {
        let starts = starts(&mock, &other.program, &event).await;
        tell(&mut figures, other.name, &starts, other.bytes);
    }
    figures.save("cold-start");
}

async fn starts(mock: &Mock, program: &Program, event: &str) -> Vec<Started> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(process::start(mock, program, event).await);
    }
    starts
}

fn tell(figures: &mut Figures, name: &str, starts: &[Started], archive: u64) {
    let middle = |of: fn(&Started) -> f64| median(starts.iter().map(of));
    let megabytes = archive as f64 / 1e6;
    let line = format!(
        "{:.0} ms, {:.1} ms of processor, {:.0} ms, {:.1} MB",
        middle(|s| s.ready_ms),
        middle(|s| s.init_cpu_ms),
        middle(|s| s.answered_ms),
        middle(|s| s.memory_mb),
    );
    figures.row(name, line, format!("archive {megabytes:.2} MB"));
    for (curve, value) in [
        ("ready", middle(|s| s.ready_ms)),
        ("cpu", middle(|s| s.init_cpu_ms)),
        ("answered", middle(|s| s.answered_ms)),
        ("memory", middle(|s| s.memory_mb)),
        ("archive", megabytes),
    ] {
        figures.value(format!("{name}/{curve}"), value);
    }
}

/// What all programs are told of where things are.
fn environment(mock: &Mock) -> BTreeMap<String, String> {
    let queues = [
        "commands",
        "run-sagas",
        "deploy-host",
        "configure-host",
        "monitor-host",
        "restart-service",
        "shift-traffic",
        "signals",
        "recover-hosts",
        "scale-pools",
        "patch-fleet",
        "timers",
        "project-views",
        "failures",
        "relay-outbox",
    ];
    let resource = |queue: &str| -> String {
        queue.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    };
    let url = |name: String| format!("{}/123456789012/hostler-{name}-AbCdEfGhIjKl", mock.url());
    let urls: BTreeMap<String, String> = queues
        .iter()
        .flat_map(|queue| {
            let resource = resource(queue);
            [
                ((*queue).to_owned(), url(format!("{resource}Queue"))),
                (format!("{queue}-dlq"), url(format!("{resource}Dlq"))),
            ]
        })
        .collect();
    let mappings: BTreeMap<&str, &str> = [("deploy-host", "mapping-1")].into();
    [
        ("AWS_LAMBDA_RUNTIME_API", mock.address()),
        ("AWS_ENDPOINT_URL", mock.url()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", "measured".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log".to_owned()),
        ("EVENTS_TABLE", "events".to_owned()),
        ("VIEWS_TABLE", "views".to_owned()),
        ("CONTROL_TABLE", "control".to_owned()),
        ("IDEMPOTENCY_TABLE", "idempotency".to_owned()),
        ("EVENT_BUS", "bus".to_owned()),
        ("QUEUE_URLS", serde_json::to_string(&urls).unwrap()),
        ("MAPPINGS", serde_json::to_string(&mappings).unwrap()),
        ("CONSUMERS_MAX", "600".to_owned()),
        ("CALLBACK_KEY", "0123456789abcdef0123456789abcdef".to_owned()),
        ("CALLBACK_URL", "http://callback.invalid".to_owned()),
        ("SIGNAL_TOKEN", "0123456789abcdef0123456789abcdef".to_owned()),
        ("BMC_USERNAME", "admin".to_owned()),
        ("BMC_PASSWORD", "password".to_owned()),
        ("IMAGE_URL", "http://images.invalid".to_owned()),
        ("CLEANING_IMAGE", "cleaner".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
