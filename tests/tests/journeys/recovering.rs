//! A host in service is faulty: what signals lead to, from the first one to health, or to a person.

use std::time::Duration;

use futures::StreamExt;
use hostler_core::{Decider, StreamId};
use hostler_domain::{BudgetDecider, FaultDomainDecider, HealthDecider, HealthState, Recovery};
use hostler_events::RecoverCommand;
use hostler_events::signal::{ReportSignal, Signal, SignalHeader, SignalStatus};
use hostler_runtime::ports::Clock;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::site::{HostFault, Setup, Site, WriteFault};

pub(crate) fn policies(autonomy: &str) -> Value {
    json!({
        "topology": { "racks": {
            "rack-0": { "room": "a", "powerDomain": "feed-a", "hosts": 20 },
            "rack-1": { "room": "a", "powerDomain": "feed-a", "hosts": 20 },
            "rack-2": { "room": "a", "powerDomain": "feed-b", "hosts": 20 },
        } },
        "faults": { "unreachable": { "tolerationSeconds": 60, "runbook": "reboot" } },
        "runbooks": { "reboot": { "autonomy": autonomy, "rungs": [
            { "rung": "power-cycle", "attempts": 2, "delaySeconds": 30 },
            { "rung": "reimage", "attempts": 1 },
            { "rung": "replace", "attempts": 1 },
        ] } },
        "pools": { "web": { "role": "web-server", "image": "debian-13", "hosts": 20 } },
    })
}

/// So many hosts in service, and one that is free; these policies hold.
pub(crate) async fn in_service(hosts: u32, policies: Value) -> Site {
    in_service_with(hosts, policies, None).await
}

async fn in_service_with(hosts: u32, policies: Value, fault: Option<(usize, WriteFault)>) -> Site {
    let mut site = Site::with(Setup::default());
    if let Some((n, fault)) = fault {
        site.switch.plan(n, fault);
    }
    for number in 1..=hosts {
        site.enrol(&format!("h-{number}"), &[]).await;
    }
    site.run().await;
    site.request("r-1", hosts).await;
    site.run().await;
    site.enrol("h-99", &[]).await;
    site.run().await;
    let applied = json!({ "policies": "site", "policy": policies, "reason": "the first" });
    site.accepted("apply-policies", applied).await;
    site.run().await;
    site
}

impl Site {
    /// A signal that is sent now, and began so many seconds ago.
    async fn signal(&mut self, host: &str, status: SignalStatus, age_seconds: i64) {
        let observed_at = self.clock.now() - SignedDuration::from_secs(age_seconds);
        let header = SignalHeader {
            source: "alertmanager".to_owned(),
            fingerprint: format!("down-{host}"),
            status,
            starts_at: observed_at,
            observed_at,
            expires_at: observed_at + SignedDuration::from_mins(15),
        };
        let signal = Signal {
            header,
            fault: "unreachable".parse().unwrap(),
            severity: "critical".to_owned(),
            summary: format!("{host} does not answer"),
            labels: std::collections::BTreeMap::new(),
        };
        let host = host.parse().unwrap();
        self.send(&RecoverCommand::ReportSignal(ReportSignal { host, signal })).await;
    }

    pub(crate) async fn fires(&mut self, host: &str) {
        self.signal(host, SignalStatus::Firing, 0).await;
    }

    pub(crate) async fn resolves(&mut self, host: &str) {
        self.signal(host, SignalStatus::Resolved, 0).await;
    }

    pub(crate) async fn breaks_and_fires(&mut self, host: &str, fault: HostFault) {
        self.fleet.breaks(host, fault);
        self.fires(host).await;
    }

    pub(crate) fn health(&self, host: &str) -> HealthState {
        self.state::<HealthDecider>(host)
    }

    /// What was done to the host, in order.
    pub(crate) fn tried(&self, host: &str) -> Vec<String> {
        let incident = self.health(host).incident.unwrap();
        let of = |tried: &hostler_events::health::Tried| {
            format!("{:?}: {:?}", tried.rung.unwrap(), tried.outcome.unwrap())
        };
        incident.tried.iter().map(of).collect()
    }
}

#[tokio::test]
async fn a_power_cycle_heals_a_host_that_hangs_and_each_hop_has_its_time() {
    let mut site = in_service(1, policies("auto")).await;
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried("h-1"), ["PowerCycle: Healed"]);
    assert_eq!((site.phase("h-1"), site.count("host.power-cycled")), ("in-service", 1));
    let incident = site.health("h-1").incident.unwrap();
    let times = [
        Some(incident.detected_at),
        incident.confirmed_at,
        incident.decided_at,
        incident.acted_at,
        incident.verified_at,
        incident.closed_at,
    ];
    let times = times.map(Option::unwrap);
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[1].duration_since(times[0]).as_secs() >= 60, "it was tolerated");
    let shown = site.get("/incidents/h-1", &[]).await;
    assert_eq!((shown.status, &shown.body["status"]), (200, &json!("closed")), "{}", shown.body);
}

/// Policies by which a service is restarted before the power is cut.
fn gentle_policies() -> Value {
    let mut policies = policies("auto");
    policies["runbooks"]["reboot"]["rungs"] = json!([
        { "rung": "restart-service", "attempts": 1, "delaySeconds": 30 },
        { "rung": "power-cycle", "attempts": 1, "delaySeconds": 30 },
    ]);
    policies
}

#[tokio::test]
async fn a_service_that_has_failed_is_restarted_by_the_agent_and_the_power_is_left_alone() {
    let mut site = in_service(1, gentle_policies()).await;
    let resets = site.fleet.bmc("h-1").state().resets;
    site.breaks_and_fires("h-1", HostFault::Service).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried("h-1"), ["RestartService: Healed"]);
    assert_eq!((site.count("host.service-restarted"), site.fleet.faults.restarts("h-1")), (1, 1));
    assert_eq!((site.fleet.bmc("h-1").state().resets, site.phase("h-1")), (resets, "in-service"));
}

/// The agent of a host that hangs does not answer, and a service that a signal names wrongly is not there: the next rung comes.
#[tokio::test]
async fn where_the_agent_cannot_help_the_next_rung_does() {
    let mut site = in_service(1, gentle_policies()).await;
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried("h-1"), ["RestartService: Failed", "PowerCycle: Healed"]);

    let mut other = gentle_policies();
    other["pools"]["web"]["role"] = json!("mail-server");
    let mut site = in_service(1, other).await;
    site.breaks_and_fires("h-1", HostFault::Service).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried("h-1"), ["RestartService: Failed", "PowerCycle: Healed"]);
    let tried = site.health("h-1").incident.unwrap().tried;
    let (why, took) = (tried[0].reason.clone().unwrap(), tried[0].ended_at.unwrap() - tried[0].started_at);
    assert!(why.contains("its agent knows no service mail-server"), "{why}");
    assert!(took.get_seconds() < 30, "what it refuses is not asked again: {took:?}");
}

#[tokio::test]
async fn what_a_power_cycle_does_not_heal_is_installed_again() {
    let mut site = in_service(1, policies("auto")).await;
    site.breaks_and_fires("h-1", HostFault::Disk).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried("h-1"), ["PowerCycle: Failed", "PowerCycle: Failed", "Reimage: Healed"]);
    assert_eq!((site.phase("h-1"), site.phase("h-99")), ("in-service", "available"));
}

#[tokio::test]
async fn what_nothing_heals_is_replaced_by_a_free_host_and_goes_out_of_use() {
    let mut site = in_service(1, policies("auto")).await;
    site.breaks_and_fires("h-1", HostFault::Dead).await;
    site.run().await;
    site.check();
    let last = ["Reimage: Failed", "Replace: Replaced"];
    assert_eq!(site.tried("h-1")[2..], last);
    assert_eq!((site.phase("h-1"), site.phase("h-99")), ("retired", "in-service"));
}

#[tokio::test]
async fn a_host_in_service_leaves_when_another_has_come_and_not_before() {
    let mut only_replace = policies("auto");
    only_replace["runbooks"]["reboot"]["rungs"] = json!([{ "rung": "replace", "attempts": 1 }]);
    let mut site = in_service(1, only_replace).await;
    site.breaks_and_fires("h-1", HostFault::Dead).await;
    assert!(site.run_until(|site| site.phase("h-1") != "in-service").await);
    assert_eq!(site.phase("h-99"), "in-service");
    site.run().await;
    site.check();
    assert_eq!((site.phase("h-1"), site.tried("h-1")), ("retired", vec!["Replace: Replaced".to_owned()]));
}

#[tokio::test]
async fn without_a_free_host_the_faulty_one_stays_and_a_person_gets_the_story() {
    let mut only_replace = policies("auto");
    only_replace["runbooks"]["reboot"]["rungs"] = json!([{ "rung": "replace", "attempts": 1 }]);
    let mut site = in_service(1, only_replace).await;
    site.accepted("retire-host", json!({ "host": "h-99", "reason": "sold" })).await;
    site.breaks_and_fires("h-1", HostFault::Dead).await;
    site.run().await;
    site.check_at_rest();
    assert_eq!((site.phase("h-1"), site.count("health.escalated")), ("in-service", 1));
}

#[tokio::test]
async fn a_host_that_is_well_again_when_it_is_looked_at_is_not_touched() {
    let mut site = in_service(1, policies("auto")).await;
    site.fires("h-1").await;
    site.run().await;
    site.check();
    assert_eq!(
        (site.tried("h-1"), site.count("host.cordoned")),
        (vec!["PowerCycle: Needless".to_owned()], 0)
    );
}

/// The host answers again, and its hardware has failed all the same.
#[tokio::test]
async fn a_healthy_sample_is_no_health_while_the_bmc_says_that_the_hardware_is_critical() {
    let mut site = in_service(1, policies("auto")).await;
    site.fleet.bmc("h-1").says_of_hardware(Some("Critical"));
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.run().await;
    site.check();
    assert_eq!(
        site.tried("h-1"),
        ["PowerCycle: Failed", "PowerCycle: Failed", "Reimage: Failed", "Replace: Replaced"]
    );
    let tried = site.health("h-1").incident.unwrap().tried;
    let why = tried[0].reason.clone().unwrap();
    assert!(why.contains("its BMC says that its hardware is Critical"), "{why}");
}

/// Only the BMC has seen it: monitoring finds the host well before the repair, too.
#[tokio::test]
async fn what_only_the_bmc_sees_is_repaired_all_the_same() {
    let mut site = in_service(1, policies("auto")).await;
    site.fleet.bmc("h-1").says_of_hardware(Some("Critical"));
    site.fires("h-1").await;
    assert!(site.run_until(|site| site.count("host.power-cycled") == 1).await);
}

#[tokio::test]
async fn the_same_signal_a_hundred_times_is_one_power_cycle() {
    let mut site = in_service(1, policies("auto")).await;
    site.fleet.breaks("h-1", HostFault::Hang);
    for _ in 0..100 {
        site.fires("h-1").await;
    }
    site.run().await;
    site.check();
    assert_eq!((site.count("health.signal-received"), site.count("host.power-cycled")), (1, 1));
}

#[tokio::test]
async fn signals_from_before_an_outage_of_an_hour_lead_to_nothing() {
    let mut site = in_service(3, policies("auto")).await;
    for host in ["h-1", "h-2", "h-3"] {
        site.fleet.breaks(host, HostFault::Hang);
        site.signal(host, SignalStatus::Firing, 3_600).await;
    }
    site.run().await;
    site.check();
    assert_eq!((site.count("health.signal-dropped"), site.count("health.suspected")), (3, 0));
    assert_eq!(site.count("host.cordoned"), 0);
}

#[tokio::test]
async fn a_rack_that_is_lost_is_one_incident_and_no_power_cycle_until_it_is_back() {
    let mut lost = policies("auto");
    lost["topology"]["racks"]["rack-1"]["hosts"] = json!(6);
    let mut site = in_service(18, lost).await;
    // The site enrols hosts in racks by the last figure of their names: these are all in rack-1.
    let members: Vec<String> = (1..=18).map(|n| format!("h-{n}")).collect();
    let rack = |site: &Site, host: &str| site.host(host).profile.unwrap().fault_domain.to_string();
    let members: Vec<String> = members.into_iter().filter(|host| rack(&site, host) == "rack-1").collect();
    assert!(members.len() >= 6, "{members:?}");
    for host in &members {
        site.breaks_and_fires(host, HostFault::Hang).await;
    }
    site.advance(Duration::from_secs(600)).await;
    assert_eq!((site.count("domain.incident-opened"), site.count("host.power-cycled")), (1, 0));
    let domain = site.state::<FaultDomainDecider>("rack.rack-1");
    assert_eq!(domain.unhealthy().len(), members.len());
    assert!(
        members
            .iter()
            .all(|host| site.health(host).incident.unwrap().held_back.unwrap().rule == "correlated")
    );
    // Nobody mends it: a person is told, again and again, and by one message for the rack.
    site.advance(Duration::from_secs(1_800)).await;
    assert_eq!((site.count("domain.incident-escalated"), site.count("health.escalated")), (1, 0));
    site.advance(Duration::from_secs(3_600)).await;
    assert_eq!((site.count("domain.incident-escalated"), site.count("host.power-cycled")), (2, 0));
    // Power is back: monitoring says so, and each host is looked at before its incident ends.
    for host in &members {
        site.fleet.heals(host);
        site.resolves(host).await;
    }
    site.run().await;
    site.check();
    assert_eq!((site.count("domain.incident-closed"), site.count("host.power-cycled")), (1, 0));
    assert!(site.count("health.suspected") == members.len());
    let stream = StreamId::new(FaultDomainDecider::CATEGORY, "rack.rack-1").unwrap();
    assert!(site.fold::<FaultDomainDecider>(&stream).state.open().is_none());
}

/// "It never blocks what would heal its own cause": the runbook says that it does.
#[tokio::test]
async fn what_heals_the_cause_of_an_incident_of_a_rack_is_not_held_back_by_it() {
    let mut lost = policies("auto");
    lost["topology"]["racks"]["rack-1"]["hosts"] = json!(3);
    lost["runbooks"]["reboot"]["passesBrake"] = json!(true);
    let mut site = in_service(9, lost).await;
    let rack = |host: &str| site.host(host).profile.unwrap().fault_domain.to_string();
    let members = (1..=9).map(|n| format!("h-{n}")).filter(|host| rack(host) == "rack-1").collect::<Vec<_>>();
    assert_eq!(members.len(), 3);
    for host in &members {
        site.breaks_and_fires(host, HostFault::Hang).await;
    }
    assert!(site.run_until(|site| site.count("domain.incident-opened") == 1).await);
    site.run().await;
    site.check();
    assert_eq!((site.count("host.power-cycled"), site.count("domain.incident-closed")), (3, 1));
}

#[tokio::test]
async fn what_the_budget_allows_is_repaired_and_the_rest_waits_its_turn() {
    let mut narrow = policies("auto");
    narrow["budget"] = json!({ "rack": 1 });
    let mut site = in_service(4, narrow).await;
    // By the last figures of their names both are in rack-1.
    for host in ["h-1", "h-4"] {
        site.breaks_and_fires(host, HostFault::Hang).await;
    }
    site.run_until(|site| {
        assert!(site.state::<BudgetDecider>("site").holders.len() <= 1, "one at a time");
        false
    })
    .await;
    site.check();
    assert_eq!(site.count("host.power-cycled"), 2);
    assert!(site.count("health.remediation-suppressed") >= 1);
    let held = ["h-1", "h-4"].map(|host| site.health(host).incident.unwrap().held_back);
    assert!(held.iter().flatten().any(|held| held.rule == "rack"), "{held:?}");
}

#[tokio::test]
async fn where_a_fifth_of_a_pool_is_faulty_nothing_is_begun() {
    let mut small = policies("auto");
    small["pools"]["web"]["hosts"] = json!(5);
    small["faults"]["unreachable"]["tolerationSeconds"] = json!(60);
    let mut site = in_service(5, small).await;
    for host in ["h-1", "h-2"] {
        site.breaks_and_fires(host, HostFault::Hang).await;
    }
    site.advance(Duration::from_secs(300)).await;
    assert_eq!(site.count("host.power-cycled"), 0);
    let held = site.health("h-1").incident.unwrap().held_back.unwrap();
    assert_eq!(held.rule, "brake", "{held:?}");
}

#[tokio::test]
async fn while_monitoring_is_away_nothing_is_done_and_the_repair_goes_on_after_that() {
    let mut site = in_service(1, policies("auto")).await;
    let hour = Duration::from_secs(3_600);
    site.outages.take_away_in(Duration::from_secs(30), "monitoring", hour);
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.advance(Duration::from_secs(3_000)).await;
    assert_eq!((site.count("health.remediation-started"), site.count("host.cordoned")), (1, 0));
    site.run().await;
    site.check();
    assert_eq!((site.count("host.power-cycled"), site.phase("h-1")), (1, "in-service"));
}

#[tokio::test]
async fn a_person_approves_a_rung_or_it_is_not_done() {
    let mut site = in_service(1, policies("approve")).await;
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.advance(Duration::from_secs(300)).await;
    assert_eq!((site.health("h-1").condition.name(), site.count("host.cordoned")), ("awaits-approval", 0));
    site.accepted("approve-remediation", json!({ "host": "h-1", "reason": "nobody is in the room" })).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried("h-1"), ["PowerCycle: Healed"]);
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.advance(Duration::from_secs(600)).await;
    site.accepted("reject-remediation", json!({ "host": "h-1", "reason": "it is being moved" })).await;
    site.run().await;
    assert_eq!((site.health("h-1").condition.name(), site.count("host.power-cycled")), ("escalated", 1));
    site.accepted("close-incident", json!({ "host": "h-1", "reason": "moved" })).await;
    assert_eq!(site.health("h-1").condition.name(), "healthy");
}

#[tokio::test]
async fn where_nothing_may_be_done_what_would_be_done_is_recorded() {
    for policy in [policies("observe"), json!({})] {
        let mut site = in_service(1, policy).await;
        site.breaks_and_fires("h-1", HostFault::Hang).await;
        site.advance(Duration::from_secs(300)).await;
        assert_eq!((site.count("health.remediation-suppressed"), site.count("host.cordoned")), (1, 0));
        site.run().await;
        assert_eq!(site.health("h-1").condition.name(), "healthy", "nobody says so any more");
    }
}

#[tokio::test]
async fn a_signal_of_an_unknown_host_is_a_failure_with_its_reason() {
    let mut site = in_service(1, policies("auto")).await;
    site.fires("h-77").await;
    site.run().await;
    let failures = site.failures();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].to_string().contains("no host of this name is enrolled"), "{failures:?}");
}

/// How many runs are under way at a time: they wait for real between tries of the relay.
const AT_ONCE: usize = 32;

async fn power_cycled(fault: Option<(usize, WriteFault)>) -> Site {
    let mut site = in_service_with(1, policies("auto"), fault).await;
    site.breaks_and_fires("h-1", HostFault::Hang).await;
    site.run().await;
    site
}

/// Something goes wrong at every single write from the signal on: the end is the same, and the power was cut once.
async fn healed_whatever_goes_wrong(fault: WriteFault) {
    let before = in_service(1, policies("auto")).await;
    let (first, resets) = (before.switch.writes().len(), before.fleet.bmc("h-1").state().resets);
    let writes = power_cycled(None).await.switch.writes();
    assert!(writes.len() > first + 30, "the journey writes: {writes:?}");
    let runs = (first..writes.len()).map(|n| {
        let run = power_cycled(Some((n, fault)));
        async move { (n, run.await) }
    });
    let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some((n, site)) = runs.next().await {
        println!("{fault:?} at write {n} ({})", writes[n]);
        site.check();
        assert_eq!(site.tried("h-1"), ["PowerCycle: Healed"], "{fault:?} at write {n}");
        assert_eq!(site.fleet.bmc("h-1").state().resets, resets + 2, "its power was cut once");
        assert_eq!(site.world.sagas::<Recovery>().len(), 1);
    }
}

#[tokio::test]
async fn dying_before_any_write_of_a_repair_changes_nothing_of_the_end() {
    healed_whatever_goes_wrong(WriteFault::DieBefore).await;
}

#[tokio::test]
async fn dying_after_any_write_of_a_repair_changes_nothing_of_the_end() {
    healed_whatever_goes_wrong(WriteFault::DieAfter).await;
}

#[tokio::test]
async fn a_failure_of_any_write_of_a_repair_changes_nothing_of_the_end() {
    healed_whatever_goes_wrong(WriteFault::Fail).await;
}

#[tokio::test]
async fn a_lost_answer_to_any_write_of_a_repair_changes_nothing_of_the_end() {
    healed_whatever_goes_wrong(WriteFault::LoseAnswer).await;
}

/// The function dies, or an answer is lost, at the agent's work and at the writes around it.
#[tokio::test]
async fn whatever_goes_wrong_around_it_a_service_is_restarted_once() {
    let restarted = async |fault: Option<(usize, WriteFault)>| {
        let mut site = in_service_with(1, gentle_policies(), fault).await;
        site.breaks_and_fires("h-1", HostFault::Service).await;
        site.run().await;
        site
    };
    let writes = restarted(None).await.switch.writes();
    let at = writes.iter().position(|write| *write == "restart").unwrap();
    for fault in [WriteFault::DieBefore, WriteFault::DieAfter, WriteFault::Fail, WriteFault::LoseAnswer] {
        for (n, write) in writes.iter().enumerate().skip(at - 1).take(4) {
            let site = restarted(Some((n, fault))).await;
            println!("{fault:?} at write {n} ({write})");
            site.check();
            assert_eq!(site.tried("h-1"), ["RestartService: Healed"], "{fault:?} at write {n}");
            assert_eq!((site.count("host.service-restarted"), site.fleet.faults.restarts("h-1")), (1, 1));
        }
    }
}
