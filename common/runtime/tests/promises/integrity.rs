//! Signatures: what was changed on the way, or made by nobody who may, is not handled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Actor, CommandEnvelope, Commit, Envelope, Failure, Incoming};
use hostler_runtime::messages::attributes::{DECIDING, SIGNATURE};
use hostler_runtime::messages::batch::{Batch, Handler, REPLAY};
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::ports::{Outbound, Queues};
use hostler_testkit::memory::{MemoryBus, MemoryQueues, Received, deliver, outbox_records, sqs_event};
use hostler_testkit::{SeededIds, TestClock, sample};
use serde_json::{Value, json};

/// Keys by name, each of one letter's bytes.
fn integrity(names: &[&str], sign: Option<&str>, require: bool) -> Arc<Integrity> {
    let keys = names.iter().map(|name| ((*name).to_owned(), hex_key(name))).collect();
    let configured = SigningKeys { keys, sign: sign.map(str::to_owned), require };
    Arc::new(Integrity::new(&configured).unwrap())
}

fn hex_key(name: &str) -> String {
    name.bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect()
}

fn event() -> Envelope {
    let data = json!({ "name": "Zoë", "price": 1.5, "big": u64::MAX, "list": [1, { "b": null, "a": true }] });
    let mut event = sample::envelope("order#1", "order.placed", data);
    event.header.actor = Actor("someone".to_owned());
    event
}

/// What a commit says, in all three kinds of messages.
fn said(commit: &Commit, by: &Integrity) -> Vec<String> {
    let text = |message: &dyn erased::Text| message.text();
    let events = commit.envelopes().map(|event| text(&by.signed(event)));
    let commands = commit.command_envelopes().map(|(_, command)| text(&by.signed(command)));
    let timers = commit.timer_messages().map(|timer| text(&by.signed(timer)));
    events.chain(commands).chain(timers).collect()
}

mod erased {
    pub(super) trait Text {
        fn text(&self) -> String;
    }

    impl<T: serde::Serialize> Text for T {
        fn text(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

fn verdict(by: &Integrity, body: &str) -> Result<(), String> {
    by.verify(&Incoming::decode(body).unwrap()).map_err(|failure| failure.chain())
}

/// Every text and number of a message, changed one at a time.
fn changed(value: &Value) -> Vec<Value> {
    let mut paths = Vec::new();
    fn walk(value: &Value, path: &str, paths: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| walk(value, &format!("{path}/{name}"), paths));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(n, value)| walk(value, &format!("{path}/{n}"), paths));
            }
            _ => paths.push(path.to_owned()),
        }
    }
    walk(value, "", &mut paths);
    let change = |path: &String| {
        let mut copy = value.clone();
        let leaf = copy.pointer_mut(path).unwrap();
        *leaf = match leaf.take() {
            Value::String(text) => match text.char_indices().next_back() {
                // The last digit of ids, the last letter of names; times end in Z.
                Some((last, 'Z')) => json!(format!("{}1Z", &text[..last])),
                Some((last, letter)) => {
                    json!(format!("{}{}", &text[..last], if letter == '1' { '2' } else { '1' }))
                }
                None => json!("1"),
            },
            Value::Number(number) => json!(number.as_f64().map_or(1, |n| (n as u64 % 1_000) + 1)),
            Value::Bool(value) => json!(!value),
            _ => json!("was null"),
        };
        copy
    };
    paths.iter().map(change).collect()
}

#[test]
fn what_was_signed_is_taken_and_what_was_changed_is_not() {
    let by = integrity(&["k1"], Some("k1"), true);
    let mut refused = 0;
    for body in said(&sample::full_commit("order#1", 3), &by) {
        verdict(&by, &body).unwrap();
        for changed in changed(&serde_json::from_str(&body).unwrap()) {
            let text = changed.to_string();
            // What does not even read is refused before.
            if let Ok(message) = Incoming::decode(&text) {
                assert!(by.verify(&message).is_err(), "{text}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

/// The same with all members in another order.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .rev()
                .map(|(name, value)| format!("{}:{}", json!(name), reversed(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(reversed).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[test]
fn a_payload_that_is_spelt_in_another_way_is_the_same() {
    let by = integrity(&["k1"], Some("k1"), true);
    let body = serde_json::to_string(&by.signed(event())).unwrap();
    let spaced = body.replace("\":", "\" : ").replace(",\"", ",\n  \"").replace('ë', "\\u00eb");
    assert_ne!(body, spaced);
    verdict(&by, &spaced).unwrap();
    let members: Value = serde_json::from_str(&body).unwrap();
    verdict(&by, &reversed(&members)).unwrap();
    let wrapped = format!("{{\"detail-type\": \"order.placed\", \"detail\": {spaced}}}");
    verdict(&by, &wrapped).unwrap();
    let other = spaced.replace("\\u00eb", "e");
    assert!(verdict(&by, &other).unwrap_err().contains("does not belong to it"));
}

#[test]
fn parts_cannot_be_moved_from_one_field_to_the_next() {
    let by = integrity(&["k1"], Some("k1"), true);
    let mut event = by.signed(event());
    event.event_type = "order.place".to_owned();
    event.source = format!("d{}", event.source);
    let error = by.verify(&Incoming::Event(Box::new(event))).unwrap_err().chain();
    assert!(error.contains("does not belong to it"), "{error}");
}

#[test]
fn keys_are_rotated_without_a_pause() {
    let (old, both, new) = (
        integrity(&["old"], Some("old"), true),
        integrity(&["old", "new"], Some("new"), true),
        integrity(&["new"], Some("new"), true),
    );
    let by_old = serde_json::to_string(&old.signed(event())).unwrap();
    let by_new = serde_json::to_string(&both.signed(event())).unwrap();
    assert!(by_new.contains("hmac-sha256:new:"));
    verdict(&both, &by_old).unwrap();
    verdict(&new, &by_new).unwrap();
    assert!(
        verdict(&new, &by_old).unwrap_err().contains("the key \"old\", which this function does not know")
    );
}

#[test]
fn a_signature_is_asked_for_only_where_it_is_required() {
    let bare = serde_json::to_string(&event()).unwrap();
    verdict(&Integrity::default(), &bare).unwrap();
    verdict(&integrity(&["k1"], Some("k1"), false), &bare).unwrap();
    let error = verdict(&integrity(&["k1"], Some("k1"), true), &bare).unwrap_err();
    assert!(error.contains("order.placed") && error.contains("no signature"), "{error}");
    // One that is there is checked in any case.
    let mut forged = event();
    forged.signature = Some(format!("hmac-sha256:k1:{}", "0".repeat(64)));
    let forged = serde_json::to_string(&forged).unwrap();
    assert!(verdict(&integrity(&["k1"], None, false), &forged).is_err());
}

#[test]
fn keys_that_are_none_are_named() {
    let error = |name: &str, key: &str, sign: &str| {
        let keys = [(name.to_owned(), key.to_owned())].into();
        let configured = SigningKeys { keys, sign: Some(sign.to_owned()), require: false };
        Integrity::new(&configured).unwrap_err().to_string()
    };
    assert!(error("k1", "xyz", "k1").contains("hexadecimal"));
    assert!(error("k1", "00ff", "k1").contains("2 bytes"));
    assert!(error("k:1", &hex_key("k"), "k:1").contains("no name"));
    assert!(error("k1", &hex_key("k"), "k2").contains("no key of that name"));
}

/// Notes what it handles.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl Handler for Notes {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        self.0.lock().unwrap().push(message.type_name().to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn what_the_relay_says_is_taken_and_what_others_say_is_a_dead_letter() {
    let by = integrity(&["k1"], Some("k1"), true);
    let (clock, bus) = (TestClock::default(), MemoryBus::default());
    let queues = MemoryQueues::new(&clock, ["pack-order", "pack-order-dlq", "timers", "relay-dlq"]);
    let relay =
        Relay::new(Arc::new(bus.clone()), Arc::new(queues.clone()), Arc::new(clock.clone()), "relay-dlq");
    let relay = relay.signed_by(by.clone());
    relay.relay(&outbox_records([sample::full_commit("order#1", 1)])).await.unwrap();
    for event in bus.published() {
        by.verify(&Incoming::Event(Box::new(event))).unwrap();
    }
    verdict(&by, &queues.peek("timers")[0].body).unwrap();
    let forged = queues.peek("pack-order")[0].body.replace("1.5", "9.5");
    queues.send("pack-order", &[Outbound { body: forged, ..Outbound::default() }]).await;
    let batch = Batch::new(
        "pack-orders",
        "pack-order",
        Arc::new(queues.clone()),
        Arc::new(clock.clone()),
        Arc::new(SeededIds::default()),
    );
    let (batch, notes) = (batch.signed_by(by), Notes::default());
    deliver(&queues, "pack-order", &batch, &notes, Duration::from_secs(30)).await;
    assert_eq!(*notes.0.lock().unwrap(), ["pack-order"]);
    let dead = queues.peek("pack-order-dlq");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].attributes["category"], "validation");
    assert!(dead[0].attributes["reason"].contains("does not belong to it"));
}

const QUEUES: [&str; 3] = ["orders", "orders-dlq", "failures"];
const PLENTY: Duration = Duration::from_secs(30);

/// A deployment that requires signatures, and one batch of its queue `orders`.
struct Site {
    by: Arc<Integrity>,
    queues: MemoryQueues,
    batch: Batch,
}

impl Site {
    fn new(by: Arc<Integrity>) -> Self {
        let clock = TestClock::default();
        let queues = MemoryQueues::new(&clock, QUEUES);
        let (sending, ids) = (Arc::new(queues.clone()), Arc::new(SeededIds::default()));
        let batch = Batch::new("handle-orders", "orders", sending, Arc::new(clock), ids);
        Self { batch: batch.signed_by(by.clone()), by, queues }
    }

    /// Hands a message over as it is; says whether it was handled.
    async fn takes(&self, message: &Outbound) -> bool {
        let notes = Notes::default();
        let received = Received {
            message_id: "m-77".to_owned(),
            body: message.body.clone(),
            attributes: message.attributes.clone(),
            receipt: "m-77/1".to_owned(),
            receive_count: 1,
        };
        let response = self.batch.handle(sqs_event("orders", &[received]), PLENTY, &notes).await;
        assert!(response.batch_item_failures.is_empty(), "{response:?}");
        !notes.0.lock().unwrap().is_empty()
    }

    /// Takes what came to a queue.
    fn drain(&self, queue: &str) -> Vec<Outbound> {
        let all = self.queues.peek(queue);
        for message in self.queues.receive(queue, 10) {
            self.queues.delete(queue, &message.receipt);
        }
        all
    }
}

/// What another system puts on the queue in a form of its own, as the command that it stands for.
fn adopt(body: &str) -> Option<CommandEnvelope> {
    let (_, command) = sample::full_commit("order#1", 1).command_envelopes().next()?;
    body.starts_with("{\"other\":").then_some(command)
}

/// Given a queue that takes another system's form, when a message of that form comes, then it is handled without a signature;
/// what has our form still needs one, and what is of neither form is a dead letter.
#[tokio::test]
async fn another_systems_form_needs_no_signature_and_our_own_still_does() {
    let site = Site::new(integrity(&["k1"], Some("k1"), true));
    let bare = |body: &str| Outbound { body: body.to_owned(), ..Outbound::default() };
    let (others, own) = (bare("{\"other\":1}"), bare(&serde_json::to_string(&event()).unwrap()));
    assert!(!site.takes(&others).await, "nobody has said that it takes this form");
    // Whatever is said later of the batch, it still takes the form.
    let batch = site.batch.clone().adopting(adopt).receiving(7).signed_by(site.by.clone());
    let site = Site { batch, ..site };
    assert!(site.takes(&others).await);
    assert!(!site.takes(&own).await);
    assert!(!site.takes(&bare("{\"neither\":1}")).await);
    let reasons: Vec<String> =
        site.drain("orders-dlq").into_iter().map(|letter| letter.attributes["reason"].clone()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:#?}");
    assert!(reasons[0].contains("has none of eventType") && reasons[2].contains("has none of eventType"));
    assert!(reasons[1].contains("no signature"), "{reasons:#?}");
}

/// A message with all attributes that something is decided on but the mark of a replay, which is not handled.
fn copy(body: String) -> Outbound {
    let said = |name: &str| match name {
        "deferredSince" => "2026-01-31T12:00:00Z",
        "attempts" | "triedBefore" => "2",
        "category" => "transient",
        _ => "failure-1",
    };
    let names = DECIDING.into_iter().filter(|name| *name != REPLAY);
    let attributes = names.map(|name| (name.to_owned(), said(name).to_owned())).collect();
    Outbound { body, delay_seconds: 0, attributes }
}

/// Given a copy of a message whose attributes are signed, when any of them is changed, removed, added, or carried over to
/// another body or queue, then it is not handled, no failure is resolved by it, and it becomes a failure of its own.
#[tokio::test]
async fn attributes_that_decide_something_are_believed_only_with_their_signature() {
    let site = Site::new(integrity(&["k1"], Some("k1"), true));
    let body = |name: &str| {
        let event = sample::envelope("order#1", "order.placed", json!({ "name": name }));
        serde_json::to_string(&site.by.signed(event)).unwrap()
    };
    let genuine = site.by.sealed("orders", copy(body("mine")));
    assert!(site.takes(&genuine).await);
    assert_eq!(site.drain("failures").len(), 1, "its failure is resolved");
    assert!(site.takes(&site.by.sealed("orders-dlq", copy(body("mine")))).await, "moved back by a redrive");
    assert_eq!(site.drain("failures").len(), 1);

    let mut forged: Vec<(String, Outbound)> = Vec::new();
    let mut forge = |how: &str, change: &dyn Fn(&mut Outbound)| {
        let mut message = genuine.clone();
        change(&mut message);
        forged.push((how.to_owned(), message));
    };
    for name in DECIDING {
        forge(&format!("{name} is another"), &|message| {
            message.attributes.insert(name.to_owned(), "failure-2".to_owned());
        });
        if name != REPLAY {
            forge(&format!("{name} is gone"), &|message| drop(message.attributes.remove(name)));
        }
    }
    forge("another body", &|message| message.body = body("theirs"));
    forge("no signature", &|message| drop(message.attributes.remove(SIGNATURE)));
    forge("no signature that reads", &|message| {
        message.attributes.insert(SIGNATURE.to_owned(), "hmac-sha256:k1".to_owned());
    });
    let elsewhere = site.by.sealed("payments", copy(body("mine")));
    forge("another queue", &|message| *message = elsewhere.clone());
    let by_others = integrity(&["k2"], Some("k2"), true).sealed("orders", copy(body("mine")));
    forge("another key", &|message| *message = by_others.clone());
    for name in DECIDING {
        // A message that never failed, with one attribute of somebody's own.
        forge(&format!("only {name}"), &|message| {
            message.attributes = [(name.to_owned(), "failure-1".to_owned())].into();
        });
    }
    for (how, message) in forged {
        assert!(!site.takes(&message).await, "{how}");
        assert!(site.drain("failures").is_empty(), "{how}: no failure is resolved");
        let letters = site.drain("orders-dlq");
        assert_eq!(letters.len(), 1, "{how}");
        let said = &letters[0].attributes;
        assert!(said["reason"].contains("not believed"), "{how}: {said:?}");
        assert_eq!(
            (said["category"].as_str(), said["originalMessageId"].as_str()),
            ("validation", "m-77"),
            "{how}"
        );
        assert!(!said.contains_key("failureId") && !said.contains_key("behind"), "{how}: {said:?}");
        assert!(said.len() <= 10 && said.contains_key(SIGNATURE), "{how}: the letter itself is signed");
    }
}

/// Without signatures everything is as before; while they are not required, none is as good as a right one.
#[tokio::test]
async fn attributes_need_no_signature_where_none_is_required() {
    let event = serde_json::to_string(&event()).unwrap();
    for by in [Arc::default(), integrity(&["k1"], Some("k1"), false), integrity(&["k1"], None, false)] {
        let site = Site::new(by);
        assert!(site.takes(&copy(event.clone())).await);
        assert_eq!(site.drain("failures").len(), 1);
    }
    let site = Site::new(integrity(&["k1"], Some("k1"), false));
    let mut forged = site.by.sealed("orders", copy(event));
    forged.attributes.insert("failureId".to_owned(), "failure-2".to_owned());
    assert!(!site.takes(&forged).await, "a wrong one is wrong in any case");
    // A replay is a mark that keeps a message from being handled: nobody else may set it.
    let mark =
        Outbound { attributes: [(REPLAY.to_owned(), "true".to_owned())].into(), ..Outbound::default() };
    assert!(site.by.sealed("orders", mark).attributes.contains_key(SIGNATURE));
    let bare =
        Outbound { attributes: [("colour".to_owned(), "blue".to_owned())].into(), ..Outbound::default() };
    assert_eq!(site.by.sealed("orders", bare.clone()), bare, "nothing is decided on it");
}

/// Before, each of these was spelt as something else, and a signature of that was taken for it.
#[test]
fn a_payload_that_cannot_be_spelt_is_neither_signed_nor_verified() {
    let by = integrity(&["k1"], Some("k1"), true);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (said, instead) in [
        (deep.as_str(), json!(null)),
        ("{\"$serde_json::private::RawValue\":\"{\\\"a\\\":1}\"}", json!({ "a": 1 })),
        ("{\"n\":9999999999999999.5}", json!({ "n": 1e16 })),
        ("{\"n\":1,\"n\":2}", json!({ "n": 2 })),
    ] {
        let mut event = event();
        event.data = instead.into();
        let mut event = by.signed(event);
        event.data = serde_json::from_str(said).unwrap();
        let error = by.verify(&Incoming::Event(Box::new(event.clone()))).unwrap_err().chain();
        assert!(error.contains("cannot be checked"), "{error}");
        assert_eq!(by.signed(event).signature, None, "{said}");
    }
}
