//! Starts the function that keeps the inventory.

use std::sync::Arc;
use std::time::Duration;

use hostler_app::{FollowedPolicies, start};
use hostler_aws::lambda::Error;
use hostler_drivers::{RedfishBmcs, RedfishLimits, TlsTrust};
use watch_inventory::{OutOfBand, WatchInventory, adopt};

/// A BMC that takes longer than this says nothing: a batch has a minute for all that it asks.
const BMC_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("watch-inventory").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let required = |name: &'static str| {
        Some(variable(name)).filter(|text| !text.is_empty()).ok_or_else(|| {
            format!("the environment variable {name} is not set: give it a value in template.yaml")
        })
    };
    let authorities = Some(variable("BMC_CA")).filter(|pem| !pem.is_empty());
    let out_of_band = OutOfBand {
        bmcs: Arc::new(RedfishBmcs::new(RedfishLimits {
            request_timeout: BMC_TIMEOUT,
            operation_timeout: BMC_TIMEOUT,
            attempts_max: 2,
            ..RedfishLimits::default()
        })),
        username: required("BMC_USERNAME")?,
        password: required("BMC_PASSWORD")?,
        trust: authorities.map_or(TlsTrust::System, TlsTrust::Authorities),
    };
    let (shell, views, breakers) = (function.shell()?, function.views()?, function.breakers()?);
    let policies = FollowedPolicies::new(shell.clone());
    let handler = WatchInventory { shell, views, breakers, policies, out_of_band };
    function.adopting(adopt).serve_queue("watch-inventory", handler).await
}
