//! Keeps the read models up with the event store.

use std::sync::Arc;

use hostler_app::Hostler;
use hostler_runtime::ports::{EventStore, Views};
use hostler_runtime::serving::ProjectViews;

/// What keeps these views up with this store.
#[must_use]
pub fn project_views(store: Arc<dyn EventStore>, views: Arc<dyn Views>) -> ProjectViews {
    ProjectViews::of::<Hostler>(store, views)
}
