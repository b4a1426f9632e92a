//! The demo: ten hosts into service, and one whose configuration fails and that is taken back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::UpArgs;
use super::start::{LAB, POOL, Running};
use crate::api::{Api, HostRow, ProvisioningRow, View};
use crate::commands::datacentre::requests::create;
use crate::commands::datacentre::stats::Stats;
use crate::error::CliError;
use crate::follow;
use crate::output::Out;
use crate::render::{table, time, timeline};
use crate::steps::Steps;

/// What to try afterwards.
pub(crate) const HINTS: &str = "
Try in another terminal:
  cargo hostler hosts list                                     where every host is
  cargo hostler requests create --pool web --role web --wait   one more host
  cargo hostler provisionings show demo-lab.1 --all            every command and timer of the failing one
  cargo hostler stats                                          do events and effects agree?
";
/// How many hosts the good request asks for, where the fleet has them.
const GOOD_MAX: u32 = 10;
const WAIT: Duration = Duration::from_secs(180);
/// How long views may take to catch up with the end of a saga.
const CATCH_UP: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(300);

/// What the demo came to.
struct Told {
    good: Vec<ProvisioningRow>,
    bad: Vec<ProvisioningRow>,
    hosts: Vec<HostRow>,
}

/// Tells the story; fails when it does not end as it should.
pub(crate) async fn run(
    running: &Running,
    args: &UpArgs,
    steps: &Steps,
    out: Out,
    started: Instant,
) -> Result<(), CliError> {
    let api = &running.target.api;
    let count = GOOD_MAX.min(u32::from(args.hosts));
    out.say(out.bold(format!(
        "Two requests: {} hosts for the role web, and one whose configuration is made to fail.",
        count
    )))?;
    let step = steps.begin("provisioning");
    let both =
        async { tokio::try_join!(follow(api, ("demo-web", POOL), count), follow(api, ("demo-lab", LAB), 1)) };
    let (good_rows, bad_rows) = watch(api, steps, both).await?;
    let ended = good_rows.len() + bad_rows.len();
    step.done(&format!("all {ended} provisionings ended"), "")?;
    steps.clear();
    let told = Told { hosts: caught_up(api, &good_rows).await?, good: good_rows, bad: bad_rows };
    let stats = Stats::read(&running.target).await?;
    print(api, &told, out).await?;
    summary(&told, &stats, out, started)
}

async fn follow(api: &Api, (id, pool): (&str, &str), count: u32) -> Result<Vec<ProvisioningRow>, CliError> {
    let accepted = create::plain(api, (id, pool, "web"), count).await?;
    follow::provisionings(api, id, &accepted.provisionings, WAIT, |_| Ok(())).await
}

/// Waits for something and shows meanwhile how all sagas stand.
async fn watch<T>(
    api: &Api,
    steps: &Steps,
    wanted: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let showing = async {
        loop {
            if let Ok(rows) = api.rows::<ProvisioningRow>(None).await {
                let tally = table::tally(rows.iter().map(|row| row.status.as_str()));
                steps.show(format!("provisioning: {tally}"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        ended = wanted => ended,
        never = showing => never,
    }
}

/// The hosts, once their views tell the same as the sagas' views; or as they are when that takes too long.
async fn caught_up(api: &Api, good: &[ProvisioningRow]) -> Result<Vec<HostRow>, CliError> {
    let started = Instant::now();
    let completed = good.iter().filter(|row| row.status == "completed").count();
    loop {
        let hosts: Vec<HostRow> = api.rows(None).await?;
        let serving = hosts.iter().filter(|row| row.phase == "in-service").count();
        let settled = hosts.iter().all(|row| matches!(row.phase.as_str(), "available" | "in-service"));
        if (serving == completed && settled) || started.elapsed() > CATCH_UP {
            return Ok(hosts);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn print(api: &Api, told: &Told, out: Out) -> Result<(), CliError> {
    if out.json {
        return out.json_line(&json!({ "good": told.good, "bad": told.bad, "hosts": told.hosts }));
    }
    let all: Vec<ProvisioningRow> = told.good.iter().chain(&told.bad).cloned().collect();
    out.line(format!("\n{}", table::provisionings(&all, Timestamp::now())))?;
    for row in &told.bad {
        let happened = api.timeline(View::Provisioning, &row.provisioning, &[]).await?;
        out.line(format!("\n{}", out.bold(format!("What happened to {}", row.provisioning))))?;
        out.line(timeline::timeline(&happened, false))?;
    }
    Ok(())
}

/// Adds up, and says what is not as it should be.
fn summary(told: &Told, stats: &Stats, out: Out, started: Instant) -> Result<(), CliError> {
    let mut wrong = unexpected(told);
    let failed = stats.checks.iter().filter(|check| !check.holds());
    wrong.extend(failed.map(|check| {
        format!("{}: {} {} {} does not hold", check.what, check.left, check.relation.sign(), check.right)
    }));
    let sagas = told.good.iter().chain(&told.bad).map(|row| row.status.as_str());
    let line = format!(
        "{} provisionings: {}; {} hosts: {}; {} events in {} commits; {} dead letters; {} in all",
        told.good.len() + told.bad.len(),
        table::tally(sagas),
        told.hosts.len(),
        table::tally(told.hosts.iter().map(|row| row.phase.as_str())),
        stats.tally.events.values().sum::<u64>(),
        stats.tally.commits,
        stats.dead_letters,
        time::span(started.elapsed())
    );
    if out.json {
        out.json_line(
            &json!({ "summary": line, "unexpected": wrong, "seconds": started.elapsed().as_secs_f64() }),
        )?;
    } else {
        let verdict = if wrong.is_empty() {
            out.good("✓ events and effects agree:")
        } else {
            out.bad("✗ events and effects do not agree:")
        };
        out.line(format!("\n{verdict} {line}"))?;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(CliError::Outcome(format!("the demo did not end as it should:\n  {}", wrong.join("\n  "))))
}

/// What is not as the story has it.
fn unexpected(told: &Told) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in told.good.iter().filter(|row| row.status != "completed") {
        let reason = row.reason.as_deref().unwrap_or("no reason was given");
        wrong.push(format!("{} is {} and not completed: {reason}", row.provisioning, row.status));
    }
    for row in told.bad.iter().filter(|row| row.status != "compensated") {
        wrong.push(format!("{} is {} and not compensated", row.provisioning, row.status));
    }
    let serving: BTreeSet<&str> = told.good.iter().filter_map(|row| row.host.as_deref()).collect();
    if serving.len() != told.good.len() {
        wrong.push(format!("{} provisionings have {} hosts", told.good.len(), serving.len()));
    }
    for host in &told.hosts {
        let wanted = if serving.contains(host.host.as_str()) { "in-service" } else { "available" };
        if host.phase != wanted {
            wrong.push(format!("{} is {} and not {wanted}", host.host, host.phase));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn saga(id: &str, status: &str, host: &str) -> ProvisioningRow {
        serde_json::from_value(json!({
            "provisioning": id, "request": "r", "pool": "web", "role": "web", "status": status, "host": host,
            "version": 1, "updatedAt": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    fn host(id: &str, phase: &str) -> HostRow {
        serde_json::from_value(json!({
            "host": id, "pool": "web", "phase": phase, "version": 1, "updatedAt": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_story_as_it_should_be() {
        let told = Told {
            good: vec![saga("demo-web.1", "completed", "h-01")],
            bad: vec![saga("demo-lab.1", "compensated", "h-03")],
            hosts: vec![host("h-01", "in-service"), host("h-02", "available"), host("h-03", "available")],
        };
        assert_eq!(unexpected(&told), Vec::<String>::new());
    }

    #[test]
    fn every_difference_is_told() {
        let told = Told {
            good: vec![saga("demo-web.1", "completed", "h-01"), saga("demo-web.2", "stuck", "h-01")],
            bad: vec![saga("demo-lab.1", "completed", "h-03")],
            hosts: vec![host("h-01", "in-service"), host("h-03", "in-service")],
        };
        let wrong = unexpected(&told).join("\n");
        for part in [
            "demo-web.2 is stuck",
            "demo-lab.1 is completed",
            "2 provisionings have 1 hosts",
            "h-03 is in-service",
        ] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
    }
}
