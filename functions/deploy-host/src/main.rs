//! Starts the function that works on hosts through their BMCs.

use std::sync::Arc;

use deploy_host::{DeployHost, DeploySettings};
use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::RedfishBmcs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("deploy-host").await?;
    let handler = DeployHost {
        shell: function.shell()?,
        views: function.views()?,
        once: function.once()?,
        breakers: function.breakers()?,
        bmcs: Arc::new(RedfishBmcs::default()),
        settings: DeploySettings::read(|name| std::env::var(name).ok())?,
    };
    function.serve_queue("deploy-host", handler).await
}
