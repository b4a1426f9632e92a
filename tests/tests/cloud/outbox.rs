//! The outbox with a queue that is gone: all others have theirs, and nothing is lost.

use std::collections::HashMap;
use std::time::Instant;

use aws_sdk_sqs::types::QueueAttributeName;
use hostler_localstack::{SiteOptions, needs};
use serde_json::{Value, json};

use crate::world::{World, fleet};

/// Waits until a host is in a phase, and says how long that took.
async fn until(world: &World, phase: &str) -> std::time::Duration {
    let begun = Instant::now();
    world
        .until(&format!("a host is {phase}"), async || {
            (!world.hosts_in("web", phase).await.is_empty()).then_some(())
        })
        .await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_gone_holds_nobody_back_and_has_its_messages_when_it_is_there_again() {
    needs!(Functions, Processes, HttpApi, VerbatimBodies);
    let edit = |template: &mut Value| {
        // What is parked is tried every few seconds instead of minutes.
        template["Resources"]["RelayOutboxDlq"]["Properties"]["VisibilityTimeout"] = json!(5);
    };
    let options = SiteOptions { fleet: fleet(2), edit: Some(Box::new(edit)), ..SiteOptions::default() };
    let world = World::start_with(options).await;
    world.enrol("web").await;
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let urls = world.queue_urls();
    let (gone, parked) = (&urls["configure-host"], &urls["relay-outbox-dlq"]);

    let attributes = sqs.get_queue_attributes().queue_url(gone).attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    sqs.delete_queue().queue_url(gone).send().await.unwrap();

    // The commit that asks configure-host also tells the views and sets the step's deadline: those arrive.
    world.request("r-1", "web", 1).await;
    let with_a_broken_queue = until(&world, "configuring").await;
    world
        .until("the command is parked", async || {
            let asked = sqs.get_queue_attributes().queue_url(parked).attribute_names(QueueAttributeName::All);
            let found = asked.send().await.unwrap().attributes.unwrap();
            let waiting = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            ];
            waiting.iter().any(|name| found[name] != "0").then_some(())
        })
        .await;

    // It is there again, as it was: triage sends on what was parked, and the saga goes on.
    let kept = [QueueAttributeName::VisibilityTimeout, QueueAttributeName::RedrivePolicy];
    let kept: HashMap<_, _> =
        kept.into_iter().filter_map(|name| Some((name.clone(), attributes.get(&name)?.clone()))).collect();
    let name = gone.rsplit('/').next().unwrap();
    sqs.create_queue().queue_name(name).set_attributes(Some(kept)).send().await.unwrap();
    let rows = world.settled("r-1", 1).await;
    assert_eq!(rows[0]["status"], "completed", "{rows:#?}");
    eprintln!("{with_a_broken_queue:>7.2?} until a host was deployed while another step's queue was gone");
}
