//! The endpoint and the deployment, against the real thing: the default endpoint, or what HOSTLER_TEST_CLOUD
//! names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_localstack::{
    Account, Capability, Cloud, CloudOptions, DeployOptions, EndpointKind, Error, Fleet, FleetOptions,
    Progress, ensure_python, group_members, needs,
};
use reqwest::Method;
use serde_json::{Value, json};

const CHILD_FILE: &str = "HOSTLER_TEST_CHILD_FILE";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The function `write-note` as a binary: a script that runs the fixture with the environment's Python.
async fn write_note(dir: &Path) -> BTreeMap<String, PathBuf> {
    let python = ensure_python(&Progress::default()).await.unwrap();
    let script = dir.join("write-note");
    let text = format!("#!/bin/sh\nexec {} {}\n", python.display(), fixture("write_note.py").display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    BTreeMap::from([("write-note".to_owned(), script)])
}

async fn options(dir: &Path) -> DeployOptions {
    DeployOptions {
        template: fixture("tiny.yaml"),
        functions: write_note(dir).await,
        ..DeployOptions::default()
    }
}

/// An endpoint of its own, of the kind that is asked for.
async fn start() -> Cloud {
    let kind = EndpointKind::from_env().unwrap();
    Cloud::start(CloudOptions { kind, ..CloudOptions::default() }).await.unwrap()
}

async fn post(url: &str, authorization: Option<String>) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(url).json(&json!({}));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn wait_until_empty(group: i32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !group_members(group).is_empty() {
        assert!(Instant::now() < deadline, "still running: {:?}", group_members(group));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn table_names(account: &Account) -> Vec<String> {
    let client = aws_sdk_dynamodb::Client::new(&account.sdk_config());
    client.list_tables().send().await.unwrap().table_names.unwrap_or_default()
}

#[tokio::test]
async fn stopping_ends_the_functions_too() {
    needs!(Functions, Processes, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let cloud = start().await;
    let group = cloud.process_group().unwrap();
    let account = cloud.new_account();
    let stack = cloud.deploy(&account, options(dir.path()).await).await.unwrap();
    let (status, _) = post(&stack.http().unwrap().url("/callbacks/t"), None).await;
    assert_eq!(status, 200);
    assert!(group_members(group).len() >= 2, "the endpoint and its function");
    cloud.stop().await;
    wait_until_empty(group).await;
}

#[tokio::test]
async fn deleting_a_stack_ends_its_functions() {
    needs!(Functions, Processes, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let cloud = start().await;
    let group = cloud.process_group().unwrap();
    let stack = cloud.deploy(&cloud.new_account(), options(dir.path()).await).await.unwrap();
    let other = cloud.deploy(&cloud.new_account(), options(dir.path()).await).await.unwrap();
    let others = other.http().unwrap().url("/callbacks/t");
    post(&others, None).await;
    let without_it = group_members(group).len();
    post(&stack.http().unwrap().url("/callbacks/t"), None).await;
    assert!(group_members(group).len() > without_it, "its function runs");
    stack.delete().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while group_members(group).len() > without_it {
        assert!(Instant::now() < deadline, "still running: {:?}", group_members(group));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(post(&others, None).await.0, 200, "another account's function of the same name goes on");
    assert_eq!(group_members(group).len(), without_it);
}

#[tokio::test]
async fn nothing_survives_a_killed_owner() {
    needs!(Functions, Processes, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("group");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_that_gets_killed", "--ignored"])
        .env(CHILD_FILE, &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !file.exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the owner did not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (group, work_dir) = {
        let text = fs::read_to_string(&file).unwrap();
        let (group, rest) = text.split_once('\n').unwrap();
        (group.parse().unwrap(), rest.to_owned())
    };
    assert!(group_members(group).len() >= 2, "the endpoint and its function");
    child.kill().unwrap(); // SIGKILL: nothing in the owner gets to run
    child.wait().unwrap();
    wait_until_empty(group).await;
    assert!(!Path::new(&work_dir).exists(), "{work_dir} is left");
}

#[tokio::test]
#[ignore = "runs as the child of nothing_survives_a_killed_owner"]
async fn owner_that_gets_killed() {
    let Some(file) = std::env::var_os(CHILD_FILE).map(PathBuf::from) else { return };
    let cloud = start().await;
    let dir = file.parent().unwrap();
    let stack = cloud.deploy(&cloud.new_account(), options(dir).await).await.unwrap();
    post(&stack.http().unwrap().url("/callbacks/t"), None).await;
    let work_dir = cloud.log().unwrap().parent().unwrap().display().to_string();
    let new = file.with_extension("new");
    fs::write(&new, format!("{}\n{work_dir}", cloud.process_group().unwrap())).unwrap();
    fs::rename(new, file).unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    needs!(Functions, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::shared().await.unwrap();
    let (one, other) = (cloud.new_account(), cloud.new_account());
    assert_ne!(one.id(), other.id());
    let first = cloud.deploy(&one, options(dir.path()).await).await.unwrap();
    assert_eq!(table_names(&other).await, Vec::<String>::new());
    let second = cloud.deploy(&other, options(dir.path()).await).await.unwrap();
    assert_eq!(table_names(&one).await, [first.outputs["Table"].clone()]);
    assert_eq!(table_names(&other).await, [second.outputs["Table"].clone()]);
    assert_ne!(first.api_url().unwrap(), second.api_url().unwrap());
}

#[tokio::test]
async fn the_template_itself_is_deployed_and_called() {
    needs!(Functions, Processes, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::shared().await.unwrap();
    let account = cloud.new_account();
    let mut deploy = options(dir.path()).await;
    deploy.parameters.insert("Greeting".to_owned(), "good morning".to_owned());
    let stack = cloud.deploy(&account, deploy).await.unwrap();
    let http = stack.http().unwrap();

    // Unsigned, as a booting host calls; by the address on AWS, which the function knows itself by.
    let (status, seen) = post(&http.url("/callbacks/t"), None).await;
    assert_eq!(status, 200, "{seen}");
    assert_eq!(seen["wrote"], true, "{seen}");
    assert_eq!(seen["greeting"], "good morning");
    assert_eq!(seen["path"], "/callbacks/t");
    let route = stack.callback_route();
    let (url, _) = route.resolve(&format!("{}/callbacks/u", seen["own"].as_str().unwrap()));
    assert_eq!(post(&url, None).await.0, 200);

    // With the account's credential; without one the route refuses.
    let (status, seen) = post(&http.url("/notes"), Some(http.authorization())).await;
    assert_eq!(status, 200, "{seen}");
    assert!(seen["caller"].as_str().unwrap().contains(account.id()), "{seen}");
    assert_eq!(post(&http.url("/notes"), None).await.0, 403);
}

#[tokio::test]
async fn deploying_again_updates() {
    needs!(Functions, Processes, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::shared().await.unwrap();
    let account = cloud.new_account();
    let stack = cloud.deploy(&account, options(dir.path()).await).await.unwrap();
    let url = stack.http().unwrap().url("/callbacks/t");
    post(&url, None).await;
    let mut changed = options(dir.path()).await;
    changed.parameters.insert("Greeting".to_owned(), "again".to_owned());
    let again = cloud.deploy(&account, changed).await.unwrap();
    assert_eq!(again.outputs["Table"], stack.outputs["Table"], "the table stays");
    assert_eq!(post(&url, None).await.1["greeting"], "again");
    again.delete().await.unwrap();
    assert_eq!(table_names(&account).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_missed() {
    needs!(Functions, Processes, HttpApi, Iam);
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::shared_with_iam().await.unwrap();
    let whole = cloud.deploy(&cloud.new_account(), options(dir.path()).await).await.unwrap();
    let (_, seen) = post(&whole.http().unwrap().url("/callbacks/t"), None).await;
    assert_eq!(seen["wrote"], true, "{seen}");
    let http = whole.http().unwrap();
    assert_eq!(post(&http.url("/notes"), Some(http.authorization())).await.0, 200);
    assert_eq!(post(&http.url("/notes"), None).await.0, 403);

    let mut less = options(dir.path()).await;
    less.edit =
        Some(Box::new(|template| template["Resources"]["WriteNote"]["Properties"]["Policies"] = Value::Null));
    let less = cloud.deploy(&cloud.new_account(), less).await.unwrap();
    let (_, seen) = post(&less.http().unwrap().url("/callbacks/t"), None).await;
    assert_eq!(seen["wrote"], false, "{seen}");
    assert!(seen["error"].as_str().unwrap().contains("AccessDenied"), "{seen}");
}

/// Sends one request to a BMC of the fleet.
async fn redfish(fleet: &Fleet, method: Method, path: &str, body: Value) {
    let (user, password) = fleet.credentials();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, format!("{}{path}", fleet.hosts()[0].bmc_url));
    let answer = request.basic_auth(user, Some(password)).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

#[tokio::test]
async fn a_booting_host_reaches_the_api_by_its_address_on_aws() {
    needs!(Functions, Processes, HttpApi);
    let dir = tempfile::tempdir().unwrap();
    let cloud = match EndpointKind::from_env().unwrap().can(Capability::Iam) {
        true => Cloud::shared_with_iam().await.unwrap(),
        false => Cloud::shared().await.unwrap(),
    };
    let stack = cloud.deploy(&cloud.new_account(), options(dir.path()).await).await.unwrap();
    let own = post(&stack.http().unwrap().url("/callbacks/t"), None).await.1["own"].clone();
    let options = FleetOptions { hosts: 1, boot_ms: 10, power_seconds: 0.0..=0.0, ..FleetOptions::default() };
    let fleet = Fleet::start(options).await.unwrap();
    fleet.set_callback_route(stack.callback_route());

    let callback = format!("{}/callbacks/h-01", own.as_str().unwrap());
    let image = reqwest::Url::parse_with_params("http://images.example/boot.iso", [("callback", callback)]);
    let image = json!({"Image": image.unwrap().as_str()});
    let insert = "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia";
    redfish(&fleet, Method::POST, insert, image).await;
    redfish(&fleet, Method::PATCH, "", json!({"Boot": {"BootSourceOverrideTarget": "Cd"}})).await;
    redfish(&fleet, Method::POST, "/Actions/ComputerSystem.Reset", json!({"ResetType": "On"})).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while fleet.simulated().boots("h-01").callbacks_taken == 0 {
        assert!(Instant::now() < deadline, "{:?}", fleet.simulated().boots("h-01"));
        redfish(&fleet, Method::GET, "", Value::Null).await; // a power change shows only when read
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Deploys the template with one more resource, which must fail.
async fn deploy_with(cloud: &Cloud, dir: &Path, odd: Value) -> Error {
    let mut wrong = options(dir).await;
    wrong.edit = Some(Box::new(move |template| template["Resources"]["Odd"] = odd.clone()));
    cloud.deploy(&cloud.new_account(), wrong).await.unwrap_err()
}

#[tokio::test]
async fn a_failed_deployment_says_why() {
    needs!(Functions);
    let dir = tempfile::tempdir().unwrap();
    let cloud = Cloud::shared().await.unwrap();
    let unknown = json!({"Type": "AWS::Nothing::AtAll", "Properties": {}});
    let error = deploy_with(cloud, dir.path(), unknown).await;
    assert!(error.to_string().contains("AWS::Nothing::AtAll"), "{error}");

    let dangling = json!({"Type": "AWS::Lambda::Url",
        "Properties": {"AuthType": "AWS_IAM", "TargetFunctionArn": "nobody"}});
    let error = deploy_with(cloud, dir.path(), dangling).await;
    let Error::Stack { events, .. } = &error else { panic!("{error}") };
    assert!(events.contains("Odd"), "{error}");

    let mut unbuilt = options(dir.path()).await;
    unbuilt.functions.clear();
    let error = cloud.deploy(&cloud.new_account(), unbuilt).await.unwrap_err();
    assert!(error.to_string().contains("write-note"), "{error}");
}
