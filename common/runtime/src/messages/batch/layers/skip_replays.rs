//! A replayed message is handled only where handling changes read models and nothing else.

use async_trait::async_trait;
use hostler_core::mutants;

use crate::messages::batch::layer::{Delivery, Disposition, Handled, Layer, Next};
use crate::messages::batch::record::is_replay;

pub(super) struct SkipReplays;

#[async_trait]
impl Layer for SkipReplays {
    async fn handle<'a>(&'a self, delivery: &'a Delivery<'a>, next: Next<'a>) -> Handled {
        let replays = delivery.invocation.handler.replays() || mutants::on("batch.replays-everything");
        if is_replay(delivery.record) && !replays {
            tracing::info!(replays_left_alone = 1, "replayed message is skipped");
            return Ok(Disposition::Done);
        }
        next.run(delivery).await
    }
}
