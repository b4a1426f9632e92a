//! Keeps the read models up with the event store: each event is a hint that its stream has moved.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::triage::FailureDecider;
use hostler_core::{Decider, Envelope, Failure, Incoming};
use hostler_domain::views::{self, HOSTS, PROVISIONINGS, REQUESTS, host_group};
use hostler_domain::{CapacityDecider, HostDecider, ProvisioningDecider};
use hostler_runtime::catch_up::{CaughtUp, Followed, catch_up};
use hostler_runtime::history::Fold;
use hostler_runtime::triage::{self, FAILURES};
use hostler_runtime::{EventStore, Handler, Row, Views};
use serde::Serialize;

/// Projects all views.
pub struct ProjectViews {
    /// The truth.
    pub store: Arc<dyn EventStore>,
    /// What is kept up with it.
    pub views: Arc<dyn Views>,
    /// How far the streams of a batch were followed.
    pub followed: Followed,
}

#[async_trait]
impl Handler for ProjectViews {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("an event")) };
        let outcome = match event.stream.category() {
            HostDecider::CATEGORY => self.project::<HostDecider>(event, HOSTS, host_row).await?,
            ProvisioningDecider::CATEGORY => {
                self.project::<ProvisioningDecider>(event, PROVISIONINGS, provisioning_row).await?
            }
            CapacityDecider::CATEGORY => {
                self.project::<CapacityDecider>(event, REQUESTS, request_row).await?
            }
            FailureDecider::CATEGORY => self.project::<FailureDecider>(event, FAILURES, triage::row).await?,
            // Reservations and whatever comes later have no view.
            _ => return Ok(()),
        };
        tracing::info!(stream = %event.stream, version = event.stream_version.0, ?outcome, "view");
        Ok(())
    }

    fn begin(&self) {
        self.followed.begin();
    }

    /// Views are all that it changes.
    fn replays(&self) -> bool {
        true
    }
}

impl ProjectViews {
    async fn project<D: Decider>(
        &self,
        event: &Envelope,
        view: &'static str,
        row: fn(&Fold<D>) -> Option<Row>,
    ) -> Result<CaughtUp, Failure> {
        self.followed.follow(event, catch_up::<D>(&*self.store, &*self.views, event, view, row)).await
    }
}

fn host_row(fold: &Fold<HostDecider>) -> Option<Row> {
    let host = views::host(&fold.state)?;
    let (key, group) = (host.host.to_string(), host_group(&host.pool, &host.phase));
    row(HOSTS, key, group, fold, &host)
}

fn provisioning_row(fold: &Fold<ProvisioningDecider>) -> Option<Row> {
    let saga = views::provisioning(&fold.state)?;
    row(PROVISIONINGS, saga.provisioning.to_string(), saga.request.to_string(), fold, &saga)
}

fn request_row(fold: &Fold<CapacityDecider>) -> Option<Row> {
    let request = views::request(&fold.state)?;
    row(REQUESTS, request.request.to_string(), request.pool.to_string(), fold, &request)
}

fn row<D: Decider>(
    view: &str,
    key: String,
    group: String,
    fold: &Fold<D>,
    body: &impl Serialize,
) -> Option<Row> {
    Some(Row {
        view: view.to_owned(),
        key,
        group,
        version: fold.version,
        updated_at: fold.updated_at?,
        // Views are plain records, for which this cannot fail.
        body: serde_json::to_value(body).ok()?,
    })
}
