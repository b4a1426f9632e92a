//! Starts the function that changes the packages of hosts.

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{ControlState, packages_of};
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::serving::callback::CallbackKey;
use patch_host::PatchHost;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("patch-host").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let plain = (ControlState(function.control()?), function.clock());
    let packages = packages_of(variable("RUNNER_URL"), variable("RUNNER_TOKEN"), plain)
        .map_err(|error| format!("the environment variables RUNNER_URL and RUNNER_TOKEN: {error}"))?;
    let callback_key = CallbackKey::new(variable("CALLBACK_KEY").as_bytes())
        .map_err(|error| format!("the environment variable CALLBACK_KEY: {error}"))?;
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let worker = StepWorker { shell, once, breakers };
    let handler = PatchHost { worker, packages, callback_key };
    function.serve_queue("patch-host", handler).await
}
