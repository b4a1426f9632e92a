//! Bad input is normal: a clear answer to the caller, or a dead letter with its reason. Nothing lost, nothing
//! hangs.

use aws_sdk_sqs::types::QueueAttributeName;
use hostler_localstack::needs;
use hostler_runtime::operations::triage::body_hash;
use serde_json::{Value, json};

use crate::ledger::dead_letters;
use crate::world::World;

fn said(answer: &Value) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_what_is_wrong_and_what_to_do() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start(1).await;
    let hosts = json!({ "request": "r-1", "pool": "web", "role": "web", "image": "debian-12", "count": 1 });

    let (status, answer) = world.post("/commands/request-hosts", "{\"request\": ").await;
    assert_eq!(status, 400, "{answer}");
    assert!(said(&answer).contains("not JSON") && said(&answer).contains("line 1"), "{answer}");

    let (status, answer) = world.command("make-coffee", &hosts).await;
    assert_eq!(status, 404, "{answer}");
    assert!(said(&answer).contains("make-coffee") && said(&answer).contains("request-hosts"), "{answer}");

    let (status, answer) = world.command("request-hosts", &json!({ "request": "r-1", "pool": "web" })).await;
    assert_eq!(status, 400, "{answer}");
    assert!(said(&answer).contains("missing field `role`"), "{answer}");

    let mut typo = hosts.clone();
    typo["cuont"] = json!(3);
    let (status, answer) = world.command("request-hosts", &typo).await;
    assert_eq!(status, 400, "{answer}");
    assert!(said(&answer).contains("cuont") && said(&answer).contains("count"), "{answer}");

    let mut many = hosts.clone();
    many["count"] = json!(100_000);
    let (status, answer) = world.command("request-hosts", &many).await;
    assert_eq!(status, 400, "{answer}");
    assert!(said(&answer).contains("250"), "{answer}");

    let (status, answer) =
        world.post_with("/commands/request-hosts", "hostler-schema-version", "9", &hosts).await;
    assert_eq!(status, 400, "{answer}");
    assert!(said(&answer).contains("version 9") && said(&answer).contains("newer"), "{answer}");

    let mut huge = hosts.clone();
    huge["image"] = json!("x".repeat(300_000));
    let (status, answer) = world.command("request-hosts", &huge).await;
    assert_eq!(status, 413, "{answer}");
    assert!(said(&answer).contains("250000"), "{answer}");

    let label = json!({ "host": "h-99", "set": { "a": "b" } });
    let (status, answer) = world.command("label-host", &label).await;
    assert_eq!(status, 404, "{answer}");
    assert!(said(&answer).contains("enrol"), "{answer}");

    let (status, answer) = world.get("/hosts/h-99").await;
    assert_eq!(status, 404, "{answer}");
    let (status, answer) = world.get("/nothing").await;
    assert_eq!(status, 404, "{answer}");

    let callback = "/callbacks/boot?host=h-01&step=x&token=00";
    let (status, answer) = world.post(callback, "{\"outcome\":\"succeeded\"}").await;
    assert_eq!(status, 403, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_twice_acts_once_and_another_content_is_refused() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start(2).await;
    world.enrol("web").await;
    let first = world.request("r-1", "web", 1).await;
    let second = world.request("r-1", "web", 1).await;
    assert_eq!(first["provisionings"], second["provisionings"]);
    assert_eq!((&first["repeated"], &second["repeated"]), (&json!(false), &json!(true)));
    let other = json!({ "request": "r-1", "pool": "web", "role": "web", "image": "debian-12", "count": 2 });
    let (status, answer) = world.command("request-hosts", &other).await;
    assert_eq!(status, 409, "{answer}");
    assert!(said(&answer).contains("count") && said(&answer).contains("new request id"), "{answer}");
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "completed");
    assert_eq!(world.hosts_in("web", "available").await.len(), 1, "the second host was left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_a_free_host_is_an_end_with_a_reason() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start(1).await;
    world.request("r-1", "emtpy", 1).await;
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "compensated", "{sagas:#?}");
    let reason = sagas[0]["reason"].as_str().unwrap();
    assert!(reason.contains("no host is free in pool emtpy") && reason.contains("enrol"), "{reason}");
    world.at_rest().await;
    assert!(dead_letters(&world).await.values().all(|count| *count == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_cannot_take_is_quarantined_with_its_reason_until_an_operator_deals_with_it() {
    needs!(Functions, Processes, HttpApi, VerbatimBodies);
    let world = World::start(1).await;
    let cases = [
        ("commands", "no json at all".to_owned(), "not JSON", "validation"),
        ("commands", json!({ "hello": "world" }).to_string(), "eventType", "validation"),
        ("commands", json!({ "commandType": "enrol-host" }).to_string(), "missing field", "validation"),
        ("commands", command("enrol-host", 1, json!({ "unsigned": true })), "no signature", "validation"),
        ("commands", World::signed(command("make-coffee", 1, json!({}))), "make-coffee", "validation"),
        ("commands", World::signed(command("enrol-host", 7, json!({}))), "version 7", "validation"),
        (
            "commands",
            World::signed(command("label-host", 1, json!({ "host": "h-99", "set": {"a": "b"} }))),
            "not known",
            "business",
        ),
        (
            "deploy-host",
            World::signed(command(
                "apply-role",
                1,
                json!({ "saga": "provisioning#p", "step": "s", "host": "h-01", "role": "web" }),
            )),
            "is not known here",
            "validation",
        ),
    ];
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let urls = world.queue_urls();
    for (queue, body, _, _) in &cases {
        sqs.send_message().queue_url(&urls[*queue]).message_body(body).send().await.unwrap();
    }
    let failures = world
        .until("all failures are recorded", async || {
            let rows = world.rows("/failures").await;
            (rows.len() >= cases.len()).then_some(rows)
        })
        .await;
    assert_eq!(failures.len(), cases.len(), "each is there once: {failures:#?}");
    for (queue, body, reason, category) in &cases {
        let failure = failures
            .iter()
            .find(|failure| failure["letter"]["body"] == *body)
            .unwrap_or_else(|| panic!("{body} was lost"));
        let said = failure["letter"]["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{body}: {said}");
        assert_eq!(failure["category"], *category, "{body}");
        assert_eq!(failure["letter"]["queue"], *queue, "{body}");
        assert_eq!(failure["letter"]["attempts"], 1, "{body} was not tried again in vain");
        assert_eq!(failure["status"], "quarantined", "{body}");
    }
    operate(&world, &failures).await;
    assert!(dead_letters(&world).await.values().all(|count| *count == 0), "triage has emptied them all");
}

/// Given poison that is larger than what functions send, on a queue whose limit somebody has raised, when it cannot be
/// handled, then it is recorded by its first part, its size and its hash, an operator sees where it is, and gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn poison_that_is_too_large_to_be_recorded_is_recorded_by_reference() {
    needs!(Functions, Processes, HttpApi, VerbatimBodies);
    let world = World::start(1).await;
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let urls = world.queue_urls();
    let sizes = [300_000, 1_048_576];
    let refused = sqs.send_message().queue_url(&urls["commands"]).message_body("x".repeat(sizes[0])).send();
    assert!(refused.await.is_err(), "the queue's own limit tells the sender");
    let raise = sqs.set_queue_attributes().queue_url(&urls["commands"]);
    raise.attributes(QueueAttributeName::MaximumMessageSize, "1048576").send().await.unwrap();
    for size in sizes {
        let send = sqs.send_message().queue_url(&urls["commands"]).message_body("x".repeat(size));
        send.send().await.unwrap();
    }
    let failures = world
        .until("both are recorded", async || {
            let rows = world.rows("/failures").await;
            (rows.len() >= sizes.len()).then_some(rows)
        })
        .await;
    assert_eq!(failures.len(), sizes.len(), "each is there once: {failures:#?}");
    for size in sizes {
        let failure = failures.iter().find(|failure| failure["letter"]["kept"]["bytes"] == size).unwrap();
        let letter = &failure["letter"];
        assert_eq!(failure["status"], "quarantined", "{failure}");
        assert_eq!(letter["body"].as_str().unwrap().len(), 4_096, "its first part");
        assert_eq!(letter["kept"]["sha256"].as_str().unwrap(), body_hash(&"x".repeat(size)));
        let retry = json!({ "failure": failure["id"], "reason": "try" });
        let (status, answer) = world.command("retry-failure", &retry).await;
        assert_eq!(status, 409, "{answer}");
        assert!(said(&answer).contains("failures-dlq"), "{answer}");
        world.accepted("discard-failure", &json!({ "failure": failure["id"], "reason": "nonsense" })).await;
    }
    world
        .until("both are dealt with", async || {
            world.rows("/failures?group=open").await.is_empty().then_some(())
        })
        .await;
    let waiting = dead_letters(&world).await;
    assert_eq!(waiting["failures-dlq"], 2, "all of them is there: {waiting:?}");
    assert!(waiting.iter().all(|(queue, count)| queue == "failures-dlq" || *count == 0), "{waiting:?}");
}

/// An operator has one of them handled with another body, and discards the others.
async fn operate(world: &World, failures: &[Value]) {
    world.enrol("web").await;
    for failure in failures {
        let (id, body) = (&failure["id"], failure["letter"]["body"].as_str().unwrap());
        if body.contains("label-host") {
            let body = body.replace("h-99", "h-01");
            let edit = json!({ "failure": id, "body": body, "reason": "the host was misspelt" });
            world.accepted("edit-failure", &edit).await;
        } else {
            world.accepted("discard-failure", &json!({ "failure": id, "reason": "nonsense" })).await;
        }
    }
    world
        .until("all failures are dealt with", async || {
            world.rows("/failures?group=open").await.is_empty().then_some(())
        })
        .await;
    let resolved = world.rows("/failures?group=closed").await;
    let resolved = resolved.iter().filter(|failure| failure["status"] == "resolved").count();
    assert_eq!(resolved, 1, "the edited one was handled");
    let (_, host) = world.get("/hosts/h-01").await;
    assert_eq!(host["labels"]["a"], "b", "{host}");
}

/// A command in its envelope.
pub fn command(kind: &str, version: u32, data: Value) -> String {
    json!({
        "commandId": uuid::Uuid::now_v7(), "commandType": kind, "schemaVersion": version,
        "timestamp": "2026-01-31T12:00:00Z", "source": "test", "correlationId": uuid::Uuid::now_v7(),
        "causationId": "test", "hops": 0, "actor": "test", "data": data,
    })
    .to_string()
}
