//! Triage: what fails is retried by itself or kept for a person, in order, and never lost.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::triage::{
    FailedMessage, FailureCommand, FailureDecider, FailureId, FailureInput, FailureRefusal, FailureState,
    FailureStatus,
};
use hostler_core::{Category, CausationId, Commit, Failure, Incoming, Payload};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use hostler_runtime::messages::ordering::OrderingKeys;
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::messages::timers::fire;
use hostler_runtime::operations::repair::Repair;
use hostler_runtime::operations::triage::Triage;
use hostler_runtime::operations::triage::stream;
use hostler_runtime::ports::{Clock, EventStore, Outbound, Queues};
use hostler_runtime::state::shell::{Cause, ExecuteError, Shell};
use hostler_testkit::memory::{
    MemoryBus, MemoryControl, MemoryQueues, MemoryStore, Redrive, deliver, sqs_event,
};
use hostler_testkit::{SeededIds, TestClock, sample};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PLENTY: Duration = Duration::from_secs(30);
const QUEUES: [&str; 7] =
    ["orders", "orders-dlq", "failures", "failures-dlq", "timers", "relay-outbox-dlq", "letters"];

/// Does what its messages say; each message has a name, and its key is the name's first letter.
#[derive(Default)]
struct Orders {
    handled: Mutex<Vec<String>>,
    /// Until then nothing that says "later" works.
    away: Mutex<bool>,
}

#[async_trait]
impl Handler for Orders {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("an event")) };
        let data = event.data.to_value();
        match data["do"].as_str().unwrap() {
            "later" if *self.away.lock().unwrap() => {
                return Err(Failure::terminal(Category::Transient, "the store is away"));
            }
            "wait" if *self.away.lock().unwrap() => {
                return Err(Failure::deferred(Duration::from_secs(5), "the shop is closed"));
            }
            "never" => return Err(Failure::terminal(Category::Business, "no such order")),
            "crash" => panic!("it went off"),
            _ => {}
        }
        self.handled.lock().unwrap().push(data["name"].as_str().unwrap().to_owned());
        Ok(())
    }

    fn key(&self, message: &Incoming) -> Option<String> {
        let Incoming::Event(event) = message else { return None };
        Some(event.data.to_value()["name"].as_str()?[..1].to_owned())
    }
}

struct Site {
    clock: TestClock,
    queues: MemoryQueues,
    bus: MemoryBus,
    store: MemoryStore,
    control: MemoryControl,
    shell: Shell,
    relay: Relay,
    triage: Triage,
    failures: Batch,
    batch: Batch,
    orders: Orders,
    actions: Mutex<u32>,
}

impl Site {
    fn new() -> Self {
        let clock = TestClock::default();
        let queues = MemoryQueues::new(&clock, QUEUES);
        queues.set_redrive("orders", Redrive { to: "orders-dlq".to_owned(), receives_max: 3 });
        let (store, control) = (MemoryStore::default(), MemoryControl::default());
        let (time, ids) = (Arc::new(clock.clone()), Arc::new(SeededIds::default()));
        queues.set_visibility("relay-outbox-dlq", 180);
        let bus = MemoryBus::default();
        let sending: Arc<dyn Queues> = Arc::new(queues.clone());
        let ordering = OrderingKeys::new(Arc::new(control.clone()));
        let shell = Shell::new(Arc::new(store.clone()), time.clone(), ids.clone(), "test");
        let batch = |function, queue| Batch::new(function, queue, sending.clone(), time.clone(), ids.clone());
        Self {
            relay: Relay::new(Arc::new(bus.clone()), sending.clone(), time.clone(), "relay-outbox-dlq"),
            triage: Triage::new(shell.clone(), sending.clone(), ordering.clone(), [])
                .without_queue("relay-outbox")
                .publishing_on(Arc::new(bus.clone())),
            failures: batch("triage-failures", "failures"),
            batch: batch("handle-orders", "orders").in_order(ordering),
            orders: Orders::default(),
            actions: Mutex::default(),
            clock,
            queues,
            bus,
            store,
            control,
            shell,
        }
    }

    async fn send(&self, name: &str, order: &str) {
        let event = sample::envelope("order#1", "order.placed", json!({ "name": name, "do": order }));
        self.send_body(serde_json::to_string(&event).unwrap()).await;
    }

    async fn send_body(&self, body: String) {
        let sent = self.queues.send("orders", &[Outbound { body, ..Outbound::default() }]).await;
        assert!(sent[0].is_ok());
    }

    /// Lets everything happen that is due.
    async fn settle(&self) {
        loop {
            let mut moved = deliver(&self.queues, "orders", &self.batch, &self.orders, PLENTY).await.messages;
            moved += deliver(&self.queues, "failures", &self.failures, &self.triage, PLENTY).await.messages;
            moved += self.triage_letters().await;
            moved += self.move_on().await;
            if moved == 0 {
                return;
            }
        }
    }

    /// Relays what was committed, and fires timers that are due.
    async fn move_on(&self) -> usize {
        let records = self.store.take_outbox_records();
        let mut moved = records.len();
        self.relay.relay(&records).await.unwrap();
        for timer in self.queues.receive("timers", 10) {
            let Ok(Incoming::Timer(message)) = Incoming::decode(&timer.body) else { panic!() };
            fire(&message, self.clock.now(), &self.queues, None).await.unwrap();
            self.queues.delete("timers", &timer.receipt);
            moved += 1;
        }
        moved
    }

    async fn triage_letters(&self) -> usize {
        self.triage_letters_of("orders").await + self.triage_letters_of("relay-outbox").await
    }

    async fn triage_letters_of(&self, origin: &str) -> usize {
        let queue = format!("{origin}-dlq");
        let letters = self.queues.receive(&queue, 10);
        let response = self.triage.dead_letters(origin, sqs_event(&queue, &letters), PLENTY).await;
        for letter in &letters {
            if !response.batch_item_failures.iter().any(|item| item.item_identifier == letter.message_id) {
                self.queues.delete(&queue, &letter.receipt);
            }
        }
        letters.len() - response.batch_item_failures.len()
    }

    /// Relays a commit whose command is for the queue `letters`.
    async fn commit(&self) -> hostler_core::Commit {
        let mut commit = sample::full_commit("order#1", 1);
        commit.commands[0].queue = "letters".to_owned();
        commit.timers.clear();
        self.relay.relay(&hostler_testkit::memory::outbox_records([commit.clone()])).await.unwrap();
        commit
    }

    fn queue_is_gone(&self, queue: &str) {
        let failure = hostler_runtime::ports::EntryFailure {
            retryable: true,
            code: "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            message: "it is not there".to_owned(),
        };
        self.queues.refuse(queue, failure);
    }

    /// Lets time pass, and everything happen meanwhile.
    async fn pass(&self, time: SignedDuration) {
        let until = self.clock.now() + time;
        self.settle().await;
        // What lies on the failures' own dead-letter queue can be seen for ever, and nobody reads it.
        while let Some(next) = self.queues.next_visible_after(self.clock.now()).filter(|next| *next <= until)
        {
            self.clock.set(next.max(self.clock.now()));
            self.settle().await;
        }
        self.clock.set(until);
        self.settle().await;
    }

    /// The failures, oldest first.
    async fn failures(&self) -> Vec<(FailureId, FailureState)> {
        let mut failures = Vec::new();
        for stream in self.store.streams() {
            let id = FailureId::new(stream.key()).unwrap();
            failures.push((id, self.shell.load::<FailureDecider>(&stream).await.unwrap().state));
        }
        failures.sort_by_key(|(_, state)| state.failed.as_ref().map(|failed| failed.first_at));
        failures
    }

    /// Those alone, where there are other streams as well.
    async fn failures_alone(&self) -> Vec<(FailureId, FailureState)> {
        let mut failures = Vec::new();
        for stream in self.store.streams().iter().filter(|stream| stream.category() == "failure") {
            let id = FailureId::new(stream.key()).unwrap();
            failures.push((id, self.shell.load::<FailureDecider>(stream).await.unwrap().state));
        }
        failures
    }

    async fn only(&self) -> (FailureId, FailureStatus) {
        let failures = self.failures().await;
        assert_eq!(failures.len(), 1, "{failures:#?}");
        (failures[0].0.clone(), failures[0].1.failed.as_ref().unwrap().status)
    }

    async fn ask(&self, failure: &FailureId, input: FailureInput) -> Result<(), FailureRefusal> {
        let mut cause =
            Cause::of(&Incoming::Event(Box::new(sample::envelope("order#1", "asked", json!({})))));
        *self.actions.lock().unwrap() += 1;
        cause.id = CausationId::new(format!("operator-{}", self.actions.lock().unwrap())).unwrap();
        match self.shell.execute::<FailureDecider>(&stream(failure), &cause, &input).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn handled(&self) -> Vec<String> {
        self.orders.handled.lock().unwrap().clone()
    }

    fn away(&self, away: bool) {
        *self.orders.away.lock().unwrap() = away;
    }

    /// The types of all events so far.
    fn events(&self) -> Vec<String> {
        let commits = self.store.outbox_since(0);
        commits.iter().flat_map(|commit| &commit.events).map(|event| event.event_type.clone()).collect()
    }

    fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|name| *name == event).count()
    }
}

fn why() -> String {
    "the order is there now".to_owned()
}

#[tokio::test]
async fn a_transient_failure_is_retried_by_itself_until_it_works() {
    let site = Site::new();
    site.away(true);
    site.send("a1", "later").await;
    site.pass(SignedDuration::from_mins(5)).await;
    assert!(site.count("failure.resent") >= 2, "{:?}", site.events());
    assert!(site.handled().is_empty());
    site.away(false);
    site.pass(SignedDuration::from_mins(20)).await;
    assert_eq!(site.handled(), ["a1"]);
    assert_eq!(site.only().await.1, FailureStatus::Resolved);
    assert_eq!(site.count("failure.quarantined"), 0);
    site.pass(SignedDuration::from_hours(48)).await;
    assert_eq!(site.count("failure.overdue"), 0, "what is dealt with is never overdue");
}

#[tokio::test]
async fn a_transient_failure_that_does_not_pass_within_the_hour_is_quarantined_and_overdue() {
    let site = Site::new();
    site.away(true);
    site.send("a1", "later").await;
    site.pass(SignedDuration::from_mins(61)).await;
    assert_eq!(site.only().await.1, FailureStatus::Quarantined);
    assert_eq!(site.count("failure.overdue"), 1);
    let retries = site.count("failure.resent");
    site.pass(SignedDuration::from_hours(5)).await;
    assert_eq!(site.count("failure.resent"), retries, "nothing is retried by itself any more");
}

#[tokio::test]
async fn what_retrying_does_not_help_is_quarantined_at_once_with_its_reason_and_deadline() {
    let site = Site::new();
    site.send_body("{\"no\":\"message\"}".to_owned()).await;
    site.send("b1", "never").await;
    site.settle().await;
    let failures = site.failures().await;
    let failed = |at: usize| failures[at].1.failed.clone().unwrap();
    let of = |category| (0..2).map(failed).find(|failed| failed.category == category).unwrap();
    let validation = of(Category::Validation);
    assert!(validation.dead_letter.reason.contains("eventType"), "{}", validation.dead_letter.reason);
    assert_eq!(validation.deadline_at.duration_since(validation.first_at), SignedDuration::from_hours(24));
    let business = of(Category::Business);
    assert_eq!(business.dead_letter.reason, "no such order");
    assert_eq!(business.dead_letter.function.as_deref(), Some("handle-orders"));
    assert_eq!(business.deadline_at.duration_since(business.first_at), SignedDuration::from_hours(48));
    assert_eq!(site.count("failure.resent"), 0);
    site.pass(SignedDuration::from_hours(25)).await;
    assert_eq!(site.count("failure.overdue"), 1);
    site.pass(SignedDuration::from_hours(24)).await;
    assert_eq!(site.count("failure.overdue"), 2);
}

#[tokio::test]
async fn what_crashes_its_function_is_tried_again_once_and_then_escalated() {
    let site = Site::new();
    site.send("a1", "crash").await;
    site.pass(SignedDuration::from_hours(3)).await;
    let (failure, status) = site.only().await;
    assert_eq!(status, FailureStatus::Quarantined);
    let failed = site.failures().await[0].1.failed.clone().unwrap();
    assert_eq!((failed.category, failed.redriven, failed.resends), (Category::Unknown, 2, 1));
    assert!(failed.dead_letter.reason.contains("crashed"), "{}", failed.dead_letter.reason);
    assert!(site.ask(&failure, FailureInput::Discard { reason: why() }).await.is_ok());
}

#[tokio::test]
async fn a_letter_that_is_delivered_twice_is_recorded_once() {
    let site = Site::new();
    site.send("a1", "never").await;
    deliver(&site.queues, "orders", &site.batch, &site.orders, PLENTY).await;
    let letters = site.queues.receive("orders-dlq", 10);
    for _ in 0..2 {
        let response = site.triage.dead_letters("orders", sqs_event("orders-dlq", &letters), PLENTY).await;
        assert!(response.batch_item_failures.is_empty());
    }
    assert_eq!(site.events(), ["failure.recorded", "failure.quarantined"]);
}

#[tokio::test]
async fn a_letter_that_cannot_be_recorded_now_stays_where_it_is() {
    let site = Site::new();
    site.send("a1", "never").await;
    deliver(&site.queues, "orders", &site.batch, &site.orders, PLENTY).await;
    site.store.faults().fail_next(20);
    assert_eq!(site.triage_letters().await, 0);
    assert_eq!(site.queues.len("orders-dlq"), 1);
    site.store.faults().clear();
    site.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(site.only().await.1, FailureStatus::Quarantined);
}

#[tokio::test]
async fn a_letter_too_large_to_be_recorded_waits_on_the_failures_own_dead_letter_queue() {
    let site = Site::new();
    // Quoted once more it is over what an event may have.
    let body = format!("[{}]", "\"\",".repeat(80_000));
    site.send_body(body.clone()).await;
    site.settle().await;
    assert_eq!(site.queues.len("failures-dlq"), 1);
    let kept = &site.queues.peek("failures-dlq")[0];
    assert!(kept.attributes["reason"].contains("from orders, too large"), "{:?}", kept.attributes);
    assert_eq!(kept.body, body, "nothing of it is lost");
    assert_eq!(site.queues.len("orders-dlq"), 0);
    let (failure, status) = site.only().await;
    assert_eq!((status, &kept.attributes["failureId"]), (FailureStatus::Quarantined, &failure.to_string()));
}

/// Given poison of any size that SQS takes, on a queue whose limit was raised by hand, when it is a dead letter, then it is
/// recorded by its first part, its size and its hash, an operator sees it, and discards it or gives it another body.
#[tokio::test]
async fn poison_of_any_size_is_recorded_by_reference_and_can_be_dealt_with() {
    for bytes in [300_000, 1_048_576 - 100, 1_048_576] {
        let site = Site::new();
        let body = "é".repeat(bytes / 2);
        site.queues.deliver("orders", Outbound { body: body.clone(), ..Outbound::default() });
        site.pass(SignedDuration::from_mins(5)).await;
        let (failure, status) = site.only().await;
        assert_eq!(status, FailureStatus::Quarantined, "{bytes}");
        let letter = site.failures().await[0].1.failed.clone().unwrap().dead_letter;
        let kept = letter.kept.unwrap();
        assert_eq!((kept.bytes, kept.queue.as_str()), (bytes as u64, "failures-dlq"));
        assert_eq!(kept.sha256.len(), 64);
        assert!(body.starts_with(&letter.body) && (4_090..=4_096).contains(&letter.body.len()));
        assert!(!letter.reason.is_empty());
        assert_eq!(site.queues.peek("failures-dlq").iter().map(|kept| kept.body.len()).sum::<usize>(), bytes);
        assert_eq!((site.queues.len("orders"), site.queues.len("orders-dlq")), (0, 0), "it circles no more");
        // What is not here cannot be sent from here, and whoever asks is told where it is.
        let refused = site.ask(&failure, FailureInput::Retry { reason: why() }).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("failures-dlq") && said.contains(&kept.sha256), "{said}");
        if bytes == 300_000 {
            let body = serde_json::to_string(&sample::envelope(
                "order#1",
                "order.placed",
                json!({ "name": "a1", "do": "work" }),
            ));
            let edit =
                FailureInput::Edit { body: body.unwrap(), message_id: uuid::Uuid::now_v7(), reason: why() };
            site.ask(&failure, edit).await.unwrap();
            site.settle().await;
            assert_eq!(
                (site.handled(), site.only().await.1),
                (vec!["a1".to_owned()], FailureStatus::Resolved)
            );
        } else {
            site.ask(&failure, FailureInput::Discard { reason: why() }).await.unwrap();
            assert_eq!(site.only().await.1, FailureStatus::Discarded);
        }
    }
}

/// It is set aside when the letter comes again, if that failed the first time.
#[tokio::test]
async fn what_was_recorded_by_reference_and_could_not_be_set_aside_is_set_aside_later() {
    let site = Site::new();
    site.queues.deliver("orders", Outbound { body: "x".repeat(300_000), ..Outbound::default() });
    deliver(&site.queues, "orders", &site.batch, &site.orders, PLENTY).await;
    site.queues.faults().fail_next(1);
    assert_eq!(site.triage_letters().await, 0);
    assert_eq!((site.queues.len("orders-dlq"), site.queues.len("failures-dlq")), (1, 0));
    site.pass(SignedDuration::from_mins(2)).await;
    assert_eq!((site.queues.len("orders-dlq"), site.queues.len("failures-dlq")), (0, 1));
    assert_eq!(site.count("failure.recorded"), 1);
}

/// An attribute may be as large as a body.
#[tokio::test]
async fn a_letter_with_a_large_attribute_is_recorded() {
    let site = Site::new();
    for name in
        ["reason", "key", "function", "category", "originalMessageId", "failureId", "behind", "replay", "x"]
    {
        let attributes = [(name.to_owned(), "x".repeat(900_000))].into();
        let body = "no json".to_owned();
        site.queues.deliver("orders-dlq", Outbound { body, delay_seconds: 0, attributes });
    }
    site.settle().await;
    assert_eq!((site.failures().await.len(), site.queues.len("orders-dlq")), (9, 0));
}

/// Given messages of one key in one batch, when the first is refused, then those after it wait behind it, although what was
/// held was read before.
#[tokio::test]
async fn followers_in_the_same_batch_wait_behind_a_head_that_is_refused_in_it() {
    let site = Site::new();
    for (name, order) in [("a1", "never"), ("b1", "work"), ("a2", "work"), ("a3", "work")] {
        site.send(name, order).await;
    }
    site.settle().await;
    assert_eq!(site.handled(), ["b1"], "what follows the refused one waits");
    let failures = site.failures().await;
    let (head, of_head) = failures.iter().find(|(_, state)| !state.followers.is_empty()).unwrap();
    assert_eq!(of_head.followers.len(), 2);
    site.ask(head, FailureInput::Discard { reason: why() }).await.unwrap();
    site.settle().await;
    assert_eq!(site.handled(), ["b1", "a2", "a3"]);
    assert!(site.failures().await.iter().all(|(_, state)| state.is_settled()));
}

/// The same for one that is deferred, in its batch and in later ones.
#[tokio::test]
async fn followers_wait_behind_a_head_that_is_deferred_until_it_is_handled() {
    let site = Site::new();
    site.away(true);
    for (name, order) in [("a1", "wait"), ("b1", "work"), ("a2", "work")] {
        site.send(name, order).await;
    }
    site.settle().await;
    site.send("a3", "work").await;
    site.pass(SignedDuration::from_secs(20)).await;
    assert_eq!(site.handled(), ["b1"], "what follows the deferred one waits, in other batches too");
    site.away(false);
    site.pass(SignedDuration::from_mins(1)).await;
    assert_eq!(site.handled(), ["b1", "a1", "a2", "a3"]);
    let held = OrderingKeys::new(Arc::new(site.control.clone())).held("orders").await.unwrap();
    assert!(held.is_empty(), "{held:?}");
    assert!(site.failures().await.iter().all(|(_, state)| state.is_settled()));
    assert_eq!(site.count("failure.quarantined"), 0, "nobody has to look at it");
}

/// One that comes again keeps the later ones of its batch behind it.
#[tokio::test]
async fn followers_in_the_same_batch_come_again_with_a_head_that_does() {
    let site = Site::new();
    site.send("a1", "crash").await;
    site.send("a2", "work").await;
    site.send("b1", "work").await;
    let delivered = deliver(&site.queues, "orders", &site.batch, &site.orders, PLENTY).await;
    assert_eq!((delivered.messages, delivered.failed, site.handled()), (3, 2, vec!["b1".to_owned()]));
}

#[tokio::test]
async fn an_operator_retries_edits_or_discards_and_must_say_why() {
    let site = Site::new();
    site.send("a1", "never").await;
    site.settle().await;
    let (failure, _) = site.only().await;
    let refused = site.ask(&failure, FailureInput::Retry { reason: " ".to_owned() }).await;
    assert!(matches!(refused, Err(FailureRefusal::NoReason)));
    // Retried as it is, it fails again.
    site.ask(&failure, FailureInput::Retry { reason: why() }).await.unwrap();
    let refused = site.ask(&failure, FailureInput::Retry { reason: why() }).await;
    assert!(matches!(refused, Err(FailureRefusal::OnItsWay)), "{refused:?}");
    site.settle().await;
    assert_eq!(site.count("failure.recurred"), 1);
    // A new body that is no message is refused.
    let edit = |body: String| FailureInput::Edit { body, message_id: uuid::Uuid::now_v7(), reason: why() };
    let refused = site.ask(&failure, edit("{}".to_owned())).await;
    assert!(matches!(refused, Err(FailureRefusal::Body(_))), "{refused:?}");
    let failed = site.failures().await[0].1.failed.clone().unwrap();
    let mut body: Value = serde_json::from_str(&failed.dead_letter.body).unwrap();
    let old_id = body["eventId"].clone();
    body["data"]["do"] = "work".into();
    site.ask(&failure, edit(body.to_string())).await.unwrap();
    site.settle().await;
    assert_eq!(site.handled(), ["a1"]);
    let failed = site.failures().await[0].1.failed.clone().unwrap();
    assert_eq!(failed.status, FailureStatus::Resolved);
    let body: Value = serde_json::from_str(&failed.dead_letter.body).unwrap();
    assert_ne!(body["eventId"], old_id, "it has an id of its own");
    let refused = site.ask(&failure, FailureInput::Discard { reason: why() }).await;
    assert!(matches!(refused, Err(FailureRefusal::Ended { status: "resolved" })), "{refused:?}");
    let unknown = FailureId::new("who").unwrap();
    let refused = site.ask(&unknown, FailureInput::Discard { reason: why() }).await;
    assert!(matches!(refused, Err(FailureRefusal::Unknown)));
}

#[tokio::test]
async fn later_messages_of_a_key_wait_behind_the_failed_one_and_are_let_go_in_order() {
    let site = Site::new();
    site.send("a1", "never").await;
    site.settle().await;
    for (name, order) in [("a2", "work"), ("b1", "work"), ("a3", "never"), ("a4", "work")] {
        site.send(name, order).await;
        site.settle().await;
    }
    assert_eq!(site.handled(), ["b1"], "other keys go on");
    let failures = site.failures().await;
    let (head, of_head) = failures.iter().find(|(_, state)| !state.followers.is_empty()).unwrap();
    assert_eq!(of_head.followers.len(), 3);
    let second = of_head.followers[1].clone();
    let refused = site.ask(&second, FailureInput::Retry { reason: why() }).await;
    assert!(matches!(&refused, Err(FailureRefusal::Parked { head: of }) if of == head), "{refused:?}");
    site.ask(head, FailureInput::Discard { reason: why() }).await.unwrap();
    site.settle().await;
    assert_eq!(site.handled(), ["b1", "a2"], "a3 has failed, and a4 waits");
    site.send("a5", "work").await;
    site.settle().await;
    assert_eq!(site.handled(), ["b1", "a2"], "whoever comes meanwhile waits, too");
    site.ask(&second, FailureInput::Discard { reason: why() }).await.unwrap();
    site.settle().await;
    assert_eq!(site.handled(), ["b1", "a2", "a4", "a5"]);
    site.send("a6", "work").await;
    site.settle().await;
    assert_eq!(site.handled().last().map(String::as_str), Some("a6"), "the key is released");
    assert_eq!(site.count("failure.recorded"), 5, "a6 went straight through");
    assert!(site.failures().await.iter().all(|(_, state)| state.is_settled()));
}

#[tokio::test]
async fn a_message_that_held_its_key_and_did_not_leave_lets_go_of_it_when_it_works() {
    let site = Site::new();
    site.away(true);
    site.send("a1", "later").await;
    // It holds its key, and its letter is not taken.
    site.queues.faults().fail_next(1);
    let delivered = deliver(&site.queues, "orders", &site.batch, &site.orders, PLENTY).await;
    assert_eq!(delivered.failed, 1);
    let held = OrderingKeys::new(Arc::new(site.control.clone())).held("orders").await.unwrap();
    assert_eq!(held.len(), 1);
    site.away(false);
    site.send("a2", "work").await;
    site.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(site.handled(), ["a1", "a2"]);
    let held = OrderingKeys::new(Arc::new(site.control.clone())).held("orders").await.unwrap();
    assert!(held.is_empty(), "{held:?}");
}

#[tokio::test]
async fn a_message_that_held_its_key_and_then_waits_is_not_parked_behind_itself() {
    let site = Site::new();
    site.send("a1", "wait").await;
    let held = OrderingKeys::new(Arc::new(site.control.clone()));
    let id = site.queues.receive("orders", 1)[0].message_id.clone();
    let key = hostler_core::triage::OrderingKey { queue: "orders".to_owned(), key: "a".to_owned() };
    held.hold(&key, &FailureId::new(id).unwrap()).await.unwrap();
    site.away(true);
    site.pass(SignedDuration::from_mins(2)).await;
    site.away(false);
    site.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(site.handled(), ["a1"]);
    assert!(held.held("orders").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_whose_success_cannot_be_told_is_told_of_later() {
    let site = Site::new();
    site.send("a1", "never").await;
    site.settle().await;
    let (failure, _) = site.only().await;
    let body = site.failures().await[0].1.failed.clone().unwrap().dead_letter.body.replace("never", "work");
    let edit = FailureInput::Edit { body, message_id: uuid::Uuid::now_v7(), reason: why() };
    site.ask(&failure, edit).await.unwrap();
    site.relay.relay(&site.store.take_outbox_records()).await.unwrap();
    deliver(&site.queues, "failures", &site.failures, &site.triage, PLENTY).await;
    site.queues.faults().fail_next(1);
    let delivered = deliver(&site.queues, "orders", &site.batch, &site.orders, PLENTY).await;
    assert_eq!((delivered.messages, delivered.failed), (1, 1));
    site.pass(SignedDuration::from_mins(2)).await;
    assert_eq!(site.only().await.1, FailureStatus::Resolved);
}

#[tokio::test]
async fn a_copy_that_nobody_hears_of_is_quarantined_after_a_day() {
    let site = Site::new();
    site.send("a1", "never").await;
    site.settle().await;
    let (failure, _) = site.only().await;
    site.ask(&failure, FailureInput::Retry { reason: why() }).await.unwrap();
    site.relay.relay(&site.store.take_outbox_records()).await.unwrap();
    deliver(&site.queues, "failures", &site.failures, &site.triage, PLENTY).await;
    for copy in site.queues.receive("orders", 10) {
        site.queues.delete("orders", &copy.receipt);
    }
    site.pass(SignedDuration::from_hours(26)).await;
    assert_eq!(site.only().await.1, FailureStatus::Quarantined);
}

#[tokio::test]
async fn what_the_relay_has_parked_is_sent_on_as_soon_as_its_target_is_back() {
    let site = Site::new();
    site.queue_is_gone("letters");
    site.commit().await;
    site.pass(SignedDuration::from_mins(30)).await;
    assert_eq!((site.queues.len("letters"), site.queues.len("relay-outbox-dlq")), (0, 1));
    assert!(site.failures().await.is_empty(), "an outage that passes writes nothing");
    site.queues.accept("letters");
    site.pass(SignedDuration::from_mins(3)).await;
    let sent = site.queues.peek("letters");
    assert_eq!((sent.len(), site.queues.len("relay-outbox-dlq")), (1, 0));
    assert!(sent[0].attributes.is_empty(), "as the relay would have sent it");
    assert!(site.failures().await.is_empty());
}

#[tokio::test]
async fn what_stays_parked_for_an_hour_is_recorded_and_sent_on_all_the_same() {
    let site = Site::new();
    site.queue_is_gone("letters");
    site.commit().await;
    site.pass(SignedDuration::from_hours(4)).await;
    let state = site.failures().await.remove(0).1;
    let failed = state.failed.as_ref().unwrap();
    assert!(failed.status == FailureStatus::Resent && failed.overdue, "people were told: {failed:#?}");
    let letter = &failed.dead_letter;
    assert_eq!((letter.queue.as_str(), letter.resendable), ("letters", true));
    assert!(letter.reason.contains("NonExistentQueue"), "{}", letter.reason);
    assert_eq!(site.queues.len("relay-outbox-dlq"), 0);
    site.queues.accept("letters");
    site.pass(SignedDuration::from_mins(1)).await;
    assert_eq!(site.queues.len("letters"), 1);
}

#[tokio::test]
async fn an_event_that_the_bus_did_not_take_is_published_by_triage() {
    let site = Site::new();
    site.bus.faults().fail_next(3);
    let commit = site.commit().await;
    assert_eq!((site.bus.published().len(), site.queues.len("relay-outbox-dlq")), (0, 2));
    site.settle().await;
    let published = site.bus.published();
    assert!(commit.envelopes().all(|event| published.contains(&event)), "with the ids that it always had");
    assert_eq!(site.queues.len("relay-outbox-dlq"), 0);
}

#[tokio::test]
async fn an_event_that_an_operator_has_retried_is_published_and_done_with() {
    let site = Site::new();
    site.bus.faults().fail_next(200);
    site.commit().await;
    site.pass(SignedDuration::from_hours(1)).await;
    let failures = site.failures().await;
    assert_eq!(failures.len(), 2, "one for each event");
    site.bus.faults().clear();
    site.pass(SignedDuration::from_hours(2)).await;
    assert_eq!(site.bus.published().iter().filter(|event| event.stream.as_str() == "order#1").count(), 2);
    for (id, state) in site.failures().await {
        assert_eq!(state.failed.unwrap().status, FailureStatus::Resolved, "{id}");
    }
}

#[tokio::test]
async fn triage_never_records_what_it_has_said_itself() {
    let site = Site::new();
    site.send("one", "never").await;
    // What it says of the failure cannot be published. To record that would say more of the same.
    site.bus.faults().fail_next(10_000);
    site.pass(SignedDuration::from_hours(3)).await;
    assert_eq!(site.only().await.1, FailureStatus::Quarantined);
    assert!(site.queues.len("relay-outbox-dlq") > 0, "it waits there");
    site.bus.faults().clear();
    site.pass(SignedDuration::from_mins(3)).await;
    assert_eq!(site.queues.len("relay-outbox-dlq"), 0);
    assert!(!site.bus.published().is_empty());
}

/// What Lambda writes to an OnFailure destination.
fn given_up(commits: usize) -> Outbound {
    let body = json!({
        "requestContext": { "requestId": "r-1", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3 },
        "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
        "version": "1.0",
        "timestamp": "2026-01-01T06:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276399",
            "approximateArrivalOfFirstRecord": "2026-01-01T00:10:00Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:12:30Z",
            "batchSize": commits,
            "streamArn": "arn:aws:dynamodb:us-east-2:123456789012:table/events/stream/2026-01-01T00:00:00.000"
        }
    });
    Outbound { body: body.to_string(), ..Outbound::default() }
}

/// The site's clock for what paces itself: time passes while it sleeps.
struct Passing(TestClock);

#[async_trait]
impl Clock for Passing {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn sleep(&self, time: Duration) {
        self.0.advance(time);
        tokio::task::yield_now().await;
    }
}

/// A site whose triage repairs, with commits that the stream gave up: each has two events, and a command for `letters`.
struct GivenUp {
    site: Site,
    commits: Vec<Commit>,
}

impl GivenUp {
    async fn of(commits: u64) -> Self {
        let mut site = Site::new();
        let (control, clock) = (Arc::new(site.control.clone()), Arc::new(Passing(site.clock.clone())));
        let repair = Repair::new(Arc::new(site.store.clone()), site.relay.clone(), control, clock);
        site.triage = site.triage.repairing(repair);
        let mut given = Vec::new();
        for (version, recorded_at) in (1..=commits).map(|version| (version, "2026-01-01T00:11:00Z")) {
            let mut commit = sample::full_commit("order#1", version);
            commit.recorded_at = recorded_at.parse().unwrap();
            commit.commands[0].queue = "letters".to_owned();
            commit.timers.clear();
            site.store.append(&commit).await.unwrap();
            given.push(commit);
        }
        // Long before, and told of then.
        let mut before = sample::full_commit("order#2", 1);
        before.recorded_at = "2026-01-01T00:01:00Z".parse().unwrap();
        site.store.append(&before).await.unwrap();
        let lost = site.store.take_outbox_records();
        assert_eq!(lost.len(), given.len() + 1);
        Self { site, commits: given }
    }

    async fn name(&self) {
        let sent = self.site.queues.send("relay-outbox-dlq", &[given_up(self.commits.len())]).await;
        assert!(sent[0].is_ok());
    }

    /// What has arrived of the commits: the ids of events, and of commands.
    fn arrived(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let events = self.site.bus.published().into_iter().filter(|event| event.stream.category() == "order");
        let commands = self.site.queues.peek("letters").into_iter().map(|letter| {
            let Ok(Incoming::Command(command)) = Incoming::decode(&letter.body) else { panic!("{letter:?}") };
            command.command_id.to_string()
        });
        (events.map(|event| event.event_id.to_string()).collect(), commands.collect())
    }

    fn said(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let events = self.commits.iter().flat_map(Commit::envelopes).map(|event| event.event_id.to_string());
        let commands = self.commits.iter().flat_map(Commit::command_envelopes);
        (events.collect(), commands.map(|(_, command)| command.command_id.to_string()).collect())
    }

    async fn failures(&self) -> Vec<FailedMessage> {
        let failures = self.site.failures_alone().await.into_iter();
        failures.map(|(_, state)| state.failed.unwrap()).collect()
    }

    /// Until triage has asked itself to send again.
    async fn asked(&self) {
        for _ in 0..20 {
            self.site.triage_letters_of("relay-outbox").await;
            self.site.move_on().await;
            if self.site.queues.peek("failures").iter().any(|sent| sent.body.contains("resend-failure")) {
                return;
            }
            self.try_for(PLENTY).await;
        }
        panic!("nothing is tried again");
    }

    /// One delivery to triage that is ended after so long. Half a second is for its answer.
    async fn try_for(&self, time: Duration) {
        let time = time + Duration::from_millis(500);
        deliver(&self.site.queues, "failures", &self.site.failures, &self.site.triage, time).await;
        self.site.clock.advance(Duration::from_secs(180));
    }

    fn note(&self) -> Value {
        let entries = self.site.control.entries();
        entries.into_iter().find(|(key, _)| key.starts_with("audit/republish/")).unwrap().1.value
    }
}

#[tokio::test]
async fn a_batch_that_the_stream_gave_up_is_published_again_without_a_person() {
    let given = GivenUp::of(7).await;
    given.name().await;
    given.site.pass(SignedDuration::from_mins(5)).await;
    assert_eq!(given.arrived(), given.said());
    let failures = given.failures().await;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].status, FailureStatus::Resolved);
    assert!(failures[0].dead_letter.reason.contains("7 commits"), "{}", failures[0].dead_letter.reason);
    assert_eq!(given.site.count("failure.quarantined"), 0);
    let note = given.note();
    assert_eq!((&note["state"], &note["actor"]), (&json!("ended"), &json!("triage")));
    assert_eq!((&note["commits"], &note["commands"]), (&json!(7), &json!(7)));
}

#[tokio::test]
async fn a_batch_that_is_named_twice_has_the_same_causes_twice() {
    let given = GivenUp::of(3).await;
    given.name().await;
    given.name().await;
    given.site.pass(SignedDuration::from_mins(5)).await;
    // Consumers know repeats by these ids.
    assert_eq!(given.arrived(), given.said());
    assert_eq!(given.site.queues.len("letters"), 6);
    assert!(given.failures().await.iter().all(|failed| failed.status == FailureStatus::Resolved));
}

#[tokio::test]
async fn a_repair_whose_function_dies_goes_on_where_it_was() {
    // More than a slice: 200 a second for ten seconds.
    let given = GivenUp::of(2_100).await;
    given.name().await;
    given.asked().await;
    given.try_for(Duration::from_secs(20)).await;
    let note = given.note();
    assert_eq!((&note["state"], &note["deaths"]), (&json!("began"), &json!(0)));
    let after_one_slice = given.site.queues.len("letters");
    assert!((1_900..2_100).contains(&after_one_slice), "{after_one_slice}");
    given.try_for(Duration::from_millis(100)).await;
    assert_eq!(given.note()["deaths"], 1, "it was ended in the middle");
    given.site.pass(SignedDuration::from_mins(10)).await;
    assert_eq!(given.arrived(), given.said());
    let twice = given.site.queues.len("letters") - 2_100;
    assert!(twice < 30, "{twice} commands were said again that were said before");
    assert_eq!(given.failures().await[0].status, FailureStatus::Resolved);
    assert_eq!(given.site.count("failure.quarantined"), 0);
}

#[tokio::test]
async fn a_repair_waits_for_a_store_that_is_away() {
    let given = GivenUp::of(7).await;
    given.name().await;
    given.asked().await;
    for _ in 0..8 {
        // The failure is read, and then the log is not.
        given.site.store.faults().fail_next(2);
        given.try_for(Duration::from_secs(20)).await;
    }
    given.site.store.faults().clear();
    given.site.pass(SignedDuration::from_mins(10)).await;
    assert_eq!(given.arrived(), given.said());
    assert_eq!(given.site.count("failure.quarantined"), 0);
}

#[tokio::test]
async fn a_repair_that_kills_its_function_each_time_needs_a_person_who_can_have_it_tried_again() {
    let given = GivenUp::of(7).await;
    given.name().await;
    given.asked().await;
    for _ in 0..5 {
        given.try_for(Duration::from_millis(1)).await;
    }
    assert_eq!(given.note()["deaths"], 5);
    given.site.pass(SignedDuration::from_mins(30)).await;
    let failed = given.failures().await[0].clone();
    assert_eq!(failed.status, FailureStatus::Quarantined);
    assert!(failed.dead_letter.reason.contains("died 5 times"), "{}", failed.dead_letter.reason);
    given.site.ask(&failed.id, FailureInput::Retry { reason: why() }).await.unwrap();
    given.site.pass(SignedDuration::from_mins(5)).await;
    assert_eq!(given.arrived(), given.said());
    assert_eq!(given.failures().await[0].status, FailureStatus::Resolved);
}

#[tokio::test]
async fn a_batch_that_nothing_repairs_says_how_it_is_published_again() {
    let site = Site::new();
    assert!(site.queues.send("relay-outbox-dlq", &[given_up(38)]).await[0].is_ok());
    site.settle().await;
    let (failure, status) = site.only().await;
    assert_eq!(status, FailureStatus::Quarantined);
    let reason = site.failures().await[0].1.failed.as_ref().unwrap().dead_letter.reason.clone();
    let told = "hostler events republish --since 2026-01-01T00:05:00Z --until 2026-01-01T00:17:30Z";
    assert!(reason.contains(told) && reason.contains("38 commits"), "{reason}");
    let refused = site.ask(&failure, FailureInput::Retry { reason: "again".to_owned() }).await;
    assert!(matches!(refused, Err(FailureRefusal::NoQueue { .. })));
    site.ask(&failure, FailureInput::Discard { reason: "published again".to_owned() }).await.unwrap();
}

/// Given a deployment that requires signatures, when a dead letter claims to be a copy of another failure, then that failure
/// is left alone, and the letter is a failure of its own.
#[tokio::test]
async fn a_letter_whose_attributes_are_forged_is_a_failure_of_its_own() {
    let keys = [("k1".to_owned(), "0f".repeat(32))].into();
    let configured = SigningKeys { keys, sign: Some("k1".to_owned()), require: true };
    let by = Arc::new(Integrity::new(&configured).unwrap());
    let mut site = Site::new();
    site.triage = site.triage.signed_by(by.clone());
    let letter = |failure: &str| {
        let said =
            [("failureId", failure), ("reason", "it says"), ("category", "transient"), ("behind", "f-9")];
        let attributes = said.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        Outbound { body: "no json".to_owned(), delay_seconds: 0, attributes }
    };
    site.queues.deliver("orders-dlq", letter("victim"));
    let genuine = by.sealed("orders-dlq", letter("mine"));
    site.queues.deliver("orders-dlq", genuine);
    assert_eq!(site.triage_letters().await, 2);
    let failures = site.failures().await;
    assert!(failures.iter().all(|(id, _)| id.as_str() != "victim"), "{failures:#?}");
    let forged =
        failures.iter().find(|(id, _)| id.as_str().starts_with("m-")).unwrap().1.failed.as_ref().unwrap();
    assert_eq!((forged.category, forged.status), (Category::Validation, FailureStatus::Quarantined));
    assert!(forged.dead_letter.reason.contains("not believed"), "{}", forged.dead_letter.reason);
    assert_eq!(forged.dead_letter.behind, None);
    let genuine = failures.iter().find(|(id, _)| id.as_str() == "mine").unwrap().1.failed.as_ref().unwrap();
    assert_eq!((genuine.dead_letter.reason.as_str(), genuine.status), ("it says", FailureStatus::Parked));
}

#[tokio::test]
async fn a_copy_that_was_sent_is_not_sent_again_however_often_triage_is_asked_for_it() {
    let site = Site::new();
    site.away(true);
    site.send("a1", "later").await;
    site.pass(SignedDuration::from_mins(5)).await;
    site.away(false);
    site.pass(SignedDuration::from_mins(20)).await;
    assert_eq!(site.handled(), ["a1"]);
    let (failure, status) = site.only().await;
    assert_eq!(status, FailureStatus::Resolved);
    let commits = site.store.commits(&stream(&failure));
    let commands = commits.iter().flat_map(|commit| commit.command_envelopes());
    let asked: Vec<_> = commands.filter(|(_, command)| command.command_type == "resend-failure").collect();
    assert!(asked.len() >= 2, "{asked:?}");
    for (_, late) in asked {
        site.triage.handle(&Incoming::Command(Box::new(late))).await.unwrap();
    }
    assert_eq!(site.queues.len("orders"), 0, "it was dealt with");
}

#[tokio::test]
async fn triages_own_messages_wait_for_as_long_as_what_they_need_is_away() {
    let site = Site::new();
    site.store.faults().fail_next(20);
    let command =
        FailureCommand::ResolveFailure { failure: FailureId::new("f-1").unwrap(), ordering_key: None };
    let mut told = sample::full_commit("order#1", 1).command_envelopes().next().unwrap().1;
    (told.command_type, told.data) = (command.type_name().to_owned(), command.to_data());
    told.schema_version = command.schema_version();
    let waits = site.triage.handle(&Incoming::Command(Box::new(told))).await;
    assert!(matches!(waits, Err(Failure::Deferred { .. })), "nobody triages triage: {waits:?}");
}
