//! Starts the function that makes hosts known to monitoring.

use std::sync::Arc;

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::PlainMonitoring;
use monitor_host::{ControlState, MonitorHost};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("monitor-host").await?;
    let monitoring = PlainMonitoring::new(ControlState(function.control()?));
    let handler = MonitorHost {
        shell: function.shell()?,
        once: function.once()?,
        breakers: function.breakers()?,
        monitoring: Arc::new(monitoring),
    };
    function.serve_queue("monitor-host", handler).await
}
