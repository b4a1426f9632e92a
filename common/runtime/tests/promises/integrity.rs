//! Signatures: what was changed on the way, or made by nobody who may, is not handled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Actor, Commit, Envelope, Failure, Incoming};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::ports::{Outbound, Queues};
use hostler_testkit::memory::{MemoryBus, MemoryQueues, deliver, outbox_records};
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
