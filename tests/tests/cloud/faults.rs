//! Processes killed in the middle of a step, BMCs that are busy, silent or lie, hosts that never answer.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_localstack::fleet::{Behaviour, Fault};
use hostler_localstack::{Cloud, CloudOptions, SiteOptions, group_members, needs};
use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::world::{World, cloud, fleet};

/// A site on which messages of a killed function come back after seconds instead of minutes, and deadlines pass
/// as quickly. The rule between time-out and visibility is kept.
async fn impatient(hosts: usize, deploy_seconds: u32) -> World {
    World::start_with(impatience(hosts, deploy_seconds)).await
}

/// The template so that a message of a function that was killed comes back after half a minute.
pub fn quick_returns(template: &mut Value) {
    for resource in template["Resources"].as_object_mut().unwrap().values_mut() {
        match resource["Type"].as_str().unwrap() {
            "AWS::Serverless::Function" => resource["Properties"]["Timeout"] = json!(5),
            "AWS::SQS::Queue" if resource["Properties"].get("RedrivePolicy").is_some() => {
                resource["Properties"]["VisibilityTimeout"] = json!(30);
                // Kills use up deliveries, and this is not about that.
                resource["Properties"]["RedrivePolicy"]["maxReceiveCount"] = json!(100);
            }
            _ => {}
        }
    }
}

pub fn impatience(hosts: usize, deploy_seconds: u32) -> SiteOptions {
    let policy = json!({
        "reserveHost": { "deadlineSeconds": 60, "attempts": 5, "retrySeconds": 1 },
        "deployImage": { "deadlineSeconds": deploy_seconds, "attempts": 2, "retrySeconds": 1 },
        "applyRole": { "deadlineSeconds": 60, "attempts": 3, "retrySeconds": 1 },
        "registerMonitoring": { "deadlineSeconds": 60, "attempts": 3, "retrySeconds": 1 },
        "undeployHost": { "deadlineSeconds": 300, "attempts": 3, "retrySeconds": 1 },
        "releaseReservation": { "deadlineSeconds": 60, "attempts": 10, "retrySeconds": 1 },
    });
    SiteOptions {
        fleet: fleet(hosts),
        edit: Some(Box::new(quick_returns)),
        parameters: BTreeMap::from([("ProvisioningPolicy".to_owned(), policy.to_string())]),
        ..SiteOptions::default()
    }
}

/// The processes of one function of this site: those that have its account's credentials.
async fn processes(world: &World, function: &str) -> Vec<u32> {
    let group = cloud().await.process_group().unwrap();
    let has = |pid: &u32, file: &str, text: &str| {
        std::fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    };
    let of_site = |pid: &u32| has(pid, "environ", world.site.account.id());
    group_members(group).into_iter().filter(|pid| has(pid, "cmdline", function) && of_site(pid)).collect()
}

fn kill(pid: u32) {
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    println!("kill -9 {pid}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_killed_in_the_middle_of_a_step_is_picked_up() {
    needs!(Functions, Processes, HttpApi);
    let world = impatient(1, 100).await;
    world.enrol("web").await;
    let host = world.site.fleet.hosts()[0].host_id.clone();
    world.site.fleet.faults().set(&host, Fault::Latency { ms: 300 }).unwrap();
    world.request("r-1", "web", 1).await;
    world
        .until("the BMC is at work", async || {
            (world.hosts_in("web", "deploying").await.len() == 1).then_some(())
        })
        .await;
    let pids = processes(&world, "deploy-host").await;
    assert!(!pids.is_empty(), "the function runs");
    pids.into_iter().for_each(kill);
    world.site.fleet.faults().clear(&host).unwrap();
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "completed", "{sagas:#?}");
    Ledger::read(&world).await.check_settled();
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_killed_all_the_time_still_end_every_saga() {
    needs!(Functions, Processes, HttpApi);
    const SAGAS: usize = 8;
    let world = impatient(SAGAS, 100).await;
    world.enrol("web").await;
    world.request("r-1", "web", SAGAS as u32).await;
    let functions =
        ["relay-outbox", "deploy-host", "run-sagas", "configure-host", "monitor-host", "project-views"];
    for round in 0..12 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let pids = processes(&world, functions[round % functions.len()]).await;
        pids.first().copied().into_iter().for_each(kill);
    }
    let sagas = world.settled_within(Duration::from_secs(240), "r-1", SAGAS).await;
    assert!(sagas.iter().all(|saga| saga["status"] != "stuck"), "{sagas:#?}");
    let ledger = Ledger::read(&world).await;
    ledger.print();
    ledger.check_settled();
}

/// Everything at once, and the endpoint itself goes away in the middle: functions at work die, calls are refused,
/// BMCs misbehave. What the endpoint had taken is there again afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_restarts_in_the_middle_and_every_saga_ends() {
    needs!(Functions, Processes, HttpApi, Restart);
    const SAGAS: usize = 6;
    let mut cloud =
        Cloud::start(CloudOptions { durable: true, enforce_iam: true, ..CloudOptions::default() })
            .await
            .unwrap();
    let world = World::start_on(&cloud, impatience(SAGAS, 100)).await;
    world.enrol("web").await;
    world.site.fleet.faults().set(&world.site.fleet.hosts()[0].host_id, Fault::Latency { ms: 300 }).unwrap();
    world.request("r-1", "web", SAGAS as u32).await;
    for pause_ms in [1_500, 3_000] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        cloud.restart().await.unwrap();
    }
    let sagas = world.settled_within(Duration::from_secs(240), "r-1", SAGAS).await;
    assert!(sagas.iter().all(|saga| saga["status"] != "stuck"), "{sagas:#?}");
    let ledger = Ledger::read(&world).await;
    ledger.print();
    ledger.check_settled();
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_silent_and_lying_bmcs_are_lived_with() {
    needs!(Functions, Processes, HttpApi);
    let world = impatient(4, 100).await;
    world.enrol("web").await;
    let hosts: Vec<String> = world.site.fleet.hosts().iter().map(|host| host.host_id.clone()).collect();
    let faults = world.site.fleet.faults();
    faults.set(&hosts[0], Fault::Busy503 { times: 3 }).unwrap();
    faults.set(&hosts[1], Fault::Timeout { times: 1, seconds: 12 }).unwrap();
    faults.set(&hosts[2], Fault::LiePower { times: 1 }).unwrap();
    faults.set(&hosts[3], Fault::LostAnswer { times: 1, seconds: 12 }).unwrap();
    world.request("r-1", "web", 4).await;
    let sagas = world.settled_within(Duration::from_secs(240), "r-1", 4).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    for host in &hosts {
        assert!(world.site.fleet.simulated().boots(host).powered, "{host} runs");
    }
    Ledger::read(&world).await.check_settled();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_never_recovers_ends_in_compensation_or_quarantine() {
    needs!(Functions, Processes, HttpApi);
    let world = impatient(1, 100).await;
    world.enrol("web").await;
    let host = world.site.fleet.hosts()[0].host_id.clone();
    world.site.fleet.faults().set(&host, Fault::Busy503 { times: 1_000_000 }).unwrap();
    world.request("r-1", "web", 1).await;
    world
        .until("the saga undoes what it can", async || {
            let rows = world.rows("/provisionings?group=r-1").await;
            rows.iter().any(|row| row["status"] == "compensating" || row["status"] == "stuck").then_some(())
        })
        .await;
    world.site.fleet.faults().clear(&host).unwrap();
    let sagas = world.settled("r-1", 1).await;
    let status = sagas[0]["status"].as_str().unwrap();
    assert!(["compensated", "stuck"].contains(&status), "{sagas:#?}");
    if status == "stuck" {
        // Stuck is visible and can be resumed once the BMC is back.
        let resume = json!({ "saga": "provisioning#r-1.1", "reason": "the BMC is back" });
        world.accepted("resume-saga", &resume).await;
        world
            .until("the saga is undone", async || {
                let rows = world.rows("/provisionings?group=r-1").await;
                (rows[0]["status"] == "compensated").then_some(())
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_answers_is_given_up_and_goes_back() {
    needs!(Functions, Processes, HttpApi);
    let world = impatient(1, 8).await;
    world.enrol("web").await;
    let host = world.site.fleet.hosts()[0].host_id.clone();
    world.site.fleet.simulated().set_behaviour(&host, Behaviour::NeverAnswers).unwrap();
    world.request("r-1", "web", 1).await;
    world
        .until("the deadline has passed twice", async || {
            let rows = world.rows("/provisionings?group=r-1").await;
            rows.iter().any(|row| row["status"] == "compensating").then_some(())
        })
        .await;
    world.site.fleet.simulated().set_behaviour(&host, Behaviour::Succeeds).unwrap();
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "compensated", "{sagas:#?}");
    world
        .until("the host is back", async || {
            (world.hosts_in("web", "available").await.len() == 1).then_some(())
        })
        .await;
    let ledger = Ledger::read(&world).await;
    assert_eq!(ledger.count("saga.deadline-exceeded"), 2, "{ledger:#?}");
    ledger.check_settled();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_cancel_and_the_host_goes_back() {
    needs!(Functions, Processes, HttpApi);
    let world = impatient(1, 100).await;
    world.enrol("web").await;
    let host = world.site.fleet.hosts()[0].host_id.clone();
    world.site.fleet.simulated().set_behaviour(&host, Behaviour::Slow { ms: 5_000 }).unwrap();
    world.request("r-1", "web", 1).await;
    world
        .until("the host boots", async || (world.hosts_in("web", "deploying").await.len() == 1).then_some(()))
        .await;
    let cancel = json!({ "saga": "provisioning#r-1.1", "reason": "not needed any more" });
    world.accepted("cancel-saga", &cancel).await;
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "compensated", "{sagas:#?}");
    assert!(sagas[0]["reason"].as_str().unwrap().contains("not needed any more"), "{sagas:#?}");
    let (status, answer) = world.command("cancel-saga", &cancel).await;
    assert_eq!(status, 409, "{answer}");
}
