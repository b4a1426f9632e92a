//! Starts the function that makes hosts known to monitoring.

use std::sync::Arc;

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{ControlState, PlainMonitoring};
use hostler_runtime::effects::steps::StepWorker;
use monitor_host::MonitorHost;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("monitor-host").await?;
    let monitoring = PlainMonitoring::new(ControlState(function.control()?));
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let worker = StepWorker { shell, once, breakers };
    let handler = MonitorHost { worker, monitoring: Arc::new(monitoring) };
    function.serve_queue("monitor-host", handler).await
}
