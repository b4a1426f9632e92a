//! What must hold after every commit and at the end, found out from the events of hosts alone; and what came of every incident.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Commit, Decider, Payload};
use hostler_domain::pool::PoolDecider;
use hostler_domain::{BudgetDecider, Condition, HealthDecider};
use hostler_events::HostEvent;
use hostler_events::health::{HealthEvent, RemediationOutcome};
use hostler_events::pool::PoolEvent;
use hostler_events::site::{BudgetPolicy, Rung, SITE};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::drift::Drifting;
use crate::elastic::Elastic;
use crate::hot_cve::Patched;
use crate::model::{Place, What};
use crate::site::Site;

/// How much later than the budget counts it a host may be cordoned: the time that a function takes.
const BEGUN_TO_CORDONED: SignedDuration = SignedDuration::from_secs(5);

/// The queues of those who decide and act.
const DECIDE: [&str; 6] =
    ["recover-hosts", "scale-pools", "run-sagas", "deploy-host", "configure-host", "monitor-host"];

/// What a message is called, as the commit names it that came of it.
fn id_of(body: &str) -> Option<&str> {
    let names = ["\"commandId\":\"", "\"timerId\":\"", "\"eventId\":\""];
    let (_, id) = names.iter().find_map(|name| body.split_once(name))?;
    id.split_once('"').map(|(id, _)| id)
}

/// An incident with the times of its hops.
#[derive(Debug, Clone, Default)]
pub struct Incident {
    /// When the host broke, and what broke it.
    pub broke: Option<(Timestamp, What)>,
    /// When Alertmanager sent the first alert about it.
    pub told: Option<Timestamp>,
    pub suspected: Option<Timestamp>,
    pub confirmed: Option<Timestamp>,
    pub claimed: Option<Timestamp>,
    pub started: Option<Timestamp>,
    /// When its power was first cut, or it was first booted anew.
    pub acted: Option<Timestamp>,
    pub closed: Option<Timestamp>,
    pub escalated: Option<String>,
    /// What was tried and how it ended.
    pub tried: Vec<(Rung, Option<RemediationOutcome>)>,
    /// The rules that held it back.
    pub held_by: BTreeSet<String>,
}

impl Incident {
    /// Whether what was done is what the runbook says for what has broken the host, in its order, and no more: a power cycle, another
    /// one, a new installation, another host, each only where what came before could not help.
    pub fn follows_its_runbook(&self) -> bool {
        const RUNGS: [Rung; 4] = [Rung::PowerCycle, Rung::PowerCycle, Rung::Reimage, Rung::Replace];
        let done: Vec<Rung> = self
            .tried
            .iter()
            .filter(|(_, outcome)| *outcome != Some(RemediationOutcome::Needless))
            .map(|(rung, _)| *rung)
            .collect();
        let most = match self.broke {
            Some((_, What::Hang)) => 1,
            Some((_, What::Disk)) => 3,
            Some((_, What::Dead)) => 4,
            None => 0,
        };
        done.len() <= most && done.iter().zip(RUNGS).all(|(done, wanted)| *done == wanted)
    }
}

struct Cordon {
    rack: usize,
    pool: usize,
    power_domain: usize,
}

pub struct Watch {
    /// The pools that scale, where some do.
    pub elastic: Option<Elastic>,
    /// The patching of all hosts, where that goes on.
    pub patched: Option<Patched>,
    /// The hosts that are changed by hand, where that happens.
    pub drifting: Option<Drifting>,
    places: BTreeMap<String, Place>,
    limits: BudgetPolicy,
    pool_limit: usize,
    looked_at: usize,
    cordons: BTreeMap<String, Cordon>,
    cordoned_lately: Vec<Timestamp>,
    broken: BTreeMap<String, (Timestamp, What)>,
    told: BTreeMap<String, Timestamp>,
    /// By host, and its number.
    pub incidents: BTreeMap<(String, u32), Incident>,
    /// How often each rule held something back, and for how many hosts.
    pub suppressed: BTreeMap<String, (u64, BTreeSet<String>)>,
    pub events: BTreeMap<String, u64>,
    pub commits: u64,
    /// Commits that had no event.
    pub silent: u64,
    pub write_units: u64,
    pub messages: u64,
    /// Messages to those who decide, by what they were; until a commit says that one has led to something.
    asked: BTreeSet<String>,
    asked_all: u64,
    answered: u64,
    pub published: u64,
    /// The most hosts that were cordoned within the window of the budget.
    pub cordoned_in_window: usize,
    /// The longest chain of causes.
    pub hops_most: u16,
    /// The most hosts that were cordoned at a time.
    pub cordoned_most: usize,
}

impl Watch {
    pub fn new(places: &[Place], policies: &Value, site: &Site) -> Self {
        let limits = match &policies["budget"] {
            Value::Null => BudgetPolicy::default(),
            budget => serde_json::from_value(budget.clone()).unwrap(),
        };
        let pool = places.iter().filter(|place| place.pool == 0).count();
        let part = (pool * limits.pool_percent as usize).div_ceil(100);
        Self {
            elastic: None,
            patched: None,
            drifting: None,
            places: places.iter().map(|place| (place.host.clone(), place.clone())).collect(),
            limits,
            pool_limit: part.min(limits.pool as usize),
            looked_at: site.store.outbox_since(0).len(),
            cordons: BTreeMap::new(),
            cordoned_lately: Vec::new(),
            cordoned_in_window: 0,
            broken: BTreeMap::new(),
            told: BTreeMap::new(),
            incidents: BTreeMap::new(),
            suppressed: BTreeMap::new(),
            events: BTreeMap::new(),
            commits: 0,
            silent: 0,
            write_units: 0,
            messages: 0,
            asked: BTreeSet::new(),
            asked_all: 0,
            answered: 0,
            published: 0,
            hops_most: 0,
            cordoned_most: 0,
        }
    }

    pub fn breaks(&mut self, host: &str, at: Timestamp, what: What) {
        self.broken.insert(host.to_owned(), (at, what));
        self.told.remove(host);
    }

    pub fn told(&mut self, host: &str, at: Timestamp) {
        self.told.entry(host.to_owned()).or_insert(at);
    }

    /// How often an event was recorded.
    pub fn count(&self, event: &str) -> u64 {
        self.events.get(event).copied().unwrap_or_default()
    }

    /// How many incidents go on, and wait for no person.
    pub fn open(&self) -> usize {
        let open = |incident: &&Incident| incident.closed.is_none() && incident.escalated.is_none();
        self.incidents.values().filter(open).count()
    }

    /// How many messages came to those who decide and act.
    pub fn decisions(&self) -> u64 {
        self.asked_all
    }

    /// How many of them led to no commit.
    pub fn for_nothing(&self) -> u64 {
        self.asked_all - self.answered
    }

    /// Looks at every commit since the last time, one after the other.
    pub fn look(&mut self, site: &mut Site) {
        let commits = site.store.outbox_since(self.looked_at);
        self.looked_at += commits.len();
        for commit in &commits {
            self.commit(commit);
        }
        for (queue, body) in site.take_sent() {
            self.messages += 1;
            if DECIDE.contains(&queue.as_str())
                && let Some(id) = id_of(&body)
            {
                self.asked_all += 1;
                self.asked.insert(id.to_owned());
            }
        }
        for commit in &commits {
            let cause = commit.causation_id.as_str();
            let id = cause.split_once(':').map_or(cause, |(id, _)| id);
            self.answered += u64::from(self.asked.remove(id));
        }
        self.published += site.bus.take_published().len() as u64;
    }

    fn commit(&mut self, commit: &Commit) {
        self.commits += 1;
        self.hops_most = self.hops_most.max(commit.hops);
        self.silent += u64::from(commit.events.is_empty());
        let bytes = commit.events.iter().map(|event| event.data.text().len()).sum::<usize>()
            + commit.commands.iter().map(|command| command.data.text().len()).sum::<usize>()
            + commit.snapshot.as_ref().map_or(0, |snapshot| snapshot.state.text().len());
        // Names, ids and the like of each part, as they are stored: short.
        let parts = 200 + 40 * (commit.events.len() + commit.commands.len() + commit.timers.len());
        self.write_units += (bytes + parts).div_ceil(1_024) as u64;
        if let Some(patched) = &mut self.patched {
            patched.commit(commit);
        }
        let (category, key) = (commit.stream.category(), commit.stream.key());
        for event in &commit.events {
            *self.events.entry(event.event_type.clone()).or_default() += 1;
            if let (PoolDecider::CATEGORY, Some(elastic)) = (category, &mut self.elastic) {
                let event = PoolEvent::from_data(&event.event_type, event.schema_version, &event.data);
                elastic.pool_event(key, &event.unwrap(), commit.recorded_at);
            } else if let ("host", Some(elastic)) = (category, &mut self.elastic) {
                let event = HostEvent::from_data(&event.event_type, event.schema_version, &event.data);
                elastic.host_event(&self.places[key], &event.unwrap(), commit.recorded_at);
            } else if category == "host" {
                self.host_event(key, &event.event_type, commit.recorded_at);
            } else if category == HealthDecider::CATEGORY {
                let event = HealthEvent::from_data(&event.event_type, event.schema_version, &event.data);
                self.health_event(&event.unwrap());
            }
        }
    }

    fn host_event(&mut self, host: &str, event: &str, at: Timestamp) {
        let place = self.places[host].clone();
        if let Some(patched) = &mut self.patched {
            patched.host_event(&place, event);
        } else if let Some(drifting) = &mut self.drifting {
            drifting.host_event(host, event, at);
        } else {
            let is_faulty = self.broken.contains_key(host);
            assert!(is_faulty || place.is_free, "{host} is in service and well, and there is {event}");
        }
        match event {
            "host.cordoned" => {
                let Place { rack, pool, power_domain, .. } = place;
                self.cordons.insert(host.to_owned(), Cordon { rack, pool, power_domain });
                self.check_budget(at);
            }
            // What was installed again in vain is undeployed, and in service no more.
            "host.uncordoned" | "host.undeploy-started" => drop(self.cordons.remove(host)),
            "host.power-cycle-started" | "host.reimage-started" => {
                assert!(self.cordons.contains_key(host), "{host}: {event} without a cordon");
                let newest =
                    self.incidents.range_mut((host.to_owned(), 0)..=(host.to_owned(), u32::MAX)).last();
                if let Some((_, incident)) = newest {
                    incident.acted.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// The budget, found out from what is done to hosts and from nothing that its decider says.
    fn check_budget(&mut self, at: Timestamp) {
        let limits = self.limits;
        let all = self.cordons.len();
        self.cordoned_most = self.cordoned_most.max(all);
        assert!(all <= limits.site as usize, "{all} hosts of the site are disturbed at a time");
        let most = |of: fn(&Cordon) -> usize| {
            let mut counts = BTreeMap::<usize, usize>::new();
            self.cordons.values().for_each(|cordon| *counts.entry(of(cordon)).or_default() += 1);
            counts.values().copied().max().unwrap_or(0)
        };
        let (rack, pool) = (most(|cordon| cordon.rack), most(|cordon| cordon.pool));
        let power_domain = most(|cordon| cordon.power_domain);
        assert!(rack <= limits.rack as usize, "{rack} hosts of a rack are disturbed at a time");
        assert!(pool <= self.pool_limit, "{pool} hosts of a pool are disturbed at a time");
        assert!(power_domain <= limits.power_domain as usize, "{power_domain} hosts of a power domain");
        if self.patched.is_some() {
            return;
        }
        let window = SignedDuration::from_secs(limits.window_seconds.into());
        self.cordoned_lately.push(at);
        self.cordoned_lately.retain(|cordoned| at.duration_since(*cordoned) < window - BEGUN_TO_CORDONED);
        let begun = self.cordoned_lately.len();
        self.cordoned_in_window = self.cordoned_in_window.max(begun);
        // A saga that looks at its host first, and waits for monitoring, disturbs it long after it was granted.
        assert!(begun <= limits.starts as usize, "{begun} repairs began within the window");
    }

    fn health_event(&mut self, event: &HealthEvent) {
        match event {
            HealthEvent::Suspected(e) => {
                let host = e.host.to_string();
                let told = self.told.get(&host).copied();
                let broke = self.broken.get(&host).copied();
                let incident = Incident { broke, told, suspected: Some(e.at), ..Incident::default() };
                self.incidents.insert((host, e.incident), incident);
            }
            HealthEvent::Confirmed(e) => self.of(&e.host.to_string(), e.incident).confirmed = Some(e.at),
            HealthEvent::Claimed(e) => {
                self.of(&e.host.to_string(), e.incident).claimed.get_or_insert(e.at);
            }
            HealthEvent::Started(e) => {
                let incident = self.of(&e.host.to_string(), e.incident);
                if let Some(rung) = e.rung {
                    incident.started.get_or_insert(e.at);
                    incident.tried.push((rung, None));
                }
            }
            HealthEvent::Ended(e) => {
                let host = e.host.to_string();
                let newest = self.incidents.range_mut((host.clone(), 0)..=(host, u32::MAX)).last();
                if let Some((_, incident)) = newest
                    && let Some((_, outcome)) = incident.tried.last_mut().filter(|(_, end)| end.is_none())
                {
                    *outcome = Some(e.outcome);
                }
            }
            HealthEvent::Suppressed(e) => {
                let host = e.host.to_string();
                let (times, hosts) = self.suppressed.entry(e.rule.clone()).or_default();
                *times += 1;
                hosts.insert(host.clone());
                if e.incident > 0 {
                    self.of(&host, e.incident).held_by.insert(e.rule.clone());
                }
            }
            HealthEvent::Recovered(e) => self.of(&e.host.to_string(), e.incident).closed = Some(e.at),
            HealthEvent::Closed(e) => self.of(&e.host.to_string(), e.incident).closed = Some(e.at),
            HealthEvent::Escalated(e) => {
                self.of(&e.host.to_string(), e.incident).escalated = Some(e.reason.clone());
            }
            HealthEvent::SignalReceived(_)
            | HealthEvent::SignalDropped(_)
            | HealthEvent::ApprovalRequested(_)
            | HealthEvent::Approved(_)
            | HealthEvent::Checked(_) => {}
        }
    }

    fn of(&mut self, host: &str, incident: u32) -> &mut Incident {
        self.incidents.get_mut(&(host.to_owned(), incident)).expect("an incident begins with a suspicion")
    }

    /// Nothing is left half done: no cordon, no part of the budget, no incident that waits, no message, no dead letter.
    pub fn check_end(&self, site: &Site) {
        if let Some(elastic) = &self.elastic {
            elastic.check_end();
        }
        assert!(self.cordons.is_empty(), "cordoned for ever: {:?}", self.cordons.keys());
        assert_eq!(site.state::<BudgetDecider>(SITE).holders, [], "the budget is given back");
        assert!(site.queues.is_empty(), "messages are left");
        site.check_no_failures();
        let hosts: BTreeSet<&String> = self.incidents.keys().map(|(host, _)| host).collect();
        for host in hosts {
            let health = site.state::<HealthDecider>(host);
            let rests = matches!(health.condition, Condition::Healthy | Condition::Escalated { .. });
            assert!(rests, "{host} waits for ever: {health:#?}");
        }
        for ((host, number), incident) in &self.incidents {
            let ended = incident.closed.is_some() || incident.escalated.is_some();
            assert!(ended, "incident {number} of {host} goes on for ever: {incident:#?}");
        }
    }
}
