//! Roles that the agents of hosts apply, by Run Command: AWS tells that a command has ended.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::site::Site;

const APPLIED: &str = include_str!("../../../common/drivers/tests/run_command/applied.txt");
const FAILED: &str = include_str!("../../../common/drivers/tests/run_command/failed.txt");
const CHECKED: &str = include_str!("../../../common/drivers/tests/run_command/checked.txt");
const UNCHANGED: &str = include_str!("../../../common/drivers/tests/run_command/unchanged.txt");

/// A site with one host, on which its role is being applied.
async fn configuring() -> Site {
    let mut site = Site::new();
    site.fleet.nodes.on.store(true, Ordering::Relaxed);
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    assert!(sent(&mut site, 1).await);
    site.settle().await;
    assert_eq!(site.phase("h-1"), "configuring");
    site
}

/// Whether so many commands have ever been sent.
async fn sent(site: &mut Site, count: usize) -> bool {
    site.run_until(|site| site.fleet.nodes.sent().len() >= count).await
}

/// A command ends, and AWS tells it.
async fn ends(site: &mut Site, number: usize, status: &str, output: &str) {
    let event = site.fleet.nodes.end(number, status, output);
    site.send(&event).await;
    site.settle().await;
}

/// The payloads of all events of a type.
fn events(site: &Site, event_type: &str) -> Vec<Value> {
    let commits = site.store.outbox_since(0);
    let events = commits.iter().flat_map(|commit| &commit.events);
    events.filter(|event| event.event_type == event_type).map(|event| event.data.to_value()).collect()
}

async fn row(site: &Site) -> Value {
    site.get("/hosts/h-1", &[]).await.body
}

#[tokio::test]
async fn a_host_is_configured_by_its_agent_and_its_revision_and_tasks_are_on_record() {
    let mut site = configuring().await;
    let command = site.fleet.nodes.sent().remove(0);
    assert_eq!((command.node.as_str(), command.command.comment.len() <= 100), ("mi-h-1", true));
    ends(&mut site, 0, "Success", APPLIED).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
    assert_eq!(row(&site).await["revision"], "7");
    let ran = events(&site, "host.role-run");
    assert_eq!(ran.len(), 1);
    assert_eq!(
        (&ran[0]["outcome"], &ran[0]["tasks"][0]["task"]),
        (&json!("succeeded"), &json!("web : Write the configuration"))
    );
}

#[tokio::test]
async fn a_role_that_fails_is_undone_with_the_tasks_own_message_on_record() {
    let mut site = configuring().await;
    ends(&mut site, 0, "Failed", FAILED).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("compensated", "available"));
    assert_eq!(site.fleet.nodes.sent().len(), 1, "no other try is of any use");
    let reason = site.get("/provisionings/r-1.1", &[]).await.body["reason"].to_string();
    assert!(
        reason.contains("Check that the server would start: the configuration names no port"),
        "{reason}"
    );
    let tasks = events(&site, "host.role-run")[0]["tasks"].clone();
    assert_eq!(tasks[2]["message"], "the configuration names no port");
}

/// A bundle that could not be downloaded must not cost a fresh host its installation.
#[tokio::test]
async fn a_host_that_has_no_bundle_for_now_is_asked_again_and_configured() {
    let mut site = configuring().await;
    site.fleet.nodes.write_errors("The specified Playbook file doesn't exist in the downloaded bundle.");
    ends(&mut site, 0, "Failed", "Running Ansible in /var/lib/amazon/ssm\n").await;
    assert!(sent(&mut site, 2).await, "another try");
    site.settle().await;
    assert_eq!(site.phase("h-1"), "configuring");
    ends(&mut site, 1, "Success", APPLIED).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
}

/// There is no result of a step that was never begun, and no need to wait for the deadline.
#[tokio::test]
async fn a_command_that_an_agent_does_not_take_is_told_at_once_and_sent_again() {
    for (status, details) in [("TimedOut", "DeliveryTimedOut"), ("Failed", "Undeliverable")] {
        let mut site = configuring().await;
        let event = site.fleet.nodes.end_unbegun(0, status, details);
        site.send(&event).await;
        site.settle().await;
        assert_eq!(events(&site, "host.role-run")[0]["outcome"], "unreachable", "{details}");
        assert!(sent(&mut site, 2).await, "the next attempt");
        site.settle().await;
        ends(&mut site, 1, "Success", APPLIED).await;
        site.run().await;
        site.check();
        assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
        assert_eq!(site.failures().len(), 0);
    }
}

/// What is not told is ended by the step's deadline, and the next attempt is a command of its own.
#[tokio::test]
async fn an_end_that_is_lost_costs_an_attempt_and_is_refused_when_it_comes_late() {
    let mut site = configuring().await;
    assert!(sent(&mut site, 2).await, "the deadline passes");
    site.settle().await;
    ends(&mut site, 0, "Failed", FAILED).await;
    assert_eq!(site.phase("h-1"), "configuring", "nobody waits for the first attempt any more");
    assert_eq!(site.count("host.role-run"), 0);
    ends(&mut site, 1, "Success", APPLIED).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
    assert_eq!((site.count("host.role-run"), site.failures().len()), (1, 0));
}

#[tokio::test]
async fn an_end_that_is_told_twice_is_recorded_once() {
    let mut site = configuring().await;
    ends(&mut site, 0, "Success", APPLIED).await;
    ends(&mut site, 0, "Success", APPLIED).await;
    site.run().await;
    ends(&mut site, 0, "Failed", FAILED).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
    assert_eq!((site.count("host.role-run"), site.failures().len()), (1, 0));
}

#[tokio::test]
async fn drift_is_found_by_an_agent_and_its_role_applied_again() {
    let mut site = configuring().await;
    ends(&mut site, 0, "Success", APPLIED).await;
    site.run().await;
    let check = json!({ "host": "h-1" });
    site.accepted("check-configuration", check.clone()).await;
    site.settle().await;
    ends(&mut site, 1, "Success", UNCHANGED).await;
    assert_eq!(site.count("host.configuration-checked"), 1);
    site.accepted("check-configuration", check).await;
    site.settle().await;
    ends(&mut site, 2, "Success", CHECKED).await;
    let drifted = events(&site, "host.configuration-drifted");
    assert_eq!((drifted.len(), drifted[0]["changes"].as_array().map(Vec::len)), (1, Some(2)));
    assert_eq!(drifted[0]["changes"][1]["path"], "/etc/hostler/a");
    site.accepted("restore-configuration", json!({ "host": "h-1", "reason": "it has drifted" })).await;
    site.settle().await;
    let commands = site.fleet.nodes.sent();
    let checks: Vec<&str> = commands.iter().map(|sent| &*sent.command.parameters["Check"]).collect();
    assert_eq!(checks, ["False", "True", "True", "False"]);
    ends(&mut site, 3, "Success", APPLIED).await;
    site.run().await;
    site.check();
    assert_eq!((site.count("host.configuration-restored"), site.phase("h-1")), (1, "in-service"));
    assert_eq!(site.count("host.configuration-run-failed"), 0);
}
