//! What operators may ask of any saga, whatever its kind, and outsiders' callbacks.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::saga::{
    Answers, ApproveStep, CancelSaga, EditStep, RejectStep, ResumeSaga, SagaDefinition, SagaInput,
    SagaOperation, SagaRef, SagaRefusal, SkipStep, StepOutcome,
};
use hostler_core::{CommandType, Failure, StepId};

use super::{
    Accept, Accepted, Application, Asked, Entities, Entity, Operated, Operations, Refused, Rejected,
    SagaEntity, SagaEntry, Viewed, operate,
};
use crate::serving::callback::CallbackKey;
use crate::state::shell::{Cause, Shell};

impl Operations {
    /// The operators' commands of all sagas of an application.
    #[must_use]
    pub fn sagas<A: Application>(self) -> Self {
        let mut kinds = Kinds(BTreeMap::new());
        A::entities(&mut kinds);
        let kinds = Arc::new(kinds);
        self.special::<CancelSaga>(OperateSagas(Arc::clone(&kinds)))
            .special::<ResumeSaga>(OperateSagas(Arc::clone(&kinds)))
            .special::<SkipStep>(OperateSagas(Arc::clone(&kinds)))
            .special::<EditStep>(OperateSagas(Arc::clone(&kinds)))
            .special::<ApproveStep>(OperateSagas(Arc::clone(&kinds)))
            .special::<RejectStep>(OperateSagas(kinds))
    }
}

impl Operations {
    /// The callbacks of outsiders who were given a URL by [`CallbackKey::url`]: they answer a step of any saga of the
    /// application, over `POST /callbacks`.
    #[must_use]
    pub fn callbacks<A: Application>(mut self, key: CallbackKey) -> Self {
        let mut kinds = Kinds(BTreeMap::new());
        A::entities(&mut kinds);
        self.callbacks = Some(Callbacks { key, kinds });
        self
    }

    /// Takes an outsider's answer.
    ///
    /// # Errors
    /// [`Rejected`] says why it was not accepted, and what to do.
    pub async fn call_back(
        &self,
        shell: &Shell,
        cause: &Cause,
        call: CallBack,
    ) -> Result<Accepted, Rejected> {
        let refused = |status, code, reason: String| Rejected::Refused { status, code, reason };
        let Some(Callbacks { key, kinds }) = &self.callbacks else {
            return Err(refused(404, "no-such-route", "no callbacks are served here".to_owned()));
        };
        let CallBack { saga, step, token, outcome } = call;
        if !key.verify(&saga, &step, &token) {
            let reason = format!(
                "the token is not the one of {step} of {saga}: call back with the URL that was given"
            );
            return Err(refused(403, "wrong-token", reason));
        }
        match kinds.0.get(saga.kind()) {
            Some(kind) => kind.answer(shell, cause, &saga, step, outcome).await,
            None => Err(refused(404, "unknown", format!("there are no sagas of kind {}", saga.kind()))),
        }
    }
}

/// An outsider's answer for a step.
#[derive(Debug, Clone, PartialEq)]
pub struct CallBack {
    /// The saga.
    pub saga: SagaRef,
    /// Its attempt.
    pub step: StepId,
    /// What shows that the outsider may answer for it.
    pub token: String,
    /// The answer.
    pub outcome: StepOutcome,
}

/// Who may answer for steps.
pub(super) struct Callbacks {
    key: CallbackKey,
    kinds: Kinds,
}

/// The sagas of an application by their kinds.
struct Kinds(BTreeMap<&'static str, Box<dyn OperatesSaga>>);

impl Entities for Kinds {
    fn viewed<E: Viewed>(&mut self) {}

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        self.0.insert(S::Definition::KIND, Box::new(Of::<S>(PhantomData)));
    }
}

struct OperateSagas(Arc<Kinds>);

#[async_trait]
impl<C: CommandType + Into<SagaOperation>> Accept<C> for OperateSagas {
    async fn accept(&self, shell: &Shell, cause: &Cause, command: C) -> Result<Accepted, Rejected> {
        let operation: SagaOperation = command.into();
        match self.0.0.get(operation.saga().kind()) {
            Some(kind) => kind.operate(shell, cause, operation).await,
            None => {
                let known: Vec<&str> = self.0.0.keys().copied().collect();
                let kind = operation.saga().kind();
                Err(Rejected::Refused {
                    status: 404,
                    code: "unknown",
                    reason: format!("there are no sagas of kind {kind}: the kinds are {}", known.join(", ")),
                })
            }
        }
    }
}

#[async_trait]
trait OperatesSaga: Send + Sync {
    async fn operate(
        &self,
        shell: &Shell,
        cause: &Cause,
        operation: SagaOperation,
    ) -> Result<Accepted, Rejected>;

    async fn answer(
        &self,
        shell: &Shell,
        cause: &Cause,
        saga: &SagaRef,
        step: StepId,
        outcome: StepOutcome,
    ) -> Result<Accepted, Rejected>;
}

struct Of<S>(PhantomData<fn() -> S>);

#[async_trait]
impl<S: SagaEntry> OperatesSaga for Of<S> {
    async fn operate(
        &self,
        shell: &Shell,
        cause: &Cause,
        operation: SagaOperation,
    ) -> Result<Accepted, Rejected> {
        let (saga, operation, reason) = operation.into_parts();
        let input = SagaInput::Operate { operation, actor: cause.actor.clone(), reason };
        let asked = Asked::new(input).telling("saga", saga.as_str());
        operate::<SagaEntity<S>>(shell, cause, saga.id(), asked).await
    }

    async fn answer(
        &self,
        shell: &Shell,
        cause: &Cause,
        saga: &SagaRef,
        step: StepId,
        outcome: StepOutcome,
    ) -> Result<Accepted, Rejected> {
        // An outsider does not know what its call belongs to. The saga's last commit does.
        let commits = shell.store().load(saga.stream()).await.map_err(Failure::from)?;
        let cause = match commits.last() {
            Some(last) => Cause {
                correlation_id: last.correlation_id,
                trace_context: last.trace_context.clone(),
                hops: last.hops,
                ..cause.clone()
            },
            None => cause.clone(),
        };
        let input = SagaInput::Answer { answers: Answers::Attempt(step), outcome };
        let asked = Asked::new(input).telling("saga", saga.as_str());
        operate::<SagaEntity<S>>(shell, &cause, saga.id(), asked).await
    }
}

impl<S: SagaEntry> Operated for SagaEntity<S> {
    fn refused(refusal: &SagaRefusal) -> Refused {
        Refused { status: refusal.status(), label: refusal.label() }
    }
}
