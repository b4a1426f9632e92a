//! What operators may ask of any saga, whatever its kind.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::CommandType;
use hostler_core::saga::{
    ApproveStep, CancelSaga, EditStep, RejectStep, ResumeSaga, SagaDefinition, SagaInput, SagaOperation,
    SagaRefusal, SkipStep,
};

use super::{
    Accept, Accepted, Application, Asked, Entities, Entity, Operated, Operations, Refused, Rejected,
    SagaEntity, SagaEntry, Viewed, operate,
};
use crate::shell::{Cause, Shell};

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
}

impl<S: SagaEntry> Operated for SagaEntity<S> {
    fn refused(refusal: &SagaRefusal) -> Refused {
        Refused { status: refusal.status(), label: refusal.label() }
    }
}
