//! A whole site in memory: the world of all functions, and machines that call back.

mod checks;
mod fleet;
mod functions;
mod hosts;
mod nodes;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use hostler_app::Hostler;
use hostler_core::saga::SagaDefinition;
use hostler_domain::{Deprovisioning, HostDecider, HostState, Provisioning, ProvisioningState};
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_testkit::World;
use hostler_testkit::clock::Random;
use ingest_signals::IngestSignals;
use serde_json::{Value, json};

pub use fleet::{Boot, Fleet, HostFault, system_url};
pub use functions::APPROVAL_ABOVE;
pub use hostler_testkit::world::{
    Bug, Chaos, ChaosRates, Ended, Ends, Order, Pace, STORE, Setup, Triaged, WriteFault,
};

/// What these functions do is guarded by conditional writes, so that they may come back from the dead.
const ZOMBIES: &[&str] = &["configure-host", "monitor-host", "shift-traffic"];
const HOUR: Duration = Duration::from_secs(3_600);

/// A site: a world with machines.
pub struct Site {
    pub world: World<Hostler>,
    pub fleet: Fleet,
    /// Takes what monitoring says.
    signals: Arc<IngestSignals>,
}

impl Deref for Site {
    type Target = World<Hostler>;

    fn deref(&self) -> &Self::Target {
        &self.world
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.world
    }
}

impl Site {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let mut outside = None;
        let mut world = World::with_edge(setup, |ports| {
            let fleet = Fleet::new(ports);
            let (commands, signals, own) = functions::wire(ports, &fleet);
            outside = Some((fleet, signals));
            (commands, own)
        });
        let (fleet, signals) = outside.unwrap();
        let machines = fleet.clone();
        world.outside(move || machines.look());
        Self { world, fleet, signals }
    }

    /// What a system of monitoring sends.
    pub async fn post_signals(&self, form: &str, body: &Value) -> Response {
        let authorization = format!("Bearer {}", functions::SIGNAL_TOKEN);
        let request = Request {
            method: "POST".to_owned(),
            path: format!("/signals/{form}"),
            headers: [("authorization".to_owned(), authorization)].into(),
            body: body.to_string(),
            ..Request::default()
        };
        self.signals.answer(&request).await
    }

    /// A site on which everything goes wrong by chance.
    pub fn in_chaos(chaos: Chaos, breakers_off: bool) -> Self {
        // Some endpoints have no schedules.
        let timers_hop = chaos.seed % 4 == 3;
        let mut site = Self::with(Setup { breakers_off, timers_hop, ..Setup::default() });
        site.unleash(Chaos { zombies: ZOMBIES, ..chaos });
        let invariants = hosts::HostsHold::of(&site.fleet);
        site.must_hold(invariants);
        // In some runs a dependency is away for an hour.
        if chaos.rates.throttle > 0 && chaos.seed.is_multiple_of(4) {
            let which = usize::try_from(chaos.seed / 4 % 4).unwrap();
            let dependency = ["configuration", "monitoring", "bmc", STORE][which];
            site.outages.take_away_in(Duration::from_secs(40 * 60), dependency, HOUR);
        }
        site
    }

    /// Enrols hosts at the beginning and requests hosts later, each command at a moment of its own. Some provisionings are
    /// cancelled soon after they were asked for, and some hosts are given back or retired, where they are in service by then.
    /// Where there are such, a step fails for good on one host in ten.
    pub fn plan(&mut self, seed: u64, (hosts, requests, count): (u32, u32, u32), cancels_percent: u8) {
        let mut random = Random::new(seed ^ 0xca11);
        // Figures are of runs in which nothing is cancelled, and are of sagas without traffic.
        let has_traffic = cancels_percent > 0 && has_traffic(seed);
        if has_traffic {
            self.post_later(Duration::ZERO, Duration::from_secs(1), "apply-policies", &with_traffic());
        }
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for number in 0..hosts {
            let host = format!("h-{number}");
            self.fleet.add(&host);
            let sick = ["simulate.configure", "simulate.monitor"][number as usize % 2];
            let mut labels =
                if cancels_percent > 0 && random.percent(10) { json!({ sick: "fail" }) } else { json!({}) };
            // Of some nobody knows where they take requests, so that they cannot join, and are undone.
            if has_traffic && number % 10 != 9 {
                labels["metrics.address"] = json!("10.0.0.7:9100");
            }
            let body = json!({
                "host": host, "pool": "web", "sku": "cpu", "faultDomain": format!("rack-{}", number % 7),
                "bmc": { "systemUrl": system_url(&host) }, "labels": labels,
            });
            self.post_later(Duration::ZERO, minutes(10), "enrol-host", &body);
            if random.percent(cancels_percent) {
                let body = json!({ "host": host, "reason": "not needed" });
                let command = if random.percent(20) { "retire-host" } else { "release-host" };
                self.post_later(minutes(40), minutes(200), command, &body);
            }
        }
        for number in 0..requests {
            let body = json!({
                "request": format!("r-{number}"), "pool": "web", "role": "web-server", "image": "debian-13",
                "count": count,
            });
            let at = Duration::from_secs(20 * 60 + random.below(90 * 60));
            self.post_later(at, Duration::from_secs(1), "request-hosts", &body);
            if random.percent(cancels_percent) {
                let saga = format!("provisioning#r-{number}.{}", 1 + random.below(count.into()));
                let body = json!({ "saga": saga, "reason": "not needed" });
                self.post_later(at, minutes(1 + random.below(30)), "cancel-saga", &body);
            }
        }
    }

    /// Lets everything happen until all is at rest, and checks the whole. Whatever is stuck by then was stuck because something
    /// did not work: nothing goes wrong any more, so that it ends once an operator has it resumed.
    pub async fn run_and_check(&mut self) -> Ended {
        self.run().await;
        for (kind, id) in self.stuck() {
            let saga = format!("{kind}#{id}");
            self.post("resume-saga", json!({ "saga": saga, "reason": "it works again" })).await;
            self.run().await;
        }
        assert_eq!(self.stuck(), [], "stuck without a cause");
        self.check_at_rest();
        self.ended()
    }

    /// Lets things happen until this is so; says whether it ever was.
    pub async fn run_until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        loop {
            if is_so(self) {
                return true;
            }
            if !self.go_on().await {
                return false;
            }
        }
    }

    /// Enrols a host of the pool `web`.
    pub async fn enrol(&mut self, host: &str, labels: &[(&str, &str)]) {
        self.fleet.add(host);
        let rack = host.bytes().next_back().unwrap_or_default() % 3;
        let labels: serde_json::Map<String, Value> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let command = json!({
            "host": host, "pool": "web", "sku": "cpu", "faultDomain": format!("rack-{rack}"),
            "bmc": { "systemUrl": system_url(host) }, "labels": labels,
        });
        self.accepted("enrol-host", command).await;
    }

    /// Requests hosts for the pool `web`; the sagas are `<request>.1` and so on.
    pub async fn request(&mut self, request: &str, count: u32) {
        let command = json!({
            "request": request, "pool": "web", "role": "web-server", "image": "debian-13", "count": count,
        });
        self.accepted("request-hosts", command).await;
    }

    pub async fn cancel(&mut self, saga: &str) -> Response {
        let saga = format!("provisioning#{saga}");
        self.post("cancel-saga", json!({ "saga": saga, "reason": "not needed" })).await
    }

    /// Asks the read side.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (method, path, caller) = ("GET".to_owned(), path.to_owned(), Some("operator".to_owned()));
        let request = Request { method, path, query, caller, ..Request::default() };
        self.http(&request).await
    }

    pub fn host(&self, host: &str) -> HostState {
        self.state::<HostDecider>(host)
    }

    pub fn phase(&self, host: &str) -> &'static str {
        self.host(host).phase.name()
    }

    pub fn saga(&self, saga: &str) -> ProvisioningState {
        self.world.saga::<Provisioning>(saga)
    }

    pub fn status(&self, saga: &str) -> &'static str {
        self.saga(saga).status.name()
    }

    /// The sagas that need an operator.
    fn stuck(&self) -> Vec<(&'static str, String)> {
        let provisionings = self.world.sagas::<Provisioning>().into_iter().map(|id| (Provisioning::KIND, id));
        let others = self.world.sagas::<Deprovisioning>().into_iter().map(|id| (Deprovisioning::KIND, id));
        let is_stuck = |(kind, id): &(&str, String)| match *kind {
            Provisioning::KIND => self.status(id) == "stuck",
            _ => self.world.status::<Deprovisioning>(id) == "stuck",
        };
        provisionings.chain(others).filter(is_stuck).collect()
    }

    /// The sagas and how they stand.
    pub fn sagas(&self) -> Vec<(String, ProvisioningState)> {
        let sagas = self.world.sagas::<Provisioning>().into_iter();
        sagas.map(|saga| (saga.clone(), self.saga(&saga))).collect()
    }
}

/// Whether the pool of this seed has traffic: a third of them, but for the first ones, which look for mutants.
fn has_traffic(seed: u64) -> bool {
    seed > 12 && seed % 3 == 1
}

/// Policies by which hosts take requests, and nothing else is done to them.
fn with_traffic() -> Value {
    let traffic = json!({ "backend": "web", "port": 80, "drainSeconds": 60 });
    let pool = json!({ "role": "web-server", "image": "debian-13", "hosts": 40, "traffic": traffic });
    json!({ "policies": "site", "policy": { "pools": { "web": pool } }, "reason": "the first" })
}
