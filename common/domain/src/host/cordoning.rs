//! Having a host in service for one saga alone, so that no two of them repair, patch or drain it at once.

use hostler_core::failure::clip;
use hostler_core::saga::{SagaRef, StepReply};
use hostler_core::{Category, Decision};
use hostler_events::host::{HostCordoned, HostUncordoned, StepFailed};
use hostler_events::{HostEvent, StepId};

use super::{HostDecision, HostRefusal, Known, Move, replies};

/// A saga that has the host already is answered again: its first answer was lost. One that is done with the host asks late and
/// hears nothing, for a cordon of a saga that has ended would never be lifted.
pub(super) fn cordon(known: Known<'_>, saga: &SagaRef, step: &StepId, reason: &str) -> HostDecision {
    if known.state.uncordoned.contains(saga) {
        return Decision::nothing();
    }
    if known.state.is_cordoned_by(saga) {
        return Decision::nothing().command(replies::done(saga, step));
    }
    if let Some(cordon) = &known.state.cordon {
        return refuse(known, saga, step, &known.cordoned(cordon));
    }
    if !known.state.phase.allows(Move::Cordon) {
        return refuse(known, saga, step, &known.not_possible(&[Move::Cordon], "cordoned"));
    }
    Decision::events([HostEvent::Cordoned(HostCordoned {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        reason: clip(reason),
    })])
    .command(replies::done(saga, step))
}

/// This is recorded even when the saga has not cordoned the host: a slow attempt to do so may come later. A host that the saga
/// is installing again stays cordoned, for it is dirty: it is undeployed first, which ends the cordon as well.
pub(super) fn uncordon(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let is_cordoned = known.state.is_cordoned_by(saga);
    if is_cordoned && !known.state.phase.allows(Move::Uncordon) {
        let dirty = HostRefusal::Dirty { host: known.host(), phase: known.phase() };
        return refuse(known, saga, step, &dirty);
    }
    let answer = replies::done(saga, step);
    if !is_cordoned && known.state.uncordoned.contains(saga) {
        return Decision::nothing().command(answer);
    }
    Decision::events([HostEvent::Uncordoned(HostUncordoned {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
    })])
    .command(answer)
}

/// Records that a saga may not do this to the host, and tells it so: nothing was done, and another attempt is of no use.
pub(super) fn refuse(known: Known<'_>, saga: &SagaRef, step: &StepId, refusal: &HostRefusal) -> HostDecision {
    let (host, reason) = (known.host(), clip(&refusal.to_string()));
    let reply = StepReply::refused(saga.clone(), step.clone(), reason.clone());
    let (saga, step, category) = (saga.clone(), step.clone(), Category::Business);
    let failed = StepFailed { host, saga, step, category, reason, uncertain: false };
    Decision::events([HostEvent::StepFailed(failed)]).command(reply.into())
}
