//! Starts the function that deals with dead letters.

use hostler_app::start;
use hostler_aws::lambda::Error;
use triage_failures::triage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("triage-failures").await?;
    let triage = triage(function.shell()?, function.queues()?, function.control()?, function.bus()?);
    let triage = triage.signed_by(function.integrity());
    function.serve_triage(triage).await
}
