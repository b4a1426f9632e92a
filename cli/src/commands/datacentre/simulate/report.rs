//! What a scenario came to.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::Cell;
use jiff::Timestamp;
use serde::Serialize;

use super::streams::{BudgetSeen, HeldBack, Reaction};
use super::vulnerabilities::Patched;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, text};
use crate::render::time;

/// The most reactions that are drawn; the document has all.
const DRAWN_MAX: usize = 20;

/// What a scenario came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The scenario.
    pub(super) scenario: String,
    /// By what it was played.
    pub(super) by: &'static str,
    /// When it began.
    pub(super) began_at: Timestamp,
    /// How long it took, in seconds, without what came before and after.
    pub(super) seconds: f64,
    /// Whether somebody stopped it.
    pub(super) stopped: bool,
    /// All reactions.
    pub(super) reactions: Vec<Reaction>,
    /// What was held back, by rule.
    pub(super) held_back: HeldBack,
    /// How the disruption budget was used.
    pub(super) budget: BudgetSeen,
    /// The campaign of the vulnerability that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) campaign: Option<Patched>,
    /// How many hosts were repaired.
    pub(super) repairs: usize,
    /// How many hosts may be repaired, where the scenario says so.
    pub(super) repairs_max: Option<usize>,
    /// Which hosts' incidents became a person's, and why. The scenario has closed them at its end.
    pub(super) escalated: Vec<String>,
    /// What was waited for in vain.
    pub(super) missed: Vec<String>,
    /// What is left at the end.
    pub(super) left: Vec<String>,
}

/// The moments of a reaction after what caused it.
type Moment = (&'static str, fn(&Reaction) -> Option<Timestamp>);
const MOMENTS: [Moment; 5] = [
    ("DETECTED", |reaction| reaction.detected_at),
    ("DECIDED", |reaction| reaction.decided_at),
    ("ACTED", |reaction| reaction.acted_at),
    ("VERIFIED", |reaction| reaction.verified_at),
    ("CLOSED", |reaction| reaction.closed_at),
];

impl Report {
    /// Prints it.
    pub(super) fn tell(&self, out: Out) -> Result<(), CliError> {
        if out.json {
            return out.document(self);
        }
        out.line("")?;
        if self.reactions.is_empty() {
            out.line("Nothing was done to a host or a pool because of it.")?;
        } else {
            out.line(table(&self.reactions))?;
            let more = self.reactions.len().saturating_sub(DRAWN_MAX);
            let note = "Times are since what caused it happened, by the streams' own clocks.";
            let note =
                if more == 0 { note.to_owned() } else { format!("{note} {more} more are in the JSON.") };
            out.line(out.faint(note))?;
        }
        out.line("")?;
        for (name, what) in self.lines() {
            out.line(format!("{name:>10}  {what}"))?;
        }
        Ok(())
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let counted = |counts: &BTreeMap<String, usize>| match counts.is_empty() {
            true => "nothing".to_owned(),
            false => {
                let rules: Vec<String> =
                    counts.iter().map(|(rule, times)| format!("{rule} ({times})")).collect();
                format!("by {}", rules.join(", "))
            }
        };
        let BudgetSeen { most, granted, exceeded } = &self.budget;
        let budget = match exceeded.is_empty() {
            true => format!("never exceeded: {granted} granted, at most {most} at once"),
            false => format!("exceeded: {}", exceeded.join("; ")),
        };
        let of = self.repairs_max.map(|max| format!(", of at most {max}")).unwrap_or_default();
        let mut lines = vec![("held back", counted(&self.held_back)), ("budget", budget)];
        lines.extend(self.campaign.iter().map(|of| {
            let Patched { campaign, status, waves, patched, failed } = of;
            (
                "campaign",
                format!("{campaign} is {status}: {patched} patched in {waves} waves, {failed} failed"),
            )
        }));
        lines.extend([
            ("repairs", format!("{}{of}", self.repairs)),
            ("took", time::span(Duration::from_secs_f64(self.seconds))),
        ]);
        lines.extend(self.escalated.iter().map(|host| ("escalated", host.clone())));
        lines.extend(self.missed.iter().map(|missed| ("missed", missed.clone())));
        if self.left.is_empty() {
            lines.push(("left", "nothing: no host is cordoned, held or out of use".to_owned()));
        }
        lines.extend(self.left.iter().map(|left| ("left", left.clone())));
        lines
    }

    /// Fails unless all is well.
    pub(super) fn verdict(&self) -> Result<(), CliError> {
        let mut wrong = Vec::new();
        if self.stopped {
            wrong.push("it was stopped".to_owned());
        }
        if !self.missed.is_empty() {
            wrong.push("it did not come to its end in time".to_owned());
        }
        if !self.budget.exceeded.is_empty() {
            wrong.push("the budget was exceeded".to_owned());
        }
        if self.campaign.as_ref().is_some_and(|campaign| campaign.failed > 0) {
            wrong.push("hosts could not be patched".to_owned());
        }
        if self.repairs_max.is_some_and(|max| self.repairs > max) {
            wrong.push("hosts were repaired that are well".to_owned());
        }
        if !self.left.is_empty() {
            wrong.push("something is left".to_owned());
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(CliError::Outcome(format!("{}: {}", self.scenario, wrong.join(", and ")))),
        }
    }
}

fn table(reactions: &[Reaction]) -> String {
    let mut table = plain(["WHAT", "DID", "DETECTED", "DECIDED", "ACTED", "VERIFIED", "CLOSED"]);
    let since = |reaction: &Reaction, at: Option<Timestamp>| Some(time::between(reaction.caused_at, at?));
    let shown = |length: Option<Duration>| length.map_or_else(|| "-".to_owned(), time::span);
    for reaction in reactions.iter().take(DRAWN_MAX) {
        let mut row = vec![Cell::new(&reaction.what), Cell::new(short(&reaction.did))];
        row.extend(MOMENTS.iter().map(|(_, moment)| Cell::new(shown(since(reaction, moment(reaction))))));
        table.add_row(row);
    }
    if reactions.len() > 1 {
        let lengths = MOMENTS.map(|(_, moment)| {
            let mut lengths: Vec<Duration> =
                reactions.iter().filter_map(|reaction| since(reaction, moment(reaction))).collect();
            lengths.sort_unstable();
            lengths
        });
        let half = |lengths: &Vec<Duration>| lengths.get(lengths.len().saturating_sub(1) / 2).copied();
        let most = |lengths: &Vec<Duration>| lengths.last().copied();
        for (name, of) in [("p50", &half as &dyn Fn(&Vec<Duration>) -> Option<Duration>), ("max", &most)] {
            let mut row = vec![Cell::new(name), Cell::new("")];
            row.extend(lengths.iter().map(|lengths| Cell::new(shown(of(lengths)))));
            table.add_row(row);
        }
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    type Change<'a> = &'a dyn Fn(&mut Report);

    fn reaction(what: &str, seconds: [Option<i64>; 5]) -> Reaction {
        let caused_at: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let [detected_at, decided_at, acted_at, verified_at, closed_at] =
            seconds.map(|seconds| Some(caused_at + jiff::SignedDuration::from_secs(seconds?)));
        let (what, did) = (what.to_owned(), "power-cycle".to_owned());
        Reaction {
            what,
            did,
            repairs: 1,
            caused_at,
            detected_at,
            decided_at,
            acted_at,
            verified_at,
            closed_at,
        }
    }

    fn report() -> Report {
        Report {
            scenario: "rack-loss".to_owned(),
            by: "alerts",
            began_at: "2026-01-31T12:00:00Z".parse().unwrap(),
            seconds: 31.4,
            stopped: false,
            reactions: vec![
                reaction("h-01", [Some(1), Some(4), Some(5), Some(11), Some(12)]),
                reaction("h-02", [Some(3), None, None, None, Some(20)]),
            ],
            held_back: [("correlated".to_owned(), 4)].into(),
            budget: BudgetSeen { most: 1, granted: 1, exceeded: Vec::new() },
            campaign: Some(Patched {
                campaign: "CVE-2026-1.1".parse().unwrap(),
                status: "completed".to_owned(),
                waves: 3,
                patched: 6,
                failed: 0,
            }),
            repairs: 1,
            repairs_max: None,
            escalated: Vec::new(),
            missed: Vec::new(),
            left: Vec::new(),
        }
    }

    #[test]
    fn times_are_since_what_caused_it_with_their_median_and_their_most() {
        let told = table(&report().reactions);
        let rows: Vec<Vec<&str>> = told
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(rows[1], ["h-01", "power-cycle", "1.00 s", "4.00 s", "5.00 s", "11.0 s", "12.0 s"]);
        assert_eq!(rows[2], ["h-02", "power-cycle", "3.00 s", "-", "-", "-", "20.0 s"]);
        assert_eq!(rows[3], ["p50", "1.00 s", "4.00 s", "5.00 s", "11.0 s", "12.0 s"]);
        assert_eq!(rows[4], ["max", "3.00 s", "4.00 s", "5.00 s", "11.0 s", "20.0 s"]);
    }

    #[test]
    fn it_fails_for_whatever_is_not_as_it_should_be() {
        let verdict = |change: Change<'_>| {
            let mut report = report();
            change(&mut report);
            report.verdict().map_err(|error| error.to_string())
        };
        assert_eq!(verdict(&|_| {}), Ok(()));
        let wrong: [(Change<'_>, &str); 6] = [
            (&|report| report.campaign.as_mut().unwrap().failed = 1, "patched"),
            (&|report| report.stopped = true, "stopped"),
            (&|report| report.missed.push("x".to_owned()), "in time"),
            (&|report| report.budget.exceeded.push("x".to_owned()), "budget"),
            (&|report| report.repairs_max = Some(0), "repaired"),
            (&|report| report.left.push("x".to_owned()), "left"),
        ];
        for (change, said) in wrong {
            assert!(verdict(change).unwrap_err().contains(said), "{said}");
        }
    }
}
