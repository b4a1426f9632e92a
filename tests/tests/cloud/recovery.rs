//! With Prometheus and Alertmanager: hosts that break are noticed, repaired on their real BMCs, verified and closed, without a
//! person; and what each hop took.

use std::collections::BTreeMap;
use std::time::Instant;

use hostler_domain::views::IncidentView;
use hostler_localstack::fleet::{Condition, Counts, RequestKind};
use hostler_localstack::{SiteOptions, lacks_monitoring, needs};
use serde_json::{Value, json};

use crate::world::{World, fleet};

/// Little is tolerated, and hosts boot in a second.
fn policies() -> Value {
    let rung = |rung: &str| json!({ "rung": rung, "attempts": 1, "delaySeconds": 1 });
    json!({
        "topology": { "racks": { "r-01": { "room": "hall-1", "powerDomain": "p-01", "hosts": 8 } } },
        "faults": {
            "unreachable": { "tolerationSeconds": 2, "runbook": "restart" },
            "disk": { "tolerationSeconds": 2, "runbook": "reinstall" },
            "service": { "tolerationSeconds": 2, "runbook": "service" },
        },
        "runbooks": {
            "service": { "autonomy": "auto", "rungs": [rung("restart-service"), rung("power-cycle")] },
            "restart": { "autonomy": "auto", "rungs": [rung("power-cycle"), rung("replace")] },
            "reinstall": { "autonomy": "auto", "rungs": [rung("power-cycle"), rung("reimage")] },
        },
        "correlation": { "rack": { "count": 5, "percent": 60 } },
        "budget": { "poolPercent": 100, "rack": 4, "powerDomain": 4, "brakePercent": 100 },
        "recovery": { "verifySeconds": 10 },
        "pools": { "web": { "role": "web", "image": "debian-12", "hosts": 5 } },
    })
}

/// What a host's BMC was told since then: to switch off, to switch on, to take an image.
fn told_since(world: &World, host: &str, before: &Counts) -> [u64; 3] {
    let now = world.site.fleet.record().of(host);
    let resets = |counts: &Counts, kind: &str| counts.resets.get(kind).copied().unwrap_or_default();
    let images = |counts: &Counts| counts.of(RequestKind::InsertMedia);
    [
        resets(&now, "ForceOff") - resets(before, "ForceOff"),
        resets(&now, "On") - resets(before, "On"),
        images(&now) - images(before),
    ]
}

async fn incident(world: &World, host: &str) -> Option<IncidentView> {
    let (status, row) = world.get(&format!("/incidents/{host}")).await;
    (status == 200).then(|| serde_json::from_value(row).unwrap())
}

async fn closed(world: &World, host: &str) -> IncidentView {
    world
        .until(&format!("the incident of {host} is closed"), async || {
            incident(world, host).await.filter(|incident| incident.closed_at.is_some())
        })
        .await
}

/// The names of a host's events, in their order.
async fn events(world: &World, path: &str) -> Vec<String> {
    let (status, timeline) = world.get(&format!("{path}/timeline?limit=200")).await;
    assert_eq!(status, 200, "{timeline}");
    let commits = timeline["commits"].as_array().unwrap().iter();
    let events = commits.flat_map(|commit| commit["events"].as_array().unwrap());
    events.map(|event| event["eventType"].as_str().unwrap().to_owned()).collect()
}

/// Each hop, its seconds, and its share of the whole. The times are those of the stream. A host that was replaced is seen well no
/// more.
fn print_hops(what: &str, incident: &IncidentView) {
    let moments = [
        ("detected", Some(incident.detected_at)),
        ("confirmed", incident.confirmed_at),
        ("decided", incident.decided_at),
        ("acted", incident.acted_at),
        ("verified", incident.verified_at),
        ("closed", incident.closed_at),
    ];
    let never: Vec<&str> = moments.iter().filter(|(_, at)| at.is_none()).map(|(name, _)| *name).collect();
    let is_replaced = tried(incident).last().is_some_and(|last| last == "Replace: Replaced");
    assert_eq!(never, if is_replaced { vec!["verified"] } else { Vec::new() }, "{what}");
    let moments: Vec<_> = moments.into_iter().filter_map(|(name, at)| Some((name, at?))).collect();
    assert!(moments.is_sorted_by_key(|(_, at)| *at), "{what}: {moments:?}");
    let seconds = |from: usize, to: usize| moments[to].1.duration_since(moments[from].1).as_secs_f64();
    let whole = seconds(0, moments.len() - 1);
    eprintln!("{what}: {whole:.2} s from detected to closed");
    for (n, (name, _)) in moments.iter().enumerate().skip(1) {
        let hop = seconds(n - 1, n);
        eprintln!("  {name:>9} + {hop:>6.2} s {:>5.1} %", 100.0 * hop / whole);
    }
    for tried in &incident.tried {
        let took = tried.ended_at.map(|at| at.duration_since(tried.started_at).as_secs_f64());
        eprintln!("  tried {:?} {:?} in {took:.2?} s: {:?}", tried.rung, tried.outcome, tried.reason);
    }
    eprintln!("  from the decision to the action {:.2} s", seconds(2, 3));
}

fn tried(incident: &IncidentView) -> Vec<String> {
    let of = |tried: &hostler_events::health::Tried| {
        format!("{:?}: {:?}", tried.rung.unwrap(), tried.outcome.unwrap())
    };
    incident.tried.iter().map(of).collect()
}

/// One site for all four, which break at once. A fifth host is the warm reserve: it is free, and its power is off.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_break_are_restarted_power_cycled_reimaged_or_replaced_without_a_person() {
    needs!(Functions, Processes, HttpApi);
    if lacks_monitoring() {
        return;
    }
    let options = SiteOptions { fleet: fleet(5), monitoring: true, ..SiteOptions::default() };
    let world = World::start_with(options).await;
    let applied = json!({ "policies": "site", "policy": policies(), "reason": "a test" });
    world.accepted("apply-policies", &applied).await;
    world.enrol("web").await;
    world.request("r-1", "web", 4).await;
    let sagas = world.settled("r-1", 4).await;
    assert!(sagas.iter().all(|saga| saga["status"] == "completed"), "{sagas:#?}");
    let serving: Vec<&str> = sagas.iter().map(|saga| saga["host"].as_str().unwrap()).collect();
    let [stopped, hung, bad_disk, dead] = serving[..] else { panic!("{serving:?}") };
    let mut all = world.site.fleet.hosts().iter().map(|host| host.host_id.as_str());
    let reserve = all.find(|host| !serving.contains(host)).unwrap();
    let record = world.site.fleet.record();
    let hosts = world.site.fleet.hosts().iter().map(|host| host.host_id.as_str());
    let before: BTreeMap<&str, Counts> = hosts.map(|host| (host, record.of(host))).collect();

    let begun = Instant::now();
    let simulated = world.site.fleet.simulated();
    simulated.set_condition(stopped, Condition::ServiceDown).unwrap();
    simulated.set_condition(hung, Condition::Hangs).unwrap();
    simulated.set_condition(bad_disk, Condition::DiskFails).unwrap();
    simulated.set_condition(dead, Condition::Dead).unwrap();
    let told = async |host: &str, what: &str| {
        let incident = closed(&world, host).await;
        eprintln!("{what} ({host}) was closed {:.1?} after it broke", begun.elapsed());
        print_hops(what, &incident);
        incident
    };
    assert_eq!(tried(&told(stopped, "a host whose service had failed").await), ["RestartService: Healed"]);
    assert_eq!(tried(&told(hung, "a host that hung").await), ["PowerCycle: Healed"]);
    let again = ["PowerCycle: Failed", "Reimage: Healed"];
    assert_eq!(tried(&told(bad_disk, "a host with a bad disk").await), again);
    let replaced = ["PowerCycle: Failed", "Replace: Replaced"];
    assert_eq!(tried(&told(dead, "a dead host").await), replaced);

    // The four that serve are the three that were healed, and the one that was in reserve.
    let mut expected = [stopped, hung, bad_disk, reserve];
    expected.sort_unstable();
    world
        .until("four hosts serve", async || {
            let hosts = world.hosts_in("web", "in-service").await;
            let mut serving: Vec<String> =
                hosts.iter().map(|host| host["host"].as_str().unwrap().to_owned()).collect();
            serving.sort_unstable();
            (serving == expected).then_some(())
        })
        .await;
    world.at_rest().await;

    // Each was power-cycled once by its own BMC, and what came after that is no more than it takes. The dead one is being cleaned
    // in vain by now, and goes into quarantine by that.
    let took = |host: &str| told_since(&world, host, &before[host]);
    eprintln!("off, on, images: {:?}", [stopped, hung, bad_disk, dead, reserve].map(took));
    assert_eq!(
        (took(stopped), simulated.restarts(stopped)),
        ([0, 0, 0], 1),
        "its agent has restarted the service"
    );
    assert_eq!(took(hung), [1, 1, 0], "a power cycle");
    assert_eq!(took(bad_disk), [2, 2, 1], "a power cycle, and the boot of a new installation");
    assert_eq!(took(reserve), [0, 1, 1], "it was off, and was installed");
    for host in [stopped, hung, bad_disk, dead] {
        let events = events(&world, &format!("/hosts/{host}")).await;
        let count = |name: &str| events.iter().filter(|event| *event == name).count();
        let power_cycles = usize::from(host != stopped);
        assert_eq!(count("host.power-cycled"), power_cycles, "{events:#?}");
        assert!(
            count("host.cordoned") >= 1 && count("host.uncordoned") >= count("host.cordoned"),
            "{events:#?}"
        );
    }

    // Nothing is left over: no cordon, no part of the budget, nobody was asked.
    for host in world.rows("/hosts").await {
        assert!(host.get("cordonedBy").is_none_or(Value::is_null), "{host:#}");
    }
    let (_, budget) = world.get("/budgets/site").await;
    assert_eq!(budget["holders"], json!([]), "{budget:#}");
    for host in [stopped, hung, bad_disk, dead] {
        let events = events(&world, &format!("/incidents/{host}")).await;
        let asked = ["health.escalated", "health.approval-requested"];
        assert!(!events.iter().any(|event| asked.contains(&event.as_str())), "{events:#?}");
    }
    let failures = world.rows("/failures").await;
    assert!(failures.is_empty(), "{failures:#?}");
}
