//! Sagas as data: a definition has the steps, and one decider runs every definition.
//!
//! A [`SagaDefinition`] gives the steps as a [`Plan`] of stages; [`Saga`] is the [`Decider`] that runs them. It
//! promises: Every wait has a deadline. An answer that is late or repeated is recognised by its step id and ignored.
//! What was done, or may have been done, is undone in reverse order. A child is undone when its parent no longer
//! waits for it. Every saga that has started ends completed, compensated or visibly stuck, because every wait ends by
//! a timer and attempts are counted.

mod bad_plan;
mod check;
mod command;
mod compensate;
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

use std::marker::PhantomData;

use jiff::Timestamp;

use crate::decider::{Decider, Decision};

pub use bad_plan::BadPlan;
pub use check::check;
pub use command::{
    AnswerChild, Answers, ApproveStep, CancelSaga, CompensateSaga, EditStep, Parent, RejectStep, ResumeSaga,
    SAGAS_QUEUE, SagaCommand, SagaOperation, SkipStep, StartSaga, StepOutcome, StepReply,
};
pub use definition::{Action, Ask, Facts, Outgoing, SagaDefinition};
pub use diagram::mermaid;
pub use event::{Direction, SagaEvent, Wait};
pub use input::{ChildEnd, Operation, SagaInput, SagaRef, StepName};
pub use plan::{Compensation, OnCancel, Plan, RetryPolicy, Stage, Step, StepKind, StepNames};
pub use refusal::SagaRefusal;
pub use state::{Attempt, Begun, SagaState, SagaStatus, Waiting};

use draft::Draft;

/// What a saga decides.
pub type SagaDecision<D> =
    Decision<SagaEvent<<D as SagaDefinition>::Order>, Outgoing<<D as SagaDefinition>::Command>>;

/// The decider that runs the sagas of a definition.
#[derive(Debug, Clone, Copy)]
pub struct Saga<D>(PhantomData<D>);

impl<D: SagaDefinition> Decider for Saga<D> {
    const CATEGORY: &'static str = D::KIND;
    const STATE_VERSION: u32 = 2;
    type State = SagaState<D::Order>;
    type Input = SagaInput<D::Order>;
    type Event = SagaEvent<D::Order>;
    type Command = Outgoing<D::Command>;
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
        let plan = D::plan(version, &begun.order).ok_or(SagaRefusal::UnknownVersion {
            kind: D::KIND,
            version,
            newest: D::VERSION,
        })?;
        let mut draft = Draft::<D>::new(state.clone(), plan, now);
        match input {
            SagaInput::Start { .. } => {}
            SagaInput::Answer { answers, outcome } => draft.answered(answers, outcome)?,
            SagaInput::ChildEnded { step, end } => draft.child_ended(step, end)?,
            SagaInput::Timer { name } => draft.fired(name)?,
            SagaInput::Compensate { parent, reason } => {
                draft.compensate_for_parent(parent.as_ref(), reason)?;
            }
            SagaInput::Operate { operation, actor, reason } => draft.operate(operation, actor, reason)?,
        }
        Ok(draft.decision)
    }

    fn evolve(state: Self::State, event: &Self::Event) -> Self::State {
        state::evolve(state, event, |state, compensation| {
            let plan = state.begun.as_ref().and_then(|begun| D::plan(begun.version, &begun.order));
            // A version that is not known here is an error of the decision. The fold stays total.
            plan.map_or_else(Vec::new, |plan| covered(&plan, compensation))
        })
    }
}

/// The same with a plan at hand.
fn fold<D: SagaDefinition>(
    state: SagaState<D::Order>,
    event: &SagaEvent<D::Order>,
    plan: &Plan<D::Step>,
) -> SagaState<D::Order> {
    state::evolve(state, event, |_, compensation| covered(plan, compensation))
}

/// The steps that a compensation undoes.
fn covered<N: StepNames>(plan: &Plan<N>, compensation: &StepName) -> Vec<StepName> {
    let undone = plan.steps().filter(|step| step.undone_by_name().as_ref() == Some(compensation));
    undone.map(Step::full_name).collect()
}

/// Inputs before the start. Timers and answers are ignored. A parent that undoes a child which has not started yet is
/// answered, and the start that comes later is ignored.
fn before_start<D: SagaDefinition>(
    state: &SagaState<D::Order>,
    input: &SagaInput<D::Order>,
) -> Result<SagaDecision<D>, SagaRefusal> {
    match input {
        SagaInput::Compensate { parent, reason } => {
            if matches!(state.status, SagaStatus::Compensated { .. }) && state.parent == *parent {
                return Ok(Decision::nothing());
            }
            let (reason, parent) = (reason.clone(), parent.clone().or_else(|| state.parent.clone()));
            let end = ChildEnd::Compensated { reason: reason.clone() };
            let decision = Decision::events([SagaEvent::Compensated { reason, parent: parent.clone() }]);
            Ok(match parent {
                Some(Parent { saga, step }) => {
                    decision.command(Outgoing::Saga(AnswerChild { saga, step, end }.into()))
                }
                None => decision,
            })
        }
        SagaInput::Start { .. }
        | SagaInput::Answer { .. }
        | SagaInput::ChildEnded { .. }
        | SagaInput::Timer { .. } => Ok(Decision::nothing()),
        SagaInput::Operate { .. } => Err(SagaRefusal::Unknown),
    }
}
