//! The queues on SQS.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use futures::StreamExt;
use hostler_runtime::operations::flow::Depths;
use hostler_runtime::ports::{EntryFailure, EntryResults, Outbound, Queues, message_bytes_max};
use hostler_runtime::state::pack::pack;

use crate::bus::no_answer;
use crate::error::{AwsError, Class};

/// A SendMessageBatch call takes ten messages.
const MESSAGES_MAX: usize = 10;
/// A SendMessageBatch call takes 256 KB on every endpoint; a message that is larger goes alone.
const CALL_BYTES_MAX: usize = 262_144;
/// A message takes ten attributes.
const ATTRIBUTES_MAX: usize = 10;
/// A message is delayed by 15 minutes at most.
const DELAY_SECONDS_MAX: u16 = 900;
/// A message is invisible for 12 hours at most, counted from its receive: an invocation's 15 minutes are left out.
const VISIBILITY_SECONDS_MAX: u32 = 43_200 - 900;
/// The longest wait of one receive; the SDK's own time-out of an attempt lies above it.
const WAIT_SECONDS_MAX: u16 = 3;
/// How many calls are on their way at a time.
const CALLS_AT_A_TIME: usize = 4;
/// The data type of text attributes.
const TEXT: &str = "String";

/// SQS queues by their logical names.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Client,
    urls: BTreeMap<String, String>,
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// SQS's name for it.
    pub message_id: String,
    /// The body.
    pub body: String,
    /// Text attributes beside the body.
    pub attributes: BTreeMap<String, String>,
    /// What it takes to delete it or change its visibility.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

impl SqsQueues {
    /// These queues: URLs by logical names.
    #[must_use]
    pub fn new(client: Client, urls: BTreeMap<String, String>) -> Self {
        Self { client, urls }
    }

    /// Opens the connection by a call that sends nothing; whether that works does not matter.
    pub async fn warm(&self) {
        if let Some(url) = self.urls.values().next() {
            let _ =
                self.client.send_message_batch().queue_url(url).set_entries(Some(Vec::new())).send().await;
        }
    }

    /// Receives up to `max` messages (ten at most), waiting up to `wait_seconds` (three at most) for the first.
    /// For operators' tools; functions are handed their messages.
    ///
    /// # Errors
    /// [`EntryFailure`] as with [`Queues::change_visibility`].
    pub async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait_seconds: u16,
    ) -> Result<Vec<Received>, EntryFailure> {
        let output = self
            .client
            .receive_message()
            .queue_url(self.url(queue)?)
            .max_number_of_messages(i32::try_from(max.clamp(1, MESSAGES_MAX)).unwrap_or(1))
            .wait_time_seconds(i32::from(wait_seconds.min(WAIT_SECONDS_MAX)))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| failure("sqs:ReceiveMessage", queue, error))?;
        Ok(output.messages.unwrap_or_default().into_iter().map(received).collect())
    }

    /// Deletes a message that was received.
    ///
    /// # Errors
    /// [`EntryFailure`] as with [`Queues::change_visibility`].
    pub async fn delete(&self, queue: &str, receipt: &str) -> Result<(), EntryFailure> {
        let call = self.client.delete_message().queue_url(self.url(queue)?).receipt_handle(receipt);
        call.send().await.map_err(|error| failure("sqs:DeleteMessage", queue, error))?;
        Ok(())
    }

    fn url(&self, queue: &str) -> Result<&str, EntryFailure> {
        self.urls.get(queue).map(String::as_str).ok_or_else(|| EntryFailure {
            retryable: false,
            code: "UnknownQueue".to_owned(),
            message: format!(
                "this function knows no queue called {queue:?}: add it to QUEUE_URLS in template.yaml, with the permission to send to it"
            ),
        })
    }

    async fn send_run(
        &self,
        queue: &str,
        url: &str,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> EntryResults {
        let call = self.client.send_message_batch().queue_url(url).set_entries(Some(entries.clone()));
        let output = match call.send().await {
            Ok(output) => output,
            Err(error) => {
                let error = AwsError::new("sqs:SendMessage", format!("queue {queue}"), error);
                // One message that breaks a rule fails the call: the others are not to suffer for it.
                if error.class() == Class::Invalid && entries.len() > 1 {
                    return self.send_one_by_one(queue, url, entries).await;
                }
                return vec![Err(EntryFailure::from(&error)); entries.len()];
            }
        };
        let mut answers: BTreeMap<&str, Result<(), EntryFailure>> = BTreeMap::new();
        answers.extend(output.successful().iter().map(|entry| (entry.id(), Ok(()))));
        answers.extend(output.failed().iter().map(|entry| {
            let failure = EntryFailure {
                retryable: !entry.sender_fault() || Class::of(entry.code(), None).retryable(),
                code: entry.code().to_owned(),
                message: entry.message().unwrap_or("no message").to_owned(),
            };
            (entry.id(), Err(failure))
        }));
        entries.iter().map(|entry| answers.remove(entry.id()).unwrap_or_else(|| Err(no_answer()))).collect()
    }

    async fn send_one_by_one(
        &self,
        queue: &str,
        url: &str,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> EntryResults {
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            results.extend(Box::pin(self.send_run(queue, url, vec![entry])).await);
        }
        results
    }
}

#[async_trait]
impl Queues for SqsQueues {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        let url = match self.url(queue) {
            Ok(url) => url,
            Err(failure) => return vec![Err(failure); messages.len()],
        };
        let mut results: EntryResults = vec![Ok(()); messages.len()];
        let (mut places, mut sizes, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for (place, message) in messages.iter().enumerate() {
            match entry(queue, place, message) {
                Ok(entry) => {
                    places.push(place);
                    sizes.push(message.bytes());
                    entries.push(entry);
                }
                Err(failure) => results[place] = Err(failure),
            }
        }
        let send = |run: Range<usize>| self.send_run(queue, url, entries[run].to_vec());
        let calls = futures::stream::iter(pack(&sizes, MESSAGES_MAX, CALL_BYTES_MAX)).map(send);
        let sent: Vec<EntryResults> = calls.buffered(CALLS_AT_A_TIME).collect().await;
        for (place, result) in places.into_iter().zip(sent.into_iter().flatten()) {
            results[place] = result;
        }
        results
    }

    async fn change_visibility(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure> {
        let seconds = i32::try_from(seconds.min(VISIBILITY_SECONDS_MAX)).unwrap_or(i32::MAX);
        let call = self.client.change_message_visibility().queue_url(self.url(queue)?);
        let call = call.receipt_handle(receipt).visibility_timeout(seconds);
        call.send().await.map_err(|error| failure("sqs:ChangeMessageVisibility", queue, error))?;
        Ok(())
    }
}

#[async_trait]
impl Depths for SqsQueues {
    async fn waiting(&self, queue: &str) -> Result<u64, EntryFailure> {
        let wanted = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.client.get_queue_attributes().queue_url(self.url(queue)?);
        let asked = call.attribute_names(wanted.clone()).send().await;
        let asked = asked.map_err(|error| failure("sqs:GetQueueAttributes", queue, error))?;
        let count = asked.attributes().and_then(|all| all.get(&wanted)).and_then(|text| text.parse().ok());
        count.ok_or_else(|| EntryFailure {
            retryable: true,
            code: "NoAnswer".to_owned(),
            message: format!("{queue} did not say how many messages wait"),
        })
    }
}

/// The entry of a message, unless the message breaks a rule that SQS would fail it for.
fn entry(
    queue: &str,
    place: usize,
    message: &Outbound,
) -> Result<SendMessageBatchRequestEntry, EntryFailure> {
    let refuse =
        |code: &str, message: String| Err(EntryFailure { retryable: false, code: code.to_owned(), message });
    let (bytes, bytes_max) = (message.bytes(), message_bytes_max(queue));
    if bytes > bytes_max {
        return refuse(
            "MessageTooLarge",
            format!(
                "the message is {bytes} bytes, and the limit of {queue} is {bytes_max}: send a reference to the bulk"
            ),
        );
    }
    if message.delay_seconds > DELAY_SECONDS_MAX {
        let asked = message.delay_seconds;
        return refuse(
            "DelayTooLong",
            format!(
                "a delay of {asked} s was asked for, and the limit is {DELAY_SECONDS_MAX} s: use a timer"
            ),
        );
    }
    if message.attributes.len() > ATTRIBUTES_MAX {
        let count = message.attributes.len();
        return refuse(
            "TooManyAttributes",
            format!("the message has {count} attributes, and the limit is {ATTRIBUTES_MAX}"),
        );
    }
    let mut builder = SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        .message_body(escape_noncharacters(&message.body))
        .delay_seconds(i32::from(message.delay_seconds));
    for (name, text) in &message.attributes {
        let value = MessageAttributeValue::builder().data_type(TEXT).string_value(printable(text)).build();
        let value = value.map_err(|error| invalid(&error))?;
        builder = builder.message_attributes(name, value);
    }
    builder.build().map_err(|error| invalid(&error))
}

fn invalid(error: &dyn std::error::Error) -> EntryFailure {
    EntryFailure { retryable: false, code: "InvalidRequest".to_owned(), message: error.to_string() }
}

/// SQS refuses U+FFFE and U+FFFF, which JSON allows in its strings as they are; escaped they mean the same.
fn escape_noncharacters(json: &str) -> String {
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// Attributes are for people: a control character from some error message must not have SQS refuse the whole.
fn printable(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}

fn received(message: aws_sdk_sqs::types::Message) -> Received {
    let count = message
        .attributes()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount))
        .and_then(|count| count.parse().ok());
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    Received {
        message_id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        attributes: attributes.filter_map(|(name, value)| Some((name, value.string_value?))).collect(),
        receipt: message.receipt_handle.unwrap_or_default(),
        receive_count: count.unwrap_or(1),
    }
}

fn failure<E>(action: &'static str, queue: &str, error: aws_sdk_sqs::error::SdkError<E>) -> EntryFailure
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    EntryFailure::from(&AwsError::new(action, format!("queue {queue}"), error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use hostler_runtime::ports::{DEAD_LETTER_BYTES_MAX, MESSAGE_BYTES_MAX};

    use super::*;

    #[test]
    fn characters_that_sqs_refuses_are_kept_out() {
        assert_eq!(printable("a\u{1b}[31mb\u{0}\n"), "a\u{fffd}[31mb\u{fffd}\n");
        let body = serde_json::to_string("x\u{ffff}\u{fffe}").unwrap();
        let escaped = escape_noncharacters(&body);
        assert_eq!(escaped, "\"x\\uffff\\ufffe\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), "x\u{ffff}\u{fffe}");
    }

    #[test]
    fn what_sqs_would_refuse_is_refused_with_its_limit() {
        let error = |message: Outbound| entry("orders", 0, &message).unwrap_err();
        let sized = |bytes| Outbound { body: "x".repeat(bytes), ..Outbound::default() };
        let large = error(sized(MESSAGE_BYTES_MAX + 1));
        assert!(!large.retryable && large.message.contains("262144"), "{large}");
        assert!(entry("orders-dlq", 0, &sized(DEAD_LETTER_BYTES_MAX)).is_ok());
        let large = entry("orders-dlq", 0, &sized(DEAD_LETTER_BYTES_MAX + 1)).unwrap_err();
        assert!(!large.retryable && large.message.contains("1048576"), "{large}");
        let late = error(Outbound { body: "{}".to_owned(), delay_seconds: 901, ..Outbound::default() });
        assert!(late.message.contains("901"), "{late}");
    }
}
