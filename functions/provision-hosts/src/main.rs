//! Starts the provisioning saga's orchestrator.

use hostler_application::start;
use hostler_aws::lambda::Error;
use provision_hosts::ProvisionHosts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("provision-hosts").await?;
    let handler = ProvisionHosts { shell: function.shell()? };
    function.serve_queue("provision-hosts", handler).await
}
