//! Starts the function that patches vulnerabilities over the fleet.

use hostler_app::{FollowedPolicies, UnhealthyHosts, start};
use hostler_aws::lambda::Error;
use patch_fleet::PatchFleet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("patch-fleet").await?;
    let (shell, views) = (function.shell()?, function.views()?);
    let policies = FollowedPolicies::new(shell.clone());
    let unhealthy = UnhealthyHosts::new(shell.clone(), views.clone());
    function.serve_queue("patch-fleet", PatchFleet { shell, views, unhealthy, policies }).await
}
