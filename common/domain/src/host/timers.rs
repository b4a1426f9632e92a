//! Which wait of a host a timer ends.

use hostler_core::{Decision, mutants};
use hostler_events::StepId;

use super::{HostOutcome, HostPhase, Known, cleaning, drifting, verifying};

/// A timer's name holds its step. A timer whose step is over is ignored. The name is compared and not taken apart, for a
/// host may be called `retry:h-1`.
pub(super) fn timer(known: Known<'_>, name: &str) -> HostOutcome {
    if let Some(outcome) = drifting::timer(known, name) {
        return outcome;
    }
    let Some(current) = known.state.phase.step().map(StepId::as_str) else { return Ok(Decision::nothing()) };
    let name =
        if mutants::on("host.takes-timer-names-apart") { name.trim_start_matches("retry:") } else { name };
    let retry = name != current;
    if retry && name.strip_prefix("retry:") != Some(current) {
        return Ok(Decision::nothing());
    }
    if let HostPhase::Verifying { step, .. } = &known.state.phase {
        return if retry { Ok(verifying::retry(known, step)) } else { verifying::overdue(known, step) };
    }
    if let HostPhase::Cleaning { step, attempt, delayed, .. } = &known.state.phase {
        return match (retry, delayed) {
            (true, true) => Ok(cleaning::start(known, step.clone(), *attempt, Decision::nothing())),
            (false, false) => cleaning::overdue(known, step),
            (true, false) | (false, true) => Ok(Decision::nothing()),
        };
    }
    // The deadline of a saga's step belongs to the saga.
    Ok(Decision::nothing())
}
