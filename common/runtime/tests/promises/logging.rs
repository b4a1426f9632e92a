//! The log: what is written while a message is handled can be found by the message.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::operations::telemetry;
use hostler_runtime::ports::{Outbound, Queues};
use hostler_testkit::memory::{MemoryQueues, deliver};
use hostler_testkit::{SeededIds, TestClock, sample};
use serde_json::{Value, json};

/// What is logged while a message is handled.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Complaining;

#[async_trait]
impl Handler for Complaining {
    async fn handle(&self, _: &Incoming) -> Result<(), Failure> {
        tracing::warn!("this is odd");
        Ok(())
    }
}

#[tokio::test]
async fn what_is_logged_while_a_message_is_handled_names_the_message() {
    let (clock, lines) = (TestClock::default(), Lines::default());
    let queues = MemoryQueues::new(&clock, ["orders"]);
    let (sending, ids) = (Arc::new(queues.clone()), Arc::new(SeededIds::default()));
    let batch = Batch::new("handle-orders", "orders", sending, Arc::new(clock), ids);
    let event = sample::envelope("order#1", "order.placed", json!({}));
    let body = serde_json::to_string(&event).unwrap();
    assert!(queues.send("orders", &[Outbound { body, ..Outbound::default() }]).await[0].is_ok());
    let writer = lines.clone();
    let subscriber = telemetry::subscriber("info".parse().unwrap(), move || writer.clone());
    let logging = tracing::subscriber::set_default(subscriber);
    deliver(&queues, "orders", &batch, &Complaining, Duration::from_secs(30)).await;
    drop(logging);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line: Value = text.lines().map(|line| serde_json::from_str(line).unwrap()).next().unwrap();
    let span = &line["spans"][0];
    assert_eq!(
        (&line["message"], &span["message_type"]),
        (&json!("this is odd"), &json!("order.placed")),
        "{text}"
    );
    let correlation = event.header.correlation_id.to_string();
    assert_eq!(
        (&span["correlation_id"], span["message_id"].is_string()),
        (&json!(correlation), true),
        "{text}"
    );
}
