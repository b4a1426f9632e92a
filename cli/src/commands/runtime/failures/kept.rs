//! Messages that are too large to be recorded: each lies on the failures' own dead-letter queue until its failure is
//! discarded, or that queue forgets it.

use std::collections::BTreeSet;

use aws_sdk_sqs::Client;
use hostler_core::triage::KeptMessage;
use hostler_runtime::operations::triage::body_hash;

use crate::error::CliError;
use crate::target::Target;

/// How many messages are asked for at once; SQS gives no more.
const BATCH: i32 = 10;
/// For how long a message that was looked at is hidden from others.
const HIDDEN_SECONDS: i32 = 10;
/// How long the queue is asked before it counts as empty.
const WAIT_SECONDS: i32 = 3;
/// How many answers in a row without a new message mean that it is not there.
const EMPTY_MAX: u32 = 2;

/// Takes a message off the queue that it is kept on. Says whether it was there.
///
/// # Errors
/// When the queue cannot be read.
pub(super) async fn remove(target: &Target, kept: &KeptMessage) -> Result<bool, CliError> {
    let queue = &kept.queue;
    let failed = |may: &str| format!("{queue} still has the message: check the credentials' {may}");
    let Some(url) = target.queues()?.remove(queue) else { return Ok(false) };
    let client = Client::new(&target.config);
    let (mut seen, mut empty) = (BTreeSet::new(), 0);
    while empty < EMPTY_MAX {
        let received = client
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(HIDDEN_SECONDS)
            .wait_time_seconds(WAIT_SECONDS)
            .send()
            .await
            .map_err(CliError::aws(failed("sqs:ReceiveMessage")))?;
        let before = seen.len();
        for message in received.messages() {
            if body_hash(message.body().unwrap_or_default()) == kept.sha256 {
                let receipt = message.receipt_handle().unwrap_or_default();
                let delete = client.delete_message().queue_url(&url).receipt_handle(receipt);
                delete.send().await.map_err(CliError::aws(failed("sqs:DeleteMessage")))?;
                return Ok(true);
            }
            seen.insert(message.message_id().unwrap_or_default().to_owned());
        }
        empty = if seen.len() == before { empty + 1 } else { 0 };
    }
    Ok(false)
}
