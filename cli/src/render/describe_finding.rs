//! Events of advisories, of packages and of findings, as text.

use hostler_events::packages::{AffectedPackage, FindingEvent, PackagesEvent};
use hostler_events::{AdvisoryEvent, Priority};
use jiff::Timestamp;

use crate::render::describe::{Line, Mark};
use crate::render::time;

/// An event of an advisory.
pub(super) fn advisory(event: &AdvisoryEvent) -> Line {
    match event {
        AdvisoryEvent::Recorded(it) => {
            let packages: Vec<&str> = it.record.affected.iter().map(|of| of.package.as_str()).collect();
            let withdrawn = if it.record.withdrawn_at.is_some() { "; it is withdrawn" } else { "" };
            Line::new(
                Mark::Other,
                format!("{} published, for {}{withdrawn}", it.record.id, packages.join(", ")),
            )
        }
        AdvisoryEvent::Exploited(it) => {
            Line::new(Mark::Failed, format!("known to be exploited since {}", it.added))
        }
        AdvisoryEvent::Scored(it) => Line::new(Mark::Other, format!("EPSS is {} on {}", it.epss, it.date)),
        AdvisoryEvent::Prioritised(it) => {
            let (table, revision) = (it.table, it.revision);
            let exposed = urgency(it.priority, it.deadline);
            let others = urgency(it.unexposed, it.unexposed_deadline);
            let urgency = if it.emergency { "; its campaign is an emergency" } else { "" };
            Line::new(
                Mark::Begun,
                format!(
                    "decision {revision}, table {table}: {exposed} on exposed hosts, {others} on others{urgency}"
                ),
            )
        }
    }
}

/// An event of the packages of a host.
pub(super) fn packages(event: &PackagesEvent) -> Line {
    match event {
        PackagesEvent::Observed(it) => {
            let reboot = if it.reboot_pending { "; a reboot is pending" } else { "" };
            let (changed, removed) = (it.installed.len(), it.removed.len());
            let text = format!(
                "{} has read its packages: {changed} new or changed, {removed} removed{reboot}",
                it.source
            );
            Line::new(Mark::Other, text)
        }
        PackagesEvent::Assessed(it) => match &it.verdict {
            Some(verdict) if verdict.reboot_pending => {
                Line::new(Mark::Other, format!("waits for a reboot that resolves {}", it.advisory))
            }
            Some(verdict) => {
                Line::new(Mark::Failed, format!("has {}: {}", it.advisory, affected(&verdict.packages)))
            }
            None => Line::new(Mark::Done, format!("no longer has {}", it.advisory)),
        },
    }
}

/// An event of a finding.
pub(super) fn finding(event: &FindingEvent) -> Line {
    match event {
        FindingEvent::Detected(it) => {
            let urgency = urgency(it.found.priority, it.found.deadline);
            Line::new(
                Mark::Failed,
                format!("{} has it: {}; {urgency}", it.found.host, affected(&it.found.packages)),
            )
        }
        FindingEvent::Changed(it) => {
            let urgency = urgency(it.found.priority, it.found.deadline);
            Line::new(Mark::Other, format!("is now: {}; {urgency}", affected(&it.found.packages)))
        }
        FindingEvent::RebootPending(_) => {
            Line::new(Mark::Other, "the fix is installed; the host must be rebooted for it")
        }
        FindingEvent::Resolved(_) => Line::new(Mark::Done, "resolved"),
        FindingEvent::Excepted(it) => {
            let text = format!(
                "exception until {}, owned by {}",
                time::moment(it.exception.until),
                it.exception.owner
            );
            Line::new(Mark::Other, text).because(&it.exception.reason)
        }
        FindingEvent::ExceptionEnded(_) => Line::new(Mark::Other, "the exception has ended"),
        FindingEvent::DeadlineBreached(it) => {
            Line::new(Mark::Failed, format!("the deadline {} was missed", time::moment(it.deadline)))
        }
    }
}

fn urgency(priority: Priority, deadline: Option<Timestamp>) -> String {
    let until =
        deadline.map_or_else(|| "with the next upgrade".to_owned(), |at| format!("by {}", time::moment(at)));
    format!("{} {until}", priority.name())
}

fn affected(packages: &[AffectedPackage]) -> String {
    let one = |of: &AffectedPackage| {
        let fixed =
            of.fixed.as_ref().map_or_else(|| "no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
        format!("{} {} ({fixed})", of.package, of.installed)
    };
    packages.iter().map(one).collect::<Vec<_>>().join(", ")
}
