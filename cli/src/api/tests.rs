//! The client against a server that answers as it is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use aws_credential_types::Credentials;
use serde_json::{Value, json};

use super::*;
use crate::follow;

/// A request as it came.
pub(crate) struct Came {
    pub(crate) line: String,
    headers: Vec<String>,
    body: String,
}

impl Came {
    fn header(&self, name: &str) -> Option<&str> {
        let wanted = format!("{name}: ");
        self.headers.iter().find_map(|line| line.strip_prefix(&wanted))
    }
}

fn api(address: &str) -> Api {
    let credentials = SharedCredentialsProvider::new(Credentials::new("123", "s", None, None, "test"));
    Api::new(address, "us-east-1", credentials, true).unwrap()
}

/// Gives the answers one after the other: status, further header, body.
pub(crate) fn serve(answers: Vec<(u16, &'static str, Value)>) -> (Api, Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/stage", listener.local_addr().unwrap());
    let (sender, came) = channel();
    std::thread::spawn(move || {
        for (status, header, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let mut request = Came { line: lines.remove(0), headers: lines, body: String::new() };
            let length: u64 =
                request.header("content-length").map(|length| length.parse().unwrap()).unwrap_or_default();
            reader.take(length).read_to_string(&mut request.body).unwrap();
            sender.send(request).unwrap();
            let body = body.to_string();
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n{body}"
            );
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    (api(&address), came)
}

fn saga(id: &str, status: &str) -> Value {
    json!({
        "provisioning": id, "request": "web", "pool": "web", "role": "web", "status": status, "version": 1,
        "updatedAt": "2026-01-31T12:00:00Z",
    })
}

#[test]
fn paths_follow_the_address() {
    let local = api("http://127.0.0.1:1/_aws/execute-api/ab12");
    let url = local.url(&["hosts"], &[("group", "web/available")]);
    assert_eq!(url.as_str(), "http://127.0.0.1:1/_aws/execute-api/ab12/hosts?group=web%2Favailable");
    let aws = api("https://ab12.execute-api.eu-west-1.amazonaws.com");
    let url = aws.url(&["hosts", "rack/7", "timeline"], &[]);
    assert_eq!(url.as_str(), "https://ab12.execute-api.eu-west-1.amazonaws.com/hosts/rack/7/timeline");
    let odd = |id| aws.url(&["hosts", id], &[]).path().to_owned();
    assert_eq!(odd("a/timeline"), "/hosts/a%2Ftimeline");
    assert_eq!(odd("/a"), "/hosts/%2Fa");
    assert_eq!(odd("a//b"), "/hosts/a%2F%2Fb");
}

#[test]
fn a_refusal_is_told_as_it_came() {
    let error = failure("hosts label", 409, r#"{"error":"full","message":"use enrol-host or GET /hosts"}"#);
    assert_eq!((error.code(), error.label()), (4, "full"));
    let wanted = "hosts label was refused: use `hostler hosts enrol` or `hostler hosts list`";
    assert_eq!(error.to_string(), wanted);
    let error = failure("hosts label", 403, r#"{"message":"Forbidden"}"#);
    assert!(error.to_string().contains("execute-api:Invoke"), "{error}");
    assert_eq!(failure("hosts label", 500, "oops").code(), 1);
    let error =
        failure("hosts list", 404, r#"{"error":"no-such-route","message":"GET /hosts is not served"}"#);
    assert_eq!((error.code(), error.label()), (4, "not-served"));
    assert!(!error.to_string().contains("GET"), "{error}");
}

#[tokio::test]
async fn a_misspelt_id_is_told_the_nearest_one() {
    let unknown = || (404, "", json!({ "error": "unknown", "message": "list them with GET /hosts" }));
    let host = |id: &str| json!({ "host": id, "pool": "web", "phase": "available", "version": 1, "updatedAt": "2026-01-31T12:00:00Z" });
    let rows = || (200, "", json!({ "rows": [host("h-01"), host("h-02")], "next": null }));
    let (client, _came) = serve(vec![unknown(), rows(), unknown(), rows()]);
    let error = client.document::<Value>(View::Host, "h-1", &[]).await.unwrap_err();
    let wanted = "there is no host \"h-1\"; did you mean h-01?; `hostler hosts list` lists them";
    assert_eq!((error.code(), error.to_string().as_str()), (4, wanted));
    let on = (View::Host, "x");
    let error = client.command_on(Said("hosts label"), on, "label-host", &json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no host \"x\"; `hostler hosts list` lists them");
}

/// A host may have a row, and no incident that is open.
#[tokio::test]
async fn what_there_is_is_refused_for_the_reason_that_came_and_not_as_missing() {
    let refused = (404, "", json!({ "error": "no-incident", "message": "no incident is open" }));
    let row = json!({ "host": "h-01", "pool": "web", "phase": "in-service", "version": 1, "updatedAt": "2026-01-31T12:00:00Z" });
    let (client, _came) = serve(vec![refused, (200, "", json!({ "rows": [row], "next": null }))]);
    let on = (View::Host, "h-01");
    let error = client
        .command_on(Said("approvals approve"), on, "approve-remediation", &json!({}))
        .await
        .unwrap_err();
    assert_eq!((error.label(), error.code()), ("no-incident", 4));
}

#[tokio::test]
async fn sagas_of_any_application_are_found_by_what_it_tells_of_itself() {
    let register = json!({
        "source": "shop", "sagas": [{ "kind": "order", "view": "orders" }, { "kind": "parcel", "view": "parcels" }],
        "views": [], "viewsQueue": null, "relayFailures": "relay-dlq", "commands": [], "dependencies": [],
    });
    let row = json!({
        "saga": "order#o-1", "status": "running", "running": [{ "step": "ship", "attempt": 2 }], "version": 1,
        "updatedAt": "2026-01-31T12:00:00Z",
    });
    let rows = || (200, "", json!({ "rows": [row.clone()], "next": null }));
    let unknown = (404, "", json!({ "error": "unknown", "message": "list them with GET /orders" }));
    let (client, came) = serve(vec![(200, "", register), rows(), unknown, rows()]);
    let sagas = client.sagas(Some("order")).await.unwrap();
    assert_eq!(
        (sagas[0].saga.as_str(), sagas[0].state.steps().collect::<Vec<_>>()),
        ("order/o-1", vec!["ship"])
    );
    assert_eq!(came.recv().unwrap().line, "GET /stage/register HTTP/1.1");
    assert_eq!(came.recv().unwrap().line, "GET /stage/orders HTTP/1.1");

    let error = client.sagas(Some("ordr")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no kind of saga \"ordr\"; did you mean order?");
    let saga: SagaName = "order/o-2".parse().unwrap();
    let error = client.saga_verb(Said("sagas resume"), &saga, &SagaVerb::Resume, "known").await.unwrap_err();
    let wanted = "there is no order \"o-2\"; did you mean o-1?; `hostler sagas list --kind order` lists them";
    assert_eq!((error.code(), error.to_string().as_str()), (4, wanted));
}

#[tokio::test]
async fn an_application_that_tells_nothing_of_itself_has_none_of_it() {
    let old = (404, "", json!({ "error": "no-such-route", "message": "GET /register is not served" }));
    let (client, _came) = serve(vec![old]);
    assert_eq!(client.sagas(None).await.unwrap_err().label(), "not-served");
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = api(&address).rows::<HostRow>(None).await.unwrap_err();
    assert_eq!(error.code(), 3);
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn a_command_is_sent_again_under_the_same_key() {
    let accepted = json!({ "stream": "host#h-01", "version": 2, "repeated": false, "host": "h-01" });
    let (api, came) = serve(vec![
        (503, "retry-after: 0\r\n", json!({ "error": "unavailable", "message": "later" })),
        (202, "", accepted),
    ]);
    let accepted = api.command(Said("hosts label"), "label-host", &json!({ "host": "h-01" })).await.unwrap();
    assert_eq!((accepted.version, accepted.rest["host"].as_str()), (2, Some("h-01")));
    let (first, second) = (came.recv().unwrap(), came.recv().unwrap());
    assert_eq!(first.line, "POST /stage/commands/label-host HTTP/1.1");
    assert_eq!(first.body, r#"{"host":"h-01"}"#);
    assert!(first.header("authorization").unwrap().contains("Credential=123/"));
    assert!(first.header("idempotency-key").is_some());
    assert_eq!(first.header("idempotency-key"), second.header("idempotency-key"));
}

#[tokio::test]
async fn lists_and_timelines_are_read_to_their_ends() {
    let (client, came) = serve(vec![
        (200, "", json!({ "rows": [saga("web.1", "running")], "next": "web.1" })),
        (200, "", json!({ "rows": [saga("web.2", "running")], "next": null })),
    ]);
    let rows: Vec<ProvisioningRow> = client.rows(Some("web")).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(came.recv().unwrap().line, "GET /stage/provisionings?group=web HTTP/1.1");
    assert_eq!(came.recv().unwrap().line, "GET /stage/provisionings?group=web&after=web.1 HTTP/1.1");

    let page = |version: u64, next: Option<u64>| {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let commit = json!({
            "version": version, "recordedAt": "2026-01-31T12:00:00Z", "actor": "a", "correlationId": id,
            "causationId": id,
        });
        (200, "", json!({ "stream": "host#h-01", "commits": [commit], "next": next }))
    };
    let (client, came) = serve(vec![page(1, Some(1)), page(2, None)]);
    let timeline = client.timeline(View::Host, "h-01", &[("version", "9")]).await.unwrap();
    assert_eq!(timeline.commits.len(), 2);
    assert_eq!(came.recv().unwrap().line, "GET /stage/hosts/h-01/timeline?version=9 HTTP/1.1");
    assert_eq!(came.recv().unwrap().line, "GET /stage/hosts/h-01/timeline?version=9&after=1 HTTP/1.1");
}

#[tokio::test]
async fn a_saga_is_followed_to_its_end_or_until_time_is_up() {
    let page = |status: &str| (200, "", json!({ "rows": [saga("web.1", status)], "next": null }));
    let ids = ["web.1".to_owned()];
    let (client, _came) = serve(vec![page("running"), page("completed")]);
    let mut looks = 0;
    let seen = |_: &[ProvisioningRow]| {
        looks += 1;
        Ok(())
    };
    let rows = follow::provisionings(&client, "web", &ids, Duration::from_secs(10), seen).await.unwrap();
    assert_eq!((rows[0].status.as_str(), looks), ("completed", 2));

    let (client, _came) = serve(vec![page("running")]);
    let error = follow::provisionings(&client, "web", &ids, Duration::ZERO, |_| Ok(())).await.unwrap_err();
    assert_eq!(error.code(), 5);
    assert!(error.to_string().contains("1 of 1 provisionings of request web"), "{error}");
}

#[tokio::test]
async fn commits_are_read_after_a_version_page_by_page_until_there_are_enough() {
    let commit = |version: u64| {
        json!({
            "version": version, "recordedAt": "2026-01-31T12:00:00Z", "actor": "a", "correlationId": "c",
            "causationId": "c", "events": [],
        })
    };
    let page = |versions: [u64; 2], next: Option<u64>| {
        (200, "", json!({ "stream": "health#h-1", "commits": versions.map(commit), "next": next }))
    };
    let unknown = (404, "", json!({ "error": "unknown", "message": "nothing is known of it" }));
    let pages = vec![page([6, 7], Some(7)), page([8, 9], Some(9)), page([1, 2], Some(2)), unknown];
    let (client, came) = serve(pages);
    let read = client.commits(View::Incident, "h-1", 5, 4).await.unwrap();
    assert_eq!(read.iter().map(|commit| commit.version).collect::<Vec<_>>(), [6, 7, 8, 9]);
    assert!(came.recv().unwrap().line.contains("/incidents/h-1/timeline?after=5"));
    assert!(came.recv().unwrap().line.contains("after=7"), "two pages are enough");
    assert_eq!(client.commits(View::Incident, "h-1", 0, 2).await.unwrap().len(), 2);
    let error = client.commits(View::Budget, "site", 0, 2).await.unwrap_err();
    assert!(matches!(error, CliError::NotFound { .. }), "{error}");
}
