//! Holding a host for a saga, and giving it back.

use hostler_core::Decision;
use hostler_core::mutants;
use hostler_core::saga::SagaRef;
use hostler_events::host::{HostReleased, HostReserved};
use hostler_events::{HostEvent, PoolId, StepId};

use super::lending::lent;
use super::{HostOutcome, HostRefusal, Known, Move, replies};

/// A saga that holds the host already, and asks by another step, is answered again: the first answer was lost or came
/// too late. Once the host is past `Reserved` the saga has had an answer, and a late command changes nothing. A
/// refusal would make the saga look for a second host.
pub(super) fn reserve(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    lent_to: Option<&PoolId>,
) -> HostOutcome {
    // A saga that brought the host into service has heard an answer, and is over. The step comes late.
    if known.state.served.contains(saga) {
        return Ok(Decision::nothing());
    }
    let reserved =
        || {
            let (host, saga_of, step_of) = (known.host(), saga.clone(), step.clone());
            let reserved = HostEvent::Reserved(HostReserved { host, saga: saga_of, step: step_of });
            Ok(Decision::events(lent(known, saga, lent_to).into_iter().chain([reserved]))
                .command(replies::held(saga, step, known.host())))
        };
    let can_be_reserved = known.state.phase.allows(Move::Reserve);
    if known.state.is_held_by(saga) {
        let answered = known.state.reserved_step.as_ref() == Some(step);
        return if can_be_reserved && !answered { reserved() } else { Ok(Decision::nothing()) };
    }
    let is_free = can_be_reserved && known.state.reservation.is_none();
    if !is_free && !mutants::on("host.given-twice") {
        return Err(HostRefusal::NotAvailable { host: known.host(), phase: known.phase() });
    }
    if known.state.released.contains(saga) && !mutants::on("host.given-to-who-gave-it-back") {
        return Err(HostRefusal::AlreadyReleased { host: known.host(), saga: saga.clone() });
    }
    reserved()
}

/// A release is remembered even when the saga does not hold the host. A slow attempt to reserve it may come later,
/// and must not hold the host for a saga that has ended.
pub(super) fn release(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostOutcome {
    let released = || {
        Ok(Decision::events([HostEvent::Released(HostReleased {
            host: known.host(),
            saga: saga.clone(),
            step: step.clone(),
        })]))
    };
    if !known.state.is_held_by(saga) {
        return if known.state.released.contains(saga) { Ok(Decision::nothing()) } else { released() };
    }
    if mutants::on("host.release-is-forgotten") {
        return Ok(Decision::nothing());
    }
    if known.state.phase.allows(Move::Release) {
        return released();
    }
    Err(HostRefusal::Dirty { host: known.host(), phase: known.phase() })
}
