//! Hosts of a pool with traffic: they get requests once they are in service, and none any more before anything is done to them.

use std::time::Duration;

use futures::StreamExt;
use hostler_domain::Deprovisioning;
use serde_json::{Value, json};

use crate::site::{HostFault, Setup, Site, WriteFault};

/// How many runs are under way at a time: they wait for real between tries of the relay.
const AT_ONCE: usize = 32;
const MINUTE: Duration = Duration::from_secs(60);

fn policies(rungs: &Value) -> Value {
    json!({
        "topology": { "racks": { "rack-1": { "room": "a", "powerDomain": "feed-a", "hosts": 20 } } },
        "faults": { "unreachable": { "tolerationSeconds": 60, "runbook": "heal" } },
        "runbooks": { "heal": { "autonomy": "auto", "rungs": rungs } },
        "pools": { "web": {
            "role": "web-server", "image": "debian-13", "hosts": 20,
            "traffic": { "backend": "web", "port": 80, "drainSeconds": 120 },
        } },
    })
}

/// A host of a pool with traffic in service.
async fn in_service(rungs: &Value, fault: Option<(usize, WriteFault)>) -> Site {
    let mut site = Site::with(Setup::default());
    if let Some((n, fault)) = fault {
        site.switch.plan(n, fault);
    }
    let applied = json!({ "policies": "site", "policy": policies(rungs), "reason": "the first" });
    site.accepted("apply-policies", applied).await;
    site.run().await;
    for host in ["h-1", "h-2"] {
        site.enrol(host, &[("metrics.address", "10.0.0.7:9100")]).await;
    }
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    site
}

impl Site {
    fn traffic_of(&self, host: &str) -> Value {
        self.control_value(&format!("traffic/web/{host}"))["state"].clone()
    }

    /// The host that was taken for the request, and the other one.
    fn taken(&self) -> (&'static str, &'static str) {
        if self.phase("h-1") == "in-service" { ("h-1", "h-2") } else { ("h-2", "h-1") }
    }

    async fn released(&mut self, host: &str) {
        self.accepted("release-host", json!({ "host": host, "reason": "scaled in" })).await;
    }
}

fn power_cycle() -> Value {
    json!([{ "rung": "power-cycle", "attempts": 2, "delaySeconds": 30 }])
}

#[tokio::test]
async fn a_host_joins_traffic_last_and_is_drained_before_it_is_given_back() {
    let mut site = in_service(&power_cycle(), None).await;
    let (host, _) = site.taken();
    assert_eq!((site.status("r-1.1"), site.traffic_of(host)), ("completed", json!("in")));
    site.fleet.has_requests(host, 3);
    site.released(host).await;
    site.advance(MINUTE).await;
    assert_eq!((site.phase(host), site.traffic_of(host)), ("draining", json!("draining")));
    assert_eq!(site.count("host.undeploy-started"), 0, "it ends what it has first");
    site.fleet.has_requests(host, 0);
    site.run().await;
    site.check();
    assert_eq!((site.phase(host), site.traffic_of(host)), ("available", json!("out")));
}

#[tokio::test]
async fn requests_that_never_end_do_not_keep_a_host_for_ever() {
    let mut site = in_service(&power_cycle(), None).await;
    let (host, _) = site.taken();
    site.fleet.has_requests(host, 3);
    site.released(host).await;
    site.run().await;
    site.check();
    assert_eq!((site.phase(host), site.traffic_of(host)), ("available", json!("out")));
    assert_eq!(site.count("host.drain-started"), 1, "all attempts wait until the same moment");
    assert_eq!(site.world.status::<Deprovisioning>(&site.world.sagas::<Deprovisioning>()[0]), "completed");
}

#[tokio::test]
async fn while_the_load_balancer_is_away_nothing_is_done_to_a_host_and_nothing_is_lost() {
    let mut site = in_service(&power_cycle(), None).await;
    let (host, _) = site.taken();
    site.outages.take_away("load-balancer", 60 * MINUTE);
    site.released(host).await;
    site.advance(50 * MINUTE).await;
    assert_eq!((site.phase(host), site.traffic_of(host)), ("draining", json!("in")));
    assert!(site.count("host.step-deferred") > 0, "its breaker is open");
    site.run().await;
    site.check();
    assert_eq!((site.phase(host), site.traffic_of(host)), ("available", json!("out")));
}

#[tokio::test]
async fn a_power_cycled_host_is_out_of_traffic_meanwhile_and_back_once_it_is_well() {
    let mut site = in_service(&power_cycle(), None).await;
    let (host, _) = site.taken();
    site.breaks_and_fires(host, HostFault::Hang).await;
    assert!(site.run_until(|site| site.count("host.power-cycle-started") == 1).await);
    assert_eq!(site.traffic_of(host), json!("out"));
    site.run().await;
    site.check();
    assert_eq!(
        (site.tried(host), site.traffic_of(host)),
        (vec!["PowerCycle: Healed".to_owned()], json!("in"))
    );
}

#[tokio::test]
async fn redirecting_heals_nothing_and_the_next_rung_puts_the_host_back() {
    let rungs = json!([{ "rung": "redirect-traffic" }, { "rung": "power-cycle", "attempts": 1 }]);
    let mut site = in_service(&rungs, None).await;
    let (host, _) = site.taken();
    site.breaks_and_fires(host, HostFault::Hang).await;
    site.run().await;
    site.check();
    assert_eq!(site.tried(host), ["RedirectTraffic: Redirected", "PowerCycle: Healed"]);
    assert_eq!(site.traffic_of(host), json!("in"));
}

#[tokio::test]
async fn what_only_redirecting_is_tried_about_goes_to_a_person_and_stays_out_of_traffic() {
    let mut site = in_service(&json!([{ "rung": "redirect-traffic" }]), None).await;
    let (host, _) = site.taken();
    site.breaks_and_fires(host, HostFault::Disk).await;
    site.run().await;
    site.check_at_rest();
    assert_eq!((site.traffic_of(host), site.phase(host)), (json!("out"), "in-service"));
    assert_eq!(site.health(host).condition.name(), "escalated");
}

#[tokio::test]
async fn a_replacement_takes_the_requests_of_the_host_that_it_replaces() {
    let mut site = in_service(&json!([{ "rung": "replace", "attempts": 1 }]), None).await;
    let (host, other) = site.taken();
    site.breaks_and_fires(host, HostFault::Dead).await;
    site.run().await;
    site.check();
    assert_eq!((site.traffic_of(host), site.traffic_of(other)), (json!("out"), json!("in")));
    assert_eq!((site.phase(host), site.phase(other)), ("retired", "in-service"));
}

/// Given a host of which nobody knows where it takes requests, then it is not brought into service.
#[tokio::test]
async fn a_host_that_cannot_join_is_not_left_in_service_without_requests() {
    let mut site = Site::new();
    let applied = json!({ "policies": "site", "policy": policies(&power_cycle()), "reason": "the first" });
    site.accepted("apply-policies", applied).await;
    site.enrol("h-1", &[]).await;
    site.run().await;
    site.request("r-1", 1).await;
    site.run().await;
    site.check();
    assert_eq!((site.status("r-1.1"), site.phase("h-1")), ("compensated", "available"));
}

/// Into service and back, and a power cycle in between.
async fn there_and_back(fault: Option<(usize, WriteFault)>) -> Site {
    let mut site = in_service(&power_cycle(), fault).await;
    let (host, _) = site.taken();
    site.breaks_and_fires(host, HostFault::Hang).await;
    site.run().await;
    site.released(host).await;
    site.run().await;
    site
}

#[tokio::test]
async fn dying_around_any_write_leaves_no_host_in_traffic_that_is_out_of_service() {
    let undisturbed = there_and_back(None).await;
    let writes = undisturbed.switch.writes();
    assert!(writes.len() > 100, "the journey writes: {writes:?}");
    for fault in [WriteFault::DieBefore, WriteFault::DieAfter] {
        let runs = (0..writes.len()).step_by(5).map(|n| {
            let run = there_and_back(Some((n, fault)));
            async move { (n, run.await) }
        });
        let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
        while let Some((n, site)) = runs.next().await {
            println!("{fault:?} at write {n} ({})", writes[n]);
            site.check();
            for host in ["h-1", "h-2"] {
                assert_eq!(site.phase(host), "available");
                assert_ne!(site.traffic_of(host), json!("in"), "{host} gets requests, and is out of service");
            }
            assert_eq!(site.count("host.power-cycled"), 1);
        }
    }
}
