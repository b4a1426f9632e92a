//! Cleaning: the only way into the pool. What cannot be cleaned is quarantined, never returned.

use hostler_core::mutants;
use hostler_core::{Category, Decision, SetTimer};
use hostler_events::commands::CleanHost;
use hostler_events::host::{CleaningFailed, CleaningStarted, HostCleaned, HostQuarantined};
use hostler_events::{HostEvent, StepId};

use super::state::OwnWork;
use super::{HOST_TIMERS_TO, HostDecision, HostOutcome, HostPhase, Known, failures, is_permanent};
use crate::support::after;
use hostler_core::failure::clip;

/// Begins an attempt, and sets its deadline.
pub(super) fn start(known: Known<'_>, step: StepId, attempt: u32, decision: HostDecision) -> HostDecision {
    let deadline = SetTimer {
        name: step.to_string(),
        due_at: after(known.now, known.profile.policy.clean.deadline_seconds),
        deliver_to: HOST_TIMERS_TO,
    };
    decision
        .event(HostEvent::CleaningStarted(CleaningStarted {
            host: known.host(),
            step: step.clone(),
            attempt,
        }))
        .command(CleanHost { host: known.host(), step }.into())
        .timer(deadline)
}

/// The host is clean when the image has reported so and the host is at rest again.
pub(super) fn record_cleaned(known: Known<'_>, step: &StepId) -> HostDecision {
    let HostPhase::Cleaning { step: current, booted: true, .. } = &known.state.phase else {
        return Decision::nothing();
    };
    if current != step {
        return Decision::nothing();
    }
    let cleaned =
        HostCleaned { host: known.host(), step: step.clone(), saga: known.state.reservation.clone() };
    let mut decision = Decision::events([HostEvent::Cleaned(cleaned)]);
    if !mutants::on("host.saga-hears-nothing-of-cleaning") {
        decision.commands.extend(known.returned(false));
    }
    decision
}

/// The cleaning did not end by its deadline.
pub(super) fn overdue(known: Known<'_>, step: &StepId) -> HostOutcome {
    let seconds = known.profile.policy.clean.deadline_seconds;
    fail(known, step, Category::Transient, &format!("not done within {seconds} s"))
}

/// Tries again while attempts are left, after the policy's delay. Then the host is quarantined; at once for a reason that
/// another try does not change.
pub(super) fn fail(known: Known<'_>, step: &StepId, category: Category, reason: &str) -> HostOutcome {
    let HostPhase::Cleaning { step: current, attempt, .. } = &known.state.phase else {
        return Ok(Decision::nothing());
    };
    if current != step {
        return Ok(Decision::nothing());
    }
    let policy = known.profile.policy.clean;
    let decision = Decision::events([HostEvent::CleaningFailed(CleaningFailed {
        host: known.host(),
        step: step.clone(),
        attempt: *attempt,
        reason: clip(reason),
    })]);
    let is_last = is_permanent(category) || *attempt >= policy.attempts;
    if is_last && !mutants::on("host.cleaned-without-end") {
        let failed = failures(category, *attempt);
        let mut decision = decision.event(HostEvent::Quarantined(HostQuarantined {
            host: known.host(),
            saga: known.state.reservation.clone(),
            reason: clip(&format!(
                "cleaning failed {failed}: {reason}; find out why, then requalify the host"
            )),
        }));
        decision.commands.extend(known.returned(true));
        return Ok(decision);
    }
    let next = known.next_own_step(OwnWork::Clean)?;
    Ok(match policy.delay_seconds(*attempt) {
        0 => start(known, next, attempt.saturating_add(1), decision),
        delay => decision.timer(SetTimer {
            name: format!("retry:{next}"),
            due_at: after(known.now, delay),
            deliver_to: HOST_TIMERS_TO,
        }),
    })
}
