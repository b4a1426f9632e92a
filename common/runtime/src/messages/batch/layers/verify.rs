//! A message whose signature does not match is not handled, and neither is one whose attributes are not believed.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Category, Failure};

use crate::messages::batch::layer::{Delivery, Handled, Layer, Next};
use crate::messages::integrity::Integrity;

pub(super) struct Verify(pub(super) Arc<Integrity>);

#[async_trait]
impl Layer for Verify {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let message = delivery.message()?;
        // Others do not sign with our keys. Who may put their messages on the queue is said by its policy.
        if !delivery.adopted {
            self.0.verify(message)?;
        }
        if let Some(why) = delivery.refused {
            return Err(Failure::terminal(Category::Validation, why.to_owned()));
        }
        next.run(delivery).await
    }
}
