//! The model: hosts in racks and power domains, what happens to them by themselves, and time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use hostler_app::Hosts;
use hostler_core::{Commit, Decider, StreamId, StreamVersion};
use hostler_domain::HostDecider;
use hostler_drivers::{Bmc, Patience, PowerGoal};
use hostler_runtime::ports::{Clock, Control, EventStore, Views};
use hostler_runtime::register::row;
use hostler_testkit::clock::Random;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::drift::changed_by_hand;
use crate::elastic::Elastic;
use crate::load::{Loads, Work};
use crate::site::{HostFault, Pace, Setup, Site, system_url};
use crate::watch::Watch;

pub const HOSTS_PER_RACK: usize = 40;
pub const POOLS: usize = 5;
/// Monitoring takes a sample of each host, and looks at its rules, so often.
pub const SCRAPE_SECONDS: u32 = 15;
/// How long a host takes until it is well after it was healed.
pub const BOOT_SECONDS: u32 = 90;
/// How long things take on AWS. Lambda looks at a table's stream four times a second; template.yaml lets 20 invocations work on a
/// queue at a time, and ten relay a shard of the stream, of which there is one here.
const PACE: Pace = Pace { stream_ms: 250, queue_ms: (20, 80), invocation_ms: 200, consumers: 20, relays: 10 };

/// Of a hundred faults, so many are healed by a power cycle, and so many by a new installation; the others need another host.
const HEALED_BY_POWER_CYCLE: u64 = 70;
const HEALED_BY_REIMAGE: u64 = 20;

/// How large the data centre is.
#[derive(Clone, Copy)]
pub struct Size {
    pub racks: usize,
    /// Four racks in ten, as 250 of 625.
    pub racks_per_power_domain: usize,
}

impl Size {
    pub fn wanted() -> Self {
        let hosts = std::env::var("HOSTLER_DATACENTRE_HOSTS").ok();
        let hosts = hosts.map_or(400, |hosts| hosts.parse().expect("HOSTLER_DATACENTRE_HOSTS is a number"));
        Self::of(hosts)
    }

    pub fn of(hosts: usize) -> Self {
        let racks = (hosts / HOSTS_PER_RACK).max(5);
        Self { racks, racks_per_power_domain: (racks * 2).div_ceil(5) }
    }

    pub fn hosts(self) -> usize {
        self.racks * HOSTS_PER_RACK
    }
}

/// A host and where it is.
#[derive(Clone)]
pub struct Place {
    pub host: String,
    pub pool: usize,
    pub rack: usize,
    pub power_domain: usize,
    /// It is free at first: one in each rack, where no pool scales.
    pub is_free: bool,
    /// The labels that it is enrolled with.
    pub labels: Value,
}

impl Place {
    fn of(number: usize, size: Size) -> Self {
        let (rack, slot) = (number / HOSTS_PER_RACK, number % HOSTS_PER_RACK);
        let is_free = slot == HOSTS_PER_RACK - 1;
        Self {
            host: format!("h-{rack:03}-{slot:02}"),
            // Each rack has hosts of each pool.
            pool: if is_free { rack % POOLS } else { slot % POOLS },
            rack,
            power_domain: rack / size.racks_per_power_domain,
            is_free,
            labels: json!({}),
        }
    }

    pub fn pool_name(&self) -> String {
        format!("pool-{}", self.pool)
    }

    pub fn rack_name(&self) -> String {
        format!("rack-{:03}", self.rack)
    }

    pub fn power_domain_name(&self) -> String {
        format!("feed-{}", self.power_domain)
    }
}

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A host breaks, by its number.
    Breaks(usize, What),
    /// Whatever is wrong with it is over.
    Heals(usize),
    /// One of the rules about it fires.
    Fires(usize, usize),
    /// Monitoring looks at all alerts that fire.
    Evaluates,
    /// Alertmanager sends a group: a rule, a pool and a rack.
    Sends(usize, usize, usize),
    /// Prometheus is away until then.
    Away(Timestamp),
    /// Alertmanager has heard nothing for so long that its alerts have ended.
    Forgets,
    /// Prometheus is back.
    Back,
    /// Samples of what pools have to do are taken.
    SamplesPools,
    /// Alertmanager tells of one of the two rules about a pool.
    SaysOfPool(usize, usize),
    /// Somebody changes a host by hand, by its number.
    IsChanged(usize),
}

/// What is wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A power cycle heals it.
    Hang,
    /// A new installation heals it.
    Disk,
    /// Nothing heals it.
    Dead,
}

impl What {
    /// By chance.
    pub fn drawn(random: &mut Random) -> Self {
        match random.below(100) {
            part if part < HEALED_BY_POWER_CYCLE => Self::Hang,
            part if part < HEALED_BY_POWER_CYCLE + HEALED_BY_REIMAGE => Self::Disk,
            _ => Self::Dead,
        }
    }
}

/// A data centre.
pub struct DataCentre {
    pub site: Site,
    pub size: Size,
    pub places: Vec<Place>,
    pub alerts: Alerts,
    pub loads: Loads,
    pub watch: Watch,
    agenda: BinaryHeap<Reverse<(Timestamp, u64, Happening)>>,
    planned: u64,
}

impl DataCentre {
    pub async fn new(size: Size) -> Self {
        Self::with(size, policies(size)).await
    }

    /// All hosts are in service, but for the free ones, and these policies hold.
    pub async fn with(size: Size, policies: Value) -> Self {
        Self::made((0..size.hosts()).map(|number| Place::of(number, size)).collect(), size, policies).await
    }

    /// The same, and hosts have these labels, by their numbers.
    pub async fn labelled(size: Size, policies: Value, labels: impl Fn(usize) -> Value) -> Self {
        let place = |number: usize| Place { labels: labels(number), ..Place::of(number, size) };
        Self::made((0..size.hosts()).map(place).collect(), size, policies).await
    }

    /// So many hosts of each pool are in service, spread over all racks, and the others are free; these policies hold.
    pub async fn serving(size: Size, serving: [u32; POOLS], policies: Value) -> Self {
        let mut places: Vec<Place> = (0..size.hosts()).map(|number| Place::of(number, size)).collect();
        let mut left = serving;
        for slot in 0..HOSTS_PER_RACK {
            for rack in 0..size.racks {
                let place = &mut places[rack * HOSTS_PER_RACK + slot];
                place.pool = slot % POOLS;
                place.is_free = left[place.pool] == 0;
                left[place.pool] = left[place.pool].saturating_sub(1);
            }
        }
        let mut centre = Self::made(places, size, policies.clone()).await;
        centre.watch.elastic = Some(Elastic::new(&centre.places, &policies));
        centre
    }

    async fn made(places: Vec<Place>, size: Size, policies: Value) -> Self {
        let template = Template::make().await;
        let mut site = Site::with(Setup { pace: Some(PACE), ..Setup::default() });
        site.fleet.faults.scrape_seconds.store(SCRAPE_SECONDS, Ordering::Relaxed);
        site.fleet.faults.boot_seconds.store(BOOT_SECONDS, Ordering::Relaxed);
        site.clock.set(template.at);
        for place in &places {
            template.put(&site, place).await;
        }
        // Nobody is told of what was always so.
        drop(site.store.take_outbox());
        let applied = json!({ "policies": "site", "policy": policies, "reason": "the first" });
        site.accepted("apply-policies", applied).await;
        site.advance(Duration::from_secs(60)).await;
        let watch = Watch::new(&places, &policies, &site);
        let (alerts, agenda) = (Alerts::new(places.clone()), BinaryHeap::new());
        Self { site, size, places, alerts, loads: Loads::default(), watch, agenda, planned: 0 }
    }

    /// From now on pools have this to do, for so long.
    pub fn works(&mut self, work: &[Work], seconds: i64) {
        let now = self.now();
        self.loads = Loads::new(work, now, seconds);
        self.plan(now, Happening::SamplesPools);
    }

    pub fn now(&self) -> Timestamp {
        self.site.clock.now()
    }

    /// The hosts in service for which this is so.
    pub fn hosts_where(&self, is_so: impl Fn(&Place) -> bool) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| !place.is_free && is_so(place)).map(|(number, _)| number).collect()
    }

    pub fn plan(&mut self, at: Timestamp, happening: Happening) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, happening)));
    }

    /// Something happens so many seconds from now.
    pub fn after(&mut self, seconds: f64, happening: Happening) {
        self.plan(self.now() + SignedDuration::from_secs_f64(seconds), happening);
    }

    /// Lets time pass, with all that happens in it.
    pub async fn pass(&mut self, seconds: i64) {
        let until = self.now() + SignedDuration::from_secs(seconds);
        while let Some(Reverse((at, _, _))) = self.agenda.peek()
            && *at <= until
        {
            let Some(Reverse((at, _, happening))) = self.agenda.pop() else { break };
            self.go_to(at).await;
            self.happens(happening).await;
        }
        self.go_to(until).await;
    }

    async fn go_to(&mut self, at: Timestamp) {
        let time = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        self.site.advance(time).await;
        self.watch.look(&mut self.site);
    }

    async fn happens(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Breaks(number, what) => {
                let host = self.places[number].host.clone();
                let fault = match what {
                    What::Hang => HostFault::Hang,
                    What::Disk => HostFault::Disk,
                    What::Dead => HostFault::Dead,
                };
                self.site.fleet.breaks(&host, fault);
                self.watch.breaks(&host, now, what);
            }
            Happening::SamplesPools => {
                let (mut next, elastic) = (Vec::new(), self.watch.elastic.as_mut().unwrap());
                let work = self.loads.sample(now, |pool| elastic.serving(pool), &mut next);
                elastic.sampled(now, &work);
                next.into_iter().for_each(|(at, happening)| self.plan(at, happening));
            }
            Happening::SaysOfPool(pool, rule) => {
                let mut next = Vec::new();
                self.loads.says(now, (pool, rule), &self.site, &mut next).await;
                next.into_iter().for_each(|(at, happening)| self.plan(at, happening));
            }
            Happening::IsChanged(number) => {
                let (host, drifting) = (&self.places[number].host, self.watch.drifting.as_mut().unwrap());
                changed_by_hand(&self.site, drifting, host, now).await;
            }
            Happening::Heals(number) => self.site.fleet.heals(&self.places[number].host),
            Happening::Fires(..)
            | Happening::Evaluates
            | Happening::Sends(..)
            | Happening::Away(_)
            | Happening::Forgets
            | Happening::Back => {
                let next = self.alerts.happens(now, happening, &self.site, &mut self.watch).await;
                for (at, happening) in next {
                    self.plan(at, happening);
                }
            }
        }
    }

    /// A host breaks now, and monitoring finds out as it does: by its next sample and the next look at its rules.
    pub fn breaks(&mut self, number: usize, what: What) {
        self.breaks_at(self.now(), number, what);
    }

    /// The same, at that time.
    pub fn breaks_at(&mut self, at: Timestamp, number: usize, what: What) {
        self.plan(at, Happening::Breaks(number, what));
        self.plan(self.alerts.noticed_at(number, at), Happening::Fires(number, 0));
    }

    /// Lets time pass until nothing is left to be done.
    pub async fn settle(&mut self, hours: i64) {
        for _ in 0..hours * 6 {
            self.pass(600).await;
            if self.agenda.is_empty() && self.watch.open() == 0 {
                break;
            }
        }
        self.site.world.run().await;
        self.watch.look(&mut self.site);
    }
}

/// What the site tolerates and does: the runbook of the production site, by itself, within the default budget.
pub fn policies(size: Size) -> Value {
    let rack = |number: usize| {
        let place = Place::of(number * HOSTS_PER_RACK, size);
        let rack =
            json!({ "room": "hall-1", "powerDomain": place.power_domain_name(), "hosts": HOSTS_PER_RACK });
        (place.rack_name(), rack)
    };
    let pool = |number: usize| {
        let pool = json!({ "role": "web", "image": "debian-13", "hosts": size.hosts() / POOLS });
        (format!("pool-{number}"), pool)
    };
    json!({
        "topology": { "racks": (0..size.racks).map(rack).collect::<serde_json::Map<_, _>>() },
        "faults": {
            "unreachable": { "tolerationSeconds": 60, "runbook": "restart" },
            "service": { "tolerationSeconds": 60, "runbook": "restart" },
        },
        "runbooks": { "restart": { "autonomy": "auto", "rungs": [
            { "rung": "power-cycle", "attempts": 2, "delaySeconds": 60 },
            { "rung": "reimage", "attempts": 1 },
            { "rung": "replace", "attempts": 1 },
        ] } },
        "pools": (0..POOLS).map(pool).collect::<serde_json::Map<_, _>>(),
    })
}

const TEMPLATE: [&str; 4] = ["template-host", "template-pool", "template-rack", "template-request"];

/// One host that the functions themselves have brought into service. Every other one has the same events, under its own names.
struct Template {
    free: Commit,
    in_service: Commit,
    /// What drivers keep of it.
    rows: Vec<(String, Value)>,
    at: Timestamp,
}

impl Template {
    async fn make() -> Self {
        let mut site = Site::new();
        let [host, pool, rack, request] = TEMPLATE;
        site.fleet.add(host);
        let enrol = json!({
            "host": host, "pool": pool, "sku": "cpu", "faultDomain": rack,
            "bmc": { "systemUrl": system_url(host) }, "labels": {},
        });
        site.accepted("enrol-host", enrol).await;
        site.run().await;
        let free = whole(&site, host);
        let request =
            json!({ "request": request, "pool": pool, "role": "web", "image": "debian-13", "count": 1 });
        site.accepted("request-hosts", request).await;
        site.run().await;
        let is_its = |key: &String| key.contains(host) && !key.starts_with("bmc");
        let rows = site.control.entries().into_iter().filter(|(key, _)| is_its(key));
        let rows = rows.map(|(key, entry)| (key, entry.value)).collect();
        Self { free, in_service: whole(&site, host), rows, at: site.clock.now() }
    }

    /// Puts a host where it is.
    async fn put(&self, site: &Site, place: &Place) {
        let names =
            [place.host.clone(), place.pool_name(), place.rack_name(), format!("made-{}", place.host)];
        let renamed = |text: &str| {
            let mut text = text.to_owned();
            for (from, to) in TEMPLATE.iter().zip(&names) {
                text = text.replace(from, to);
            }
            text
        };
        let mut commit = if place.is_free { self.free.clone() } else { self.in_service.clone() };
        commit.stream = StreamId::new(HostDecider::CATEGORY, &place.host).unwrap();
        for event in &mut commit.events {
            event.data = serde_json::from_str(&renamed(event.data.text())).unwrap();
            if event.event_type == "host.enrolled" {
                let mut enrolled: Value = serde_json::from_str(event.data.text()).unwrap();
                enrolled["labels"] = place.labels.clone();
                event.data = serde_json::from_str(&enrolled.to_string()).unwrap();
            }
        }
        site.store.append(&commit).await.unwrap();
        let fold = site.fold::<HostDecider>(&commit.stream);
        let phase = if place.is_free { "available" } else { "in-service" };
        assert_eq!(fold.state.phase.name(), phase, "{}", place.host);
        site.views.put(&row::<Hosts>(&commit.stream, &fold).unwrap()).await.unwrap();
        site.fleet.add(&place.host);
        if place.is_free {
            return;
        }
        let patience = Patience { deadline: Duration::from_secs(1), poll_interval: Duration::from_millis(1) };
        site.fleet.bmc(&place.host).set_power(PowerGoal::On, &patience).now_or_never().unwrap().unwrap();
        for (key, value) in &self.rows {
            let value = serde_json::from_str(&renamed(&value.to_string())).unwrap();
            assert!(site.control.put(&renamed(key), &value, 0).await.unwrap());
        }
    }
}

/// All events of a host's stream as one commit.
fn whole(site: &Site, host: &str) -> Commit {
    let commits = site.store.commits(&StreamId::new(HostDecider::CATEGORY, host).unwrap());
    let events = commits.iter().flat_map(|commit| commit.events.clone()).collect();
    let mut whole = commits.last().unwrap().clone();
    (whole.version, whole.events, whole.snapshot) = (StreamVersion(1), events, None);
    (whole.commands, whole.timers) = (Vec::new(), Vec::new());
    whole
}
