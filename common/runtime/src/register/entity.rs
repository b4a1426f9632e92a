//! What an application says of an entity, and of a saga.

use std::marker::PhantomData;

use hostler_core::saga::{Attempt, SAGAS_QUEUE, Saga, SagaDefinition, SagaState, StepName};
use hostler_core::{Decider, StreamId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ports::Row;
use crate::state::history::Fold;

/// A kind of stream: one decider.
pub trait Entity: 'static {
    /// What decides on its streams.
    type Decider: Decider + 'static;
    /// The queue to which its timers are delivered, if it sets any.
    const TIMERS_TO: Option<&'static str> = None;
}

/// An entity that people look at.
pub trait Viewed: Entity {
    /// Its view: also its path, as in `GET /hosts`.
    const VIEW: &'static str;

    /// What is shown of it; none before there is something to be seen.
    fn show(state: &<Self::Decider as Decider>::State) -> Option<Shown>;
}

/// An entity that is told something by people.
pub trait Operated: Entity {
    /// What a refusal is to those who asked.
    fn refused(refusal: &<Self::Decider as Decider>::Refusal) -> Refused;
}

/// What is shown of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The group in which it is listed.
    pub group: String,
    /// The content of its row.
    pub body: Value,
}

impl Shown {
    /// A record as it is shown, in a group.
    #[must_use]
    pub fn of(group: impl Into<String>, record: &impl Serialize) -> Self {
        // Views are plain records, for which this cannot fail.
        Self { group: group.into(), body: serde_json::to_value(record).unwrap_or_default() }
    }
}

/// What a refusal is to those who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The static label.
    pub label: &'static str,
}

/// The row of an entity.
#[must_use]
pub fn row<E: Viewed>(stream: &StreamId, fold: &Fold<E::Decider>) -> Option<Row> {
    let Shown { group, body } = E::show(&fold.state)?;
    Some(Row {
        view: E::VIEW.to_owned(),
        key: stream.key().to_owned(),
        group,
        version: fold.version,
        updated_at: fold.updated_at?,
        body,
    })
}

/// What an application says of a saga beside its definition.
pub trait SagaEntry: 'static {
    /// The saga.
    type Definition: SagaDefinition;
    /// Its view.
    const VIEW: &'static str;

    /// What is shown of it; none before it is started. Unless it says otherwise, sagas are listed by their status.
    fn show(state: &SagaState<<Self::Definition as SagaDefinition>::Order>) -> Option<Shown> {
        shown_saga(state)
    }
}

/// What there is to say of a saga of any kind.
fn shown_saga<O: Serialize>(state: &SagaState<O>) -> Option<Shown> {
    let begun = state.begun.as_ref()?;
    let attempt = |(step, attempt): (&StepName, &Attempt)| {
        json!({
            "step": step,
            "attempt": attempt.attempt,
            "waiting": attempt.waiting,
            "deadlineAt": attempt.deadline_at,
        })
    };
    let body = json!({
        "saga": begun.saga,
        "version": begun.version,
        "status": state.status.name(),
        "reason": state.status.reason(),
        "category": state.status.category(),
        "order": begun.order,
        "running": state.running.iter().map(attempt).collect::<Vec<_>>(),
        "done": state.done,
        "outputs": state.outputs,
    });
    Some(Shown { group: state.status.name().to_owned(), body })
}

/// The entity that a saga is.
#[derive(Debug, Clone, Copy)]
pub struct SagaEntity<S>(PhantomData<S>);

impl<S: SagaEntry> Entity for SagaEntity<S> {
    type Decider = Saga<S::Definition>;
    const TIMERS_TO: Option<&'static str> = Some(SAGAS_QUEUE);
}

impl<S: SagaEntry> Viewed for SagaEntity<S> {
    const VIEW: &'static str = S::VIEW;

    fn show(state: &SagaState<<S::Definition as SagaDefinition>::Order>) -> Option<Shown> {
        S::show(state)
    }
}
