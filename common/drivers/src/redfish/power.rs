//! Power over Redfish: readings that agree, orders that are sent once, and again only when they got lost.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::wire::{Ask, Wire, in_doubt};
use crate::bmc::{Patience, PowerChange, PowerGoal, PowerState};
use crate::error::DriverError;

const READING: &str = "reading the power state";
const SWITCHING: &str = "switching power";
/// How often an order is given at most.
const ORDERS_MAX: u32 = 3;
/// How many readings in a row may fail before giving up. Each was tried several times already.
const FAILED_READINGS_MAX: u32 = 3;

/// One reading.
pub(super) async fn read(wire: &Wire, ends: Instant) -> Result<PowerState, DriverError> {
    let system = wire.read_system(READING, ends).await?;
    Ok(in_system(&system))
}

/// The power state in what the BMC says of a system.
pub(super) fn in_system(system: &Value) -> PowerState {
    let said = system.get("PowerState").and_then(Value::as_str);
    PowerState::from(said.unwrap_or_default().to_owned())
}

/// How watching the readings ended.
enum Watched {
    /// Two in a row were the same, and of the wanted kind.
    Settled(PowerState),
    /// The time was over first: the last reading, or why there is none.
    Over(Option<PowerState>, Option<DriverError>),
}

/// Reads until two readings in a row agree on a wanted state.
async fn watch(
    wire: &Wire,
    poll_interval: Duration,
    until: Instant,
    wanted: impl Fn(&PowerState) -> bool,
) -> Result<Watched, DriverError> {
    let mut last: Option<PowerState> = None;
    let mut failed_in_a_row = 0;
    loop {
        let mut next = Instant::now() + poll_interval;
        match read(wire, until).await {
            Ok(state) => {
                failed_in_a_row = 0;
                if wanted(&state) && last.as_ref() == Some(&state) {
                    return Ok(Watched::Settled(state));
                }
                last = Some(state);
            }
            Err(error) if error.is_transient() && Instant::now() >= until => {
                return Ok(Watched::Over(last, Some(error)));
            }
            Err(error) => {
                failed_in_a_row += 1;
                last = None;
                let pause =
                    error.retry_after_seconds().map_or(poll_interval, Duration::from_secs).max(poll_interval);
                next = Instant::now() + pause;
                if !error.is_transient() || failed_in_a_row >= FAILED_READINGS_MAX || next >= until {
                    return Err(error);
                }
            }
        }
        if next >= until {
            return Ok(Watched::Over(last, None));
        }
        sleep_until(next).await;
    }
}

/// See [`crate::Bmc::settled_power_state`].
pub(super) async fn settled(wire: &Wire, patience: &Patience) -> Result<PowerState, DriverError> {
    let until = Instant::now() + patience.deadline;
    match watch(wire, patience.poll_interval, until, PowerState::can_settle).await? {
        Watched::Settled(state) => Ok(state),
        Watched::Over(None, Some(error)) => Err(error),
        Watched::Over(last_read, _) => Err(DriverError::PowerNotSettled {
            at: wire.at(READING),
            last_read,
            seconds: patience.deadline.as_secs_f64(),
        }),
    }
}

/// See [`crate::Bmc::set_power`].
pub(super) async fn set(
    wire: &Wire,
    goal: PowerGoal,
    patience: &Patience,
) -> Result<PowerChange, DriverError> {
    let poll_interval = patience.poll_interval;
    let ends = Instant::now() + patience.deadline;
    let not_reached = |last_read| DriverError::PowerNotReached {
        at: wire.at(SWITCHING),
        wanted: goal,
        last_read,
        seconds: patience.deadline.as_secs_f64(),
    };
    // Any state that two readings agree on will do: a host stuck in a passing one can still be switched.
    let before = match watch(wire, poll_interval, ends, |_| true).await? {
        Watched::Settled(state) if state == goal.state() => {
            return Ok(PowerChange { changed: false, resets_sent: 0 });
        }
        Watched::Settled(state) => state,
        Watched::Over(None, Some(error)) => return Err(error),
        Watched::Over(last_read, _) => return Err(not_reached(last_read)),
    };
    let order_interval = patience.deadline / ORDERS_MAX;
    let mut on_its_way = before == passing(goal);
    let mut last_read = Some(before);
    let mut resets_sent = 0;
    while resets_sent < ORDERS_MAX && Instant::now() < ends {
        if !std::mem::take(&mut on_its_way) {
            resets_sent += 1;
            if let Some(refusal) = order(wire, goal, ends).await? {
                on_its_way = judge_refusal(wire, goal, poll_interval, ends, refusal).await?;
            }
        }
        let is_last = resets_sent == ORDERS_MAX;
        let until = if is_last { ends } else { ends.min(Instant::now() + order_interval) };
        match watch(wire, poll_interval, until, |state| *state == goal.state()).await? {
            Watched::Settled(_) => return Ok(PowerChange { changed: true, resets_sent }),
            Watched::Over(state, _) => last_read = state.or(last_read),
        }
        tracing::debug!(system = %wire.system(), goal = %goal, resets_sent, "power does not follow");
    }
    Err(not_reached(last_read))
}

/// Many BMCs refuse an order for what is already so, or already on its way; then the refusal is none. Returns whether
/// the host is on its way, so that no new order is needed.
async fn judge_refusal(
    wire: &Wire,
    goal: PowerGoal,
    poll_interval: Duration,
    ends: Instant,
    refusal: DriverError,
) -> Result<bool, DriverError> {
    match watch(wire, poll_interval, ends, |_| true).await? {
        Watched::Settled(state) if state == goal.state() => Ok(false),
        Watched::Settled(state) if state == passing(goal) => Ok(true),
        Watched::Settled(_) | Watched::Over(..) => Err(refusal),
    }
}

/// The state that a host passes on its way to the goal.
fn passing(goal: PowerGoal) -> PowerState {
    match goal {
        PowerGoal::On => PowerState::PoweringOn,
        PowerGoal::ForceOff => PowerState::PoweringOff,
    }
}

/// Gives the order. A refusal is handed back rather than raised: many BMCs refuse what is already so.
async fn order(wire: &Wire, goal: PowerGoal, ends: Instant) -> Result<Option<DriverError>, DriverError> {
    let body = json!({ "ResetType": goal.reset_type() });
    let target = reset_target(wire, ends).await?;
    match wire.ask(SWITCHING, Ask::Post(&body), &target, ends).await {
        Ok(_) => Ok(None),
        Err(error) if in_doubt(&error) => {
            tracing::debug!(system = %wire.system(), error = error.label(), "order in doubt");
            Ok(None)
        }
        Err(error @ DriverError::Refused { .. }) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

async fn reset_target(wire: &Wire, ends: Instant) -> Result<Url, DriverError> {
    let system = wire.read_system(SWITCHING, ends).await?;
    match system.pointer("/Actions/#ComputerSystem.Reset/target").and_then(Value::as_str) {
        Some(link) => wire.follow(link, SWITCHING),
        None => Ok(wire.below(wire.system(), "Actions/ComputerSystem.Reset")),
    }
}
