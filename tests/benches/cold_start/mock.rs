//! A mock of Lambda's Runtime API, and of as much of AWS as answers a first message.
//!
//! One program is served at a time: it is handed one event, and then waits for ever.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

/// What a program did.
pub(crate) enum Said {
    /// It asks for work.
    Ready(Instant),
    /// It has answered.
    Answered(Instant),
    /// It could not.
    Failed(String),
}

struct Inner {
    said: mpsc::UnboundedSender<Said>,
    /// What is handed out next.
    event: Mutex<Option<String>>,
}

/// A running mock.
pub(crate) struct Mock {
    address: String,
    inner: Arc<Inner>,
    heard: Mutex<mpsc::UnboundedReceiver<Said>>,
}

impl Mock {
    /// Starts one on a free port of the loopback.
    pub(crate) async fn start() -> Self {
        let (said, heard) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner { said, event: Mutex::new(None) });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .fallback(aws)
            .with_state(inner.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, heard: Mutex::new(heard) }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets the last program, and lays out an event for the next one.
    pub(crate) async fn lay_out(&self, event: &str) {
        let mut heard = self.heard.lock().await;
        while heard.try_recv().is_ok() {}
        *self.inner.event.lock().await = Some(event.to_owned());
    }

    /// What the program does next.
    pub(crate) async fn hear(&self) -> Said {
        self.heard.lock().await.recv().await.unwrap()
    }
}

async fn next(State(inner): State<Arc<Inner>>) -> impl IntoResponse {
    let _ = inner.said.send(Said::Ready(Instant::now()));
    let Some(event) = inner.event.lock().await.take() else { return std::future::pending().await };
    let deadline =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() + 30_000;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:measured".to_owned(),
        ),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event)
}

async fn response(State(inner): State<Arc<Inner>>, Path(_): Path<String>) -> impl IntoResponse {
    let _ = inner.said.send(Said::Answered(Instant::now()));
    (axum::http::StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
}

async fn error(State(inner): State<Arc<Inner>>, Path(_): Path<String>, body: String) -> impl IntoResponse {
    let _ = inner.said.send(Said::Failed(body));
    (axum::http::StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
}

async fn init_error(State(inner): State<Arc<Inner>>, body: String) -> impl IntoResponse {
    let _ = inner.said.send(Said::Failed(body));
    (axum::http::StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
}

/// Answers every call as a service does that holds nothing and takes everything.
async fn aws(headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let entries = asked["Entries"].as_array().cloned().unwrap_or_default();
    let answer = match target.rsplit('.').next().unwrap_or_default() {
        "Query" => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
        "SendMessageBatch" => {
            let taken =
                |entry: &Value| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0" });
            json!({ "Successful": entries.iter().map(taken).collect::<Vec<_>>(), "Failed": [] })
        }
        "PutEvents" => {
            let taken = |_: &Value| json!({ "EventId": "e" });
            json!({ "FailedEntryCount": 0, "Entries": entries.iter().map(taken).collect::<Vec<_>>() })
        }
        "GetQueueAttributes" => json!({ "Attributes": {
            "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0" } }),
        _ => json!({}),
    };
    ([("content-type", "application/x-amz-json-1.0")], answer.to_string())
}
