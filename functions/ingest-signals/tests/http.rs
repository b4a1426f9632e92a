//! What senders over HTTP are told, and where what they sent goes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use hostler_core::{CommandEnvelope, CommandType, Incoming};
use hostler_events::IngestCommand;
use hostler_events::signal::{ReportSignal, ReportThreshold, SignalForm, TakeSignals};
use hostler_runtime::messages::batch::Batch;
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};
use hostler_runtime::ports::{Clock, EntryFailure, MESSAGE_BYTES_MAX, Outbound};
use hostler_runtime::serving::bearer::BearerToken;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_testkit::memory::{MemoryQueues, deliver};
use hostler_testkit::{SeededIds, TestClock};
use ingest_signals::IngestSignals;
use ingest_signals::adopt::adopt;
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const BEFORE: &str = "fedcba9876543210fedcba9876543210";
const QUEUES: [&str; 6] =
    ["signals", "signals-dlq", "failures", "recover-hosts", "scale-pools", "watch-inventory"];

struct Fixture {
    clock: TestClock,
    queues: MemoryQueues,
    integrity: Arc<Integrity>,
    function: IngestSignals,
}

impl Fixture {
    fn new() -> Self {
        Self::signing(false)
    }

    fn signing(signs: bool) -> Self {
        let clock = TestClock::at("2026-01-31T11:00:00Z".parse().unwrap());
        let queues = MemoryQueues::new(&clock, QUEUES);
        let keys = SigningKeys {
            keys: [("k".to_owned(), "6b".repeat(32))].into(),
            sign: signs.then(|| "k".to_owned()),
            require: signs,
        };
        let integrity = Arc::new(Integrity::new(&keys).unwrap());
        let function = IngestSignals {
            clock: Arc::new(clock.clone()),
            ids: Arc::new(SeededIds::default()),
            queues: Arc::new(queues.clone()),
            integrity: integrity.clone(),
            token: BearerToken::new(TOKEN.as_bytes()).unwrap().after(BEFORE.as_bytes()).unwrap(),
        };
        Self { clock, queues, integrity, function }
    }

    async fn post(&self, form: &str, body: impl ToString) -> Response {
        self.function.answer(&request(form, body.to_string())).await
    }

    /// Works the queue `signals` off.
    async fn work(&self) {
        let (clock, ids) = (Arc::new(self.clock.clone()), Arc::new(SeededIds::new(7)));
        let batch = Batch::new("ingest-signals", "signals", Arc::new(self.queues.clone()), clock, ids);
        let batch = batch.signed_by(self.integrity.clone()).adopting(adopt);
        let remaining = Duration::from_secs(29);
        while deliver(&self.queues, "signals", &batch, &self.function, remaining).await.messages > 0 {}
    }

    fn on(&self, queue: &str) -> Vec<CommandEnvelope> {
        self.queues.peek(queue).iter().map(command).collect()
    }
}

fn command(message: &Outbound) -> CommandEnvelope {
    match Incoming::decode(&message.body).unwrap() {
        Incoming::Command(command) => *command,
        other => panic!("{other:?}"),
    }
}

fn request(form: &str, body: String) -> Request {
    Request {
        method: "POST".to_owned(),
        path: format!("/signals/{form}"),
        body,
        headers: [("authorization".to_owned(), format!("Bearer {TOKEN}"))].into(),
        ..Request::default()
    }
}

fn alert(host: &str, clock: &TestClock) -> Value {
    json!({
        "status": "firing",
        "labels": { "alertname": "HostDown", "host": host, "fault": "unreachable" },
        "annotations": { "summary": format!("{host} does not answer") },
        "startsAt": clock.now() - jiff::SignedDuration::from_secs(20),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": format!("of-{host}"),
    })
}

fn webhook(alerts: Vec<Value>) -> Value {
    json!({ "version": "4", "status": "firing", "receiver": "hostler", "alerts": alerts, "truncatedAlerts": 0 })
}

#[track_caller]
fn refused(answer: &Response, status: u16, code: &str, says: &str) {
    assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(code)), "{}", answer.body);
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains(says), "it does not say {says:?}: {message}");
}

#[tokio::test]
async fn only_who_shows_the_token_is_heard() {
    let fixture = Fixture::new();
    let body = webhook(vec![alert("h-01", &fixture.clock)]).to_string();
    for (header, status) in [
        (None, 401),
        (Some("Basic YTpi".to_owned()), 401),
        (Some(format!("Bearer {}", "0".repeat(32))), 403),
        (Some(format!("Bearer {TOKEN}")), 202),
        (Some(format!("Bearer {BEFORE}")), 202),
    ] {
        let mut request = request("alertmanager", body.clone());
        match &header {
            Some(header) => request.headers.insert("authorization".to_owned(), header.clone()),
            None => request.headers.remove("authorization"),
        };
        let answer = fixture.function.answer(&request).await;
        assert_eq!(answer.status, status, "{header:?}: {answer:?}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        assert!(!answer.body.to_string().contains(TOKEN), "the token is not told");
    }
    assert_eq!(fixture.queues.len("signals"), 2);
    // Who has no token is not even told what there is.
    let mut request = request("nothing", body);
    request.headers.clear();
    assert_eq!(fixture.function.answer(&request).await.status, 401);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    refused(&fixture.post("alertmanager", "{\n \"alerts\": ").await, 400, "malformed", "line 2");
    refused(&fixture.post("alertmanager", "[]").await, 400, "malformed", "no JSON object");
    let deep = "[".repeat(200) + &"]".repeat(200);
    refused(&fixture.post("redfish", format!("{{\"a\":{deep}}}")).await, 400, "malformed", "recursion limit");
    refused(
        &fixture.post("heartbeat", format!("\"{}\"", "x".repeat(4_000_000))).await,
        413,
        "too-large",
        "4000000",
    );
    refused(&fixture.post("event-bridge", "{}").await, 404, "no-such-route", "/signals/redfish");
    refused(&fixture.post("", "{}").await, 404, "no-such-route", "/signals/redfish");
    let mut get = request("alertmanager", String::new());
    get.method = "GET".to_owned();
    refused(&fixture.function.answer(&get).await, 405, "no-such-method", "POST");
    assert_eq!(fixture.queues.len("signals"), 0);
}

#[tokio::test]
async fn what_was_answered_is_on_the_queue_as_it_came() {
    let fixture = Fixture::signing(true);
    let body = webhook(vec![alert("h-01", &fixture.clock)]);
    let mut request = request("alertmanager", body.to_string());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.headers.insert("traceparent".to_owned(), trace.to_owned());
    let answer = fixture.function.answer(&request).await;
    assert_eq!((answer.status, &answer.body), (202, &json!({ "messages": 1 })));
    let message = Incoming::decode(&fixture.queues.peek("signals")[0].body).unwrap();
    fixture.integrity.verify(&message).unwrap();
    let expected = TakeSignals { form: SignalForm::Alertmanager, received_at: fixture.clock.now(), body };
    assert_eq!(message.command::<IngestCommand>().unwrap(), IngestCommand::TakeSignals(expected));
    assert_eq!(message.actor().0, "signals:alertmanager");
    assert_eq!(message.trace_context().unwrap().traceparent, trace);
    // What follows from it has the same trace and actor, is one hop further, and is signed.
    fixture.work().await;
    let told = Incoming::decode(&fixture.queues.peek("recover-hosts")[0].body).unwrap();
    fixture.integrity.verify(&told).unwrap();
    assert_eq!((told.hops(), &told.header().causation_id), (1, &message.cause()));
    assert_eq!((told.actor(), told.correlation_id()), (message.actor(), message.correlation_id()));
    assert_eq!(told.trace_context().unwrap().traceparent, trace);
}

#[tokio::test]
async fn a_sender_is_told_to_come_again_when_the_queue_does_not_take_it() {
    let fixture = Fixture::new();
    let gone =
        EntryFailure { retryable: true, code: "ServiceUnavailable".to_owned(), message: "away".to_owned() };
    fixture.queues.refuse("signals", gone);
    let body = webhook(vec![alert("h-01", &fixture.clock)]);
    let answer = fixture.post("alertmanager", &body).await;
    refused(&answer, 503, "unavailable", "send them again");
    assert_eq!(answer.headers["retry-after"], "5");
    fixture.queues.accept("signals");
    assert_eq!(fixture.post("alertmanager", &body).await.status, 202);
}

#[tokio::test]
async fn a_heartbeat_that_says_nothing_new_is_taken_and_costs_no_message() {
    let fixture = Fixture::new();
    let beat = |healthy: bool, since: &str| {
        json!({
            "host": "h-01", "sequence": 7, "sentAt": fixture.clock.now(), "intervalSeconds": 10,
            "healthy": healthy, "since": since,
        })
    };
    for (body, messages) in [
        (beat(true, "2026-01-31T10:00:00Z"), 0),
        (beat(true, "2026-01-31T10:59:50Z"), 1),
        (beat(false, "2026-01-31T10:00:00Z"), 1),
        // What is not understood is for an operator.
        (json!({ "host": "h-01" }), 1),
    ] {
        let answer = fixture.post("heartbeat", &body).await;
        assert_eq!((answer.status, &answer.body["messages"]), (202, &json!(messages)), "{body}");
    }
    assert_eq!(fixture.queues.len("signals"), 3);
}

#[tokio::test]
async fn a_storm_in_one_body_is_taken_apart_and_nothing_of_it_is_lost() {
    let fixture = Fixture::new();
    let alerts: Vec<Value> = (0..2_000)
        .map(|n| {
            let mut alert = alert(&format!("h-{n:04}"), &fixture.clock);
            alert["annotations"]["description"] = "x".repeat(1_000).into();
            alert
        })
        .collect();
    let answer = fixture.post("alertmanager", webhook(alerts)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let parts = fixture.queues.peek("signals");
    assert!(parts.len() > 5 && parts.iter().all(|part| part.bytes() <= MESSAGE_BYTES_MAX), "{}", parts.len());
    fixture.work().await;
    let told = fixture.on("recover-hosts");
    let hosts: std::collections::BTreeSet<String> =
        told.iter().map(|told| told.data.to_value()["host"].as_str().unwrap().to_owned()).collect();
    assert_eq!((told.len(), hosts.len()), (2_000, 2_000));
    assert_eq!(fixture.queues.len("signals-dlq"), 0);
}

#[tokio::test]
async fn an_alert_that_is_too_large_is_named_and_holds_up_no_other() {
    let fixture = Fixture::new();
    let mut large = alert("h-02", &fixture.clock);
    large["labels"]["dump"] = "x".repeat(1_048_576).into();
    let body = webhook(vec![alert("h-01", &fixture.clock), large, alert("h-03", &fixture.clock)]);
    let answer = fixture.post("alertmanager", body).await;
    refused(&answer, 413, "too-large", "alerts[1]");
    fixture.work().await;
    assert_eq!(fixture.queues.len("recover-hosts"), 2);
    // What has no list is refused as a whole.
    let answer = fixture.post("heartbeat", json!({ "host": "h-01", "dump": "x".repeat(300_000) })).await;
    refused(&answer, 413, "too-large", "the body");
}

#[tokio::test]
async fn good_alerts_go_and_bad_ones_are_a_dead_letter_with_the_reason() {
    let fixture = Fixture::new();
    let (mut bad, good) = (alert("h-01", &fixture.clock), alert("h-02", &fixture.clock));
    bad["labels"].as_object_mut().unwrap().remove("host");
    let load = json!({
        "status": "firing", "startsAt": fixture.clock.now(), "fingerprint": "f",
        "labels": { "alertname": "Load", "pool": "web", "metric": "load", "direction": "above" },
        "annotations": { "value": "0.9" },
    });
    assert_eq!(fixture.post("alertmanager", webhook(vec![bad, good.clone(), load, good])).await.status, 202);
    fixture.work().await;
    let told = fixture.on("recover-hosts");
    assert_eq!(told.len(), 1, "the same alert twice in a body is one");
    let report = ReportSignal::from_data(told[0].schema_version, &told[0].data).unwrap();
    assert_eq!((report.host.as_str(), report.signal.fault.as_str()), ("h-02", "unreachable"));
    let told = fixture.on("scale-pools");
    let report = ReportThreshold::from_data(told[0].schema_version, &told[0].data).unwrap();
    assert_eq!((report.pool.as_str(), report.value), ("web", Some(0.9)));
    let letters = fixture.queues.peek("signals-dlq");
    assert_eq!(letters.len(), 1);
    let (reason, category) = (&letters[0].attributes["reason"], &letters[0].attributes["category"]);
    assert!(
        reason.contains("1 of 4 signals were not understood; alerts[0] (HostDown): it names no host"),
        "{reason}"
    );
    assert_eq!(category, "validation");
}

#[tokio::test]
async fn what_is_not_told_now_is_told_again_under_the_same_ids() {
    let fixture = Fixture::new();
    let body = webhook(vec![alert("h-01", &fixture.clock), alert("h-02", &fixture.clock)]);
    fixture.post("alertmanager", &body).await;
    fixture.queues.faults().partial_next([1]);
    fixture.work().await;
    let first = fixture.on("recover-hosts");
    assert_eq!(
        (first.len(), fixture.queues.len("signals")),
        (1, 1),
        "the message stays for what was not taken"
    );
    fixture.clock.advance_seconds(200);
    fixture.work().await;
    let both = fixture.on("recover-hosts");
    assert_eq!((both.len(), fixture.queues.len("signals")), (3, 0));
    let ids: std::collections::BTreeSet<_> = both.iter().map(|told| told.command_id).collect();
    assert_eq!(ids.len(), 2, "who handles them knows the repeat by its id");
}

/// Alertmanager sends an alert again and again for as long as it fires. While the first is worth something, that is a repeat;
/// later it is news, so that what came too late the first time is not lost for as long as repeats are remembered.
#[tokio::test]
async fn an_alert_that_goes_on_is_the_same_for_a_quarter_of_an_hour() {
    let fixture = Fixture::new();
    let body = webhook(vec![alert("h-01", &fixture.clock)]);
    let mut ids = Vec::new();
    // The clock begins at a full hour.
    for seconds in [60, 600, 300, 3_600] {
        fixture.clock.advance_seconds(seconds);
        fixture.post("alertmanager", &body).await;
        fixture.work().await;
        let newest = fixture.on("recover-hosts");
        ids.push(newest.last().unwrap().clone());
    }
    let same = |a: usize, b: usize| ids[a].command_id == ids[b].command_id;
    assert!(same(0, 1) && !same(1, 2) && !same(2, 3), "{ids:#?}");
    // Looking for a repeat goes back to where the first can be.
    assert_eq!(ids[0].timestamp, ids[1].timestamp);
    assert!(ids.iter().all(|told| told.timestamp <= fixture.clock.now()));
}

#[tokio::test]
async fn events_of_aws_are_taken_without_a_signature_and_nothing_else_is() {
    let fixture = Fixture::signing(true);
    let event = json!({
        "version": "0", "id": "12345678-1234-1234-1234-123456789012", "source": "aws.autoscaling",
        "detail-type": "EC2 Instance-terminate Lifecycle Action", "time": fixture.clock.now(),
        "account": "123456789012", "region": "us-east-1", "resources": [],
        "detail": { "EC2InstanceId": "i-1", "AutoScalingGroupName": "web", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING" },
    });
    let with = |field: &str, value: Value| {
        let mut event = event.clone();
        event[field] = value;
        event.to_string()
    };
    let unsigned = json!({
        "commandId": "019c13b5-b750-7a10-8a10-5a5a00a10a10", "commandType": "take-signals", "schemaVersion": 1,
        "timestamp": fixture.clock.now(), "source": "aws.autoscaling", "hops": 0, "actor": "x",
        "correlationId": "019c13b5-b750-7a10-8a10-5a5a00a10a10", "causationId": "c",
        "data": { "form": "event-bridge", "receivedAt": fixture.clock.now(), "body": event },
    });
    let bodies = [
        (event.to_string(), None),
        (with("source", json!("orders")), Some("has none of eventType")),
        (with("time", json!("now")), Some("has none of eventType")),
        (with("detail-type", json!("EC2 Instance State-change Notification")), Some("is no signal")),
        (unsigned.to_string(), Some("no signature")),
        ("no json".to_owned(), Some("not JSON")),
    ];
    for (body, _) in &bodies {
        fixture.queues.deliver("signals", Outbound { body: body.clone(), ..Outbound::default() });
    }
    fixture.work().await;
    let told = fixture.on("recover-hosts");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].data.to_value()["host"], "i-1");
    let letters = fixture.queues.peek("signals-dlq");
    for (body, reason) in &bodies {
        let letter = letters.iter().find(|letter| letter.body == *body);
        match reason {
            Some(reason) => {
                let said = &letter.unwrap_or_else(|| panic!("{body} was lost")).attributes["reason"];
                assert!(said.contains(reason), "{body}: {said}");
            }
            None => assert_eq!(letter, None),
        }
    }
}
