//! The stack is updated while sagas run: no deployment breaks one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostler_localstack::{DeployOptions, SiteOptions, needs};
use serde_json::{Value, json};

use crate::faults::quick_returns;
use crate::ledger::Ledger;
use crate::world::{World, cloud, fleet, functions, root};

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

/// New configuration: another setting in every function's environment, and less time.
fn new_configuration(template: &mut Value) {
    quick_returns(template);
    for resource in template["Resources"].as_object_mut().unwrap().values_mut() {
        if resource["Type"] == "AWS::Serverless::Function" {
            resource["Properties"]["Environment"]["Variables"]["RUST_LOG"] = json!("warn");
            resource["Properties"]["Timeout"] = json!(4);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_in_the_middle_of_a_hundred_sagas_breaks_none() {
    needs!(Functions, Processes, HttpApi);
    let options =
        SiteOptions { fleet: fleet(SAGAS), edit: Some(Box::new(quick_returns)), ..SiteOptions::default() };
    let world = World::start_alone_with(options).await;
    world.enrol_within(PATIENCE, "web").await;
    world.request("r-1", "web", SAGAS as u32).await;
    world
        .until("a fifth of them is in service", async || {
            (world.hosts_in("web", "in-service").await.len() >= SAGAS / 5).then_some(())
        })
        .await;

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
    let running = world.rows("/provisionings?group=r-1").await;
    let running = running.iter().filter(|saga| saga["status"] == "running").count();
    eprintln!("{:>7.2?} until the stack is updated; {running} sagas run on", begun.elapsed());
    assert!(running > 0, "the update came too late to be in the middle");

    let sagas = world.settled_within(PATIENCE, "r-1", SAGAS).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    world.at_rest().await;
    let ledger = Ledger::read(&world).await;
    ledger.print();
    ledger.check_settled();
    // The local endpoint ends functions in the middle of a call, which AWS does not: such a step passes its deadline and is
    // asked for again, and its effect may have been done before. None is left out.
    let effects = [ledger.roles_applied, ledger.registrations, ledger.boots / 2];
    assert!(effects.iter().all(|done| *done >= SAGAS as u64), "{ledger:#?}");
}
