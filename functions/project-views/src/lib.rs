//! Keeps the read models up with the event store: each event is a hint that its stream has moved.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::triage::FailureDecider;
use hostler_core::{Decider, Failure, Incoming};
use hostler_domain::views::{self, HOSTS, PROVISIONINGS, REQUESTS, host_group};
use hostler_domain::{CapacityDecider, HostDecider, ProvisioningDecider};
use hostler_runtime::catch_up::Follower;
use hostler_runtime::history::Fold;
use hostler_runtime::triage::{self, FAILURES};
use hostler_runtime::{EventStore, Handler, Row, Views};
use serde::Serialize;

/// Projects all views.
pub struct ProjectViews {
    store: Arc<dyn EventStore>,
    views: Arc<dyn Views>,
    hosts: Follower<HostDecider>,
    provisionings: Follower<ProvisioningDecider>,
    requests: Follower<CapacityDecider>,
    failures: Follower<FailureDecider>,
}

#[async_trait]
impl Handler for ProjectViews {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("an event")) };
        let (store, views) = (&*self.store, &*self.views);
        let outcome = match event.stream.category() {
            HostDecider::CATEGORY => self.hosts.follow(store, views, event).await?,
            ProvisioningDecider::CATEGORY => self.provisionings.follow(store, views, event).await?,
            CapacityDecider::CATEGORY => self.requests.follow(store, views, event).await?,
            FailureDecider::CATEGORY => self.failures.follow(store, views, event).await?,
            // Reservations and whatever comes later have no view.
            _ => return Ok(()),
        };
        tracing::info!(stream = %event.stream, version = event.stream_version.0, ?outcome, "view");
        Ok(())
    }

    fn begin(&self) {
        self.hosts.begin();
        self.provisionings.begin();
        self.requests.begin();
        self.failures.begin();
    }

    /// Views are all that it changes.
    fn replays(&self) -> bool {
        true
    }
}

impl ProjectViews {
    /// One that keeps these views up with this store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, views: Arc<dyn Views>) -> Self {
        Self {
            store,
            views,
            hosts: Follower::new(HOSTS, |_, fold| host_row(fold)),
            provisionings: Follower::new(PROVISIONINGS, |_, fold| provisioning_row(fold)),
            requests: Follower::new(REQUESTS, |_, fold| request_row(fold)),
            failures: Follower::new(FAILURES, |_, fold| triage::row(fold)),
        }
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
