//! What has happened, counted from the event store, the control table, the BMCs and the dead-letter queues, and
//! whether it adds up.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use hostler_aws::tables::{control, events};
use hostler_localstack::fleet::RequestKind;
use hostler_localstack::{Capability, Chain, EndpointKind};
use serde_json::Value;

use crate::edge::Edge;
use crate::world::World;

/// The books of a site.
#[derive(Debug, Default)]
pub struct Ledger {
    pub commits: usize,
    /// Events by type.
    pub events: BTreeMap<String, usize>,
    /// Streams by category.
    pub streams: BTreeMap<String, usize>,
    pub power_changes: BTreeMap<String, usize>,
    /// Roles that the configuration driver has put on hosts.
    pub roles_applied: u64,
    /// Hosts that the monitoring driver has registered.
    pub registrations: u64,
    /// Boots from an image, as the hosts themselves count them.
    pub boots: u64,
    /// Callbacks of hosts that were taken.
    pub callbacks: u64,
    /// Power actions that reached a BMC.
    pub resets: u64,
    /// Images that were put into a drive.
    pub media_inserted: u64,
    /// Messages in dead-letter queues, by queue.
    pub dead: BTreeMap<String, u64>,
    /// Chains of invocations through queues, where the endpoint counts them.
    pub chains: Vec<Chain>,
}

impl Ledger {
    pub async fn read(world: &World) -> Self {
        let mut ledger = Self::of(world).await;
        ledger.read_control(world).await;
        let total = world.site.fleet.record().total();
        ledger.resets = total.of(RequestKind::Reset);
        ledger.media_inserted = total.of(RequestKind::InsertMedia);
        for host in world.site.fleet.hosts() {
            let boots = world.site.fleet.simulated().boots(&host.host_id);
            ledger.boots += boots.from_media;
            ledger.callbacks += boots.callbacks_taken;
        }
        ledger
    }

    /// The books of any application: what its events and its dead-letter queues tell.
    pub async fn of(edge: &Edge) -> Self {
        let mut ledger = Self::default();
        ledger.read_events(edge).await;
        ledger.dead = dead_letters(edge).await;
        if EndpointKind::from_env().unwrap().can(Capability::LoopDetection) {
            ledger.chains = edge.stack.account.chains().await.unwrap();
        }
        ledger
    }

    pub fn count(&self, event: &str) -> usize {
        self.events.get(event).copied().unwrap_or_default()
    }

    /// Everything that must hold of a site at rest, whatever was wrong on the way.
    pub fn check_settled(&self) {
        self.check_ended();
        assert!(self.count("host.in-service") >= self.count("saga.completed"), "{self:#?}");
    }

    /// The same of any application.
    pub fn check_ended(&self) {
        let started = self.count("saga.started");
        let ended = self.count("saga.completed") + self.count("saga.compensated");
        assert_eq!(started, ended, "every saga that started has ended: {self:#?}");
        assert!(self.dead.values().all(|count| *count == 0), "dead letters: {:#?}", self.dead);
        let stopped = self.chains.iter().find(|chain| chain.stopped > 0);
        assert!(stopped.is_none(), "AWS would have stopped a chain of invocations: {stopped:?}");
    }

    /// Everything that must hold when nothing went wrong: each effect once.
    pub fn check_exact(&self) {
        self.check_settled();
        let booted = self.count("host.deploy-booted") + self.count("host.cleaning-booted");
        assert_eq!(self.boots as usize, booted, "each boot is recorded once: {self:#?}");
        assert_eq!(self.callbacks as usize, booted, "each callback is recorded once: {self:#?}");
        assert_eq!(self.media_inserted as usize, booted, "an image is inserted for each boot: {self:#?}");
        let changes = self.count("host.power-state-changed");
        assert_eq!(self.resets as usize, changes, "each power action is recorded once: {self:#?}");
        let applied = self.count("host.configuration-applied");
        assert_eq!(self.roles_applied as usize, applied, "each role is applied once: {self:#?}");
        let registered = self.count("host.monitoring-registered");
        assert_eq!(self.registrations as usize, registered, "each host is registered once: {self:#?}");
    }

    pub fn print(&self) {
        let events: usize = self.events.values().sum();
        println!(
            "{} commits with {events} events on {} streams",
            self.commits,
            self.streams.values().sum::<usize>()
        );
        for (event, count) in &self.events {
            println!("  {count:>6} {event}");
        }
        println!(
            "effects: {} power actions, {} images inserted, {} boots, {} callbacks, {} roles applied, {} registrations",
            self.resets,
            self.media_inserted,
            self.boots,
            self.callbacks,
            self.roles_applied,
            self.registrations
        );
        println!("dead letters: {}", self.dead.values().sum::<u64>());
        for Chain { function, longest, .. } in &self.chains {
            println!("  {longest:>6} calls in one chain of {function}");
        }
    }

    async fn read_events(&mut self, edge: &Edge) {
        let mut newest: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for item in scan(edge, &edge.stack.outputs["EventsTable"]).await {
            let stream = text(&item, events::STREAM);
            let version: u64 = item[events::VERSION].as_n().unwrap().parse().unwrap();
            let (count, last) = newest.entry(stream.to_owned()).or_default();
            (*count, *last) = (*count + 1, version.max(*last));
            self.commits += 1;
            let Some(list) = item.get(events::EVENTS) else { continue };
            let list: Vec<Value> = serde_json::from_str(list.as_s().unwrap()).unwrap();
            for event in list {
                let kind = event["t"].as_str().unwrap().to_owned();
                if kind == "host.power-state-changed" {
                    let state = event["d"]["powerState"].as_str().unwrap().to_owned();
                    *self.power_changes.entry(state).or_default() += 1;
                }
                *self.events.entry(kind).or_default() += 1;
            }
        }
        for (stream, (count, last)) in newest {
            assert_eq!(count, last, "{stream} has a gap in its versions");
            let (category, _) = stream.split_once('#').unwrap();
            *self.streams.entry(category.to_owned()).or_default() += 1;
        }
    }

    async fn read_control(&mut self, world: &World) {
        for (key, value) in controlled(world).await {
            let counted = |name: &str| value[name].as_u64().unwrap_or_default();
            match key.split_once('/') {
                Some(("configuration", _)) => self.roles_applied += counted("runs"),
                Some(("monitoring", _)) => self.registrations += counted("registered"),
                _ => {}
            }
        }
    }
}

/// What is in the control table, by key.
pub async fn controlled(edge: &Edge) -> BTreeMap<String, Value> {
    let items = scan(edge, &edge.stack.outputs["ControlTable"]).await;
    let entry = |item: &std::collections::HashMap<String, AttributeValue>| {
        (text(item, control::KEY).to_owned(), serde_json::from_str(text(item, control::VALUE)).unwrap())
    };
    items.iter().map(entry).collect()
}

/// How many messages each dead-letter queue holds.
pub async fn dead_letters(edge: &Edge) -> BTreeMap<String, u64> {
    let sqs = aws_sdk_sqs::Client::new(&edge.stack.account.sdk_config());
    let mut dead = BTreeMap::new();
    for (name, url) in edge.queue_urls() {
        if !name.ends_with("-dlq") {
            continue;
        }
        let wanted = QueueAttributeName::ApproximateNumberOfMessages;
        let answer =
            sqs.get_queue_attributes().queue_url(url).attribute_names(wanted.clone()).send().await.unwrap();
        let count = answer.attributes().unwrap()[&wanted].parse().unwrap();
        dead.insert(name, count);
    }
    assert!(dead.len() >= 8, "the stack names its dead-letter queues: {dead:?}");
    dead
}

async fn scan(edge: &Edge, table: &str) -> Vec<std::collections::HashMap<String, AttributeValue>> {
    let client = aws_sdk_dynamodb::Client::new(&edge.stack.account.sdk_config());
    let pages = client.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.unwrap()
}

fn text<'a>(item: &'a std::collections::HashMap<String, AttributeValue>, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}
