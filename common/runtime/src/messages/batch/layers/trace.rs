//! The span of a message: what is logged while it is handled carries its id, type and correlation id.

use async_trait::async_trait;
use hostler_core::Incoming;
use tracing::Instrument;

use crate::messages::batch::layer::{Delivery, Handled, Layer, Next};

pub(super) struct Trace;

#[async_trait]
impl Layer for Trace {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let decoded = delivery.decoded();
        let span = tracing::info_span!(
            "message",
            message_id = delivery.record.message_id,
            message_type = decoded.map_or("undecodable", Incoming::type_name),
            correlation_id = decoded.map(|message| tracing::field::display(message.correlation_id())),
        );
        next.run(delivery).instrument(span).await
    }
}
