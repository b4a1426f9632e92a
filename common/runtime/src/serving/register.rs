//! What an application tells of itself: tools that were built without it, such as the command line, learn its names here.

use std::collections::BTreeSet;

use hostler_core::Contracts;
use hostler_core::saga::SagaDefinition;
use serde_json::{Value, json};

use crate::register::{Application, Does, Entities, Entity, Register, SagaEntry, Viewed};

/// The path, as in `GET /register`.
pub(super) const PATH: &str = "register";

/// The kinds of sagas, each with its view; the views, each with the category of its streams, and the queue by which they are
/// told of changes; where the relay's failures go; operators' commands; and what the application depends on.
pub(super) fn described<A: Application>() -> Value {
    let mut sagas = Sagas(Vec::new());
    A::entities(&mut sagas);
    let categories = Register::<A>::categories().into_iter();
    let views = categories.filter_map(|of| Some(json!({ "view": of.view?, "category": of.name })));
    let dependencies: BTreeSet<&str> =
        A::FUNCTIONS.iter().flat_map(|function| function.dependencies.iter().copied()).collect();
    json!({
        "source": A::SOURCE,
        "sagas": sagas.0,
        "views": views.collect::<Vec<_>>(),
        "viewsQueue": Register::<A>::that(Does::Views).and_then(|views| views.queue).map(|queue| queue.name),
        "relayFailures": Register::<A>::relay_failures(),
        "commands": A::Operations::NAMES,
        "dependencies": dependencies,
    })
}

struct Sagas(Vec<Value>);

impl Entities for Sagas {
    fn viewed<E: Viewed>(&mut self) {}

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        self.0.push(json!({ "kind": S::Definition::KIND, "view": S::VIEW }));
    }
}
