//! Starts the function that makes hosts known to monitoring.

use std::sync::Arc;

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{ControlState, Monitoring, PlainMonitoring, PrometheusMonitoring, PrometheusSettings};
use hostler_runtime::effects::steps::StepWorker;
use monitor_host::MonitorHost;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("monitor-host").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (url, token) = (variable("PROMETHEUS_URL"), variable("PROMETHEUS_TOKEN"));
    let (store, clock) = (ControlState(function.control()?), function.clock());
    let monitoring: Arc<dyn Monitoring> = if url.is_empty() {
        Arc::new(PlainMonitoring::new(store, clock))
    } else {
        let settings = PrometheusSettings { url, token, timeout: PrometheusSettings::TIMEOUT };
        let prometheus = PrometheusMonitoring::new(&settings, store, clock)
            .map_err(|error| format!("the environment variable PROMETHEUS_URL cannot be used: {error}"))?;
        Arc::new(prometheus)
    };
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let worker = StepWorker { shell, once, breakers };
    let handler = MonitorHost { worker, monitoring };
    function.serve_queue("monitor-host", handler).await
}
