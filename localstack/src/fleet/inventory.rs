//! Where the hosts stand: a small data centre laid out by rule, the same at every start.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const HOSTS_PER_RACK: usize = 8;
const RACKS_PER_POWER_DOMAIN: usize = 2;
/// Below which the metrics of each host are served.
pub(crate) const METRICS: &str = "/metrics";
/// Below which hosts take requests of the load balancer.
pub(crate) const TRAFFIC: &str = "/traffic";
/// The header in which the load balancer says for which host a request is.
pub(crate) const SERVER_HEADER: &str = "x-hostler-server";
/// Below which the agent of each host answers.
pub(crate) const AGENTS: &str = "/agents";
/// Every fourth host is of the big kind.
const BIG_EVERY: usize = 4;
/// Every fourth host has no virtual media; the third is the first of them.
const UEFI_HTTP_EVERY: usize = 4;

/// One host as an inventory lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetHost {
    /// The host's id, as `h-01`.
    pub host_id: String,
    /// The UUID of its Redfish system.
    pub system: String,
    /// The Redfish address of its system, at the proxy.
    pub bmc_url: String,
    /// The address and port at which its system serves its metrics, once one runs.
    pub metrics_address: String,
    /// The path there.
    pub metrics_path: String,
    /// The address of its agent, once its system runs.
    pub agent_url: String,
    /// The hardware type: `cpu-small` or `cpu-large`.
    pub sku: String,
    /// The rack, as `r-01`.
    pub rack: String,
    /// The power domain, as `p-01`.
    pub power_domain: String,
    /// The address of its first network interface.
    pub mac: String,
    /// Whether its BMC has no virtual media and boots it by UEFI HTTP.
    pub uefi_http: bool,
}

/// Lays out `count` hosts.
pub(crate) fn lay_out(count: usize, address: &str) -> Vec<FleetHost> {
    let width = count.to_string().len().max(2);
    (0..count)
        .map(|index| {
            let rack = index / HOSTS_PER_RACK;
            // Not random: a host keeps its system when the fleet is started again.
            let system = Uuid::from_u128(0x4057_1e80_0000_4000_8000_0000_0000_0000 + index as u128 + 1);
            let host_id = format!("h-{:0width$}", index + 1);
            FleetHost {
                metrics_address: address.trim_start_matches("http://").to_owned(),
                metrics_path: format!("{METRICS}/{host_id}"),
                agent_url: format!("{address}{AGENTS}/{host_id}"),
                host_id,
                system: system.to_string(),
                bmc_url: format!("{address}/redfish/v1/Systems/{system}"),
                sku: if index % BIG_EVERY == BIG_EVERY - 1 { "cpu-large" } else { "cpu-small" }.to_owned(),
                rack: format!("r-{:02}", rack + 1),
                power_domain: format!("p-{:02}", rack / RACKS_PER_POWER_DOMAIN + 1),
                mac: format!("02:00:00:00:{:02x}:{:02x}", (index >> 8) & 0xff, index & 0xff),
                uefi_http: index % UEFI_HTTP_EVERY == 2,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_spread_over_racks_and_power_domains() {
        let hosts = lay_out(200, "http://127.0.0.1:1");
        assert_eq!((hosts[0].host_id.as_str(), hosts[199].host_id.as_str()), ("h-001", "h-200"));
        assert_eq!((hosts[8].rack.as_str(), hosts[8].power_domain.as_str()), ("r-02", "p-01"));
        assert_eq!(hosts[199].power_domain, "p-13");
        assert_eq!(hosts[1].metrics_address, "127.0.0.1:1");
        assert_eq!(hosts[1].metrics_path, "/metrics/h-002");
        assert_eq!(lay_out(2, "x")[0].host_id, "h-01");
        let by_http = hosts.iter().filter(|host| host.uefi_http).map(|host| host.host_id.as_str());
        assert_eq!(by_http.take(2).collect::<Vec<_>>(), ["h-003", "h-007"]);
    }
}
