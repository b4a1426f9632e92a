//! Starts the function that applies roles.

use std::sync::Arc;

use configure_host::ConfigureHost;
use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{ControlState, PlainConfiguration};
use hostler_runtime::effects::steps::StepWorker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("configure-host").await?;
    let configuration = PlainConfiguration::new(ControlState(function.control()?));
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let worker = StepWorker { shell, once, breakers };
    let handler = ConfigureHost { worker, configuration: Arc::new(configuration) };
    function.serve_queue("configure-host", handler).await
}
