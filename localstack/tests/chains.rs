//! A chain of invocations through a queue is stopped as on AWS, unless its function allows loops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hostler_localstack::{Chain, Cloud, DeployOptions, Progress, Stack, ensure_python, needs};
use serde_json::json;

/// AWS stops the call after so many.
const CALLS_MAX: u32 = 16;
/// The function ends a chain by itself after so many.
const LAST: u32 = 30;

async fn deploy(dir: &Path, recursive_loop: Option<&'static str>) -> Stack {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let python = ensure_python(&Progress::default()).await.unwrap();
    let script = dir.join("pass-on");
    let text = format!("#!/bin/sh\nexec {} {}\n", python.display(), fixtures.join("pass_on.py").display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let cloud = Cloud::shared_with_iam().await.unwrap();
    let mut options = DeployOptions {
        template: fixtures.join("loop.yaml"),
        functions: BTreeMap::from([("pass-on".to_owned(), script)]),
        ..DeployOptions::default()
    };
    if let Some(setting) = recursive_loop {
        options.edit = Some(Box::new(move |template| {
            template["Resources"]["PassOn"]["Properties"]["RecursiveLoop"] = json!(setting);
        }));
    }
    cloud.deploy(&cloud.new_account(), options).await.unwrap()
}

/// Starts a chain and waits until it is seen to be so long; gives what was seen.
async fn run_chain(stack: &Stack, done: impl Fn(&Chain) -> bool) -> Chain {
    let sqs = aws_sdk_sqs::Client::new(&stack.account.sdk_config());
    sqs.send_message().queue_url(&stack.outputs["Work"]).message_body("0").send().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let chains = stack.account.chains().await.unwrap();
        if let [chain] = chains.as_slice()
            && done(chain)
        {
            return chain.clone();
        }
        assert!(Instant::now() < deadline, "the chains are {chains:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_chain_of_sixteen_is_stopped_and_ends_in_the_dead_letter_queue() {
    needs!(LoopDetection, Functions, Processes);
    let dir = tempfile::tempdir().unwrap();
    let stack = deploy(dir.path(), None).await;
    let chain = run_chain(&stack, |chain| chain.stopped > 0).await;
    assert_eq!((chain.longest, chain.stopped), (CALLS_MAX, 1), "{chain:?}");

    let sqs = aws_sdk_sqs::Client::new(&stack.account.sdk_config());
    let deadline = Instant::now() + Duration::from_secs(30);
    let dead = loop {
        let dead = sqs.receive_message().queue_url(&stack.outputs["Dead"]).wait_time_seconds(2);
        let dead = dead.send().await.unwrap().messages.unwrap_or_default();
        if let Some(message) = dead.into_iter().next() {
            break message;
        }
        assert!(Instant::now() < deadline, "the message is in no dead-letter queue");
    };
    assert_eq!(dead.body(), Some(CALLS_MAX.to_string().as_str()), "the call after the sixteenth was stopped");
}

#[tokio::test]
async fn a_function_that_allows_loops_goes_on() {
    needs!(LoopDetection, Functions, Processes);
    let dir = tempfile::tempdir().unwrap();
    let stack = deploy(dir.path(), Some("Allow")).await;
    let chain = run_chain(&stack, |chain| chain.longest == LAST).await;
    assert_eq!(chain.stopped, 0, "{chain:?}");
}
