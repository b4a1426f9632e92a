//! The stack is updated while sagas run: no deployment breaks one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostler_localstack::{DeployOptions, needs};
use hostler_tests::root;
use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::world::{World, cloud, functions};

const SAGAS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(400);

/// The functions as a deployment of new code brings them: other archives, which replace every process.
async fn new_code(dir: &Path) -> BTreeMap<String, PathBuf> {
    let wrapped = |(name, binary): (String, PathBuf)| {
        let script = dir.join(&name);
        fs::write(&script, format!("#!/bin/sh\nexec '{}'\n", binary.display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        (name, script)
    };
    functions().await.into_iter().map(wrapped).collect()
}

/// New configuration: another setting in every function's environment, and more memory.
fn new_configuration(template: &mut Value) {
    for resource in template["Resources"].as_object_mut().unwrap().values_mut() {
        if resource["Type"] == "AWS::Serverless::Function" {
            resource["Properties"]["Environment"]["Variables"]["RUST_LOG"] = json!("warn");
            resource["Properties"]["MemorySize"] = json!(512);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_in_the_middle_of_a_hundred_sagas_breaks_none() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start_alone(SAGAS).await;
    world.enrol_within(PATIENCE, "web").await;
    world.request("r-1", "web", SAGAS as u32).await;
    world
        .until("the first of them are in service", async || {
            (!world.hosts_in("web", "in-service").await.is_empty()).then_some(())
        })
        .await;

    let running = async || {
        let sagas = world.rows("/provisionings?group=r-1").await;
        sagas.iter().filter(|saga| saga["status"] == "running").count()
    };
    let before = running().await;
    assert!(before > SAGAS / 2, "the update comes in the middle: {before} sagas run");
    let begun = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let update = DeployOptions {
        template: root().join("template.yaml"),
        functions: new_code(dir.path()).await,
        parameters: world.site.parameters.clone(),
        edit: Some(Box::new(new_configuration)),
        ..DeployOptions::default()
    };
    cloud().await.deploy(&world.site.account, update).await.unwrap();
    eprintln!(
        "{:>7.2?} until the stack is updated; of {before} sagas {} run on",
        begun.elapsed(),
        running().await
    );

    let sagas = world.settled_within(PATIENCE, "r-1", SAGAS).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    world.at_rest().await;
    let ledger = Ledger::read(&world).await;
    ledger.print();
    ledger.check_exact();
    assert_eq!(ledger.count("host.in-service"), SAGAS, "each host came into service once");
}
