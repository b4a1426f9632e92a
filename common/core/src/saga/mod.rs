//! Sagas as data: a definition's steps, and the decider that runs any of them.
//!
//! A [`SagaDefinition`] says what there is to do, as a [`Plan`] of stages; [`Saga`] is the [`Decider`] that does
//! it. Its promises: every wait has a deadline of its own; an answer that is late or repeated is known by its step
//! id and ignored; what was done is undone in the exact reverse order; and every saga that started ends completed,
//! compensated or visibly stuck, for each wait ends by a timer and tries are counted.

mod command;
mod definition;
mod diagram;
mod draft;
mod event;
mod forward;
mod input;
mod operators;
mod plan;
mod refusal;
mod state;
mod undo;

use std::marker::PhantomData;

use jiff::Timestamp;

use crate::decider::{Decider, Decision};

pub use command::{Answers, Parent, SAGA_COMMANDS, SAGAS_QUEUE, SagaCommand, StepOutcome, StepReply};
pub use definition::{Ask, Errand, SagaDefinition};
pub use diagram::mermaid;
pub use event::{Direction, SagaEvent, Wait};
pub use input::{ChildEnd, SagaId, SagaInput, SagaRef, StepId, StepName, child_end};
pub use plan::{BadPlan, Plan, RetryPolicy, Stage, Step, StepKind};
pub use refusal::SagaRefusal;
pub use state::{Attempt, SagaState, SagaStatus, Waiting};

use draft::Draft;

/// What a saga decides.
pub type SagaDecision<D> = Decision<SagaEvent<<D as SagaDefinition>::Order>, <D as SagaDefinition>::Command>;

/// The decider that runs the sagas of a definition.
#[derive(Debug, Clone, Copy)]
pub struct Saga<D>(PhantomData<D>);

impl<D: SagaDefinition> Decider for Saga<D> {
    const CATEGORY: &'static str = D::CATEGORY;
    const STATE_VERSION: u32 = 1;
    type State = SagaState<D::Order>;
    type Input = SagaInput<D::Order>;
    type Event = SagaEvent<D::Order>;
    type Command = D::Command;
    type Refusal = SagaRefusal;

    fn decide(
        state: &Self::State,
        input: &Self::Input,
        now: Timestamp,
    ) -> Result<SagaDecision<D>, SagaRefusal> {
        if let SagaInput::Start { saga, order, parent } = input {
            return forward::start::<D>(state, saga, order, parent.as_ref(), now);
        }
        let Some(begun) = &state.begun else { return before_start::<D>(state, input) };
        let version = begun.version;
        let plan = D::plan(version).ok_or(SagaRefusal::UnknownVersion { version, newest: D::VERSION })?;
        let mut draft = Draft::<D>::new(state.clone(), plan, now);
        match input {
            SagaInput::Start { .. } => {}
            SagaInput::Succeeded { step, output } => draft.succeeded(step, output),
            SagaInput::Failed { step, category, reason } => draft.told_failed(step, *category, reason),
            SagaInput::Heartbeat { step } => draft.heartbeat(step),
            SagaInput::Approve { step, actor } => draft.approved(step, actor)?,
            SagaInput::Reject { step, actor, reason } => draft.rejected(step, actor, reason)?,
            SagaInput::ChildEnded { step, end } => draft.child_ended(step, end),
            SagaInput::Timer { name } => draft.fired(name),
            SagaInput::Cancel { actor, reason } => draft.cancel(actor, reason)?,
            SagaInput::Undo { answers, reason } => draft.undo_for_parent(answers.as_ref(), reason),
            SagaInput::Resume { actor, reason } => draft.resume(actor, reason)?,
            SagaInput::Skip { step, actor, reason } => draft.skip(step, actor, reason)?,
            SagaInput::Edit { step, input, actor, reason } => draft.edit(step, input, actor, reason)?,
        }
        Ok(draft.decision)
    }

    fn evolve(state: Self::State, event: &Self::Event) -> Self::State {
        state::evolve(state, event)
    }
}

/// What is heard before the start: timers and answers have nobody to mind them; a parent that undoes a child which
/// has not even started is answered, and the late start is then ignored.
fn before_start<D: SagaDefinition>(
    state: &SagaState<D::Order>,
    input: &SagaInput<D::Order>,
) -> Result<SagaDecision<D>, SagaRefusal> {
    match input {
        SagaInput::Undo { answers, reason } => Ok(Decision::events([SagaEvent::Compensated {
            reason: reason.clone(),
            parent: answers.clone().or_else(|| state.parent.clone()),
        }])),
        SagaInput::Start { .. }
        | SagaInput::Succeeded { .. }
        | SagaInput::Failed { .. }
        | SagaInput::Heartbeat { .. }
        | SagaInput::ChildEnded { .. }
        | SagaInput::Timer { .. } => Ok(Decision::nothing()),
        SagaInput::Approve { .. }
        | SagaInput::Reject { .. }
        | SagaInput::Cancel { .. }
        | SagaInput::Resume { .. }
        | SagaInput::Skip { .. }
        | SagaInput::Edit { .. } => Err(SagaRefusal::Unknown),
    }
}
