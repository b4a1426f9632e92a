//! Starts the relay from the outbox to the bus and the queues.

use hostler_application::start;
use hostler_aws::lambda::Error;
use hostler_domain::views::{VIEWED, VIEWS_QUEUE};
use hostler_runtime::relay::Relay;
use relay_outbox::{FAILURE_QUEUE, relay_outbox};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("relay-outbox").await?;
    let relay = Relay::new(function.bus()?, function.queues()?, function.clock(), FAILURE_QUEUE);
    let relay = relay.notifying(VIEWS_QUEUE, VIEWED).keeping(function.internal_events());
    let relay = relay.signed_by(function.integrity());
    function.serve_outbox(async move |records| relay_outbox(&relay, records).await).await
}
