//! Starts the function that applies roles.

use std::sync::Arc;

use configure_host::ConfigureHost;
use hostler_app::{FollowedPolicies, start};
use hostler_aws::lambda::Error;
use hostler_drivers::{
    AnsibleConfiguration, Configuration, ControlState, PlainConfiguration, RunCommandConfiguration,
    RunnerSettings,
};
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::serving::callback::CallbackKey;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("configure-host").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (url, roles) = (variable("RUNNER_URL"), variable("ROLES_SOURCE"));
    let mut run_command = None;
    // With both, the runner changes packages, and roles are applied by Run Command.
    let configuration: Arc<dyn Configuration> = if !roles.is_empty() {
        let nodes = Arc::new(function.nodes());
        let driver = RunCommandConfiguration::new(nodes.clone(), nodes, roles.parse()?);
        run_command = Some(driver.clone());
        Arc::new(driver)
    } else if url.is_empty() {
        Arc::new(PlainConfiguration::new(ControlState(function.control()?)))
    } else {
        let settings =
            RunnerSettings { url, token: variable("RUNNER_TOKEN"), timeout: RunnerSettings::TIMEOUT };
        let ansible = AnsibleConfiguration::new(&settings);
        Arc::new(
            ansible
                .map_err(|error| format!("the environment variables RUNNER_URL and RUNNER_TOKEN: {error}"))?,
        )
    };
    let callback_key = CallbackKey::new(variable("CALLBACK_KEY").as_bytes())
        .map_err(|error| format!("the environment variable CALLBACK_KEY: {error}"))?;
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let policies = FollowedPolicies::new(shell.clone());
    let worker = StepWorker { shell, once, breakers };
    let handler = ConfigureHost { worker, configuration, run_command, callback_key, policies };
    function.serve_queue("configure-host", handler).await
}
