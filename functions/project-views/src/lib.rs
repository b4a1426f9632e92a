//! Keeps the read models up with the event store: each event is a hint that its stream has moved.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};
use hostler_domain::capacity::Capacity;
use hostler_domain::host::Host;
use hostler_domain::provisioning::Provisioning;
use hostler_domain::views::{self, HOSTS, PROVISIONINGS, REQUESTS};
use hostler_core::Decider;
use hostler_runtime::catch_up::catch_up;
use hostler_runtime::{EventStore, Handler, Row, Views};
use serde::Serialize;

/// Projects all views.
pub struct ProjectViews {
    /// The truth.
    pub store: Arc<dyn EventStore>,
    /// What is kept up with it.
    pub views: Arc<dyn Views>,
}

#[async_trait]
impl Handler for ProjectViews {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("an event")) };
        let (store, rows) = (&*self.store, &*self.views);
        let category = event.stream.category();
        let outcome = if category == Host::CATEGORY {
            catch_up::<Host>(store, rows, event, HOSTS, |fold| row(HOSTS, fold, views::host(&fold.state)?)).await?
        } else if category == Provisioning::CATEGORY {
            let of = |fold: &_| row(PROVISIONINGS, fold, views::provisioning(&fold.state)?);
            catch_up::<Provisioning>(store, rows, event, PROVISIONINGS, of).await?
        } else if category == Capacity::CATEGORY {
            let of = |fold: &_| row(REQUESTS, fold, views::request(&fold.state)?);
            catch_up::<Capacity>(store, rows, event, REQUESTS, of).await?
        } else {
            return Ok(());
        };
        tracing::info!(stream = %event.stream, version = event.stream_version.0, ?outcome, "view");
        Ok(())
    }
}
