//! How a saga's events add up. Total: what does not fit the status changes nothing.

use hostler_events::ProvisioningEvent;
use hostler_events::provisioning::{ProvisioningStepFailed, ProvisioningStuck, StepStarted, StepSucceeded};

use super::{Attempt, ProvisioningState, Status, Waiting};

pub(super) fn evolve(mut state: ProvisioningState, event: &ProvisioningEvent) -> ProvisioningState {
    match event {
        ProvisioningEvent::Started(e) => {
            state.order = Some(e.clone());
            state.status = Status::Running { current: None };
        }
        ProvisioningEvent::StepStarted(e) => step_started(&mut state, e),
        ProvisioningEvent::StepSucceeded(e) => step_succeeded(&mut state, e),
        ProvisioningEvent::StepFailed(e) => step_failed(&mut state, e),
        ProvisioningEvent::StepDeferred(e) => {
            if let Status::Running { current: Some(attempt) }
            | Status::Compensating { current: Some(attempt), .. } = &mut state.status
            {
                attempt.deferrals = e.deferrals;
            }
        }
        ProvisioningEvent::SlaExceeded(_) | ProvisioningEvent::CancelRequested(_) => {}
        ProvisioningEvent::CompensationStarted(e) => {
            state.status =
                Status::Compensating { reason: e.reason.clone(), remaining: e.plan.clone(), current: None };
        }
        ProvisioningEvent::CompensationCompleted(e) => {
            state.host_quarantined = e.host_quarantined;
            state.status = Status::Compensated { reason: e.reason.clone() };
        }
        ProvisioningEvent::Completed(e) => {
            state.host = Some(e.host.clone());
            state.status = Status::Completed;
        }
        ProvisioningEvent::Stuck(e) => stuck(&mut state, e),
        ProvisioningEvent::Resumed(_) => resumed(&mut state),
        ProvisioningEvent::CompensationSkipped(_) => skipped(&mut state),
    }
    state
}

fn step_started(state: &mut ProvisioningState, e: &StepStarted) {
    let tries = state.tries.entry(e.kind).or_default();
    tries.begun = tries.begun.max(e.attempt);
    let attempt = Attempt {
        kind: e.kind,
        attempt: e.attempt,
        step: e.step.clone(),
        waiting: Waiting::Answer,
        deferrals: 0,
    };
    match &mut state.status {
        Status::Running { current } => *current = Some(attempt),
        Status::Compensating { current, remaining, .. } => {
            if remaining.first() == Some(&e.kind) {
                remaining.remove(0);
            }
            *current = Some(attempt);
        }
        Status::NotStarted | Status::Completed | Status::Compensated { .. } | Status::Stuck { .. } => {}
    }
}

fn step_succeeded(state: &mut ProvisioningState, e: &StepSucceeded) {
    if state.host.is_none() {
        state.host.clone_from(&e.host);
    }
    state.host_quarantined |= e.host_quarantined;
    match &mut state.status {
        Status::Running { current } => {
            *current = None;
            state.completed.push(e.kind);
        }
        Status::Compensating { current, .. } => *current = None,
        Status::NotStarted | Status::Completed | Status::Compensated { .. } | Status::Stuck { .. } => {}
    }
}

/// A failure that is tried again waits for its delay; after any other the saga goes another way, in the same
/// commit.
fn step_failed(state: &mut ProvisioningState, e: &ProvisioningStepFailed) {
    match &mut state.status {
        Status::Running { current } | Status::Compensating { current, .. } => {
            if e.retry_at.is_none() {
                *current = None;
            } else if let Some(attempt) = current {
                attempt.waiting = Waiting::Retry;
            }
        }
        Status::NotStarted | Status::Completed | Status::Compensated { .. } | Status::Stuck { .. } => {}
    }
}

fn stuck(state: &mut ProvisioningState, e: &ProvisioningStuck) {
    let (compensating, remaining) = match std::mem::take(&mut state.status) {
        Status::Compensating { reason, remaining, .. } => (reason, remaining),
        Status::Stuck { compensating, remaining, .. } => (compensating, remaining),
        Status::NotStarted | Status::Running { .. } | Status::Completed | Status::Compensated { .. } => {
            (String::new(), Vec::new())
        }
    };
    state.status = Status::Stuck { kind: e.kind, reason: e.reason.clone(), compensating, remaining };
}

/// The compensation that was stuck comes first again, and its tries count anew.
fn resumed(state: &mut ProvisioningState) {
    let status = std::mem::take(&mut state.status);
    state.status = match status {
        Status::Stuck { kind, compensating, remaining, .. } => {
            let tries = state.tries.entry(kind).or_default();
            tries.forgiven = tries.begun;
            let remaining = std::iter::once(kind).chain(remaining).collect();
            Status::Compensating { reason: compensating, remaining, current: None }
        }
        other @ (Status::NotStarted
        | Status::Running { .. }
        | Status::Compensating { .. }
        | Status::Completed
        | Status::Compensated { .. }) => other,
    };
}

/// The compensation that was stuck is dropped, and the rest remains.
fn skipped(state: &mut ProvisioningState) {
    if let Status::Stuck { compensating, remaining, .. } = &state.status {
        let (reason, remaining) = (compensating.clone(), remaining.clone());
        state.status = Status::Compensating { reason, remaining, current: None };
    }
}
