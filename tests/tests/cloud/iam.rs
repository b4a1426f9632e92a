//! Least privilege: with policies enforced everything works, and without one permission it does not.

use hostler_localstack::{DeployOptions, SiteOptions, needs};
use hostler_tests::root;
use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::world::{World, cloud, fleet, functions};

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_flow_passes_with_policies_enforced() {
    needs!(Functions, Processes, HttpApi, Iam);
    let options = SiteOptions { fleet: fleet(3), ..SiteOptions::default() };
    let world = World::start_with(options).await;
    world.enrol("web").await;
    let host = world.site.fleet.hosts()[0].host_id.clone();
    let label = json!({ "host": host, "set": { "simulate.monitor": "fail" } });
    world.accepted("label-host", &label).await;
    world.request("r-1", "web", 3).await;
    let sagas = world.settled("r-1", 3).await;
    let of = |status: &str| sagas.iter().filter(|saga| saga["status"] == status).count();
    assert_eq!((of("completed"), of("compensated")), (2, 1), "{sagas:#?}");
    let (status, timeline) = world.get("/provisionings/r-1.1/timeline").await;
    assert_eq!(status, 200, "{timeline}");
    world.at_rest().await;
    Ledger::read(&world).await.check_settled();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_permission_less_and_the_flow_stops_until_it_is_given_back() {
    needs!(Functions, Processes, HttpApi, Iam);
    let take = |template: &mut Value| {
        let policies = &mut template["Resources"]["RunSagasRole"]["Properties"]["Policies"];
        let statements = policies[0]["PolicyDocument"]["Statement"].as_array_mut().unwrap();
        let before = statements.len();
        statements.retain(|statement| statement["Action"] != "dynamodb:PutItem");
        assert_eq!(statements.len(), before - 1, "the permission was there to be taken");
    };
    let options = SiteOptions { fleet: fleet(1), edit: Some(Box::new(take)), ..SiteOptions::default() };
    let world = World::start_with(options).await;
    world.enrol("web").await;
    world.request("r-1", "web", 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let sagas = world.rows("/provisionings?group=r-1").await;
    assert!(sagas.is_empty(), "a saga has written without the permission to: {sagas:#?}");

    // The message was kept: with the permission back, the saga runs to its end.
    let again = DeployOptions {
        template: root().join("template.yaml"),
        functions: functions().await,
        parameters: world.site.parameters.clone(),
        ..DeployOptions::default()
    };
    cloud().await.deploy(&world.site.account, again).await.unwrap();
    let sagas = world.settled("r-1", 1).await;
    assert_eq!(sagas[0]["status"], "completed", "{sagas:#?}");
}
