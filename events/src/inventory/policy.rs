//! The part of a site's policies that is about the inventory.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InventorySource};
use crate::site::Problems;

/// What is kept of the inventory, and what is done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InventoryPolicy {
    /// The sources that are missed when they say nothing.
    pub sources: BTreeMap<InventorySource, SourcePolicy>,
    /// From when on a host is gone.
    pub vanish: VanishPolicy,
    /// The tables of the CMDB that are about hosts, as `<schema or database>.<table>`.
    pub records: BTreeMap<String, RecordPolicy>,
}

/// How long a source may say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourcePolicy {
    /// Seconds of silence that are tolerated: more than the interval at which the source sends something in any case.
    #[schemars(range(min = 10, max = 604_800))]
    pub silent_seconds: u32,
}

/// From when on a host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct VanishPolicy {
    /// How many sources must have said so. Besides, it is looked for.
    #[schemars(range(min = 2, max = 3))]
    pub sources: u32,
}

impl Default for VanishPolicy {
    fn default() -> Self {
        Self { sources: 2 }
    }
}

/// What the columns of a table mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordPolicy {
    /// The column with the host's id.
    pub host: String,
    /// The columns with facts of it.
    #[serde(default)]
    pub facts: BTreeMap<Fact, String>,
}

impl InventoryPolicy {
    /// Adds all that cannot be.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let sources = self.vanish.sources;
        problems.range(&["inventory", "vanish", "sources"], sources, 2, 3);
        for (source, policy) in &self.sources {
            let at = ["inventory", "sources", source.name(), "silentSeconds"];
            problems.range(&at, policy.silent_seconds, 10, 604_800);
            let pushes = match source {
                InventorySource::Redfish | InventorySource::Cmdb => true,
                InventorySource::Agent | InventorySource::Reconcile => false,
            };
            if !pushes {
                let problem = "its silence says nothing: only redfish and cmdb send something in any case";
                problems.add(&at[..3], problem.to_owned());
            }
        }
        for (table, record) in &self.records {
            let mut columns = BTreeSet::new();
            let all = record.facts.iter().map(|(fact, column)| (fact.name(), column));
            for (fact, column) in all.chain([("host", &record.host)]) {
                if column.is_empty() || !columns.insert(column) {
                    let problem = format!("the column {column:?} is empty or named twice");
                    problems.add(&["inventory", "records", table, fact], problem);
                }
            }
            if record.facts.contains_key(&Fact::Presence) {
                let problem = "a record says by being there that its host is: leave it out";
                problems.add(&["inventory", "records", table, "presence"], problem.to_owned());
            }
        }
    }
}
