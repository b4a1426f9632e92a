//! Prometheus and Alertmanager as infra/monitoring configures them: samples and rules every 15 seconds, groups by rule, pool and
//! rack that wait 5 seconds, repeats every 5 minutes.

use std::collections::BTreeMap;

use futures::FutureExt;
use hostler_runtime::ports::Control;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::model::{HOSTS_PER_RACK, Happening, Place, SCRAPE_SECONDS};
use crate::site::Site;
use crate::watch::Watch;

const GROUP_WAIT: SignedDuration = SignedDuration::from_secs(5);
const REPEAT: SignedDuration = SignedDuration::from_mins(5);
/// After so long without a word of Prometheus its alerts have ended for Alertmanager: four times a minute, at which it resends.
const FORGETS_AFTER: SignedDuration = SignedDuration::from_mins(4);

/// The rules about hosts. The first is that of infra/monitoring; the others are what else says so when a host is lost.
const RULES: [(&str, &str); 10] = [
    ("HostDown", "unreachable"),
    ("ServiceDown", "service"),
    ("ProbeFailed", "unreachable"),
    ("SshDown", "unreachable"),
    ("StorageDown", "service"),
    ("NetworkDown", "unreachable"),
    ("AgentDown", "service"),
    ("ClockSkewed", "service"),
    ("ReplicaLost", "service"),
    ("HealthcheckFailed", "service"),
];

type Group = (usize, usize, usize);
type Next = Vec<(Timestamp, Happening)>;

struct Alert {
    since: Timestamp,
    ended: Option<Timestamp>,
}

/// What fires, and what was told.
pub struct Alerts {
    places: Vec<Place>,
    /// By the host's number and the rule's.
    firing: BTreeMap<(usize, usize), Alert>,
    /// When each group is sent next.
    due: BTreeMap<Group, Timestamp>,
    evaluates: bool,
    away_until: Option<Timestamp>,
    /// How many alerts were told.
    pub told: u64,
}

impl Alerts {
    pub fn new(places: Vec<Place>) -> Self {
        Self {
            places,
            firing: BTreeMap::new(),
            due: BTreeMap::new(),
            evaluates: false,
            away_until: None,
            told: 0,
        }
    }

    /// When a rule fires about what has become of a host: after its next sample, which each host has at a moment of its own, and at
    /// the next look at the rules after that.
    pub fn noticed_at(&self, number: usize, broken_at: Timestamp) -> Timestamp {
        let every = i64::from(SCRAPE_SECONDS);
        let phase = i64::try_from(number).unwrap_or(0) * 7 % every;
        let ceil = |seconds: i64, phase: i64| seconds + (phase - seconds).rem_euclid(every);
        let sampled = ceil(broken_at.as_second() + 1, phase);
        Timestamp::from_second(ceil(sampled + 1, 0)).unwrap()
    }

    pub async fn happens(
        &mut self,
        now: Timestamp,
        happening: Happening,
        site: &Site,
        watch: &mut Watch,
    ) -> Next {
        let mut next = Vec::new();
        match happening {
            Happening::Fires(number, rule) => self.fires(now, number, rule, site, &mut next),
            Happening::Evaluates => self.evaluates(now, site, &mut next),
            Happening::Sends(rule, pool, rack) => {
                self.sends(now, (rule, pool, rack), site, watch, &mut next).await;
            }
            Happening::Away(until) => {
                self.away_until = Some(until);
                next.extend([(now + FORGETS_AFTER, Happening::Forgets), (until, Happening::Back)]);
            }
            Happening::Forgets => {
                let all: Vec<_> = self.firing.keys().copied().collect();
                for key in all {
                    self.ends(now, key, &mut next);
                }
            }
            Happening::Back => {
                self.away_until = None;
                let lost = (0..self.places.len()).filter(|number| !self.places[*number].is_free);
                for number in lost.filter(|number| !site.fleet.faults.is_well(&self.places[*number].host)) {
                    next.push((self.noticed_at(number, now), Happening::Fires(number, 0)));
                }
            }
            Happening::Breaks(..)
            | Happening::Heals(_)
            | Happening::IsChanged(_)
            | Happening::SamplesPools
            | Happening::SaysOfPool(..) => {}
        }
        next
    }

    fn fires(&mut self, now: Timestamp, number: usize, rule: usize, site: &Site, next: &mut Next) {
        let host = &self.places[number].host;
        if self.away_until.is_some() || !is_watched(site, host) || site.fleet.faults.is_well(host) {
            return;
        }
        let fresh = Alert { since: now, ended: None };
        let alert = self.firing.entry((number, rule)).or_insert(fresh);
        if alert.ended.take().is_some() {
            alert.since = now;
        }
        self.is_due(now, self.group(number, rule), next);
        if !self.evaluates {
            self.evaluates = true;
            next.push((now + SignedDuration::from_secs(SCRAPE_SECONDS.into()), Happening::Evaluates));
        }
    }

    fn group(&self, number: usize, rule: usize) -> Group {
        let place = &self.places[number];
        (rule, place.pool, place.rack)
    }

    /// A group has news, and is sent soon.
    fn is_due(&mut self, now: Timestamp, group: Group, next: &mut Next) {
        let at = now + GROUP_WAIT;
        if self.due.get(&group).is_none_or(|due| *due > at) {
            self.due.insert(group, at);
            next.push((at, Happening::Sends(group.0, group.1, group.2)));
        }
    }

    fn ends(&mut self, now: Timestamp, (number, rule): (usize, usize), next: &mut Next) {
        if let Some(alert) = self.firing.get_mut(&(number, rule))
            && alert.ended.is_none()
        {
            alert.ended = Some(now);
            let group = self.group(number, rule);
            self.is_due(now, group, next);
        }
    }

    fn evaluates(&mut self, now: Timestamp, site: &Site, next: &mut Next) {
        if self.away_until.is_none() {
            let firing = self.firing.iter().filter(|(_, alert)| alert.ended.is_none());
            let is_over = |number: usize| {
                let host = &self.places[number].host;
                site.fleet.faults.is_well(host) || !is_watched(site, host)
            };
            let over: Vec<_> = firing.map(|(key, _)| *key).filter(|(number, _)| is_over(*number)).collect();
            for key in over {
                self.ends(now, key, next);
            }
        }
        self.evaluates = !self.firing.is_empty();
        if self.evaluates {
            next.push((now + SignedDuration::from_secs(SCRAPE_SECONDS.into()), Happening::Evaluates));
        }
    }

    async fn sends(&mut self, now: Timestamp, group: Group, site: &Site, watch: &mut Watch, next: &mut Next) {
        if self.due.get(&group) != Some(&now) {
            return;
        }
        self.due.remove(&group);
        let (rule, pool, rack) = group;
        let of_group = |number: usize| self.places[number].pool == pool && self.places[number].rack == rack;
        let first = rack * HOSTS_PER_RACK;
        let numbers = first..first + HOSTS_PER_RACK;
        let members: Vec<usize> =
            numbers.filter(|n| of_group(*n) && self.firing.contains_key(&(*n, rule))).collect();
        let alerts: Vec<Value> = members.iter().map(|number| self.alert(*number, rule)).collect();
        if alerts.is_empty() {
            return;
        }
        self.told += alerts.len() as u64;
        let taken = site.post_signals("alertmanager", &webhook(&alerts)).await;
        assert_eq!(taken.status, 202, "{}", taken.body);
        for number in members {
            let ended = self.firing[&(number, rule)].ended.is_some();
            if ended {
                self.firing.remove(&(number, rule));
            } else {
                watch.told(&self.places[number].host, now);
            }
        }
        let goes_on = self.firing.keys().any(|(number, of)| *of == rule && of_group(*number));
        if goes_on {
            let at = now + REPEAT;
            self.due.insert(group, at);
            next.push((at, Happening::Sends(rule, pool, rack)));
        }
    }

    fn alert(&self, number: usize, rule: usize) -> Value {
        let (place, (name, fault)) = (&self.places[number], RULES[rule]);
        let Alert { since, ended } = &self.firing[&(number, rule)];
        json!({
            "status": if ended.is_some() { "resolved" } else { "firing" },
            "labels": {
                "alertname": name, "host": place.host, "fault": fault, "pool": place.pool_name(),
                "rack": place.rack_name(), "severity": "critical", "instance": format!("{}:9100", place.host),
            },
            "annotations": { "summary": format!("{name}: {}", place.host) },
            "startsAt": since,
            "endsAt": ended.map_or("0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": format!("{number:08x}{rule:08x}"),
        })
    }
}

/// Whether monitoring watches a host: only then do its rules say something of it.
fn is_watched(site: &Site, host: &str) -> bool {
    let row = site.control.get(&format!("monitoring/{host}")).now_or_never().unwrap().unwrap();
    row.is_some_and(|row| row.value["watched"].is_object())
}

fn webhook(alerts: &[Value]) -> Value {
    json!({
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "hostler",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": alerts,
    })
}

/// So many alarms for each host fire within so many seconds.
pub fn storm(hosts: &[usize], rules: usize, seconds: f64, now: Timestamp) -> Next {
    let all = hosts.len() * rules;
    let fires = (0..all).map(|n| {
        let at = now + SignedDuration::from_secs_f64(seconds * n as f64 / all as f64);
        (at, Happening::Fires(hosts[n % hosts.len()], n / hosts.len()))
    });
    fires.collect()
}
