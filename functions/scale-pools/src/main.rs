//! Starts the function that has pools grow and shrink.

use hostler_app::{FollowedPolicies, UnhealthyHosts, setting, start};
use hostler_aws::lambda::Error;
use hostler_events::ProvisioningPolicy;
use scale_pools::ScalePools;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("scale-pools").await?;
    let provisioning = std::env::var("PROVISIONING_POLICY").unwrap_or_default();
    let provisioning: ProvisioningPolicy = setting("PROVISIONING_POLICY", &provisioning)?;
    provisioning.check().map_err(|error| format!("PROVISIONING_POLICY: {error}"))?;
    let (shell, views) = (function.shell()?, function.views()?);
    let policies = FollowedPolicies::new(shell.clone());
    let unhealthy = UnhealthyHosts::new(shell.clone(), views.clone());
    let handler = ScalePools { shell, views, unhealthy, policies, provisioning };
    function.serve_queue("scale-pools", handler).await
}
