//! By what a scenario is played: by hosts of the local cloud that break and have more to do, or by alerts alone.

use std::collections::BTreeMap;

use hostler_localstack::fleet::{Condition, Demand, FleetAdmin};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::scenario::Fault;
use crate::api::{Api, HostRow};
use crate::error::CliError;

/// The thresholds of infra/monitoring/rules.yaml.
const HIGH: f64 = 0.8;
const LOW: f64 = 0.5;
/// What every alert carries that nobody has measured.
const MARK: &str = "simulated";

/// By what a scenario is played.
pub(super) enum Means {
    /// By the hosts of the local cloud, which Prometheus watches.
    Fleet {
        /// The fleet.
        admin: FleetAdmin,
        /// What the pool had to do before.
        demand: Option<f64>,
    },
    /// By alerts.
    Signals(Box<Signals>),
}

/// Alerts as Alertmanager would send them.
pub(super) struct Signals {
    pub(super) api: Api,
    pub(super) token: String,
    /// The name of the scenario.
    pub(super) scenario: String,
    /// This run, which is part of each alert's fingerprint.
    pub(super) run: String,
    /// What the pool has to do.
    pub(super) demand: Option<f64>,
    /// What fires now, by its fingerprint.
    pub(super) firing: BTreeMap<String, Value>,
}

impl Means {
    /// In words.
    pub(super) fn said(&self) -> &'static str {
        match self {
            Self::Fleet { .. } => "hosts of the local cloud break and have more to do",
            Self::Signals(_) => "only alerts say so: no host is broken",
        }
    }

    /// Gives a pool so much to do.
    pub(super) async fn load(&mut self, pool: &str, demand: f64) -> Result<(), CliError> {
        match self {
            Self::Fleet { admin, .. } => Ok(admin.set_load(pool, Demand { demand }).await?),
            Self::Signals(signals) => {
                signals.demand = Some(demand);
                Ok(())
            }
        }
    }

    /// Breaks a host.
    pub(super) async fn break_host(&mut self, host: &HostRow, fault: Fault) -> Result<(), CliError> {
        match self {
            Self::Fleet { admin, .. } => Ok(admin.set_condition(&host.host, fault.condition()).await?),
            Self::Signals(signals) => signals.host(host, fault).await,
        }
    }

    /// Has a host work again.
    pub(super) async fn mend_host(&mut self, host: &str) -> Result<(), CliError> {
        match self {
            Self::Fleet { admin, .. } => Ok(admin.set_condition(host, Condition::Works).await?),
            Self::Signals(signals) => signals.resolve(&signals.fingerprint(host)).await,
        }
    }

    /// Has the pool's load as before.
    pub(super) async fn restore_load(&mut self, pool: &str) -> Result<(), CliError> {
        match self {
            Self::Fleet { admin, demand: Some(demand) } => {
                Ok(admin.set_load(pool, Demand { demand: *demand }).await?)
            }
            Self::Fleet { admin, demand: None } => Ok(admin.clear_load(pool).await?),
            Self::Signals(signals) => {
                signals.demand = None;
                for direction in ["above", "below"] {
                    signals.resolve(&signals.fingerprint(&format!("{pool}-{direction}"))).await?;
                }
                Ok(())
            }
        }
    }

    /// Looks at the load, as monitoring does. The fleet's is looked at by Prometheus.
    pub(super) async fn look(&mut self, pool: &str, in_service: usize) -> Result<(), CliError> {
        match self {
            Self::Fleet { .. } => Ok(()),
            Self::Signals(signals) => signals.look(pool, in_service).await,
        }
    }
}

impl Signals {
    fn fingerprint(&self, of: &str) -> String {
        format!("{MARK}-{}-{of}", self.run)
    }

    async fn host(&mut self, host: &HostRow, fault: Fault) -> Result<(), CliError> {
        let (name, class) = fault.alert();
        let fingerprint = self.fingerprint(&host.host);
        // One that breaks again has worked in between.
        self.resolve(&fingerprint).await?;
        let labels = json!({
            "alertname": name, "host": host.host, "pool": host.pool, "rack": host.fault_domain, "fault": class,
            "severity": "critical", MARK: "true",
        });
        let summary = format!("Simulated: hostler simulate {}.", self.scenario);
        self.fire(fingerprint, labels, json!({ "summary": summary })).await
    }

    async fn look(&mut self, pool: &str, in_service: usize) -> Result<(), CliError> {
        let Some(demand) = self.demand else { return Ok(()) };
        let hosts = u32::try_from(in_service).unwrap_or(u32::MAX).max(1);
        let value = demand / f64::from(hosts);
        let rules =
            [("PoolLoadHigh", "above", value > HIGH, HIGH), ("PoolLoadLow", "below", value < LOW, LOW)];
        for (name, direction, fires, threshold) in rules {
            let fingerprint = self.fingerprint(&format!("{pool}-{direction}"));
            if !fires {
                self.resolve(&fingerprint).await?;
                continue;
            }
            let labels = json!({
                "alertname": name, "pool": pool, "metric": "load", "direction": direction, "severity": "warning",
                MARK: "true",
            });
            let summary = format!("Simulated: hostler simulate {}.", self.scenario);
            let notes = json!({
                "summary": summary, "value": value.to_string(), "threshold": threshold.to_string(),
            });
            self.fire(fingerprint, labels, notes).await?;
        }
        Ok(())
    }

    /// Tells an alert, unless it was told with the same value.
    async fn fire(&mut self, fingerprint: String, labels: Value, notes: Value) -> Result<(), CliError> {
        let since = match self.firing.get(&fingerprint) {
            Some(told) if told["annotations"] == notes => return Ok(()),
            Some(told) => told["startsAt"].clone(),
            None => json!(Timestamp::now()),
        };
        let alert = json!({
            "status": "firing", "labels": labels, "annotations": notes, "startsAt": since, "fingerprint": fingerprint,
        });
        // It is on record before it is sent: what is sent is taken back whatever happens.
        self.firing.insert(fingerprint, alert.clone());
        self.send(alert).await
    }

    async fn resolve(&mut self, fingerprint: &str) -> Result<(), CliError> {
        let Some(mut alert) = self.firing.get(fingerprint).cloned() else { return Ok(()) };
        alert["status"] = json!("resolved");
        alert["endsAt"] = json!(Timestamp::now());
        self.send(alert).await?;
        self.firing.remove(fingerprint);
        Ok(())
    }

    async fn send(&self, alert: Value) -> Result<(), CliError> {
        self.api.signal("alertmanager", &self.token, &json!({ "version": "4", "alerts": [alert] })).await
    }
}
