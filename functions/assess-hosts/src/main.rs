//! Starts the function that compares hosts with advisories.

use assess_hosts::{AssessHosts, KnownAdvisories};
use hostler_app::{FollowedPolicies, start};
use hostler_aws::lambda::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("assess-hosts").await?;
    let (shell, views) = (function.shell()?, function.views()?);
    let policies = FollowedPolicies::new(shell.clone());
    let known = KnownAdvisories::new(shell.clone(), views.clone());
    let handler = AssessHosts { shell, views, known, policies };
    function.serve_queue("assess-hosts", handler).await
}
