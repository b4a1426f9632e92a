//! Starts the function that makes hosts known to monitoring.

use std::sync::Arc;
use std::time::Duration;

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{
    BmcLogin, ControlState, Monitoring, Patience, PlainMonitoring, PrometheusMonitoring, PrometheusSettings,
    RedfishBmcs, RedfishLimits,
};
use hostler_runtime::effects::steps::StepWorker;
use monitor_host::{MonitorHost, OutOfBand};

/// A BMC that takes longer than this says nothing: the function has a minute for all that it asks.
const BMC_PATIENCE: Patience =
    Patience { deadline: Duration::from_secs(5), poll_interval: Duration::from_millis(250) };

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
    let out_of_band = OutOfBand {
        bmcs: Arc::new(RedfishBmcs::new(RedfishLimits::of_one_look(BMC_PATIENCE.deadline))),
        login: BmcLogin::read(|name| std::env::var(name).ok())?,
        patience: BMC_PATIENCE,
    };
    let handler = MonitorHost { worker, monitoring, out_of_band };
    function.serve_queue("monitor-host", handler).await
}
