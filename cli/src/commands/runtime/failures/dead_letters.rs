//! `failures dead-letters` and `failures redrive`: what lies in the dead-letter queues themselves.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, QueueAttributeName};
use clap::Args;
use futures::future::try_join_all;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_runtime::ports::{Outbound, message_bytes_max};
use serde::Serialize;

use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;
use crate::values::count as number;

/// How many messages are asked for at once; SQS gives no more.
const BATCH: i32 = 10;
/// For how long a message that was looked at is hidden from others.
const HIDDEN_SECONDS: i32 = 5;
/// How long the queue is asked before it counts as empty: with [`EMPTY_MAX`] longer than what was looked at is hidden.
const WAIT_SECONDS: i32 = 3;
/// For how long a message that is being moved is hidden from others.
const MOVING_SECONDS: i32 = 60;
/// How many empty answers in a row mean that there is nothing more to see.
const EMPTY_MAX: u32 = 2;

/// What `failures dead-letters` takes.
#[derive(Debug, Args)]
#[command(after_help = "Nothing is changed or removed; a message that was looked at is hidden for 5 s.\n\n\
    Example:\n  hostler failures dead-letters --queue failures --json")]
pub(crate) struct DeadLettersArgs {
    /// Only the dead letters of this queue
    #[arg(long)]
    queue: Option<String>,
    /// How many messages to show of each queue
    #[arg(long, default_value_t = 20, value_parser = number(1..=1_000_u16))]
    limit: u16,
}

/// What `failures redrive` takes.
#[derive(Debug, Args)]
pub(crate) struct RedriveArgs {
    /// The queue whose dead letters go back to it, such as failures
    queue: String,
    /// How many a second
    #[arg(long, default_value_t = 10, value_parser = number(1..=500_u32))]
    rate: u32,
    /// Count them, and move nothing
    #[arg(long)]
    dry_run: bool,
}

/// One dead letter.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter {
    queue: String,
    message_id: String,
    message_type: String,
    category: String,
    function: String,
    attempts: String,
    reason: String,
    body: String,
}

/// How many dead letters each queue has, by the queue's name.
///
/// # Errors
/// When the queues cannot be asked.
pub(crate) async fn counts(target: &Target) -> Result<BTreeMap<String, u64>, CliError> {
    let client = Client::new(&target.config);
    let queues = dead_letter_queues(target, None)?;
    let counted = queues.into_iter().map(|(name, url)| {
        let client = client.clone();
        async move { Ok::<_, CliError>((name.clone(), count(&client, &name, &url).await?)) }
    });
    Ok(try_join_all(counted).await?.into_iter().collect())
}

/// Lists them.
pub(super) async fn run(args: &DeadLettersArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let client = Client::new(&target.config);
    let mut letters = Vec::new();
    let mut total = 0;
    for (name, url) in dead_letter_queues(target, args.queue.as_deref())? {
        let count = count(&client, &name, &url).await?;
        total += count;
        if count > 0 {
            letters.extend(peek(&client, &name, &url, usize::from(args.limit)).await?);
        }
    }
    if out.json {
        return out.document(&letters);
    }
    if letters.is_empty() {
        return out.line("There are no dead letters.");
    }
    let mut rows = table::plain(["QUEUE", "MESSAGE", "CATEGORY", "TRIES", "REASON"]);
    for letter in &letters {
        rows.add_row([
            &letter.queue,
            &letter.message_type,
            &letter.category,
            &letter.attempts,
            &letter.reason,
        ]);
    }
    out.line(table::text(&rows))?;
    out.line(out.faint(format!("\n{} of about {total} shown; --json shows their bodies", letters.len())))
}

/// Moves what lies in a dead-letter queue back: by the queue's own task where the endpoint has it, else message by
/// message.
pub(super) async fn redrive(args: &RedriveArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let client = Client::new(&target.config);
    let mut queues = dead_letter_queues(target, Some(&args.queue))?;
    let Some((name, url)) = queues.pop_first() else { return out.line("There is no such queue.") };
    let origin = name.trim_end_matches("-dlq");
    let Some(to) = target.queues()?.remove(origin) else {
        return Err(CliError::Usage(format!(
            "{origin} is no queue, so nothing can go back to it: publish again with `hostler events republish`"
        )));
    };
    let there = count(&client, &name, &url).await?;
    if args.dry_run || there == 0 {
        let what = if there == 0 { "are there to be moved" } else { "would be moved" };
        return report(&name, &Moved { back: there, too_large: 0 }, what, out);
    }
    // On the failures' own dead-letter queue lies what is too large on purpose, and SQS's task would stop at it.
    let chosen = origin == FAILURES_QUEUE;
    if !chosen && let Some(task) = start_task(&client, &name, &url, &to, args.rate).await? {
        return match out.json {
            true => out.document(&serde_json::json!({ "queue": name, "about": there, "task": task })),
            false => out.line(format!("SQS moves about {there} messages of {name} back (task {task}).")),
        };
    }
    let most = (to.as_str(), message_bytes_max(origin), there);
    let moved = move_each(&client, (&name, &url), most, args.rate).await?;
    report(&name, &moved, "were moved back", out)
}

/// What became of the messages of a queue.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moved {
    back: u64,
    /// They stay where they are.
    too_large: u64,
}

fn report(name: &str, moved: &Moved, what: &str, out: Out) -> Result<(), CliError> {
    let Moved { back, too_large } = moved;
    if out.json {
        return out.document(&serde_json::json!({ "queue": name, "messages": back, "tooLarge": too_large }));
    }
    out.line(format!("{back} messages of {name} {what}."))?;
    if *too_large > 0 {
        out.line(format!(
            "{too_large} are too large for it and stay: `hostler failures list` has them; edit or discard those"
        ))?;
    }
    Ok(())
}

/// What of a message its queue takes.
#[derive(Debug, PartialEq, Eq)]
enum Fits {
    Whole,
    /// With what it tells of its failure it is too large. It fitted that queue without.
    Body,
    Not,
}

fn fits(message: &Message, bytes_max: usize) -> Fits {
    let text = |value: &MessageAttributeValue| value.string_value().unwrap_or_default().to_owned();
    let attributes = message.message_attributes().into_iter().flatten();
    let whole = Outbound {
        body: message.body().unwrap_or_default().to_owned(),
        delay_seconds: 0,
        attributes: attributes.map(|(name, value)| (name.clone(), text(value))).collect(),
    };
    match (whole.bytes() <= bytes_max, whole.body.len() <= bytes_max) {
        (true, _) => Fits::Whole,
        (false, true) => Fits::Body,
        (false, false) => Fits::Not,
    }
}

/// Starts SQS's own task; none where the endpoint does not know the call.
async fn start_task(
    client: &Client,
    name: &str,
    from: &str,
    to: &str,
    rate: u32,
) -> Result<Option<String>, CliError> {
    let (source, target) = (arn(client, name, from).await?, arn(client, name, to).await?);
    let started = client
        .start_message_move_task()
        .source_arn(source)
        .destination_arn(target)
        .max_number_of_messages_per_second(i32::try_from(rate).unwrap_or(i32::MAX))
        .send()
        .await;
    match started {
        Ok(started) => Ok(started.task_handle),
        Err(error) if error.code().is_some_and(|code| UNKNOWN_ACTION.contains(&code)) => Ok(None),
        Err(error) => Err(CliError::aws(format!(
            "{name} cannot be moved: check the credentials' sqs:StartMessageMoveTask"
        ))(error)),
    }
}

/// What endpoints say of a call that they do not have.
const UNKNOWN_ACTION: [&str; 3] =
    ["InvalidAction", "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"];

async fn arn(client: &Client, name: &str, url: &str) -> Result<String, CliError> {
    let asked = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    let asked = asked.send().await.map_err(CliError::aws(format!(
        "the ARN of {name} cannot be read: check the credentials' sqs:GetQueueAttributes"
    )))?;
    let arn = asked.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn));
    Ok(arn.cloned().unwrap_or_default())
}

/// Receives, sends and deletes, one after another: one that dies in between is there twice, and never lost. What is too large
/// is passed over.
async fn move_each(
    client: &Client,
    (name, from): (&str, &str),
    (to, bytes_max, most): (&str, usize, u64),
    rate: u32,
) -> Result<Moved, CliError> {
    let failed = |what: &str| format!("{name} is not moved to its end: {what}, and start again");
    let pause = std::time::Duration::from_secs(1) / rate.max(1);
    let (mut moved, mut empty) = (Moved::default(), 0);
    // What is passed over can be seen again after a minute.
    let mut passed_over = BTreeSet::new();
    // No more than there were: what fails once more comes back, and would be moved for ever.
    while moved.back + moved.too_large < most && empty < EMPTY_MAX {
        let received = client
            .receive_message()
            .queue_url(from)
            .max_number_of_messages(BATCH)
            .visibility_timeout(MOVING_SECONDS)
            .wait_time_seconds(WAIT_SECONDS)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(CliError::aws(failed("check the credentials' sqs:ReceiveMessage")))?;
        let known = |message: &Message| passed_over.contains(message.message_id().unwrap_or_default());
        empty = if received.messages().iter().all(known) { empty + 1 } else { 0 };
        for message in received.messages() {
            let fits = fits(message, bytes_max);
            if fits == Fits::Not {
                let new = passed_over.insert(message.message_id().unwrap_or_default().to_owned());
                moved.too_large += u64::from(new);
                continue;
            }
            let send = client.send_message().queue_url(to).message_body(message.body().unwrap_or_default());
            let attributes = message.message_attributes.clone().filter(|_| fits == Fits::Whole);
            let send = send.set_message_attributes(attributes);
            send.send().await.map_err(CliError::aws(failed("check the credentials' sqs:SendMessage")))?;
            let receipt = message.receipt_handle().unwrap_or_default();
            let delete = client.delete_message().queue_url(from).receipt_handle(receipt);
            delete.send().await.map_err(CliError::aws(failed("check the credentials' sqs:DeleteMessage")))?;
            moved.back += 1;
            tokio::time::sleep(pause).await;
        }
    }
    Ok(moved)
}

fn dead_letter_queues(target: &Target, of: Option<&str>) -> Result<BTreeMap<String, String>, CliError> {
    let mut queues = target.queues()?;
    queues.retain(|name, _| name.ends_with("-dlq"));
    if let Some(of) = of {
        let wanted = format!("{}-dlq", of.trim_end_matches("-dlq"));
        if !queues.contains_key(&wanted) {
            let known: Vec<&str> = queues.keys().map(|name| name.trim_end_matches("-dlq")).collect();
            let hint = crate::near::hint(of, known);
            return Err(CliError::NotFound { what: "queue".into(), name: of.to_owned(), hint, list: None });
        }
        queues.retain(|name, _| *name == wanted);
    }
    Ok(queues)
}

async fn count(client: &Client, name: &str, url: &str) -> Result<u64, CliError> {
    let wanted = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let asked =
        client.get_queue_attributes().queue_url(url).set_attribute_names(Some(wanted.to_vec())).send().await;
    let asked = asked.map_err(CliError::aws(format!(
        "the size of {name} cannot be read: check the credentials' sqs:GetQueueAttributes"
    )))?;
    let number = |attribute| {
        asked.attributes().and_then(|all| all.get(attribute)).and_then(|text| text.parse::<u64>().ok())
    };
    Ok(wanted.iter().filter_map(number).sum())
}

/// Looks at messages and leaves them where they are.
async fn peek(client: &Client, name: &str, url: &str, limit: usize) -> Result<Vec<DeadLetter>, CliError> {
    let mut letters: BTreeMap<String, DeadLetter> = BTreeMap::new();
    let mut empty = 0;
    while letters.len() < limit && empty < EMPTY_MAX {
        let received = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(CliError::aws(format!(
                "{name} cannot be read: check the credentials' sqs:ReceiveMessage"
            )))?;
        let before = letters.len();
        letters.extend(received.messages().iter().map(|message| {
            let letter = letter(name, message);
            (letter.message_id.clone(), letter)
        }));
        empty = if letters.len() == before { empty + 1 } else { 0 };
    }
    Ok(letters.into_values().take(limit).collect())
}

fn letter(queue: &str, message: &Message) -> DeadLetter {
    let attribute = |name: &str| {
        let value = message.message_attributes().and_then(|all| all.get(name));
        value.and_then(|value| value.string_value()).unwrap_or("-").to_owned()
    };
    let body = message.body().unwrap_or_default();
    let reason = match attribute("reason") {
        // It came by the queue's own redrive.
        dash if dash == "-" => "tried too often; the function crashed or ran out of time".to_owned(),
        reason => reason,
    };
    DeadLetter {
        queue: queue.trim_end_matches("-dlq").to_owned(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        message_type: message_type(body),
        category: attribute("category"),
        function: attribute("function"),
        attempts: attribute("attempts"),
        reason,
        body: body.to_owned(),
    }
}

fn message_type(body: &str) -> String {
    match hostler_core::Incoming::decode(body) {
        Ok(message) => message.type_name().to_owned(),
        Err(_) => "unreadable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use hostler_events::samples::sample_text;

    use super::*;

    #[test]
    fn a_letter_tells_its_reason() {
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("no such host")
            .build()
            .unwrap();
        let message = Message::builder()
            .message_id("m-1")
            .body(sample_text("clean-host", 1).unwrap())
            .message_attributes("reason", reason)
            .build();
        let letter = letter("deploy-host-dlq", &message);
        assert_eq!((letter.queue.as_str(), letter.message_type.as_str()), ("deploy-host", "clean-host"));
        assert_eq!(letter.reason, "no such host");
    }

    #[test]
    fn a_redriven_letter_has_no_reason_of_its_own() {
        let letter = letter("timers-dlq", &Message::builder().body("?").build());
        assert_eq!(letter.message_type, "unreadable");
        assert!(letter.reason.contains("too often"));
    }

    #[test]
    fn what_is_too_large_is_passed_over_and_what_its_reason_makes_too_large_goes_without() {
        let message = |bytes: usize| {
            let reason = MessageAttributeValue::builder().data_type("String").string_value("r".repeat(500));
            let reason = reason.build().unwrap();
            Message::builder().body("b".repeat(bytes)).message_attributes("reason", reason).build()
        };
        assert_eq!(fits(&message(1_000), 2_000), Fits::Whole);
        assert_eq!(fits(&message(1_900), 2_000), Fits::Body);
        assert_eq!(fits(&message(2_001), 2_000), Fits::Not);
    }
}
