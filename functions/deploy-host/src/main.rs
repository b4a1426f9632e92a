//! Starts the function that works on hosts through their BMCs.

use std::sync::Arc;

use deploy_host::{Candidates, DeployHost, DeploySettings};
use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::RedfishBmcs;
use hostler_runtime::effects::steps::StepWorker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("deploy-host").await?;
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let handler = DeployHost {
        worker: StepWorker { shell, once, breakers },
        candidates: Candidates::new(function.views()?),
        bmcs: Arc::new(RedfishBmcs::default()),
        settings: DeploySettings::read(|name| std::env::var(name).ok())?,
    };
    function.serve_queue("deploy-host", handler).await
}
