//! Starts the function that deals with dead letters.

use hostler_app::start;
use hostler_aws::lambda::Error;
use triage_failures::{relay, repair, triage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("triage-failures").await?;
    let relay = relay(function.bus()?, function.queues()?, function.clock());
    let relay = relay.keeping(function.internal_events()).signed_by(function.integrity());
    let repair = repair(function.event_log()?, relay, function.control()?, function.clock());
    let triage = triage(function.shell()?, function.queues()?, function.control()?, function.bus()?);
    let triage = triage.signed_by(function.integrity()).repairing(repair);
    function.serve_triage(triage).await
}
