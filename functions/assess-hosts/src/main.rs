//! Starts the function that compares hosts with advisories.

use assess_hosts::{AssessHosts, KnownAdvisories};
use hostler_app::{FollowedPolicies, start};
use hostler_aws::lambda::Error;
use hostler_drivers::{ControlState, packages_of};
use hostler_runtime::effects::steps::StepWorker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("assess-hosts").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let plain = (ControlState(function.control()?), function.clock());
    let packages = packages_of(variable("RUNNER_URL"), variable("RUNNER_TOKEN"), plain)
        .map_err(|error| format!("the environment variables RUNNER_URL and RUNNER_TOKEN: {error}"))?;
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let views = function.views()?;
    let policies = FollowedPolicies::new(shell.clone());
    let known = KnownAdvisories::new(shell.clone(), views.clone());
    let worker = StepWorker { shell, once, breakers };
    let handler = AssessHosts { worker, views, known, policies, packages };
    function.serve_queue("assess-hosts", handler).await
}
