//! Keeps the read models up with the event store: each event is a notice that its stream has moved.

use hostler_core::mutants;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Category, ContractError, Decider, Envelope, Failure, Incoming, Payload};

use crate::messages::batch::Handler;
use crate::ports::{EventStore, Views};
use crate::register::{Application, Entities, Entity, Register, Viewed, row};
use crate::state::catch_up::{CaughtUp, Follower};

/// Projects the views of an application.
pub struct ProjectViews {
    store: Arc<dyn EventStore>,
    views: Arc<dyn Views>,
    followers: Followers,
}

/// By category; none where a category has no view.
#[derive(Default)]
struct Followers(BTreeMap<&'static str, Option<Box<dyn Follow>>>);

impl Entities for Followers {
    fn viewed<E: Viewed>(&mut self) {
        let follower: Follower<E::Decider> = Follower::new(E::VIEW, row::<E>);
        self.0.insert(<E::Decider as Decider>::CATEGORY, Some(Box::new(follower)));
    }

    fn hidden<E: Entity>(&mut self) {
        self.0.insert(<E::Decider as Decider>::CATEGORY, None);
    }
}

impl ProjectViews {
    /// Keeps the views of the application `A` up with this store.
    #[must_use]
    pub fn of<A: Application>(store: Arc<dyn EventStore>, views: Arc<dyn Views>) -> Self {
        let mut followers = Followers::default();
        Register::<A>::visit(&mut followers);
        Self { store, views, followers }
    }
}

#[async_trait]
impl Handler for ProjectViews {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Incoming::Event(event) = message else { return Err(message.misplaced("an event")) };
        let outcome = match self.followers.0.get(event.stream.category()) {
            Some(Some(follower)) => follower.follow(&*self.store, &*self.views, event).await?,
            Some(None) => return Ok(()),
            None => {
                let reason = format!("{} is of no category that is registered here", event.stream);
                return Err(Failure::terminal(Category::Validation, reason));
            }
        };
        tracing::info!(stream = %event.stream, version = event.stream_version.0, ?outcome, "view");
        Ok(())
    }

    fn begin(&self) {
        for follower in self.followers.0.values().flatten() {
            follower.begin();
        }
    }

    /// Views are all that it changes.
    fn replays(&self) -> bool {
        true
    }
}

/// A follower of any entity.
#[async_trait]
trait Follow: Send + Sync {
    fn begin(&self);

    async fn follow(
        &self,
        store: &dyn EventStore,
        views: &dyn Views,
        event: &Envelope,
    ) -> Result<CaughtUp, Failure>;
}

#[async_trait]
impl<D: Decider + 'static> Follow for Follower<D> {
    fn begin(&self) {
        Follower::begin(self);
    }

    async fn follow(
        &self,
        store: &dyn EventStore,
        views: &dyn Views,
        event: &Envelope,
    ) -> Result<CaughtUp, Failure> {
        // What this build does not know it cannot show: as everywhere, that is a dead letter and nothing to acknowledge.
        match D::Event::from_data(&event.event_type, event.schema_version, &event.data) {
            Err(_) if mutants::on("views.take-unknown-events") => {
                Ok(CaughtUp { version: event.stream_version, written: false })
            }
            Err(unknown @ (ContractError::UnknownType { .. } | ContractError::Version { .. })) => {
                Err(unknown.into())
            }
            // What the event says does not matter: it is a notice, and its stream is read.
            Ok(_) | Err(ContractError::Data { .. }) => Follower::follow(self, store, views, event).await,
        }
    }
}
