//! Drift of a host's configuration, in words.

use hostler_domain::DriftFound;
use hostler_events::drift::{
    CheckAsked, CheckScheduled, CheckStarted, ConfigurationChecked, ConfigurationDrifted,
    ConfigurationRestored, ConfigurationRunFailed, DriftChange, DriftRepair, DriftRunKind, RestoreStarted,
};

use crate::render::describe::{Line, Mark};
use crate::render::time;

/// How many changes a line of a timeline names.
const NAMED_MAX: usize = 3;

/// How much of a host has drifted, and what is done about it.
pub(crate) fn drift(found: &DriftFound) -> String {
    format!("{}; {}", changes(found.changes), repair(&found.repair))
}

fn changes(count: u32) -> String {
    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") }
}

fn repair(repair: &DriftRepair) -> String {
    match repair {
        DriftRepair::Begun => "its role is applied again".to_owned(),
        DriftRepair::AwaitsApproval { rule } => format!("a person's word is waited for: {rule}"),
        DriftRepair::Suppressed { rule } => format!("nothing is done: {rule}"),
    }
}

pub(super) fn scheduled(it: &CheckScheduled) -> Line {
    let text = match it.next {
        Some(next) => format!("next check for drift at {}", time::moment(next.at)),
        None => "no more checks for drift by schedule".to_owned(),
    };
    Line::new(Mark::Other, text)
}

pub(super) fn check_started(it: &CheckStarted) -> Line {
    let by = match it.asked_by {
        CheckAsked::Operator => "an operator's word",
        CheckAsked::Schedule => "schedule",
    };
    Line::new(Mark::Begun, format!("checked for drift from role {}, by {by}", it.role))
}

pub(super) fn checked(it: &ConfigurationChecked) -> Line {
    Line::new(Mark::Done, format!("nothing has drifted from role {}, revision {}", it.role, it.revision))
}

pub(super) fn restore_started(it: &RestoreStarted) -> Line {
    let text = format!("role {} is applied again in revision {}", it.role, it.revision);
    Line::new(Mark::Begun, text).because(&it.reason)
}

pub(super) fn restored(it: &ConfigurationRestored) -> Line {
    let changed = if it.changed { "" } else { " (nothing had to change)" };
    Line::new(Mark::Done, format!("it is as role {} has it configured again{changed}", it.role))
}

pub(super) fn run_failed(it: &ConfigurationRunFailed) -> Line {
    let text = match it.run {
        DriftRunKind::Check => "the check for drift did not end well",
        DriftRunKind::Restore => "applying its role again did not end well",
    };
    Line::new(Mark::Failed, text).because(&it.reason)
}

pub(super) fn drifted(it: &ConfigurationDrifted) -> Line {
    let told = u32::try_from(it.changes.len()).unwrap_or(u32::MAX);
    let count = told.saturating_add(it.changes_left_off);
    let named: Vec<String> = it.changes.iter().take(NAMED_MAX).map(named).collect();
    let more = match it.changes.len().saturating_sub(NAMED_MAX) {
        0 if it.changes_left_off == 0 => String::new(),
        _ => ", …".to_owned(),
    };
    let (role, named, repair) = (&it.role, named.join(", "), repair(&it.repair));
    Line::new(Mark::Failed, format!("drifted from role {role}: {} ({named}{more}); {repair}", changes(count)))
}

/// What would be changed: its path, or what the diff says of it in one line, or the task alone.
fn named(change: &DriftChange) -> String {
    let diff = change.diff.lines().collect::<Vec<_>>().join(" ");
    match (change.path.as_str(), diff.as_str()) {
        ("", "") => change.task.clone(),
        ("", diff) => format!("{}: {}", change.task, diff.chars().take(60).collect::<String>()),
        (path, _) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(changes: &[(&str, &str)], changes_left_off: u32, repair: DriftRepair) -> ConfigurationDrifted {
        let change = |(path, diff): &(&str, &str)| DriftChange {
            task: "Install the packages".to_owned(),
            path: (*path).to_owned(),
            diff: (*diff).to_owned(),
        };
        ConfigurationDrifted {
            host: "h-1".parse().unwrap(),
            step: "h-1/check/4".parse().unwrap(),
            role: "web".parse().unwrap(),
            revision: "r1".to_owned(),
            changes: changes.iter().map(change).collect(),
            changes_left_off,
            repair,
        }
    }

    #[test]
    fn drift_is_told_by_path_or_by_what_would_be_there_and_says_what_is_done() {
        let found = of(&[("", "+hostler-web 1.0\n"), ("/etc/web.conf", "-a\n+b\n")], 0, DriftRepair::Begun);
        assert_eq!(
            drifted(&found).text,
            "drifted from role web: 2 changes (Install the packages: +hostler-web 1.0, /etc/web.conf); \
             its role is applied again"
        );
        let rule = "configuration.autonomy is observe".to_owned();
        let found = of(&[("/a", ""), ("/b", ""), ("/c", ""), ("", "")], 9, DriftRepair::Suppressed { rule });
        assert_eq!(
            drifted(&found).text,
            "drifted from role web: 13 changes (/a, /b, /c, …); nothing is done: configuration.autonomy is observe"
        );
    }
}
