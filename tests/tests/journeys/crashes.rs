//! Something goes wrong at every single write, one run for each: the end is the same, each step has its effect
//! once, and nothing is lost.

use futures::StreamExt;

use crate::site::{Site, WriteFault};

/// How many runs are under way at a time: they wait for real between tries of the relay.
const AT_ONCE: usize = 32;

/// A host is enrolled and provisioned.
async fn to_service(fault: Option<(usize, WriteFault)>) -> Site {
    journey(fault, &[]).await
}

/// Monitoring refuses the host for good, so that everything is undone.
async fn to_compensation(fault: Option<(usize, WriteFault)>) -> Site {
    journey(fault, &[("simulate.monitor", "fail")]).await
}

async fn journey(fault: Option<(usize, WriteFault)>, labels: &[(&str, &str)]) -> Site {
    let mut site = Site::new();
    if let Some((n, fault)) = fault {
        site.switch.plan(n, fault);
    }
    site.enrol("h-1", labels).await;
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    site
}

/// Runs a journey with this fault at each of its writes, one after the other, and checks each end.
async fn at_every_write<J>(
    fault: WriteFault,
    journey: impl Fn(Option<(usize, WriteFault)>) -> J,
    check: impl Fn(&Site),
) where
    J: Future<Output = Site>,
{
    let undisturbed = journey(None).await;
    check(&undisturbed);
    let writes = undisturbed.switch.writes();
    assert!(writes.len() > 60, "the journey writes: {writes:?}");
    // What both journeys begin with is tried in one of them.
    let first =
        if undisturbed.status("r-1.1") == "completed" { 0 } else { writes_until_the_last_step().await };
    let runs = (first..writes.len()).map(|n| {
        let run = journey(Some((n, fault)));
        async move { (n, run.await) }
    });
    let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some((n, site)) = runs.next().await {
        println!("{fault:?} at write {n} ({})", writes[n]);
        check(&site);
    }
}

/// How many writes the way to service has before monitoring is asked.
async fn writes_until_the_last_step() -> usize {
    let mut site = Site::new();
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    assert!(site.run_until(|site| site.phase("h-1") == "registering-monitoring").await);
    site.switch.writes().len()
}

fn in_service(site: &Site) {
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("completed", "in-service"));
    assert_eq!(site.count("saga.completed"), 1);
    assert_eq!(site.control_value("configuration/h-1")["applied"], 1, "the role was put on once");
    assert_eq!(site.control_value("monitoring/h-1")["registered"], 1, "it was registered once");
    assert_eq!(site.count("host.deploy-completed"), 1);
}

fn compensated(site: &Site) {
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("compensated", "available"));
    assert_eq!(site.count("saga.compensated"), 1);
    assert_eq!(site.count("host.in-service"), 0);
    assert_eq!(site.control_value("configuration/h-1")["applied"], 1);
    assert_eq!(site.control_value("monitoring/h-1")["registered"].as_u64().unwrap_or_default(), 0);
}

#[tokio::test]
async fn dying_before_any_write_on_the_way_to_service_changes_nothing_of_the_end() {
    at_every_write(WriteFault::DieBefore, to_service, in_service).await;
}

#[tokio::test]
async fn dying_after_any_write_on_the_way_to_service_changes_nothing_of_the_end() {
    at_every_write(WriteFault::DieAfter, to_service, in_service).await;
}

#[tokio::test]
async fn a_failure_of_any_write_on_the_way_to_service_changes_nothing_of_the_end() {
    at_every_write(WriteFault::Fail, to_service, in_service).await;
}

#[tokio::test]
async fn a_lost_answer_to_any_write_on_the_way_to_service_changes_nothing_of_the_end() {
    at_every_write(WriteFault::LoseAnswer, to_service, in_service).await;
}

#[tokio::test]
async fn dying_before_any_write_while_undoing_changes_nothing_of_the_end() {
    at_every_write(WriteFault::DieBefore, to_compensation, compensated).await;
}

#[tokio::test]
async fn dying_after_any_write_while_undoing_changes_nothing_of_the_end() {
    at_every_write(WriteFault::DieAfter, to_compensation, compensated).await;
}

#[tokio::test]
async fn a_failure_of_any_write_while_undoing_changes_nothing_of_the_end() {
    at_every_write(WriteFault::Fail, to_compensation, compensated).await;
}

#[tokio::test]
async fn a_lost_answer_to_any_write_while_undoing_changes_nothing_of_the_end() {
    at_every_write(WriteFault::LoseAnswer, to_compensation, compensated).await;
}
