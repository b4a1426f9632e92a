//! What all queues do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hostler_runtime::ports::{Outbound, Queues};
use serde_json::json;

use super::{Delivery, Inbox, Supports, drain, fresh};

/// Runs the suite on a queue that is empty and that nobody else uses.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn queues(queues: &dyn Queues, inbox: &dyn Inbox, queue: &str, supports: Supports) {
    an_unknown_queue_fails_for_good(queues).await;
    nothing_sent_is_nothing_failed(queues, queue).await;
    body_and_attributes_arrive(queues, inbox, queue, supports).await;
    many_messages_are_packed_into_calls(queues, inbox, queue, supports).await;
    a_message_over_a_limit_fails_alone(queues, inbox, queue, supports).await;
    a_delayed_message_comes_later(queues, inbox, queue, supports).await;
    a_deferred_message_comes_again(queues, inbox, queue, supports).await;
}

fn message(body: impl Into<String>) -> Outbound {
    Outbound { body: body.into(), ..Outbound::default() }
}

async fn send_all(queues: &dyn Queues, queue: &str, messages: &[Outbound]) {
    let results = queues.send(queue, messages).await;
    assert_eq!(results, vec![Ok(()); messages.len()]);
}

async fn an_unknown_queue_fails_for_good(queues: &dyn Queues) {
    let name = fresh("nowhere");
    let results = queues.send(&name, &[message("{}"), message("{}")]).await;
    assert_eq!(results.len(), 2);
    for result in results {
        let failure = result.unwrap_err();
        assert!(!failure.retryable && failure.message.contains(&name), "{failure}");
    }
    assert!(!queues.change_visibility(&name, "receipt", 1).await.unwrap_err().retryable);
}

async fn nothing_sent_is_nothing_failed(queues: &dyn Queues, queue: &str) {
    assert_eq!(queues.send(queue, &[]).await, []);
}

async fn body_and_attributes_arrive(queues: &dyn Queues, inbox: &dyn Inbox, queue: &str, supports: Supports) {
    let body = json!({ "text": "ünï ✓ \" \\ \n", "id": fresh("m") }).to_string();
    let attributes: BTreeMap<String, String> =
        (0..10).map(|number| (format!("name-{number}"), format!("välue {number}"))).collect();
    let sent = Outbound { body: body.clone(), delay_seconds: 0, attributes: attributes.clone() };
    send_all(queues, queue, &[sent]).await;
    let received = drain(inbox, queue, 1, supports.delivery_lag).await;
    let received: Vec<_> =
        received.into_iter().map(|delivery| (delivery.body, delivery.attributes)).collect();
    assert_eq!(received, [(body, attributes)]);
}

async fn many_messages_are_packed_into_calls(
    queues: &dyn Queues,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    // 35 messages are more than ten, and the large ones together far more than 256 KB.
    let body = |number: usize| {
        let filler = if number.is_multiple_of(3) { 90_000 } else { 10 };
        json!({ "number": number, "filler": "x".repeat(filler) }).to_string()
    };
    let messages: Vec<Outbound> = (0..35).map(|number| message(body(number))).collect();
    send_all(queues, queue, &messages).await;
    let received = drain(inbox, queue, messages.len(), supports.delivery_lag).await;
    let received: BTreeSet<String> = received.into_iter().map(|delivery| delivery.body).collect();
    assert_eq!(received, messages.into_iter().map(|message| message.body).collect());
}

async fn a_message_over_a_limit_fails_alone(
    queues: &dyn Queues,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    let late = Outbound { delay_seconds: 901, ..message("{}") };
    let attributes = (0..11).map(|number| (format!("name-{number}"), "value".to_owned())).collect();
    let labelled = Outbound { attributes, ..message("{}") };
    let bad = [message("x".repeat(262_145)), late, labelled];
    let good = [message("\"one\""), message("\"two\""), message("\"three\"")];
    let mixed: Vec<Outbound> =
        good.iter().zip(&bad).flat_map(|(good, bad)| [good.clone(), bad.clone()]).collect();
    let results = queues.send(queue, &mixed).await;
    for (index, result) in results.iter().enumerate() {
        match result {
            Ok(()) => assert!(index % 2 == 0, "message {index} was taken"),
            Err(failure) => assert!(index % 2 == 1 && !failure.retryable, "message {index}: {failure}"),
        }
    }
    assert_eq!(results.len(), mixed.len());
    assert_eq!(drain(inbox, queue, 3, supports.delivery_lag).await.len(), 3);
    if supports.full_size {
        send_all(queues, queue, &[message("x".repeat(262_144))]).await;
        assert_eq!(drain(inbox, queue, 1, supports.delivery_lag).await[0].body.len(), 262_144);
    }
}

async fn receive_one(inbox: &dyn Inbox, queue: &str, supports: Supports) -> Delivery {
    for _ in 0..20 {
        if let Some(delivery) = inbox.receive(queue).await.into_iter().next() {
            return delivery;
        }
        inbox.wait(supports.delivery_lag / 10).await;
    }
    panic!("no message came");
}

async fn a_delayed_message_comes_later(
    queues: &dyn Queues,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    let delayed = Outbound { delay_seconds: 2, ..message("\"later\"") };
    send_all(queues, queue, &[delayed, message("\"now\"")]).await;
    let first = drain(inbox, queue, 1, supports.delivery_lag).await;
    assert_eq!(first[0].body, "\"now\"");
    assert_eq!(inbox.receive(queue).await, [], "the delay has not passed");
    inbox.wait(Duration::from_millis(2_100)).await;
    assert_eq!(drain(inbox, queue, 1, supports.delivery_lag).await[0].body, "\"later\"");
}

async fn a_deferred_message_comes_again(
    queues: &dyn Queues,
    inbox: &dyn Inbox,
    queue: &str,
    supports: Supports,
) {
    send_all(queues, queue, &[message("\"again\"")]).await;
    let first = receive_one(inbox, queue, supports).await;
    queues.change_visibility(queue, &first.receipt, 1).await.unwrap();
    assert_eq!(inbox.receive(queue).await, [], "it is still hidden");
    inbox.wait(Duration::from_millis(1_100)).await;
    let second = receive_one(inbox, queue, supports).await;
    assert_eq!(second.body, first.body);
    queues.change_visibility(queue, &second.receipt, 0).await.unwrap();
    let third = receive_one(inbox, queue, supports).await;
    inbox.delete(queue, &third.receipt).await;
    let failure = queues.change_visibility(queue, "no such receipt", 1).await.unwrap_err();
    assert!(!failure.retryable, "{failure}");
}
