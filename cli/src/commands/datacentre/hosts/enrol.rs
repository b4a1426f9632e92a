//! `hosts enrol`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::args::EnrolArgs;
use crate::api::Said;
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Enrols a host.
pub(super) async fn run(args: EnrolArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let what = format!("the enrolment of {}", args.host);
    let accepted = target.api.command(Said("hosts enrol"), "enrol-host", &body(args)).await?;
    recorded(&accepted, &what, out)
}

fn body(args: EnrolArgs) -> Value {
    let EnrolArgs { host, pool, sku, rack, bmc, labels } = args;
    let labels: BTreeMap<String, String> = labels.into_iter().map(|label| (label.key, label.value)).collect();
    json!({
        "host": host, "pool": pool, "sku": sku, "faultDomain": rack, "bmc": { "systemUrl": bmc },
        "labels": labels,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_payload_fits_its_contract() {
        let args = EnrolArgs {
            host: "h-99".parse().unwrap(),
            pool: "web".parse().unwrap(),
            sku: "cpu-small".parse().unwrap(),
            rack: "r-01".parse().unwrap(),
            bmc: "https://10.0.0.99/redfish/v1/Systems/1".to_owned(),
            labels: vec!["owner=infra".parse().unwrap()],
        };
        (hostler_events::find("enrol-host").unwrap().check)(&body(args).into()).unwrap();
    }
}
