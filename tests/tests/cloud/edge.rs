//! A deployed application to test on, whatever it does: a client of its API, and what tests wait for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use hostler_localstack::{HttpApi, Stack};
use serde_json::Value;

/// The longest that anything on the local cloud is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A deployed application.
pub struct Edge {
    pub stack: Stack,
    pub api: HttpApi,
    client: reqwest::Client,
    /// What is told when something is waited for in vain, such as `/hosts`.
    views: &'static [&'static str],
}

impl Edge {
    pub fn of(stack: &Stack, views: &'static [&'static str]) -> Self {
        let api = stack.http().unwrap();
        Self { stack: stack.clone(), api, client: reqwest::Client::new(), views }
    }

    /// Sends a command; says the status and the answer.
    pub async fn command(&self, kind: &str, body: &Value) -> (u16, Value) {
        self.post(&format!("/commands/{kind}"), &body.to_string()).await
    }

    pub async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self.api.request(&self.client, reqwest::Method::POST, path);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn post_with(&self, path: &str, header: &str, value: &str, body: &Value) -> (u16, Value) {
        let request = self.api.request(&self.client, reqwest::Method::POST, path).header(header, value);
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.api.request(&self.client, reqwest::Method::GET, path).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Sends a command that must be taken.
    pub async fn accepted(&self, kind: &str, body: &Value) -> Value {
        let (status, answer) = self.command(kind, body).await;
        assert_eq!(status, 202, "{kind}: {answer}");
        answer
    }

    pub async fn rows(&self, path: &str) -> Vec<Value> {
        let (status, answer) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer["rows"].as_array().cloned().unwrap_or_default()
    }

    /// Calls back as an outsider who knows nothing but the URL that it was given.
    pub async fn call_back(&self, url: &str, body: &Value) -> (u16, Value) {
        let route = self.stack.callback_route();
        let answer = self.client.post(route.resolve(url).0).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub fn queue_urls(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.stack.outputs["QueueUrls"]).unwrap()
    }

    /// Waits until no queue but the timers' holds anything: void timers may still be on their way. A message whose function was ended
    /// in its midst is hidden for as long as its queue says, which is up to six minutes.
    pub async fn at_rest(&self) {
        let sqs = aws_sdk_sqs::Client::new(&self.stack.account.sdk_config());
        let urls = self.queue_urls();
        self.until_within(Duration::from_secs(400), "the queues are empty", async || {
            for (name, url) in &urls {
                if name == "timers" || name.ends_with("-dlq") {
                    continue;
                }
                let answer =
                    sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
                let attributes = answer.send().await.unwrap().attributes.unwrap();
                let waiting = [
                    QueueAttributeName::ApproximateNumberOfMessages,
                    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                ];
                if waiting.iter().any(|name| attributes[name] != "0") {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Asks again and again, and gives up with everything that is known.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        self.until_within(PATIENCE, what, ask).await
    }

    pub async fn until_within<T>(
        &self,
        patience: Duration,
        what: &str,
        ask: impl AsyncFn() -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = ask().await {
                eprintln!("{:>7.2?} until {what}", begun.elapsed());
                return found;
            }
            if begun.elapsed() > patience {
                let mut known = String::new();
                for view in self.views {
                    known += &format!("\n{view}: {:#?}", self.rows(view).await);
                }
                panic!("after {patience:?} still not: {what}{known}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
