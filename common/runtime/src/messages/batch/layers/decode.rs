//! A record whose body is no message, or whose causal chain is too long, can never be handled.

use async_trait::async_trait;
use hostler_core::envelope::HOPS_MAX;
use hostler_core::mutants;
use hostler_core::{Category, Failure};

use crate::messages::batch::layer::{Delivery, Handled, Layer, Next};

pub(super) struct Decode;

#[async_trait]
impl Layer for Decode {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let message = delivery.message()?;
        if message.hops() > HOPS_MAX && !mutants::on("batch.hops-without-limit") {
            let reason = format!(
                "the causal chain is {} hops long, and the limit is {HOPS_MAX}: this looks like a loop of events; find its two ends by the correlation id {}",
                message.hops(),
                message.correlation_id()
            );
            return Err(Failure::terminal(Category::Unknown, reason));
        }
        next.run(delivery).await
    }
}
