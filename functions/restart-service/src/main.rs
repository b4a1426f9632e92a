//! Starts the function that restarts services on hosts.

use std::sync::Arc;

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{AgentServices, AgentSettings};
use hostler_runtime::effects::steps::StepWorker;
use restart_service::RestartServices;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("restart-service").await?;
    let token = std::env::var("AGENT_TOKEN").unwrap_or_default();
    let services = AgentServices::new(AgentSettings { token, timeout: AgentSettings::TIMEOUT })?;
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let worker = StepWorker { shell, once, breakers };
    let handler = RestartServices { worker, services: Arc::new(services) };
    function.serve_queue("restart-service", handler).await
}
