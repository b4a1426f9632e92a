//! What senders over HTTP are told: each kind of mistake has its status, its code and its advice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use accept_commands::AcceptCommands;
use hostler_app::Settings;
use hostler_core::saga::SagaRef;
use hostler_core::{Actor, CommandId, CorrelationId, Failure, Incoming, StepId};
use hostler_domain::{Hardware, HostDecider, HostFacts, HostInput};
use hostler_events::commands::BootOutcome;
use hostler_events::host::PowerState;
use hostler_events::{Image, Role};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::{Control, EventStore};
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::state::shell::{Cause, Shell};
use hostler_testkit::memory::{MemoryControl, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};
use serde_json::{Value, json};

struct Fixture {
    store: MemoryStore,
    key: CallbackKey,
    control: MemoryControl,
    clock: TestClock,
    function: AcceptCommands,
}

impl Fixture {
    fn new() -> Self {
        let (store, key) =
            (MemoryStore::default(), CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap());
        let (control, clock) = (MemoryControl::default(), TestClock::default());
        let (time, ids) = (Arc::new(clock.clone()), Arc::new(SeededIds::default()));
        let function = AcceptCommands::new(
            Shell::new(Arc::new(store.clone()), time.clone(), ids, "hostler"),
            Backpressure::new(Arc::new(control.clone()), time),
            Arc::new(control.clone()),
            key.clone(),
            Settings::default(),
        );
        Self { store, key, control, clock, function }
    }

    async fn send(&self, request: &Request) -> Response {
        self.function.answer(request).await
    }

    async fn command(&self, kind: &str, body: Value) -> Response {
        self.send(&command(kind, body)).await
    }

    async fn enrol(&self) -> Response {
        self.command("enrol-host", enrolment()).await
    }

    fn commits(&self) -> usize {
        self.store.outbox_since(0).len()
    }
}

fn post(path: &str, body: impl Into<String>) -> Request {
    let (method, path, caller) = ("POST".to_owned(), path.to_owned(), Some("ada".to_owned()));
    Request { method, path, body: body.into(), caller, ..Request::default() }
}

fn command(kind: &str, body: Value) -> Request {
    post(&format!("/commands/{kind}"), body.to_string())
}

fn with_header(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.insert(name.to_owned(), value.to_owned());
    request
}

fn enrolment() -> Value {
    json!({
        "host": "h-1", "pool": "web", "sku": "cpu", "faultDomain": "rack-1",
        "bmc": { "systemUrl": "https://10.0.0.7/redfish/v1/Systems/1" },
    })
}

fn callback(step: &str, token: &str, body: &str) -> Request {
    // A host has no identity of AWS's.
    let mut request = Request { caller: None, ..post("/callbacks/boot", body) };
    for (name, value) in [("host", "h-1"), ("step", step), ("token", token)] {
        request.query.insert(name.to_owned(), value.to_owned());
    }
    request
}

#[track_caller]
fn refused(answer: &Response, status: u16, code: &str, says: &str) {
    assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(code)), "{}", answer.body);
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains(says), "it does not say {says:?}: {message}");
}

#[tokio::test]
async fn what_is_accepted_says_where_it_was_recorded() {
    let fixture = Fixture::new();
    let answer = fixture.enrol().await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body, json!({ "stream": "host#h-1", "version": 1, "repeated": false, "host": "h-1" }));
    let again = fixture.enrol().await;
    assert_eq!(
        (again.status, &again.body["repeated"]),
        (202, &json!(true)),
        "the same again changes nothing"
    );
    assert_eq!(fixture.commits(), 1);
}

#[tokio::test]
async fn a_new_id_that_the_api_could_not_show_is_refused() {
    let fixture = Fixture::new();
    let enrolment_of = |host: &str| {
        let mut body = enrolment();
        body["host"] = json!(host);
        body
    };
    for host in ["a/timeline", "/a", "a/", "a//b", "..", "a/../b"] {
        let answer = fixture.command("enrol-host", enrolment_of(host)).await;
        refused(&answer, 400, "invalid", host);
    }
    assert_eq!(fixture.commits(), 0);
    // One that was enrolled before this was a rule is operated like any other.
    fixture.enrol().await;
    let mut old = fixture.store.outbox_since(0).remove(0);
    old.stream = "host#a/timeline".parse().unwrap();
    let mut data = old.events[0].data.to_value();
    data["host"] = json!("a/timeline");
    old.events[0].data = data.into();
    fixture.store.append(&old).await.unwrap();
    let answer =
        fixture.command("label-host", json!({ "host": "a/timeline", "set": { "owner": "infra" } })).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

fn enrolment_of(host: &str, bmc: &str) -> Value {
    let mut body = enrolment();
    (body["host"], body["bmc"]["systemUrl"]) = (json!(host), json!(bmc));
    body
}

#[tokio::test]
async fn one_bmc_belongs_to_one_host_however_its_address_is_spelt() {
    let fixture = Fixture::new();
    let enrol = async |host: &str, bmc: &str| fixture.command("enrol-host", enrolment_of(host, bmc)).await;
    assert_eq!(enrol("h-1", "https://bmc-1/redfish/v1/Systems/1").await.status, 202);
    for same in ["https://bmc-1/redfish/v1/Systems/1", "https://BMC-1.:443/redfish/v1/Systems/1/"] {
        refused(&enrol("h-2", same).await, 409, "bmc-taken", "belongs to the host h-1");
    }
    assert_eq!(enrol("h-1", "https://bmc-1/redfish/v1/Systems/1").await.body["repeated"], json!(true));
    assert_eq!(enrol("h-2", "https://bmc-1/redfish/v1/Systems/2").await.status, 202, "another system");
    assert_eq!(fixture.commits(), 2);
}

#[tokio::test]
async fn a_claim_without_a_host_runs_out() {
    let fixture = Fixture::new();
    // The append fails after the claim: as if the function had died.
    fixture.store.faults().fail_next(1);
    let enrol = async |host: &str| fixture.command("enrol-host", enrolment_of(host, "https://bmc-1/s")).await;
    assert_eq!(enrol("h-1").await.status, 503);
    refused(&enrol("h-2").await, 409, "bmc-taken", "h-1");
    fixture.clock.advance(std::time::Duration::from_secs(301));
    assert_eq!(enrol("h-2").await.status, 202);
    refused(&enrol("h-1").await, 409, "bmc-taken", "h-2");
}

#[tokio::test]
async fn an_image_stays_in_its_folder() {
    let fixture = Fixture::new();
    for image in ["../secret", "debian/../../secret", "/debian", "."] {
        let body = json!({ "request": "r-1", "pool": "web", "role": "web", "image": image, "count": 1 });
        refused(&fixture.command("request-hosts", body).await, 400, "invalid", "image");
    }
    assert_eq!(fixture.commits(), 0);
}

#[tokio::test]
async fn in_an_emergency_callers_are_told_to_come_again_and_hosts_are_heard() {
    let fixture = Fixture::new();
    fixture.enrol().await;
    let emergency = json!({ "deploy-host": { "level": "emergency", "concurrency": 100 } });
    assert!(fixture.control.put(hostler_runtime::operations::flow::KEY, &emergency, 0).await.unwrap());
    fixture.clock.advance_seconds(5);
    let refused = fixture.enrol().await;
    assert_eq!((refused.status, &refused.body["error"]), (429, &json!("overloaded")), "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "30");
    assert!(refused.body["message"].as_str().unwrap().contains("deploy-host"), "{refused:?}");
    let query = [("host", "h-1"), ("step", "s"), ("token", "00")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let callback = Request {
        method: "POST".to_owned(),
        path: "/callbacks/boot".to_owned(),
        query: query.into(),
        body: json!({ "outcome": "succeeded" }).to_string(),
        ..Request::default()
    };
    assert_eq!(fixture.send(&callback).await.status, 403, "it is heard, and its token is wrong");
    let over = json!({ "deploy-host": { "level": "scale", "concurrency": 40 } });
    assert!(fixture.control.put(hostler_runtime::operations::flow::KEY, &over, 1).await.unwrap());
    fixture.clock.advance_seconds(5);
    assert_eq!(fixture.enrol().await.status, 202);
}

#[tokio::test]
async fn a_request_without_a_caller_is_refused_and_a_callback_is_not() {
    let fixture = Fixture::new();
    for caller in [None, Some(String::new())] {
        let nobody = Request { caller: caller.clone(), ..command("enrol-host", enrolment()) };
        refused(&fixture.send(&nobody).await, 401, "no-caller", "sign the request");
        let elsewhere = Request { caller, ..post("/anything", "{}") };
        refused(&fixture.send(&elsewhere).await, 401, "no-caller", "sign the request");
    }
    assert_eq!(fixture.commits(), 0);
    fixture.enrol().await;
    let answer = fixture.send(&callback("s", "00", "{\"outcome\":\"succeeded\"}")).await;
    assert_eq!(answer.status, 403, "it is heard, and its token is wrong: {}", answer.body);
}

#[tokio::test]
async fn who_asks_and_why_is_recorded() {
    let fixture = Fixture::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = with_header(command("enrol-host", enrolment()), "traceparent", trace);
    let request = with_header(request, "idempotency-key", "change-7");
    fixture.send(&Request { caller: Some("arn:aws:iam::1:user/ada".to_owned()), ..request }).await;
    let commit = fixture.store.outbox_since(0).remove(0);
    assert_eq!(commit.actor.0, "arn:aws:iam::1:user/ada");
    let cause = commit.causation_id.as_str();
    assert!(cause.starts_with("key:") && cause.contains(":change-7/"), "{cause}");
    assert_eq!(commit.trace_context.unwrap().traceparent, trace);
    assert_eq!(commit.hops, 1);
}

#[tokio::test]
async fn a_key_stands_for_one_content_of_one_caller() {
    let fixture = Fixture::new();
    fixture.enrol().await;
    let label = |rack: &str, caller: &str| {
        let command = command("label-host", json!({ "host": "h-1", "set": { "rack": rack } }));
        Request { caller: Some(caller.to_owned()), ..with_header(command, "idempotency-key", "change-7") }
    };
    assert_eq!(fixture.send(&label("r1", "ada")).await.status, 202);
    let refused = fixture.send(&label("r2", "ada")).await;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("payload-mismatch")), "{refused:?}");
    let other = fixture.send(&label("r3", "bob")).await;
    assert_eq!(
        (other.status, &other.body["repeated"]),
        (202, &json!(false)),
        "bob's keys are his own: {other:?}"
    );
    let command = command("requalify-host", json!({ "host": "h-1" }));
    let another =
        Request { caller: Some("ada".to_owned()), ..with_header(command, "idempotency-key", "change-7") };
    assert_eq!(fixture.send(&another).await.body["error"], "not-possible", "so are another command's");
    let repeated = fixture.send(&label("r1", "ada")).await;
    assert_eq!((repeated.status, &repeated.body["repeated"]), (202, &json!(true)), "{repeated:?}");
}

#[tokio::test]
async fn a_key_makes_a_repeat_harmless_even_where_the_command_alone_would_be_refused() {
    let fixture = Fixture::new();
    fixture.enrol().await;
    let label = json!({ "host": "h-1", "set": { "rack": "r1" } });
    let request = with_header(command("label-host", label), "idempotency-key", "label-1");
    let versions =
        [fixture.send(&request).await, fixture.send(&request).await].map(|a| a.body["version"].clone());
    assert_eq!(versions, [json!(2), json!(2)]);
    assert_eq!(fixture.commits(), 2);
    let odd = with_header(command("enrol-host", enrolment()), "idempotency-key", "no spaces, please");
    refused(&fixture.send(&odd).await, 400, "invalid", "identifier");
}

#[tokio::test]
async fn routes_that_are_not_served_are_named() {
    let fixture = Fixture::new();
    for (method, path) in
        [("GET", "/commands/enrol-host"), ("POST", "/"), ("POST", "/commands"), ("PUT", "/callbacks/boot")]
    {
        let request = Request { method: method.to_owned(), ..post(path, "{}") };
        refused(&fixture.send(&request).await, 404, "no-such-route", "POST /commands/<type>");
    }
}

#[tokio::test]
async fn what_does_not_read_is_refused_with_the_place() {
    let fixture = Fixture::new();
    refused(&fixture.command("explode", json!({})).await, 404, "unknown-type", "enrol-host");
    refused(&fixture.send(&post("/commands/enrol-host", "{")).await, 400, "malformed", "not JSON");
    refused(&fixture.send(&post("/commands/enrol-host", "")).await, 400, "malformed", "not JSON");
    refused(&fixture.command("enrol-host", json!({ "host": "h-1" })).await, 400, "invalid", "pool");
    let mut unknown_field = enrolment();
    unknown_field["colour"] = json!("blue");
    refused(&fixture.command("enrol-host", unknown_field).await, 400, "invalid", "colour");
    let mut odd_id = enrolment();
    odd_id["host"] = json!("h 1");
    refused(&fixture.command("enrol-host", odd_id).await, 400, "invalid", "h 1");
    assert_eq!(fixture.commits(), 0);
}

#[tokio::test]
async fn a_schema_version_is_a_number_that_this_code_reads() {
    let fixture = Fixture::new();
    let with_version =
        |version| with_header(command("enrol-host", enrolment()), "hostler-schema-version", version);
    refused(&fixture.send(&with_version("two")).await, 400, "malformed", "hostler-schema-version");
    refused(&fixture.send(&with_version("2")).await, 400, "invalid", "versions 1 to 1");
    assert_eq!(fixture.send(&with_version("1")).await.status, 202);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_unread() {
    let fixture = Fixture::new();
    let request = post("/commands/enrol-host", "x".repeat(250_001));
    refused(&fixture.send(&request).await, 413, "too-large", "250000");
}

#[tokio::test]
async fn what_the_domain_refuses_has_the_status_of_its_reason() {
    let fixture = Fixture::new();
    let unknown = fixture.command("label-host", json!({ "host": "h-1", "set": { "a": "b" } })).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    fixture.enrol().await;
    let mut another = enrolment();
    another["pool"] = json!("db");
    let conflict = fixture.command("enrol-host", another).await;
    assert_eq!(conflict.status, 409, "{conflict:?}");
    let mut with_password = enrolment();
    (with_password["host"], with_password["bmc"]["systemUrl"]) =
        (json!("h-2"), json!("https://root:secret@bmc/"));
    let invalid = fixture.command("enrol-host", with_password).await;
    assert_eq!(invalid.status, 400, "{invalid:?}");
    assert!(!invalid.body.to_string().contains("secret"), "credentials are not repeated: {invalid:?}");
    let busy = fixture.command("requalify-host", json!({ "host": "h-1" })).await;
    assert_eq!(busy.status, 409, "{busy:?}");
    let none = fixture.command("resume-saga", json!({ "saga": "provisioning#p-1", "reason": "test" })).await;
    assert_eq!(none.status, 404, "{none:?}");
}

#[tokio::test]
async fn a_request_has_between_one_and_250_hosts() {
    let fixture = Fixture::new();
    let request = |count: u64| json!({ "request": format!("r-{count}"), "pool": "web", "role": "web", "image": "debian", "count": count });
    for count in [0, 251, u64::from(u32::MAX)] {
        let answer = fixture.command("request-hosts", request(count)).await;
        assert_eq!(answer.status, 400, "{count}: {answer:?}");
    }
    let answer = fixture.command("request-hosts", request(250)).await;
    assert_eq!((answer.status, answer.body["provisionings"].as_array().unwrap().len()), (202, 250));
}

#[tokio::test]
async fn only_the_holder_of_a_steps_token_may_call_back_for_it() {
    let fixture = Fixture::new();
    fixture.enrol().await;
    let step = "h-1/clean/1";
    let token =
        |stream: &str, step: &str| fixture.key.token(&stream.parse().unwrap(), &StepId::new(step).unwrap());
    let right = token("host#h-1", step);
    let ok = r#"{"outcome":"succeeded"}"#;
    for wrong in ["", "00", &token("host#h-2", step), &token("host#h-1", "h-1/clean/2")] {
        let answer = fixture.send(&callback(step, wrong, ok)).await;
        refused(&answer, 403, "wrong-token", "URL that came with the image");
        assert!(!answer.body.to_string().contains(&right));
    }
    refused(&fixture.send(&callback(step, &right, "{}")).await, 400, "malformed", "outcome");
    refused(&fixture.send(&callback("no step", &right, ok)).await, 400, "invalid", "no step");
    let mut nameless = callback(step, &right, ok);
    nameless.query.remove("host");
    refused(&fixture.send(&nameless).await, 400, "invalid", "has no host");
    let early = fixture.send(&callback(step, &right, ok)).await;
    assert_eq!(early.status, 409, "the token is right, and the host waits for something else: {early:?}");
    assert_eq!(fixture.commits(), 1);
}

#[tokio::test]
async fn a_runner_reports_with_the_token_of_its_job_and_no_other() {
    let fixture = Fixture::new();
    fixture.enrol().await;
    let step = "p-1/apply-role/1";
    let right = fixture.key.token(&"host#h-1".parse().unwrap(), &StepId::new(step).unwrap());
    let report = |token: &str, body: &str| {
        let mut request = callback(step, token, body);
        request.path = "/callbacks/configuration".to_owned();
        request
    };
    let running = r#"{"state":"running","revision":"r1"}"#;
    for wrong in ["", "00", &right[2..]] {
        let answer = fixture.send(&report(wrong, running)).await;
        refused(&answer, 403, "wrong-token", "token that came with the job");
        assert!(!answer.body.to_string().contains(&right));
    }
    let odd = r#"{"state":"ended","revision":"r1","outcome":"exploded","changed":true}"#;
    for (body, says) in [("{}", "state"), (odd, "exploded"), ("[]", "does not read")] {
        refused(&fixture.send(&report(&right, body)).await, 400, "malformed", says);
    }
    let late = fixture.send(&report(&right, running)).await;
    assert_eq!(late.status, 409, "the host waits for no runner, and this one is to be quiet: {late:?}");
    assert_eq!(fixture.commits(), 1);
}

/// A host in service with the revision `r1`, as its other functions have recorded it.
async fn in_service(fixture: &Fixture) {
    fixture.enrol().await;
    let (clock, ids) = (Arc::new(fixture.clock.clone()), Arc::new(SeededIds::new(7)));
    let shell = Shell::new(Arc::new(fixture.store.clone()), clock, ids, "hostler");
    let (saga, deploy) = (SagaRef::new("provisioning", "p").unwrap(), step("p/deploy-image/1"));
    let booted = |step: &StepId| HostInput::BootReported {
        step: step.clone(),
        outcome: BootOutcome::Succeeded,
        reason: None,
    };
    let (role, revision) = (Role::new("web").unwrap(), "r1".to_owned());
    let facts = HostFacts { power_state: PowerState::Off, hardware: Hardware::default() };
    for (number, input) in [
        HostInput::RecordFacts { step: step("h-1/verify/1"), facts },
        booted(&step("h-1/clean/2")),
        HostInput::RecordCleaned { step: step("h-1/clean/2") },
        HostInput::Reserve { saga: saga.clone(), step: step("p/reserve-host/1"), lent_to: None },
        HostInput::StartDeploy {
            saga: saga.clone(),
            step: deploy.clone(),
            image: Image::new("debian").unwrap(),
        },
        booted(&deploy),
        HostInput::RecordDeployed { saga: saga.clone(), step: deploy },
        HostInput::RecordConfiguration {
            saga: saga.clone(),
            step: step("p/apply/1"),
            role,
            revision,
            changed: true,
        },
        HostInput::RecordMonitoring { saga, step: step("p/register/1") },
    ]
    .into_iter()
    .enumerate()
    {
        let cause = Cause {
            id: CommandId(shell.new_id()).into(),
            since: shell.now(),
            correlation_id: CorrelationId(shell.new_id()),
            trace_context: None,
            hops: 0,
            actor: Actor("test".to_owned()),
        };
        let done = shell.execute::<HostDecider>(&"host#h-1".parse().unwrap(), &cause, &input).await.unwrap();
        assert_eq!(done.fold.version.0, number as u64 + 2);
    }
}

fn step(step: &str) -> StepId {
    StepId::new(step).unwrap()
}

/// What is done about drift is said by the policies that hold when it is reported.
#[tokio::test]
async fn a_check_is_asked_for_and_its_report_is_judged_by_the_sites_policies() {
    let fixture = Fixture::new();
    in_service(&fixture).await;
    let pool = json!({ "role": "web", "image": "debian", "hosts": 4 });
    let policy = json!({ "configuration": { "autonomy": "approve" }, "pools": { "web": pool } });
    let apply = json!({ "policies": "site", "policy": policy, "reason": "looked at" });
    assert_eq!(fixture.command("apply-policies", apply).await.status, 202);
    let asked = fixture.command("check-configuration", json!({ "host": "h-1" })).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let twice = fixture.command("check-configuration", json!({ "host": "h-1" })).await;
    refused(&twice, 409, "run-under-way", "h-1/check/3 is under way");
    let step = step("h-1/check/3");
    let token = fixture.key.token(&"host#h-1".parse().unwrap(), &step);
    let change = json!({ "task": "Write the configuration", "path": "/etc/web.conf", "diff": "-a\n+b\n" });
    let report = json!({
        "state": "ended", "revision": "r1", "outcome": "succeeded", "changed": true, "changes": [change],
    });
    let mut request = callback(step.as_str(), &token, &report.to_string());
    request.path = "/callbacks/configuration".to_owned();
    assert_eq!(fixture.send(&request).await.status, 202);
    let commit = fixture.store.outbox_since(0).pop().unwrap();
    let drifted = commit.events[0].data.to_value();
    assert_eq!(commit.events[0].event_type, "host.configuration-drifted");
    assert_eq!(
        drifted["repair"],
        json!({ "decision": "awaits-approval", "rule": "configuration.autonomy is approve" })
    );
    assert_eq!(drifted["changes"][0]["path"], "/etc/web.conf");
    assert_eq!(fixture.send(&request).await.status, 409, "the same report again, by another request");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_with_a_time_to_come_back() {
    let fixture = Fixture::new();
    fixture.store.faults().fail_reads_next(1);
    let away = fixture.enrol().await;
    assert_eq!((away.status, away.headers["retry-after"].as_str()), (503, "1"), "{away:?}");
    fixture.store.faults().lose_answer_next(1);
    assert_eq!(fixture.enrol().await.status, 503);
    let found = fixture.enrol().await;
    assert_eq!(
        (found.status, fixture.commits()),
        (202, 1),
        "what was written after all is not written twice"
    );
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_is_500_and_one_that_newer_code_wrote_is_503_until_that_answers() {
    for (event_type, status) in [("host.labelled", 500), ("host.teleported", 503)] {
        let fixture = Fixture::new();
        let mut unread = hostler_testkit::sample::commit("host#h-1", 1);
        unread.events[0].event_type = event_type.to_owned();
        fixture.store.append(&unread).await.unwrap();
        let answer = fixture.enrol().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{answer:?}");
        assert!(answer.body["message"].as_str().unwrap().contains(event_type), "{answer:?}");
    }
}

#[tokio::test]
async fn over_the_queue_a_refusal_is_a_dead_letter_and_what_may_pass_is_not() {
    let fixture = Fixture::new();
    let message = |kind: &str, data: Value| {
        let body = json!({
            "commandId": "0198c0de-0000-7000-8000-000000000001", "commandType": kind, "schemaVersion": 1,
            "timestamp": "2026-01-01T00:00:00Z", "source": "erp", "hops": 0, "actor": "erp", "data": data,
            "correlationId": "0198c0de-0000-7000-8000-000000000002", "causationId": "erp:42",
        });
        Incoming::decode(&body.to_string()).unwrap()
    };
    let enrol = message("enrol-host", enrolment());
    fixture.store.faults().fail_next(1);
    assert!(matches!(fixture.function.handle(&enrol).await, Err(Failure::Retryable { .. })));
    fixture.function.handle(&enrol).await.unwrap();
    fixture.function.handle(&enrol).await.unwrap();
    assert_eq!(fixture.commits(), 1);
    let refused = fixture.function.handle(&message("requalify-host", json!({ "host": "h-9" }))).await;
    let Err(failure @ Failure::Terminal { .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.label(), "business");
    let misplaced =
        fixture.function.handle(&message("verify-host", json!({ "host": "h-1", "step": "s" }))).await;
    assert!(matches!(misplaced, Err(Failure::Terminal { .. })), "a step's command has a queue of its own");
}
