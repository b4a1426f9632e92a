//! What a CMDB says of hosts, as Debezium would send it.

use std::collections::{BTreeMap, BTreeSet};

use hostler_domain::Phase;
use hostler_domain::inventory::view::{InventoryView, is_drifted};
use hostler_events::SitePolicy;
use hostler_events::inventory::{Fact, RecordPolicy};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::play::Play;
use super::scenario::Record;
use super::site;
use crate::api::InventoryRow;
use crate::error::CliError;
use crate::target::Target;

/// Where a record says that a host stands which was never moved.
const ELSEWHERE: &str = "simulated-elsewhere";

/// A host of which the CMDB has told.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pool: String,
    rack: String,
    /// Whether what it says is wrong.
    wrong: bool,
}

/// The records that were told, by host.
pub(super) type Records = BTreeMap<String, Recorded>;

impl Play<'_> {
    /// Has the CMDB tell of each host of the pool that is in service.
    pub(super) async fn record(&mut self, record: Record) -> Result<(), CliError> {
        let hosts = site::hosts(self.target, &self.scenario.pool).await?;
        for host in site::in_phase(&hosts, Phase::InService) {
            let wrong = record == Record::Elsewhere;
            let (pool, rack) = (host.pool.clone(), host.fault_domain.clone());
            self.records.insert(host.host.clone(), Recorded { pool, rack, wrong });
        }
        self.tell_records().await?;
        let count = self.records.len();
        match record {
            Record::Elsewhere => self.say(&format!("the CMDB says that {count} hosts stand in another rack")),
            Record::AsIs => self.say(&format!("the CMDB says where {count} hosts stand")),
        }
    }

    /// Has the CMDB tell the truth of all hosts of which it was wrong.
    pub(super) async fn correct_records(&mut self) -> Result<(), CliError> {
        if !self.records.values().any(|recorded| recorded.wrong) {
            return Ok(());
        }
        self.records.values_mut().for_each(|recorded| recorded.wrong = false);
        self.tell_records().await
    }

    async fn tell_records(&self) -> Result<(), CliError> {
        let (table, columns) = table(&self.policy)?;
        for (host, recorded) in &self.records {
            let change = change(table, columns, (host.as_str(), recorded), Timestamp::now());
            self.signal("debezium", &change).await?;
        }
        Ok(())
    }

    /// Whether the inventory is as the records say: drifted where they are wrong, and nowhere else.
    pub(super) async fn is_as_recorded(&self) -> Result<bool, CliError> {
        let hosts: BTreeSet<&str> = self.records.keys().map(String::as_str).collect();
        let known = of_hosts(self.target, &hosts).await?;
        let is_so = |(host, recorded): (&String, &Recorded)| {
            known.get(host).is_some_and(|view| is_drifted(view, Fact::FaultDomain) == recorded.wrong)
        };
        Ok(self.records.iter().all(is_so))
    }
}

/// A table of the policies that says where hosts stand.
fn table(policy: &SitePolicy) -> Result<(&str, &RecordPolicy), CliError> {
    let records = policy.inventory.iter().flat_map(|inventory| &inventory.records);
    let mut named = records.filter(|(_, columns)| columns.facts.contains_key(&Fact::FaultDomain));
    let table = named.next().map(|(table, columns)| (table.as_str(), columns));
    table.ok_or_else(|| {
        CliError::Usage(
            "the policies name no table of a CMDB with faultDomain (inventory.records): add one".to_owned(),
        )
    })
}

fn change(table: &str, columns: &RecordPolicy, (host, recorded): (&str, &Recorded), now: Timestamp) -> Value {
    let rack = if recorded.wrong { ELSEWHERE } else { &recorded.rack };
    let mut record = Map::from_iter([(columns.host.clone(), json!(host))]);
    for (fact, column) in &columns.facts {
        match fact {
            Fact::FaultDomain => record.insert(column.clone(), json!(rack)),
            Fact::Pool => record.insert(column.clone(), json!(recorded.pool)),
            Fact::Presence
            | Fact::Sku
            | Fact::Role
            | Fact::Bmc
            | Fact::Manufacturer
            | Fact::Model
            | Fact::Serial
            | Fact::Processors
            | Fact::MemoryGib => None,
        };
    }
    let (schema, table) = table.split_once('.').unwrap_or(("", table));
    let millis = now.as_millisecond();
    json!({
        "before": null, "after": record, "op": "u", "ts_ms": millis, "transaction": null,
        "source": { "connector": "simulated", "schema": schema, "table": table, "ts_ms": millis },
    })
}

async fn of_hosts(
    target: &Target,
    hosts: &BTreeSet<&str>,
) -> Result<BTreeMap<String, InventoryView>, CliError> {
    let rows: Vec<InventoryRow> = target.api.rows(None).await?;
    let views = rows.into_iter().map(|row| row.inventory);
    let views = views.filter(|view| hosts.contains(view.host.as_str()));
    Ok(views.map(|view| (view.host.to_string(), view)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_record_has_the_columns_that_the_policies_name() {
        let policy: SitePolicy = serde_json::from_value(json!({ "inventory": { "records": {
            "public.people": { "host": "name" },
            "public.hosts": { "host": "hostname", "facts": { "pool": "pool", "faultDomain": "rack", "serial": "serial" } },
        } } }))
        .unwrap();
        let (name, columns) = table(&policy).unwrap();
        let wrong = Recorded { pool: "web".to_owned(), rack: "rack-1".to_owned(), wrong: true };
        let told = change(name, columns, ("h-01", &wrong), Timestamp::UNIX_EPOCH);
        assert_eq!(told["after"], json!({ "hostname": "h-01", "pool": "web", "rack": ELSEWHERE }));
        assert_eq!(
            (&told["source"]["schema"], &told["source"]["table"]),
            (&json!("public"), &json!("hosts"))
        );
        let right =
            change(name, columns, ("h-01", &Recorded { wrong: false, ..wrong }), Timestamp::UNIX_EPOCH);
        assert_eq!(right["after"]["rack"], "rack-1");
        assert!(table(&SitePolicy::default()).is_err());
    }
}
