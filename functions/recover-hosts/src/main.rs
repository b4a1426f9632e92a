//! Starts the function that decides what is done about faulty hosts.

use hostler_app::{FollowedPolicies, UnhealthyHosts, setting, start};
use hostler_aws::lambda::Error;
use hostler_events::ProvisioningPolicy;
use recover_hosts::RecoverHosts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("recover-hosts").await?;
    let provisioning = std::env::var("PROVISIONING_POLICY").unwrap_or_default();
    let provisioning: ProvisioningPolicy = setting("PROVISIONING_POLICY", &provisioning)?;
    provisioning.check().map_err(|error| format!("PROVISIONING_POLICY: {error}"))?;
    let shell = function.shell()?;
    let handler = RecoverHosts {
        policies: FollowedPolicies::new(shell.clone()),
        unhealthy: UnhealthyHosts::new(shell.clone(), function.views()?),
        provisioning,
        shell,
    };
    function.serve_queue("recover-hosts", handler).await
}
