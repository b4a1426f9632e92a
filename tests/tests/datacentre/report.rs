//! What a scenario came to, in figures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::DataCentre;
use crate::polling::Polled;
use crate::watch::Incident;

const PRICES: &str = include_str!("../../../cli/prices.json");
/// What the functions have, in GB.
const MEMORY_GB: f64 = 0.25;
/// How long an invocation takes that has a batch of ten, in seconds: as the model has it.
const INVOCATION_SECONDS: f64 = 0.2;

/// The one of them below which so many in a hundred are.
pub fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * percent / 100.0).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

pub fn seconds(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<f64> {
    Some(to?.duration_since(from?).as_secs_f64())
}

fn row(what: &str, mut values: Vec<f64>) {
    if !values.is_empty() {
        let (p50, p99) = (percentile(&mut values, 50.0), percentile(&mut values, 99.0));
        println!("  {what:<58} {p50:>9.2} {p99:>9.2}  {:>6}", values.len());
    }
}

impl DataCentre {
    /// Prints what happened and what it cost, and checks how it ended.
    pub fn report(&self, scenario: &str, began: std::time::Instant) {
        let watch = &self.watch;
        println!("\n{scenario}: {} hosts in {} racks", self.size.hosts(), self.size.racks);
        println!("  ran for {:.1} s, until {}", began.elapsed().as_secs_f64(), self.now());
        println!("  alerts told: {}", self.alerts.told);
        println!("  commits: {}, of them without an event: {}", watch.commits, watch.silent);
        println!("  messages: {}, events on the bus: {}", watch.messages, watch.published);
        println!("  invocations: {}", self.site.invoked);
        for event in [
            "domain.incident-opened",
            "domain.incident-closed",
            "health.signal-dropped",
            "health.suspected",
            "health.fault-confirmed",
            "health.recovered",
            "health.escalated",
            "host.cordoned",
            "host.power-cycled",
            "host.reimage-started",
            "host.retired",
        ] {
            println!("  {event}: {}", watch.count(event));
        }
        println!("  cordoned within the budget's window, at most: {}", watch.cordoned_in_window);
        println!("  the longest chain of causes: {} hops", watch.hops_most);
        println!("  cordoned at a time, at most: {}", watch.cordoned_most);
        for (rule, (times, hosts)) in &watch.suppressed {
            println!("  suppressed by {rule}: {times} times, of {} hosts", hosts.len());
        }
        self.hops();
        println!("  dollars: {:.4}", self.dollars());
        self.watch.check_end(&self.site);
    }

    fn hops(&self) {
        println!("  {:<58} {:>9} {:>9}  {:>6}", "seconds", "p50", "p99", "of");
        let incidents: Vec<&Incident> = self.watch.incidents.values().collect();
        let hop = |of: &dyn Fn(&Incident) -> Option<f64>| -> Vec<f64> {
            incidents.iter().filter_map(|incident| of(incident)).collect()
        };
        let broke = |incident: &Incident| incident.broke.map(|(at, _)| at);
        row("broken to alert sent (monitoring)", hop(&|i| seconds(broke(i), i.told)));
        row("alert sent to suspected", hop(&|i| seconds(i.told, i.suspected)));
        row("suspected to confirmed (toleration)", hop(&|i| seconds(i.suspected, i.confirmed)));
        row("confirmed to granted", hop(&|i| seconds(i.confirmed, i.started)));
        row("granted to action (saga: begin, look again, cordon)", hop(&|i| seconds(i.started, i.acted)));
        let at_once = |i: &Incident| i.held_by.is_empty();
        let reaction = |i: &Incident| {
            let toleration = seconds(i.suspected, i.confirmed)?;
            Some(seconds(i.told, i.acted)? - toleration).filter(|_| at_once(i))
        };
        row("alert sent to action, less toleration, where nothing holds", hop(&reaction));
        row("action to closed", hop(&|i| seconds(i.acted, i.closed)));
        row("broken to closed, where something was done", hop(&|i| seconds(broke(i), i.acted.and(i.closed))));
    }

    /// What all of it would cost on AWS, by cli/prices.json.
    pub fn dollars(&self) -> f64 {
        let prices: Value = serde_json::from_str(PRICES).unwrap();
        let price = |name: &str| prices["prices"][name]["dollars"].as_f64().unwrap() / 1e6;
        let site = &self.site;
        let mut writes = BTreeMap::<&str, u64>::new();
        site.switch.writes().into_iter().for_each(|write| *writes.entry(write).or_default() += 1);
        // Each write beside a commit is of one unit, and each other call is a read of one.
        let others: u64 = ["view", "control", "claim", "complete", "release"]
            .map(|name| writes.get(name).copied().unwrap_or(0))
            .iter()
            .sum();
        let calls: u64 = site.port_calls.values().sum();
        let reads = calls.saturating_sub(writes.values().sum());
        let invocations = site.invoked as f64;
        // Every message alone, and of each invocation that it is received and deleted.
        let requests = self.watch.messages as f64 + 2.0 * invocations;
        (self.watch.write_units + others) as f64 * price("writeUnits")
            + reads as f64 * price("readUnits")
            + requests * price("queueRequests")
            + self.watch.published as f64 * price("busEvents")
            + invocations * price("invocations")
            + invocations * INVOCATION_SECONDS * MEMORY_GB * price("gigabyteSeconds")
    }
}

impl DataCentre {
    /// Prints what Hostler and a polling orchestrator make of the same faults.
    pub fn compare(&self, polled: &Polled) {
        let incidents: Vec<&Incident> = self.watch.incidents.values().collect();
        let times = |of: &dyn Fn(&Incident) -> Option<Timestamp>| -> Vec<f64> {
            let broke = |incident: &Incident| incident.broke.map(|(at, _)| at);
            incidents.iter().filter_map(|incident| seconds(broke(incident), of(incident))).collect()
        };
        println!("  {:<46} {:>12} {:>12}", "beside a polling orchestrator", "Hostler", "polling");
        let line = |what: &str, ours: f64, theirs: f64| println!("  {what:<46} {ours:>12.1} {theirs:>12.1}");
        let (mut acted, mut closed) = (times(&|i| i.acted), times(&|i| i.closed));
        let (mut their_acted, mut their_closed) = (polled.to_action.clone(), polled.to_close.clone());
        line("fault to action, p50 s", percentile(&mut acted, 50.0), percentile(&mut their_acted, 50.0));
        line("fault to action, p99 s", percentile(&mut acted, 99.0), percentile(&mut their_acted, 99.0));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        line("MTTR (fault to known health), mean s", mean(&closed), mean(&their_closed));
        line("MTTR, p50 s", percentile(&mut closed, 50.0), percentile(&mut their_closed, 50.0));
        line("MTTR, p99 s", percentile(&mut closed, 99.0), percentile(&mut their_closed, 99.0));
        let alone = incidents.iter().filter(|incident| incident.escalated.is_none()).count();
        let share = |part: f64, all: f64| 100.0 * part / all;
        line("closed without a person, %", share(alone as f64, incidents.len() as f64), 100.0);
        let followed = incidents.iter().filter(|incident| incident.follows_its_runbook()).count();
        println!("  runbook followed: {followed} of {} incidents", incidents.len());
        line(
            "looks at hosts, or messages to who decides",
            self.watch.decisions() as f64,
            polled.reads as f64,
        );
        line(
            "of them without a result, %",
            share(self.watch.for_nothing() as f64, self.watch.decisions() as f64),
            share(polled.for_nothing as f64, polled.reads as f64),
        );
        let calls: u64 = self.site.port_calls.values().sum();
        println!("  calls of ports in all: {calls}");
    }
}
