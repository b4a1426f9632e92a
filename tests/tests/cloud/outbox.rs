//! The outbox with a queue that is gone: all others have theirs, and nothing is lost.

use std::collections::HashMap;
use std::time::Instant;

use aws_sdk_sqs::types::QueueAttributeName;
use hostler_localstack::{SiteOptions, needs};
use serde_json::{Value, json};

use crate::ledger::controlled;
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

/// Given a batch that the stream gave up, as the mapping names it, when triage has dealt with it, then what was committed in that
/// time is published again, with the function's own permissions, and nobody is left to do anything.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_gave_up_is_published_again_by_triage() {
    needs!(Functions, Processes, HttpApi, VerbatimBodies);
    let world = World::start(2).await;
    world.enrol("web").await;
    let now = jiff::Timestamp::now();
    let named = json!({ "DDBStreamBatchInfo": {
        "approximateArrivalOfFirstRecord": now, "approximateArrivalOfLastRecord": now, "batchSize": 3,
    } });
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let dead_letters = &world.queue_urls()["relay-outbox-dlq"];
    sqs.send_message().queue_url(dead_letters).message_body(named.to_string()).send().await.unwrap();
    let failure =
        world.until("it is recorded", async || world.rows("/failures").await.into_iter().next()).await;
    // Its first attempt is delayed by full jitter, up to minutes, and may have begun already.
    let begun = ["waiting", "resent", "resolved"];
    assert!(begun.contains(&failure["status"].as_str().unwrap()), "{failure}");
    let retry = json!({ "failure": failure["id"], "reason": "at once" });
    let (status, answer) = world.command("retry-failure", &retry).await;
    assert!(status == 202 || status == 409, "{status}: {answer}");
    world
        .until("it is repaired", async || {
            let failures = world.rows("/failures").await;
            (failures[0]["status"] == "resolved").then_some(())
        })
        .await;
    let noted = controlled(&world).await;
    let (_, note) = noted.iter().find(|(key, _)| key.starts_with("audit/republish/")).unwrap();
    assert_eq!(note["state"], "ended", "{note}");
    assert!(note["commits"].as_u64().unwrap() >= 2 && note["failed"] == 0, "{note}");
    world.at_rest().await;
    assert_eq!(world.hosts_in("web", "available").await.len(), 2, "nothing was done twice");
}
