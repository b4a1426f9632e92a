//! `breakers list`.

use comfy_table::{Cell, Color};
use hostler_core::breaker::{Breaker, BreakerState};
use hostler_runtime::effects::breakers::key;
use hostler_runtime::ports::Control;
use jiff::Timestamp;
use serde::Serialize;

use super::args::ListArgs;
use super::{control, names, unread};
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::{table, time};
use crate::target::Target;

/// A breaker as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    dependency: String,
    state: &'static str,
    #[serde(flatten)]
    breaker: Breaker,
}

/// Lists breakers.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let control = control(target)?;
    let names = names(&control).await?;
    if let Some(dependency) = &args.dependency {
        require("breaker that ever opened, of", dependency, names.keys().map(String::as_str))?;
    }
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for dependency in names.into_keys() {
        if let Some(entry) = control.get(&key(&dependency)).await.map_err(unread)? {
            let breaker: Breaker = serde_json::from_value(entry.value).map_err(unread)?;
            rows.push(Row { dependency, state: state(&breaker, now).0, breaker });
        }
    }
    rows.retain(|row| {
        args.dependency.as_ref().is_none_or(|dependency| *dependency == row.dependency)
            && args.state.as_ref().is_none_or(|state| state == row.state)
    });
    let none = match &args.state {
        Some(_) => "There are no such breakers.",
        None => "No breaker has ever opened: all dependencies answer.",
    };
    out.list(&rows, |row| &row.dependency, none, |rows| drawn(rows, now), |_| String::new())
}

fn drawn(rows: &[Row], now: Timestamp) -> String {
    let mut shown = table::plain(["DEPENDENCY", "STATE", "UNTIL", "USUALLY FAILS", "CHANGED", "REASON"]);
    for Row { dependency, breaker, .. } in rows {
        let (state, until) = state(breaker, now);
        let open = breaker.is_open(now);
        let usually = breaker.baseline.map_or("-".to_owned(), |rate| format!("{:.0} %", rate * 100.0));
        let changed = breaker
            .changed_at
            .map_or("-".to_owned(), |at| format!("{} ago", time::rough(time::between(at, now))));
        let until = until
            .filter(|_| open)
            .map_or("-".to_owned(), |at| format!("in {}", time::rough(time::between(now, at))));
        shown.add_row([
            Cell::new(dependency),
            Cell::new(state).fg(if open { Color::Red } else { Color::Green }),
            Cell::new(until),
            Cell::new(usually),
            Cell::new(changed),
            Cell::new(table::short(reason(breaker, now))),
        ]);
    }
    table::text(&shown)
}

fn state(breaker: &Breaker, now: Timestamp) -> (&'static str, Option<Timestamp>) {
    match breaker.forced.as_ref().filter(|forced| forced.until > now) {
        Some(forced) if forced.open => return ("held-open", Some(forced.until)),
        Some(forced) => return ("held-closed", Some(forced.until)),
        None => {}
    }
    match breaker.state {
        BreakerState::Closed => ("closed", None),
        BreakerState::Open { until, .. } => ("open", Some(until)),
        BreakerState::Probing { until, .. } => ("probing", Some(until)),
    }
}

fn reason(breaker: &Breaker, now: Timestamp) -> &str {
    let forced = breaker.forced.as_ref().filter(|forced| forced.until > now);
    forced.map(|forced| forced.reason.as_str()).or(breaker.reason.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use hostler_core::breaker::Override;
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_an_operator_wants_is_shown_before_what_the_calls_say() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let open = Breaker::default().opened(now, 0.1, "no answer", 0);
        assert_eq!((state(&open, now).0, reason(&open, now)), ("open", "no answer"));
        let until = now + SignedDuration::from_mins(10);
        let (actor, reason_given) = ("ada".to_owned(), "it is back".to_owned());
        let forced = Some(Override { open: false, until, actor, reason: reason_given });
        let forced = Breaker { forced, ..open };
        assert_eq!((state(&forced, now).0, reason(&forced, now)), ("held-closed", "it is back"));
        assert_eq!(state(&forced, until).0, "open");
    }
}
