//! A panic costs its own message only: the neighbours go on, and the message is retried as after a crash.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures::FutureExt;
use hostler_core::Failure;

use crate::messages::batch::layer::{Delivery, Handled, Layer, Next};

pub(super) struct CatchPanic;

#[async_trait]
impl Layer for CatchPanic {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        // `run` is called within, for a handler may panic before its first await, too.
        let work = AssertUnwindSafe(async { next.run(delivery).await }).catch_unwind();
        work.await.unwrap_or_else(|panic| {
            let message = message(&*panic);
            Err(Failure::retryable(format!(
                "the function crashed on this message: {message}; its log has the place, and the message comes back until it has been received too often"
            )))
        })
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
