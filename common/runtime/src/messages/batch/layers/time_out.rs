//! Work ends with its invocation: what takes longer comes again, and its neighbours are answered for in time.

use std::time::Duration;

use async_trait::async_trait;
use hostler_core::Failure;

use crate::messages::batch::layer::{Delivery, Handled, Layer, Next};

pub(super) struct TimeOut;

#[async_trait]
impl Layer for TimeOut {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let deadline = &delivery.invocation.deadline;
        if deadline.left().is_zero() {
            return Err(Failure::retry_after(Duration::from_secs(1), "no time was left in this invocation"));
        }
        deadline.limit(next.run(delivery)).await.unwrap_or_else(|_| {
            Err(Failure::retryable(
                "the work would have outlived its invocation; if this repeats, raise the function's timeout",
            ))
        })
    }
}
