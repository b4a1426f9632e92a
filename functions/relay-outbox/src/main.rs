//! Starts the relay from the outbox to the bus and the queues.

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_runtime::serving::relay_outbox;
use relay_outbox::relay;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("relay-outbox").await?;
    let relay = relay(function.bus()?, function.queues()?, function.clock());
    let relay = relay.keeping(function.internal_events()).signed_by(function.integrity());
    let relay = relay.scheduling(function.schedules());
    function.serve_outbox(async move |records| relay_outbox(&relay, records).await).await
}
