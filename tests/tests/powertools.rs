//! Rust functions and functions with Powertools for AWS Lambda share one table of leases: the real Python package, on the
//! local cloud.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use hostler_aws::process::{SystemClock, UuidV7};
use hostler_aws::{DynamoLeases, tables};
use hostler_localstack::{Account, Cloud, Progress, ensure_environment};
use hostler_runtime::effects::once::powertools_key;
use hostler_runtime::effects::once::{NotTried, Once, OnceError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

const TABLE: &str = "idempotency";
const LOCK_FILE: &str = include_str!("../python/requirements.txt");

/// A table, and both sides of it.
struct Fixture {
    account: Account,
    once: Once,
}

impl Fixture {
    async fn new() -> Self {
        let account = Cloud::shared().await.unwrap().new_account();
        let config = account.sdk_config();
        create_table(&config).await;
        let leases = DynamoLeases::new(aws_sdk_dynamodb::Client::new(&config), TABLE);
        Self { account, once: Once::new(Arc::new(leases), Arc::new(SystemClock), Arc::new(UuidV7)) }
    }

    /// Charges an order in Rust.
    async fn rust(&self, order: &str, amount: impl Into<Value>) -> Result<Value, OnceError<()>> {
        let amount = amount.into();
        let charge = async |_| Ok(json!({ "charged": amount, "by": "rust" }));
        self.once.run(&key(order), &amount, charge).await
    }

    /// Starts Python on an order.
    async fn start_python(&self, request: Value) -> Child {
        let python = ensure_environment(LOCK_FILE, &Progress::default()).await.unwrap();
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/powertools.py"))
            .env("AWS_ACCESS_KEY_ID", self.account.id())
            .env("AWS_SECRET_ACCESS_KEY", self.account.secret())
            .env("AWS_REGION", self.account.region())
            .env("AWS_DEFAULT_REGION", self.account.region())
            .env("AWS_ENDPOINT_URL", self.account.endpoint())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).await.unwrap();
        child
    }

    /// Charges an order in Python.
    async fn python(&self, order: &str, amount: impl Into<Value>) -> Value {
        let child = self.start_python(request(order, amount)).await;
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn request(order: &str, amount: impl Into<Value>) -> Value {
    let amount = amount.into();
    json!({ "table": TABLE, "order": { "id": order, "amount": amount }, "remaining_ms": 30_000 })
}

fn key(order: &str) -> String {
    powertools_key("orders", &json!(order))
}

async fn create_table(config: &SdkConfig) {
    let id = tables::idempotency::ID;
    let kind = ScalarAttributeType::S;
    let client = aws_sdk_dynamodb::Client::new(config);
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(
            AttributeDefinition::builder().attribute_name(id).attribute_type(kind).build().unwrap(),
        )
        .key_schema(KeySchemaElement::builder().attribute_name(id).key_type(KeyType::Hash).build().unwrap())
        .send()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_replays_what_the_other_has_completed() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.python("o-1", 42).await,
        json!({ "result": { "charged": 42, "by": "python" }, "ran": true })
    );
    assert_eq!(fixture.rust("o-1", 42).await.unwrap(), json!({ "charged": 42, "by": "python" }));

    assert_eq!(fixture.rust("o-2", 7).await.unwrap()["by"], "rust");
    assert_eq!(
        fixture.python("o-2", 7).await,
        json!({ "result": { "charged": 7, "by": "rust" }, "ran": false })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_characters_and_small_numbers_are_the_same_to_both() {
    let fixture = Fixture::new().await;
    let amounts = [json!(1e-7), json!(1e16), json!(0.1 + 0.2), json!(-2.5e-10), json!("\u{7f}\u{1f}é")];
    for (number, amount) in amounts.into_iter().enumerate() {
        let order = format!("o-\u{7f}-{number}");
        let charged = json!({ "charged": amount, "by": "python" });
        assert_eq!(fixture.python(&order, amount.clone()).await, json!({ "result": charged, "ran": true }));
        assert_eq!(fixture.rust(&order, amount).await.unwrap(), charged, "the result of the other is given");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refuses_another_payload_under_a_key_of_the_other() {
    let fixture = Fixture::new().await;
    fixture.python("o-1", 42).await;
    let refused = fixture.rust("o-1", 43).await;
    assert!(matches!(refused, Err(OnceError::NotTried(NotTried::PayloadMismatch { .. }))), "{refused:?}");

    fixture.rust("o-2", 7).await.unwrap();
    assert_eq!(fixture.python("o-2", 8).await, json!({ "error": "IdempotencyValidationError" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_respects_a_lease_of_python_and_takes_over_when_it_ran_out() {
    let fixture = Fixture::new().await;
    let mut held = request("o-1", 42);
    (held["remaining_ms"], held["hold_seconds"]) = (json!(3_000), json!(60));
    let mut python = fixture.start_python(held).await;
    let mut line = String::new();
    BufReader::new(python.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
    assert_eq!(line.trim(), "holding");
    let busy = fixture.rust("o-1", 42).await;
    let Err(OnceError::NotTried(NotTried::InProgress { again_in, .. })) = busy else { panic!("{busy:?}") };
    assert!(again_in <= Duration::from_secs(4), "{again_in:?}");
    // Its process dies in the middle of its work, and nobody gives the lease back.
    python.kill().await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(fixture.rust("o-1", 42).await.unwrap()["by"], "rust");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_respects_a_lease_of_rust() {
    let fixture = Fixture::new().await;
    let charge = async |_| {
        let meanwhile = fixture.python("o-1", 42).await;
        assert_eq!(meanwhile, json!({ "error": "IdempotencyAlreadyInProgressError" }));
        Ok::<_, ()>(json!({ "charged": 42, "by": "rust" }))
    };
    fixture.once.run(&key("o-1"), &json!(42), charge).await.unwrap();
    assert_eq!(fixture.python("o-1", 42).await["result"]["by"], "rust");
}
