//! What people see: lists, single rows, timelines, and how things were.

use hostler_domain::provisioning::host_of;
use hostler_runtime::ports::Clock;
use serde_json::{Value, json};

use crate::site::Site;

async fn served() -> Site {
    let mut site = Site::new();
    for n in 1..=4 {
        site.enrol(&format!("h-{n}"), &[("rack", "r1")]).await;
    }
    site.run().await;
    site.request("r-1", 2).await;
    site.run().await;
    site
}

fn keys<'a>(body: &'a Value, name: &str) -> Vec<&'a str> {
    body["rows"].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn hosts_requests_and_provisionings_are_listed() {
    let site = served().await;
    let hosts = site.get("/hosts", &[]).await;
    assert_eq!((hosts.status, keys(&hosts.body, "host")), (200, vec!["h-1", "h-2", "h-3", "h-4"]));
    assert_eq!(hosts.body["next"], Value::Null);
    let serving = site.get("/hosts", &[("group", "web/in-service")]).await;
    assert_eq!(serving.body["rows"].as_array().unwrap().len(), 2);
    let sagas = site.get("/provisionings", &[("group", "r-1")]).await;
    assert_eq!(keys(&sagas.body, "provisioning"), ["r-1.1", "r-1.2"]);
    assert_eq!(keys(&sagas.body, "status"), ["completed", "completed"]);
    let requests = site.get("/requests", &[("group", "web")]).await;
    assert_eq!(keys(&requests.body, "request"), ["r-1"]);
    assert_eq!(requests.body["rows"][0]["provisionings"], json!(["r-1.1", "r-1.2"]));
    assert_eq!(site.get("/hosts", &[("group", "db/available")]).await.body["rows"], json!([]));
}

#[tokio::test]
async fn lists_are_paged_without_gaps_or_repeats() {
    let site = served().await;
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    for _ in 0..10 {
        let mut query = vec![("limit", "1")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = site.get("/hosts", &query).await.body;
        seen.extend(keys(&page, "host").into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, ["h-1", "h-2", "h-3", "h-4"]);
}

#[tokio::test]
async fn one_host_is_shown_with_the_version_that_it_reflects() {
    let site = served().await;
    let saga = site.saga("r-1.1");
    let host = host_of(&saga).unwrap();
    let shown = site.get(&format!("/hosts/{host}"), &[]).await;
    assert_eq!((shown.status, &shown.body["phase"]), (200, &json!("in-service")));
    assert_eq!(shown.body["labels"], json!({ "rack": "r1" }));
    assert_eq!(shown.body["saga"], json!("provisioning#r-1.1"));
    let stream = format!("host#{host}").parse().unwrap();
    assert_eq!(shown.body["version"], json!(site.store.commits(&stream).len()));
    assert!(shown.body["updatedAt"].is_string());
}

#[tokio::test]
async fn a_host_is_shown_as_it_was_at_every_version() {
    let site = served().await;
    let host = host_of(&site.saga("r-1.1")).unwrap();
    let path = format!("/hosts/{host}");
    let commits = site.store.commits(&format!("host#{host}").parse().unwrap());
    let mut phases = Vec::new();
    for commit in &commits {
        let was = site.get(&path, &[("version", &commit.version.to_string())]).await;
        assert_eq!((was.status, &was.body["version"]), (200, &json!(commit.version)));
        let phase = was.body["phase"].as_str().unwrap().to_owned();
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
    }
    let life = ["verifying", "cleaning", "available", "reserved", "deploying", "configuring"];
    assert_eq!(phases, [&life[..], &["registering-monitoring", "in-service"]].concat());
    let last = site.get(&path, &[("version", "9999")]).await.body;
    assert_eq!(last, site.get(&path, &[]).await.body, "a version to come is the newest");
}

#[tokio::test]
async fn a_host_is_shown_as_it_was_at_an_instant() {
    let site = served().await;
    let host = host_of(&site.saga("r-1.1")).unwrap();
    let path = format!("/hosts/{host}");
    for commit in site.store.commits(&format!("host#{host}").parse().unwrap()) {
        let was = site.get(&path, &[("at", &commit.recorded_at.to_string())]).await;
        assert!(was.body["version"].as_u64().unwrap() >= commit.version.0, "{}", was.body);
    }
    let before = site.get(&path, &[("at", "2025-12-31T23:59:59Z")]).await;
    assert_eq!((before.status, before.body["error"].as_str()), (404, Some("unknown")));
    let now = site.get(&path, &[("at", &site.clock.now().to_string())]).await.body;
    assert_eq!(now, site.get(&path, &[]).await.body);
}

#[tokio::test]
async fn a_timeline_tells_what_happened_and_who_did_it() {
    let site = served().await;
    let timeline = site.get("/provisionings/r-1.1/timeline", &[]).await;
    assert_eq!(timeline.status, 200);
    let commits = timeline.body["commits"].as_array().unwrap();
    let host = host_of(&site.saga("r-1.1")).unwrap();
    let mut actors: Vec<&str> = commits.iter().map(|commit| commit["actor"].as_str().unwrap()).collect();
    actors.dedup();
    assert_eq!(
        actors,
        ["operator", &format!("host:{host}")],
        "who asked, and whose callback set it going again"
    );
    let versions: Vec<u64> = commits.iter().map(|commit| commit["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
    let events = commits.iter().flat_map(|commit| commit["events"].as_array().unwrap());
    let types: Vec<&str> = events.map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!((types[0], types[types.len() - 1]), ("saga.started", "saga.completed"));

    let page = site.get("/provisionings/r-1.1/timeline", &[("limit", "2")]).await.body;
    assert_eq!((page["commits"].as_array().unwrap().len(), &page["next"]), (2, &json!(2)));
    let rest = site.get("/provisionings/r-1.1/timeline", &[("after", "2")]).await.body;
    assert_eq!(rest["commits"][0]["version"], 3);
}

/// Behind the host's own callback, too, which knows nothing of the request.
#[tokio::test]
async fn one_request_is_one_correlation_and_one_chain_through_all_streams() {
    let site = served().await;
    let request = site.store.commits(&"request#r-1".parse().unwrap()).remove(0);
    let host = host_of(&site.saga("r-1.1")).unwrap();
    let of_host = site.store.commits(&format!("host#{host}").parse().unwrap());
    let reserved = of_host.iter().position(|commit| commit.events[0].event_type == "host.reserved").unwrap();
    let mut commits = of_host[reserved..].to_vec();
    for stream in ["provisioning#r-1.1", "reservation#r-1.1"] {
        commits.extend(site.store.commits(&stream.parse().unwrap()));
    }
    commits.sort_by_key(|commit| commit.commit_id);
    for commit in &commits {
        let (stream, version) = (&commit.stream, commit.version);
        assert_eq!(commit.correlation_id, request.correlation_id, "{stream} at {version}");
    }
    let hops: Vec<u16> = commits.iter().map(|commit| commit.hops).collect();
    assert!(
        hops.is_sorted() && (8..40).contains(hops.last().unwrap()),
        "the chain grows to its end: {hops:?}"
    );
}
