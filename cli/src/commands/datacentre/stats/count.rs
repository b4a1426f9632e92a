//! Counting what the tables hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use hostler_core::commit::RecordedEvent;
use hostler_runtime::state::item::to_events;
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;
use crate::target::Target;

/// How many pages (of up to 1 MB) of a table are read at most.
const PAGES_MAX: usize = 2_000;
/// How the streams of provisionings begin.
const PROVISIONINGS: &str = "provisioning#";

type Item = HashMap<String, AttributeValue>;

/// What the event store and the plain drivers hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    /// How many commits.
    pub(crate) commits: u64,
    /// How many streams, by category.
    pub(crate) streams: BTreeMap<String, u64>,
    /// How many events, by type.
    pub(crate) events: BTreeMap<String, u64>,
    /// The sum of all streams' versions; as many commits there should be.
    pub(crate) versions: u64,
    /// How many commits have a cause that their stream committed before.
    pub(crate) repeated_causes: u64,
    /// How many sagas requests asked for.
    pub(crate) sagas_requested: u64,
    /// How many sagas were started, by now completed, compensated, and last found stuck.
    pub(crate) sagas: Sagas,
    /// How often a role newly came onto a host without a runner, as events say. Of a runner's work its reports are the record.
    pub(crate) roles_changed: u64,
    /// How many pairs of host and saga became known to monitoring, as events say.
    pub(crate) registrations: u64,
    /// What the drivers counted.
    pub(crate) drivers: Drivers,
}

/// Sagas by how they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sagas {
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) compensated: u64,
    pub(crate) stuck: u64,
    pub(crate) running: u64,
    /// Sagas that ended in two ways, which must not be.
    pub(crate) contradictory: u64,
}

/// What the drivers of configuration and monitoring counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drivers {
    pub(crate) roles_applied: u64,
    pub(crate) registered: u64,
    pub(crate) deregistered: u64,
}

/// What is remembered while items come by in any order.
#[derive(Debug, Default)]
pub(super) struct Counting {
    tally: Tally,
    versions: BTreeMap<String, u64>,
    causes: BTreeSet<(String, String)>,
    registrations: BTreeSet<(String, String)>,
    /// The steps that brought a role onto a host, and those that a runner carried out, each with its host.
    roles_changed: BTreeSet<(String, String)>,
    roles_run: BTreeSet<(String, String)>,
    /// The newest telling event of each saga, with its version, and all ends it came to.
    sagas: BTreeMap<String, (u64, String)>,
    ends: BTreeMap<String, BTreeSet<String>>,
}

/// Reads the tables.
pub(super) async fn read(target: &Target) -> Result<Tally, CliError> {
    let client = Client::new(&target.config);
    let mut counting = Counting::default();
    each(&client, target.output("EventsTable")?, |item| counting.commit(item)).await?;
    each(&client, target.output("ControlTable")?, |item| {
        counting.driver(item);
        Ok(())
    })
    .await?;
    Ok(counting.end())
}

async fn each(
    client: &Client,
    table: &str,
    mut take: impl FnMut(&Item) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut pages = client.scan().table_name(table).consistent_read(true).into_paginator().send();
    for _ in 0..PAGES_MAX {
        let Some(page) = pages.next().await else { return Ok(()) };
        let page = page.map_err(CliError::aws(format!(
            "the table {table} cannot be read: check the credentials' dynamodb:Scan"
        )))?;
        page.items().iter().try_for_each(&mut take)?;
    }
    Err(CliError::Usage(format!(
        "the table {table} is larger than {PAGES_MAX} MB: count it on a copy, with other tools"
    )))
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).unwrap_or_default()
}

impl Counting {
    /// Takes an item of the event store.
    pub(super) fn commit(&mut self, item: &Item) -> Result<(), CliError> {
        let stream = text(item, "stream").to_owned();
        let version: u64 = item
            .get("version")
            .and_then(|value| value.as_n().ok())
            .and_then(|number| number.parse().ok())
            .unwrap_or_default();
        let unreadable =
            || format!("the commit {version} of {stream} does not read: build this program again");
        let commit_id = text(item, "commit_id").parse().map_err(CliError::failed(unreadable()))?;
        let events = match text(item, "events") {
            "" => Vec::new(),
            events => to_events(commit_id, events).map_err(CliError::failed(unreadable()))?,
        };
        self.tally.commits += 1;
        let newest = self.versions.entry(stream.clone()).or_default();
        *newest = version.max(*newest);
        if !self.causes.insert((stream.clone(), text(item, "causation_id").to_owned())) {
            self.tally.repeated_causes += 1;
        }
        for event in &events {
            self.event(&stream, version, event);
        }
        Ok(())
    }

    fn event(&mut self, stream: &str, version: u64, event: &RecordedEvent) {
        *self.tally.events.entry(event.event_type.clone()).or_default() += 1;
        let data = event.data.to_value();
        let field = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        match event.event_type.as_str() {
            "capacity.requested" => {
                let sagas = data["provisionings"].as_array().map_or(0, Vec::len);
                self.tally.sagas_requested += sagas as u64;
            }
            "host.configuration-applied" if data["changed"] == true => {
                self.roles_changed.insert((field("host"), field("step")));
            }
            "host.role-run" => {
                self.roles_run.insert((field("host"), field("step")));
            }
            "host.monitoring-registered" => {
                self.registrations.insert((field("host"), field("saga")));
            }
            name @ ("saga.started" | "saga.completed" | "saga.compensated" | "saga.stuck"
            | "saga.resumed" | "saga.step-skipped" | "saga.step-edited")
                if stream.starts_with(PROVISIONINGS) =>
            {
                let last = self.sagas.entry(stream.to_owned()).or_default();
                if version >= last.0 {
                    *last = (version, name.to_owned());
                }
                if matches!(name, "saga.completed" | "saga.compensated") {
                    self.ends.entry(stream.to_owned()).or_default().insert(name.to_owned());
                }
            }
            // Every other type is counted by its name, above.
            _ => {}
        }
    }

    /// Takes an item of the control table, where drivers count what they did: those of monitoring without Prometheus, and with
    /// it.
    pub(super) fn driver(&mut self, item: &Item) {
        let key = text(item, "key");
        let row: Value = serde_json::from_str(text(item, "value")).unwrap_or_default();
        let number = |name: &str| row[name].as_u64().unwrap_or_default();
        let drivers = &mut self.tally.drivers;
        if key.starts_with("configuration/") {
            drivers.roles_applied += number("applied");
        } else if key.starts_with("monitoring/") || key.starts_with("prometheus/") {
            drivers.registered += number("registered");
            drivers.deregistered += number("deregistered");
        }
    }

    /// Sums up.
    pub(super) fn end(self) -> Tally {
        let Self { mut tally, versions, registrations, roles_changed, roles_run, sagas, ends, .. } = self;
        tally.roles_changed = roles_changed.difference(&roles_run).count() as u64;
        for (stream, version) in &versions {
            let category = stream.split_once('#').map_or(stream.as_str(), |(category, _)| category);
            *tally.streams.entry(category.to_owned()).or_default() += 1;
            tally.versions += version;
        }
        tally.registrations = registrations.len() as u64;
        for (_, name) in sagas.values() {
            tally.sagas.started += 1;
            match name.as_str() {
                "saga.completed" => tally.sagas.completed += 1,
                "saga.compensated" => tally.sagas.compensated += 1,
                "saga.stuck" => tally.sagas.stuck += 1,
                _ => tally.sagas.running += 1,
            }
        }
        tally.sagas.contradictory = ends.values().filter(|ends| ends.len() > 1).count() as u64;
        tally
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn item(stream: &str, version: u64, cause: &str, events: &[(&str, Value)]) -> Item {
        let events: Vec<Value> = events.iter().map(|(name, data)| json!({ "t": name, "d": data })).collect();
        HashMap::from([
            ("stream".to_owned(), AttributeValue::S(stream.to_owned())),
            ("version".to_owned(), AttributeValue::N(version.to_string())),
            ("commit_id".to_owned(), AttributeValue::S("01890a5d-ac96-774b-bcce-b302099a8057".to_owned())),
            ("causation_id".to_owned(), AttributeValue::S(cause.to_owned())),
            ("events".to_owned(), AttributeValue::S(json!(events).to_string())),
        ])
    }

    #[test]
    fn sagas_are_judged_by_their_newest_commit_in_any_order() {
        let mut counting = Counting::default();
        let requested = json!({"provisionings": ["web.1", "web.2"]});
        counting.commit(&item("request#web", 1, "a", &[("capacity.requested", requested)])).unwrap();
        counting.commit(&item("provisioning#web.1", 2, "c", &[("saga.completed", json!({}))])).unwrap();
        counting.commit(&item("provisioning#web.1", 1, "b", &[("saga.started", json!({}))])).unwrap();
        counting.commit(&item("provisioning#web.2", 1, "b", &[("saga.started", json!({}))])).unwrap();
        let tally = counting.end();
        assert_eq!((tally.sagas.started, tally.sagas.completed, tally.sagas.running), (2, 1, 1));
        assert_eq!((tally.commits, tally.versions, tally.repeated_causes), (4, 4, 0));
        assert_eq!(tally.sagas_requested, 2);
        assert_eq!(
            tally.streams,
            BTreeMap::from([("provisioning".to_owned(), 2), ("request".to_owned(), 1)])
        );
    }

    #[test]
    fn what_a_runner_has_applied_is_not_expected_of_the_plain_driver() {
        let applied = |step: &str| {
            ("host.configuration-applied", json!({ "host": "h", "step": step, "changed": true }))
        };
        let ran = ("host.role-run", json!({ "host": "h", "step": "by-runner" }));
        let mut counting = Counting::default();
        counting.commit(&item("host#h", 1, "a", &[applied("plain")])).unwrap();
        counting.commit(&item("host#h", 2, "b", &[ran, applied("by-runner")])).unwrap();
        assert_eq!(counting.end().roles_changed, 1);
    }

    #[test]
    fn gaps_and_repeats_show() {
        let mut counting = Counting::default();
        counting.commit(&item("host#h", 1, "a", &[])).unwrap();
        counting.commit(&item("host#h", 3, "a", &[])).unwrap();
        let tally = counting.end();
        assert_eq!((tally.commits, tally.versions, tally.repeated_causes), (2, 3, 1));
    }

    #[test]
    fn drivers_are_summed_over_hosts() {
        let mut counting = Counting::default();
        for host in ["h-01", "h-02"] {
            let row = |kind: &str, value: Value| {
                HashMap::from([
                    ("key".to_owned(), AttributeValue::S(format!("{kind}/{host}"))),
                    ("value".to_owned(), AttributeValue::S(value.to_string())),
                ])
            };
            counting.driver(&row("configuration", json!({"applied": 2, "runs": 5})));
            counting.driver(&row("monitoring", json!({"registered": 1, "deregistered": 1})));
            counting.driver(&row("prometheus", json!({"registered": 3, "deregistered": 2})));
        }
        let drivers = counting.end().drivers;
        assert_eq!(drivers, Drivers { roles_applied: 4, registered: 8, deregistered: 6 });
    }
}
