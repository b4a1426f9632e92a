//! Verification: the BMC is reached and the hardware read. A host that passes goes on to cleaning.

use hostler_core::{Category, Decision, SetTimer};
use hostler_events::commands::VerifyHost;
use hostler_events::host::{HostInspected, HostQuarantined, HostVerified, VerificationFailed};
use hostler_events::{HostEvent, HostId, HostPolicy, StepId};
use jiff::Timestamp;

use super::state::OwnWork;
use super::{
    HOST_TIMERS_TO, HostDecision, HostFacts, HostOutcome, HostPhase, Known, cleaning, failures, is_permanent,
};
use crate::support::after;
use hostler_core::failure::clip;

/// Asks for a verification, and sets its deadline.
pub(super) fn ask(
    host: &HostId,
    step: StepId,
    policy: HostPolicy,
    now: Timestamp,
    decision: HostDecision,
) -> HostDecision {
    let deadline = SetTimer {
        name: step.to_string(),
        due_at: after(now, policy.verify.deadline_seconds),
        deliver_to: HOST_TIMERS_TO,
    };
    decision.command(VerifyHost { host: host.clone(), step }.into()).timer(deadline)
}

pub(super) fn record_facts(known: Known<'_>, step: &StepId, facts: &HostFacts) -> HostOutcome {
    let HostPhase::Verifying { step: current, .. } = &known.state.phase else {
        return Ok(Decision::nothing());
    };
    if current != step {
        return Ok(Decision::nothing());
    }
    let hardware = facts.hardware.clone();
    let decision = Decision::events([
        HostEvent::Verified(HostVerified {
            host: known.host(),
            step: step.clone(),
            power_state: facts.power_state,
        }),
        HostEvent::Inspected(HostInspected {
            host: known.host(),
            step: step.clone(),
            manufacturer: hardware.manufacturer,
            model: hardware.model,
            serial: hardware.serial,
            processors: hardware.processors,
            // JSON has no form for infinity and NaN.
            memory_gib: hardware.memory_gib.filter(|memory| memory.is_finite()),
            boot_method: hardware.boot_method,
        }),
    ]);
    let cleaning_step = known.next_own_step(OwnWork::Clean)?;
    Ok(cleaning::start(known, cleaning_step, 1, decision))
}

/// No answer came by the deadline.
pub(super) fn overdue(known: Known<'_>, step: &StepId) -> HostOutcome {
    let seconds = known.profile.policy.verify.deadline_seconds;
    fail(known, step, Category::Transient, &format!("no answer within {seconds} s"))
}

/// Tries again while attempts are left, after the policy's delay. Then the host is quarantined; at once for a reason that
/// another try does not change.
pub(super) fn fail(known: Known<'_>, step: &StepId, category: Category, reason: &str) -> HostOutcome {
    let HostPhase::Verifying { step: current, attempt } = &known.state.phase else {
        return Ok(Decision::nothing());
    };
    if current != step {
        return Ok(Decision::nothing());
    }
    let policy = known.profile.policy;
    let decision = Decision::events([HostEvent::VerificationFailed(VerificationFailed {
        host: known.host(),
        step: step.clone(),
        attempt: *attempt,
        reason: clip(reason),
    })]);
    if is_permanent(category) || *attempt >= policy.verify.attempts {
        let failed = failures(category, *attempt);
        return Ok(decision.event(HostEvent::Quarantined(HostQuarantined {
            host: known.host(),
            saga: known.state.reservation.clone(),
            reason: clip(&format!(
                "verification failed {failed}: {reason}; put the BMC right, then requalify the host"
            )),
        })));
    }
    let next = known.next_own_step(OwnWork::Verify)?;
    Ok(match policy.verify.delay_seconds(*attempt) {
        0 => ask(&known.profile.host, next, policy, known.now, decision),
        delay => decision.timer(SetTimer {
            name: format!("retry:{next}"),
            due_at: after(known.now, delay),
            deliver_to: HOST_TIMERS_TO,
        }),
    })
}

/// The delay before this verification is over. Its step was recorded with the failure before it.
pub(super) fn retry(known: Known<'_>, step: &StepId) -> HostDecision {
    let policy = known.profile.policy;
    ask(&known.profile.host, step.clone(), policy, known.now, Decision::nothing())
}
