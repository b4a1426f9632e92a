//! Enrolling the fleet's hosts, and waiting until all are clean and free.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::stream::{StreamExt, TryStreamExt};
use hostler_domain::{AGENT_URL, METRICS_ADDRESS, METRICS_PATH, TRAFFIC_ADDRESS};
use hostler_localstack::fleet::FleetHost;
use serde_json::{Value, json};

use crate::api::{Api, HostRow, Said};
use crate::error::CliError;
use crate::render::table;
use crate::steps::Steps;

/// How many enrolments are under way at once.
const AT_ONCE: usize = 8;
/// How often the views are asked.
const PAUSE: Duration = Duration::from_millis(300);
/// The longest wait for the first host, and what each further one adds.
const WAIT_SECONDS: (u64, u64) = (180, 2);

/// A host, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// The host.
    pub(crate) host: FleetHost,
    /// Its pool.
    pub(crate) pool: &'static str,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Placed {
    /// The host says by its labels where its metrics and its agent are.
    fn body(&self) -> Value {
        let mut labels = self.labels.clone();
        labels.insert(METRICS_ADDRESS.to_owned(), self.host.metrics_address.clone());
        // All hosts of the fleet are at one address, and not at the port of the pool's policy.
        labels.insert(TRAFFIC_ADDRESS.to_owned(), self.host.metrics_address.clone());
        labels.insert(METRICS_PATH.to_owned(), self.host.metrics_path.clone());
        labels.insert(AGENT_URL.to_owned(), self.host.agent_url.clone());
        json!({
            "host": self.host.host_id,
            "pool": self.pool,
            "sku": self.host.sku,
            "faultDomain": self.host.rack,
            "bmc": { "systemUrl": self.host.bmc_url },
            "labels": labels,
        })
    }
}

/// Enrols hosts and waits until all are available.
pub(crate) async fn enrol(api: &Api, hosts: &[Placed], steps: &Steps) -> Result<(), CliError> {
    let step = steps.begin("enrolling the hosts");
    // Streams borrow badly across awaits; each enrolment owns what it sends.
    let bodies: Vec<Value> = hosts.iter().map(Placed::body).collect();
    futures::stream::iter(bodies)
        .map(|body| async move { api.command(Said("hosts enrol"), "enrol-host", &body).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    step.done(&format!("enrolled {} hosts", hosts.len()), "")?;
    let step = steps.begin("waiting for the hosts to be checked and cleaned");
    available(api, hosts.len(), steps).await?;
    step.done("all hosts are checked, cleaned and available", "")
}

async fn available(api: &Api, count: usize, steps: &Steps) -> Result<(), CliError> {
    let started = Instant::now();
    let longest = Duration::from_secs(WAIT_SECONDS.0 + WAIT_SECONDS.1 * count as u64);
    loop {
        let rows: Vec<HostRow> = api.rows(None).await?;
        let tally = table::tally(rows.iter().map(|row| row.phase.as_str()));
        let free = rows.iter().filter(|row| row.phase == "available").count();
        if free >= count {
            return Ok(());
        }
        if let Some(row) = rows.iter().find(|row| row.phase == "quarantined") {
            let reason = row.reason.as_deref().unwrap_or("no reason was given");
            return Err(CliError::Outcome(format!(
                "{} was quarantined before it was ever available: {reason}; see the logs in .hostler/logs",
                row.host
            )));
        }
        let waited = started.elapsed();
        if waited >= longest {
            let what =
                format!("{} of {count} hosts are not available ({tally}); see .hostler/logs", count - free);
            return Err(CliError::TimedOut { what, waited });
        }
        steps.show(format!("waiting for the hosts to be checked and cleaned: {tally}"));
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_payload_fits_its_contract() {
        let host = FleetHost {
            host_id: "h-01".to_owned(),
            system: "s".to_owned(),
            bmc_url: "http://127.0.0.1:1/redfish/v1/Systems/s".to_owned(),
            agent_url: "http://127.0.0.1:1/agents/h-1".to_owned(),
            metrics_address: "127.0.0.1:1".to_owned(),
            metrics_path: "/metrics/h-01".to_owned(),
            sku: "cpu-small".to_owned(),
            rack: "r-01".to_owned(),
            power_domain: "p-01".to_owned(),
            mac: "02:00:00:00:00:00".to_owned(),
            uefi_http: false,
        };
        let labels = BTreeMap::from([("simulate.configure".to_owned(), "fail".to_owned())]);
        let body = Placed { host, pool: "lab", labels }.body();
        let told: hostler_events::Labels = serde_json::from_value(body["labels"].clone()).unwrap();
        let target = hostler_domain::metrics_target(&told).unwrap();
        assert_eq!((target.address, target.path), ("127.0.0.1:1", Some("/metrics/h-01")));
        (hostler_events::find("enrol-host").unwrap().check)(&body.into()).unwrap();
    }
}
