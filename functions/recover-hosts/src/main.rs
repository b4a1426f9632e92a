//! Starts the function that decides what is done about faulty hosts.

use hostler_app::{FollowedPolicies, start};
use hostler_aws::lambda::Error;
use hostler_events::ProvisioningPolicy;
use recover_hosts::RecoverHosts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("recover-hosts").await?;
    let shell = function.shell()?;
    let handler = RecoverHosts {
        policies: FollowedPolicies::new(shell.clone()),
        views: function.views()?,
        provisioning: ProvisioningPolicy::default(),
        shell,
    };
    function.serve_queue("recover-hosts", handler).await
}
