//! Batches: each record is decoded and handled alone, and none is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::envelope::HOPS_MAX;
use hostler_core::{Category, Failure, Incoming};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::batch::{Delivery, Handled, Layer, Next, Records};
use hostler_runtime::messages::ordering::OrderingKeys;
use hostler_runtime::ports::{Clock, Outbound, Queues};
use hostler_testkit::memory::{
    Delivered, MemoryControl, MemoryQueues, Received, Redrive, deliver, sqs_event,
};
use hostler_testkit::{SeededIds, TestClock, sample};
use jiff::SignedDuration;
use serde_json::json;

const QUEUE: &str = "orders";
const DLQ: &str = "orders-dlq";
const PLENTY: Duration = Duration::from_secs(30);

/// Does with a message what the message says.
#[derive(Default)]
struct Obedient {
    handled: Mutex<Vec<String>>,
}

impl Obedient {
    fn handled(&self) -> Vec<String> {
        self.handled.lock().unwrap().clone()
    }
}

#[async_trait]
impl Handler for Obedient {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("an event")) };
        let data = event.data.to_value();
        let (name, order) = (data["name"].as_str().unwrap(), data["do"].as_str().unwrap());
        self.handled.lock().unwrap().push(name.to_owned());
        match order {
            "retry" => Err(Failure::retryable("not now")),
            "retry-in-90-s" => Err(Failure::retry_after(Duration::from_secs(90), "in a moment")),
            "fail-and-wait" if self.handled().len().is_multiple_of(2) => {
                Err(Failure::deferred(Duration::from_secs(60), "the dependency is away"))
            }
            "fail-and-wait" => Err(Failure::retryable("not now")),
            "wait" => Err(Failure::deferred(Duration::from_secs(60), "the dependency is away")),
            "die" => Err(Failure::terminal(Category::Business, "never")),
            "crash" => panic!("the {name} went off"),
            "sleep" => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

struct Fixture {
    clock: TestClock,
    queues: MemoryQueues,
    batch: Batch,
    handler: Obedient,
}

impl Fixture {
    fn new() -> Self {
        let clock = TestClock::default();
        let queues = MemoryQueues::new(&clock, [QUEUE, DLQ]);
        let ids = Arc::new(SeededIds::default());
        let batch =
            Batch::new("handle-orders", QUEUE, Arc::new(queues.clone()), Arc::new(clock.clone()), ids);
        Self { clock, queues, batch, handler: Obedient::default() }
    }

    async fn send(&self, body: impl Into<String>) {
        let message = Outbound { body: body.into(), ..Outbound::default() };
        assert!(self.queues.send(QUEUE, &[message]).await[0].is_ok());
    }

    /// Sends a message for each `(name, what to do)`.
    async fn send_all(&self, messages: &[(&str, &str)]) {
        for (name, order) in messages {
            self.send(body(name, order)).await;
        }
    }

    async fn deliver(&self) -> Delivered {
        deliver(&self.queues, QUEUE, &self.batch, &self.handler, PLENTY).await
    }

    async fn handle(&self, event: Records, remaining: Duration) -> Vec<String> {
        let response = self.batch.handle(event, remaining, &self.handler).await;
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    fn dead(&self) -> Vec<Outbound> {
        self.queues.peek(DLQ)
    }

    fn wait(&self, seconds: i64) {
        self.clock.set(self.clock.now() + SignedDuration::from_secs(seconds));
    }
}

fn body(name: &str, order: &str) -> String {
    let event = sample::envelope("order#1", "order.placed", json!({ "name": name, "do": order }));
    serde_json::to_string(&event).unwrap()
}

fn received(id: &str, body: String) -> Received {
    let receipt = format!("{id}-receipt");
    Received { message_id: id.to_owned(), body, attributes: BTreeMap::new(), receipt, receive_count: 1 }
}

/// A FIFO queue's batch of `(id, group, what to do)`.
fn fifo(records: &[(&str, &str, &str)]) -> Records {
    let received: Vec<Received> =
        records.iter().map(|(id, _, order)| received(id, body(id, order))).collect();
    let mut event = sqs_event(QUEUE, &received);
    for (record, (_, group, _)) in event.records.iter_mut().zip(records) {
        record.attributes.message_group_id = Some((*group).to_owned());
    }
    event
}

#[tokio::test]
async fn a_bad_record_never_fails_its_neighbours() {
    let fixture = Fixture::new();
    fixture.send_all(&[("a", "work"), ("b", "retry"), ("c", "die"), ("d", "crash"), ("e", "work")]).await;
    fixture.send("no json").await;
    fixture.send_all(&[("f", "work")]).await;
    assert_eq!(
        fixture.deliver().await,
        Delivered { messages: 7, failed: 2 },
        "the retried and the crashed one"
    );
    assert_eq!(fixture.handler.handled(), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!((fixture.queues.len(QUEUE), fixture.dead().len()), (2, 2));
}

#[tokio::test]
async fn what_cannot_be_decoded_is_a_dead_letter_at_once_with_its_reason_and_its_body() {
    let fixture = Fixture::new();
    let bodies = ["no json", "{\"half\":", "{}", "[]", "{\"eventType\":\"order.placed\"}", "null"];
    for body in bodies {
        fixture.send(body).await;
    }
    assert_eq!(fixture.deliver().await, Delivered { messages: bodies.len(), failed: 0 });
    assert!(fixture.handler.handled().is_empty());
    let dead = fixture.dead();
    assert_eq!(dead.iter().map(|letter| letter.body.as_str()).collect::<Vec<_>>(), bodies);
    for letter in dead {
        assert_eq!(letter.attributes["category"], "validation", "{letter:?}");
        assert_eq!(letter.attributes["function"], "handle-orders");
        assert_eq!(letter.attributes["attempts"], "1", "it was not tried again");
        assert!(letter.attributes["originalMessageId"].starts_with("m-"));
        assert!(letter.attributes["reason"].len() > 10);
    }
}

#[tokio::test]
async fn a_terminal_failure_is_a_dead_letter_with_what_was_wrong() {
    let fixture = Fixture::new();
    fixture.send_all(&[("a", "die")]).await;
    assert_eq!(fixture.deliver().await, Delivered { messages: 1, failed: 0 });
    let letter = fixture.dead().remove(0);
    assert_eq!(
        (letter.attributes["reason"].as_str(), letter.attributes["category"].as_str()),
        ("never", "business")
    );
    assert!(letter.body.contains("order.placed"));
}

#[tokio::test]
async fn a_dead_letter_queue_that_does_not_answer_costs_a_try_and_not_the_message() {
    let fixture = Fixture::new();
    fixture.send("no json").await;
    fixture.queues.faults().fail_next(1);
    assert_eq!(fixture.deliver().await, Delivered { messages: 1, failed: 1 });
    assert_eq!((fixture.queues.len(QUEUE), fixture.dead().len()), (1, 0));
    fixture.wait(30);
    assert_eq!(fixture.deliver().await, Delivered { messages: 1, failed: 0 });
    assert_eq!((fixture.queues.len(QUEUE), fixture.dead().len()), (0, 1));
    assert_eq!(fixture.dead()[0].attributes["attempts"], "2");
}

#[tokio::test]
async fn any_reason_fits_a_dead_letter() {
    let fixture = Fixture::new();
    // Names from a message end up in reasons, with whatever characters the message had.
    fixture.send("{\"eventType\":\"\\u001b[31m\\u0000\\uffff\"}").await;
    fixture.send(format!("{{\"timerId\":\"{}\"}}", "\\u0007".repeat(9_000))).await;
    assert_eq!(fixture.deliver().await.failed, 0);
    for letter in fixture.dead() {
        let reason = &letter.attributes["reason"];
        assert!(reason.chars().count() <= 2_000);
        assert!(!reason.contains(['\u{1b}', '\u{0}', '\u{7}', '\u{ffff}']), "SQS refuses these: {reason:?}");
    }
}

#[tokio::test]
async fn a_record_without_a_body_is_a_dead_letter_too() {
    let fixture = Fixture::new();
    let mut event = sqs_event(QUEUE, &[received("m-1", String::new())]);
    event.records[0].body = String::new();
    assert!(fixture.handle(event, PLENTY).await.is_empty());
    assert_eq!(fixture.dead()[0].body, "{}");
}

#[tokio::test]
async fn what_may_work_later_comes_back_after_exponential_backoff_with_full_jitter() {
    let fixture = Fixture::new();
    // Each of the messages gets its own jitter.
    fixture.send_all(&[("a", "retry"); 10]).await;
    for count in 1..=12_u32 {
        let now = fixture.clock.now();
        assert_eq!(fixture.deliver().await.messages, 10, "receive {count}");
        let first = fixture.queues.next_visible_at().unwrap().duration_since(now).as_secs();
        assert!(first >= 1, "never at once");
        // All of them are back after the bound: the next delivery has ten.
        fixture.wait(2_i64.pow(count).min(300));
    }
}

#[tokio::test]
async fn jitter_uses_the_whole_span() {
    let fixture = Fixture::new();
    fixture.send_all(&[("a", "retry"); 10]).await;
    for _ in 1..8 {
        fixture.deliver().await;
        fixture.wait(300);
    }
    let now = fixture.clock.now();
    fixture.deliver().await;
    let mut waits = Vec::new();
    while fixture.queues.len(QUEUE) > 0 {
        let next = fixture.queues.next_visible_at().unwrap();
        waits.push(next.duration_since(now).as_secs());
        fixture.clock.set(next);
        for message in fixture.queues.receive(QUEUE, 10) {
            fixture.queues.delete(QUEUE, &message.receipt);
        }
    }
    assert!(waits.len() >= 8, "ten messages do not come back together: {waits:?}");
    assert!(waits[waits.len() - 1] - waits[0] > 100, "they are spread over the 256 s: {waits:?}");
}

#[tokio::test]
async fn a_failure_that_knows_when_is_taken_at_its_word() {
    let fixture = Fixture::new();
    fixture.send_all(&[("a", "retry-in-90-s")]).await;
    fixture.deliver().await;
    fixture.wait(89);
    assert_eq!(fixture.deliver().await.messages, 0);
    fixture.wait(1);
    assert_eq!(fixture.deliver().await.messages, 1);
}

#[tokio::test]
async fn a_deferral_that_fails_leaves_the_queues_own_time_out() {
    let fixture = Fixture::new();
    fixture.send_all(&[("a", "retry-in-90-s")]).await;
    fixture.queues.faults().fail_next(1);
    assert_eq!(fixture.deliver().await, Delivered { messages: 1, failed: 1 });
    fixture.wait(30);
    assert_eq!(fixture.deliver().await.messages, 1);
}

#[tokio::test]
async fn a_crash_is_caught_and_its_record_comes_back() {
    let fixture = Fixture::new();
    fixture.send_all(&[("bomb", "crash"), ("neighbour", "work")]).await;
    assert_eq!(fixture.deliver().await, Delivered { messages: 2, failed: 1 });
    assert_eq!(
        (fixture.queues.len(QUEUE), fixture.dead().len()),
        (1, 0),
        "retried like any crash, not buried"
    );
    fixture.wait(60);
    assert_eq!(fixture.deliver().await, Delivered { messages: 1, failed: 1 });
    assert_eq!(
        fixture.handler.handled(),
        ["bomb", "neighbour", "bomb"],
        "the neighbour is not handled again"
    );
}

#[tokio::test]
async fn only_ids_of_the_batch_are_reported() {
    let fixture = Fixture::new();
    let records = [("m-1", "retry"), ("m-2", "work"), ("m-3", "crash"), ("m-4", "die"), ("m-5", "retry")];
    let records: Vec<Received> = records.iter().map(|(id, order)| received(id, body(id, order))).collect();
    let mut failed = fixture.handle(sqs_event(QUEUE, &records), PLENTY).await;
    failed.sort();
    assert_eq!(failed, ["m-1", "m-3", "m-5"]);
    assert!(fixture.handle(Records::default(), PLENTY).await.is_empty());
}

#[tokio::test]
async fn after_a_failure_the_rest_of_its_group_is_returned_untouched_and_other_groups_go_on() {
    let fixture = Fixture::new();
    let event = fifo(&[
        ("a-1", "a", "work"),
        ("b-1", "b", "retry"),
        ("a-2", "a", "work"),
        ("b-2", "b", "work"),
        ("c-1", "c", "die"),
        ("b-3", "b", "work"),
        ("c-2", "c", "work"),
    ]);
    let failed = fixture.handle(event, PLENTY).await;
    assert_eq!(failed, ["b-1", "b-2", "b-3"], "in their order");
    let mut handled = fixture.handler.handled();
    handled.sort();
    assert_eq!(handled, ["a-1", "a-2", "b-1", "c-1", "c-2"], "a dead letter is done with");
}

#[tokio::test]
async fn a_group_is_handled_in_its_order() {
    let fixture = Fixture::new();
    let records: Vec<(String, String)> =
        (0..60).map(|n| (format!("{n:02}"), format!("g-{}", n % 3))).collect();
    let records: Vec<(&str, &str, &str)> =
        records.iter().map(|(id, group)| (id.as_str(), group.as_str(), "work")).collect();
    assert!(fixture.handle(fifo(&records), PLENTY).await.is_empty());
    for group in 0..3 {
        let of_group = |id: &&String| id.parse::<usize>().unwrap() % 3 == group;
        assert!(fixture.handler.handled().iter().filter(of_group).is_sorted());
    }
}

#[tokio::test]
async fn a_chain_over_the_hop_limit_is_quarantined_and_not_handled() {
    let fixture = Fixture::new();
    for hops in [HOPS_MAX, HOPS_MAX + 1] {
        let mut event = sample::envelope("order#1", "order.placed", json!({ "name": "x", "do": "work" }));
        event.header.hops = hops;
        fixture.send(serde_json::to_string(&event).unwrap()).await;
    }
    assert_eq!(fixture.deliver().await, Delivered { messages: 2, failed: 0 });
    assert_eq!(fixture.handler.handled().len(), 1, "the limit itself is still followed");
    let reason = &fixture.dead()[0].attributes["reason"];
    assert!(reason.contains("loop") && reason.contains("correlation id"), "{reason}");
}

#[tokio::test]
async fn work_that_would_outlive_the_invocation_is_returned_in_time() {
    let fixture = Fixture::new();
    fixture.send_all(&[("slow", "sleep"), ("quick", "work")]).await;
    let remaining = Duration::from_millis(800);
    let delivered = deliver(&fixture.queues, QUEUE, &fixture.batch, &fixture.handler, remaining);
    let time_passes = async { fixture.clock.advance(Duration::from_millis(300)) };
    let (delivered, ()) = tokio::join!(delivered, time_passes);
    assert_eq!(delivered, Delivered { messages: 2, failed: 1 });
    assert_eq!((fixture.queues.len(QUEUE), fixture.dead().len()), (1, 0));
}

#[tokio::test]
async fn without_time_left_nothing_is_begun() {
    for remaining in [Duration::ZERO, Duration::from_millis(400)] {
        let fixture = Fixture::new();
        fixture.send_all(&[("a", "work"), ("b", "work")]).await;
        let delivered = deliver(&fixture.queues, QUEUE, &fixture.batch, &fixture.handler, remaining).await;
        assert_eq!(delivered, Delivered { messages: 2, failed: 2 });
        assert!(fixture.handler.handled().is_empty());
    }
}

#[tokio::test]
async fn an_event_in_the_wrapping_of_the_bus_is_unwrapped() {
    let fixture = Fixture::new();
    let event = sample::envelope("order#1", "order.placed", json!({ "name": "wrapped", "do": "work" }));
    let wrapped = json!({ "detail-type": event.event_type, "source": event.source, "detail": event });
    fixture.send(wrapped.to_string()).await;
    fixture.deliver().await;
    assert_eq!(fixture.handler.handled(), ["wrapped"]);
}

/// Counts the messages that go by, and lets none of those named `secret` reach the handler.
struct Sentry(Arc<Mutex<usize>>);

#[async_trait]
impl Layer for Sentry {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        *self.0.lock().unwrap() += 1;
        if delivery.record.body.contains("secret") {
            return Err(Failure::terminal(Category::Business, "secrets are not handled"));
        }
        next.run(delivery).await
    }
}

#[tokio::test]
async fn an_application_adds_layers_of_its_own() {
    let seen = Arc::new(Mutex::new(0));
    let mut fixture = Fixture::new();
    fixture.batch = fixture.batch.with_layer(Sentry(seen.clone()));
    fixture.send_all(&[("open", "work"), ("secret", "work")]).await;
    assert_eq!(fixture.deliver().await, Delivered { messages: 2, failed: 0 });
    assert_eq!((*seen.lock().unwrap(), fixture.handler.handled()), (2, vec!["open".to_owned()]));
    assert_eq!(fixture.dead()[0].attributes["reason"], "secrets are not handled");
}

#[tokio::test]
async fn a_handler_that_names_no_key_holds_nothing_back() {
    let fixture = Fixture::new();
    let ordering = OrderingKeys::new(Arc::new(MemoryControl::default()));
    let batch = fixture.batch.clone().in_order(ordering);
    fixture.send_all(&[("a", "retry"), ("b", "work")]).await;
    let delivered = deliver(&fixture.queues, QUEUE, &batch, &fixture.handler, PLENTY).await;
    assert_eq!((fixture.handler.handled(), delivered.failed), (vec!["a".to_owned(), "b".to_owned()], 1));
}

/// Given a message whose dependency is away, when it is received more often than a queue allows, then it is still
/// in its queue with all its attempts; after twelve hours it is a dead letter.
#[tokio::test]
async fn waiting_uses_up_no_attempt_and_ends() {
    let fixture = Fixture::new();
    fixture.send_all(&[("patient", "wait")]).await;
    while fixture.queues.peek(DLQ).is_empty() && fixture.handler.handled().len() < 1_000 {
        fixture.deliver().await;
        fixture.clock.advance_seconds(60);
    }
    assert_eq!(fixture.handler.handled().len(), 12 * 60 + 2, "once a minute for twelve hours");
    let letters = fixture.queues.peek(DLQ);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attributes["attempts"], "1");
    assert!(letters[0].attributes["reason"].contains("waited 721 minutes"), "{letters:?}");
}

#[tokio::test]
async fn the_copy_of_a_message_that_waits_has_what_the_message_had() {
    let fixture = Fixture::new();
    let attributes = BTreeMap::from([("tenant".to_owned(), "north".to_owned())]);
    let message = Outbound { body: body("patient", "wait"), attributes, ..Outbound::default() };
    assert!(fixture.queues.send(QUEUE, std::slice::from_ref(&message)).await[0].is_ok());
    fixture.deliver().await;
    let [copy] = fixture.queues.peek(QUEUE).try_into().unwrap();
    assert_eq!((&copy.body, copy.attributes["tenant"].as_str()), (&message.body, "north"));
    let names: Vec<&str> = copy.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["deferredSince", "originalMessageId", "tenant"]);
}

/// Given a message that fails and waits in turn, when it was tried as often as its queue allows, then it is a dead letter
/// with all its tries: each wait made a copy of it, whose receives its queue counts anew.
#[tokio::test]
async fn what_fails_and_waits_in_turn_is_given_up_like_what_only_fails() {
    let mut fixture = Fixture::new();
    fixture.batch = fixture.batch.receiving(3);
    fixture.send_all(&[("restless", "fail-and-wait")]).await;
    while fixture.dead().is_empty() && fixture.handler.handled().len() < 1_000 {
        fixture.deliver().await;
        fixture.clock.advance_seconds(60);
    }
    assert_eq!(fixture.handler.handled().len(), 5, "three tries, between which it waited twice");
    let letters = fixture.dead();
    assert_eq!((letters.len(), letters[0].attributes["attempts"].as_str()), (1, "3"), "{letters:?}");
    assert_eq!(letters[0].attributes["category"], "transient");
    let reason = &letters[0].attributes["reason"];
    assert!(reason.contains("tried 3 times") && reason.contains("not now"), "{reason}");
    assert_eq!(fixture.queues.len(QUEUE), 0);
}

/// The same where its function dies at the tries: nobody is left to count, and the next one sees it.
#[tokio::test]
async fn what_kills_its_function_and_waits_in_turn_is_given_up_as_well() {
    let mut fixture = Fixture::new();
    fixture.batch = fixture.batch.receiving(3);
    fixture.send_all(&[("restless", "wait")]).await;
    for _ in 0..100 {
        if !fixture.dead().is_empty() {
            break;
        }
        // It is received, and its function dies.
        let _ = fixture.queues.receive(QUEUE, 10);
        fixture.clock.advance_seconds(31);
        fixture.deliver().await;
        fixture.clock.advance_seconds(61);
    }
    assert_eq!(fixture.handler.handled().len(), 2, "after each of its first two deaths it waited");
    let letters = fixture.dead();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].attributes["reason"].contains("crashed"), "{letters:?}");
}

/// Given a queue that hides what it hands over for an hour, when a function with three minutes to live is killed in the
/// middle of a batch, then all of the batch can be seen again when those minutes are over.
#[tokio::test]
async fn after_a_function_has_died_its_batch_is_hidden_for_no_longer_than_it_could_have_lived() {
    let fixture = Fixture::new();
    fixture.queues.set_visibility(QUEUE, 3_600);
    fixture.send_all(&[("slow", "sleep"), ("other", "sleep")]).await;
    let begun = fixture.clock.now();
    let three_minutes = Duration::from_secs(180);
    let delivered = deliver(&fixture.queues, QUEUE, &fixture.batch, &fixture.handler, three_minutes);
    let killed = async {
        while fixture.handler.handled().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        delivered = delivered => panic!("nothing was killed: {delivered:?}"),
        () = killed => {}
    }
    let hidden_until = fixture.queues.next_visible_at().unwrap();
    assert_eq!(hidden_until.duration_since(begun), SignedDuration::from_secs(185));
    fixture.wait(184);
    assert!(fixture.queues.receive(QUEUE, 10).is_empty(), "no two work on it");
    fixture.wait(1);
    assert_eq!(fixture.queues.receive(QUEUE, 10).len(), 2);
}

/// Where a few minutes are all that a batch is hidden for, nothing is asked of the queue.
#[tokio::test]
async fn a_short_invocation_leaves_its_batch_hidden_as_its_queue_says() {
    let fixture = Fixture::new();
    fixture.queues.set_visibility(QUEUE, 360);
    fixture.send_all(&[("a", "work")]).await;
    let event = sqs_event(QUEUE, &fixture.queues.receive(QUEUE, 10));
    let begun = fixture.clock.now();
    assert!(fixture.handle(event, Duration::from_secs(60)).await.is_empty());
    let hidden_until = fixture.queues.next_visible_at().unwrap();
    assert_eq!(hidden_until.duration_since(begun), SignedDuration::from_secs(360));
}

/// Given a message that is as large as SQS takes, when it can never be handled, then it comes to its dead letters by its
/// queue's own redrive: with a reason beside it, it would be too large.
#[tokio::test]
async fn what_is_too_large_to_carry_a_reason_is_redriven_soon() {
    let fixture = Fixture::new();
    fixture.queues.set_redrive(QUEUE, Redrive { to: DLQ.to_owned(), receives_max: 30 });
    for bytes in [300_000, 1_048_576] {
        let body = "x".repeat(bytes);
        fixture.queues.deliver(QUEUE, Outbound { body, ..Outbound::default() });
    }
    fixture.deliver().await;
    assert_eq!(fixture.dead().len(), 1, "the smaller one has its reason");
    assert_eq!(fixture.dead()[0].attributes["category"], "validation");
    let begun = fixture.clock.now();
    while fixture.dead().len() < 2 {
        fixture.wait(1);
        fixture.deliver().await;
        assert!(fixture.clock.now().duration_since(begun) < SignedDuration::from_secs(60));
    }
    assert_eq!(fixture.queues.len(QUEUE), 0);
}
