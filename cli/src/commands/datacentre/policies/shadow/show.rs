//! What other policies would have decided, for people.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{Cell, Color};
use hostler_domain::health::name_of;
use hostler_domain::shadow::{Compared, Pair, Report, Said, Subject, Totals};

use super::read::Extent;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::render::time;

/// How many incidents are shown; JSON has all.
const SHOWN_MAX: usize = 20;

/// What nobody can know from a recording.
const NOT_KNOWN: &str = "\
What a replay does not know, it takes for granted:
  A fault goes on until it ended on record; one that was repaired there, and not here, goes on.
  A repair that was made on record ends as it did there. Whether any other would have helped is not known.
  A person says what was said on record, after as long. Who was not asked there does not answer here.
  Each incident is replayed from how things were when it began on record.
  Load is shared by the hosts of a pool: with twice as many, each measures half.";

/// All of it, as text.
pub(super) fn report(report: &Report, otherwise: usize, extent: &Extent, out: Out) -> String {
    let mut parts = vec![extent_of(report, otherwise, extent)];
    if report.compared > 0 {
        parts.push(totals(report));
    }
    if otherwise == 0 {
        parts.push("These policies would have decided the same.".to_owned());
    }
    for compared in report.differences.iter().take(SHOWN_MAX) {
        parts.push(format!("{}\n{}", out.bold(title(compared)), beside(&compared.decisions)));
    }
    let more = report.differences.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        parts.push(format!("{more} more are not shown: --output json has all, --host and --pool choose"));
    }
    parts.push(reproduced(report, out));
    parts.push(out.faint(NOT_KNOWN));
    parts.join("\n\n")
}

fn extent_of(report: &Report, otherwise: usize, extent: &Extent) -> String {
    let Extent { streams, commits, left_out } = extent;
    let (since, until) = (time::moment(report.since), time::moment(report.until));
    let mut lines = vec![
        format!("Replayed from {since} to {until}: {commits} commits of {streams} streams."),
        format!("Of {} incidents and pools, {otherwise} would have been decided otherwise.", report.compared),
    ];
    let shown = report.differences.len();
    if shown < otherwise {
        lines.push(format!("Those that were asked for are shown: {shown}. The sums are of all."));
    }
    lines.extend(left_out.iter().map(|what| format!("Not read, because there is too much of it: {what}.")));
    lines.join("\n")
}

/// How much of each was on record, and would be.
fn totals(report: &Report) -> String {
    let mut table = plain(["", "ON RECORD", "WOULD BE", ""]);
    let (recorded, would) = (&report.recorded, &report.would);
    let mut row = |name: &str, recorded: u32, would: u32| {
        if recorded == 0 && would == 0 {
            return;
        }
        let change = i64::from(would) - i64::from(recorded);
        let change = if change == 0 { String::new() } else { format!("{change:+}") };
        let cells = [name.to_owned(), recorded.to_string(), would.to_string()];
        let mut cells: Vec<Cell> = cells.into_iter().map(Cell::new).collect();
        cells.push(Cell::new(change).fg(Color::Blue));
        table.add_row(cells);
    };
    row("faults confirmed", recorded.confirmed, would.confirmed);
    let acted = |totals: &Totals| -> BTreeMap<String, u32> {
        totals.acted.iter().map(|(rung, times)| (name_of(*rung).to_owned(), *times)).collect()
    };
    each(&acted(recorded), &acted(would), "", &mut row);
    row("hosts disturbed at once, at most", recorded.disturbed_at_once, would.disturbed_at_once);
    each(&recorded.held, &would.held, "held back by ", &mut row);
    row("times a person was asked", recorded.asked, would.asked);
    row("left to a person", recorded.escalated, would.escalated);
    row("incidents that ended", recorded.recovered, would.recovered);
    row("repairs whose end is not known", recorded.unknown, would.unknown);
    row("hosts added by scaling", recorded.hosts_added, would.hosts_added);
    row("hosts removed by scaling", recorded.hosts_removed, would.hosts_removed);
    each(&recorded.scaling_held, &would.scaling_held, "scaling held back by ", &mut row);
    text(&table)
}

/// A row for each name that one of the two has.
fn each(
    recorded: &BTreeMap<String, u32>,
    would: &BTreeMap<String, u32>,
    prefix: &str,
    row: &mut impl FnMut(&str, u32, u32),
) {
    let names: BTreeSet<&String> = recorded.keys().chain(would.keys()).collect();
    for name in names {
        let of = |totals: &BTreeMap<String, u32>| totals.get(name).copied().unwrap_or(0);
        row(&format!("{prefix}{name}"), of(recorded), of(would));
    }
}

fn title(compared: &Compared) -> String {
    let since = time::moment(compared.incident_at);
    match &compared.of {
        Subject::Host(host) => format!("{host}, incident of {since}"),
        Subject::Pool(pool) => format!("pool {pool} since {since}"),
    }
}

/// What was decided, and beside it what would have been.
fn beside(decisions: &[Pair]) -> String {
    let mut table = plain(["", "ON RECORD", "", "WOULD BE", ""]);
    let at = |said: &Option<Said>| {
        said.as_ref().map_or_else(String::new, |said| said.at.strftime("%H:%M:%S").to_string())
    };
    let what =
        |said: &Option<Said>| said.as_ref().map_or_else(|| "-".to_owned(), |said| said.what.to_string());
    for pair in decisions {
        let Pair { recorded, would, differs } = pair;
        let cells = [at(recorded), what(recorded), at(would), what(would)];
        let mut cells: Vec<Cell> = cells.into_iter().map(Cell::new).collect();
        cells.push(Cell::new(if *differs { change(pair) } else { String::new() }).fg(Color::Blue));
        table.add_row(cells);
    }
    text(&table)
}

/// How a decision differs.
pub(super) fn change(pair: &Pair) -> String {
    match (&pair.recorded, &pair.would) {
        (Some(recorded), Some(would)) if recorded.what != would.what && recorded.at == would.at => {
            "otherwise".to_owned()
        }
        (Some(recorded), Some(would)) if would.at < recorded.at => {
            format!("{} earlier", time::span(time::between(would.at, recorded.at)))
        }
        (Some(recorded), Some(would)) => {
            format!("{} later", time::span(time::between(recorded.at, would.at)))
        }
        (None, Some(_)) => "only then".to_owned(),
        (Some(_), None) => "not then".to_owned(),
        (None, None) => String::new(),
    }
}

/// How far the replay is to be trusted.
fn reproduced(report: &Report, out: Out) -> String {
    let not = &report.not_reproduced;
    if not.is_empty() {
        return "The policies of the time, replayed the same way, decide all that is on record.".to_owned();
    }
    let mut lines = vec![out.bad(format!(
        "{} of them are not reproduced: the policies of the time decide otherwise in a replay. What is said of these is not to \
         be trusted:",
        not.len()
    ))];
    for compared in not.iter().take(SHOWN_MAX) {
        let differs = compared.decisions.iter().filter(|pair| pair.differs);
        let said: Vec<String> = differs
            .map(|pair| match (&pair.recorded, &pair.would) {
                (Some(recorded), _) => format!("only on record: {}", recorded.what),
                (None, Some(replayed)) => format!("only in the replay: {}", replayed.what),
                (None, None) => String::new(),
            })
            .collect();
        lines.push(format!("  {}: {}", title(compared), said.join("; ")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use hostler_domain::shadow::What;
    use hostler_events::site::Rung;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    const PLAIN: Out = Out { json: false, ids: false, terminal: false, colour: false };

    fn began() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn said(seconds: i64, what: What) -> Said {
        let of = Subject::Host("h-1".parse().unwrap());
        let at = began() + SignedDuration::from_secs(seconds);
        Said { of, incident_at: began(), at, what }
    }

    fn acted(seconds: i64, rung: Rung) -> Said {
        said(seconds, What::Acted { rung, attempt: 1 })
    }

    /// It would be tolerated for longer, power-cycled later, and not installed anew.
    fn compared() -> Compared {
        let tolerated = |seconds| Some(said(0, What::Tolerated { seconds }));
        let pair = |recorded: Option<Said>, would: Option<Said>| Pair { recorded, would, differs: true };
        let decisions = vec![
            pair(tolerated(60), tolerated(300)),
            pair(Some(acted(60, Rung::PowerCycle)), Some(acted(300, Rung::PowerCycle))),
            pair(Some(acted(240, Rung::Reimage)), None),
            pair(None, Some(said(420, What::Unknown { rung: Rung::Replace }))),
        ];
        Compared { of: Subject::Host("h-1".parse().unwrap()), incident_at: began(), decisions }
    }

    fn shown(differences: Vec<Compared>, otherwise: usize, not_reproduced: Vec<Compared>) -> String {
        let mut recorded = Totals { confirmed: 2, ..Totals::default() };
        recorded.acted.insert(Rung::PowerCycle, 2);
        let mut would = Totals { confirmed: 2, ..Totals::default() };
        would.held.insert("rack".to_owned(), 3);
        let control = recorded.clone();
        let (since, until) = (began(), began() + SignedDuration::from_hours(24));
        let told =
            Report { since, until, compared: 3, differences, not_reproduced, recorded, control, would };
        let left_out = vec!["the first 12 commits of budgets/site".to_owned()];
        report(&told, otherwise, &Extent { streams: 4, commits: 90, left_out }, PLAIN)
    }

    fn has(text: &str, line: &[&str]) -> bool {
        text.lines().any(|of| {
            of.split_whitespace().collect::<Vec<_>>() == line.join(" ").split(' ').collect::<Vec<_>>()
        })
    }

    #[test]
    fn what_would_be_stands_beside_what_was_with_how_it_differs() {
        let text = shown(vec![compared()], 1, Vec::new());
        assert!(text.contains("h-1, incident of 2026-01-31 12:00:00 UTC"), "{text}");
        let tolerated = ["12:00:00 tolerated for 60 s", "12:00:00 tolerated for 300 s", "otherwise"];
        assert!(has(&text, &tolerated), "{text}");
        let moved = ["12:01:00 power-cycle, attempt 1", "12:05:00 power-cycle, attempt 1", "4 min 0 s later"];
        assert!(has(&text, &moved), "{text}");
        assert!(has(&text, &["12:04:00 reimage, attempt 1", "-", "not then"]), "{text}");
        assert!(has(&text, &["-", "12:07:00 whether replace helps is not known", "only then"]), "{text}");
    }

    #[test]
    fn sums_name_each_rung_and_each_rule_and_what_was_not_read() {
        let text = shown(Vec::new(), 0, Vec::new());
        assert!(text.contains("90 commits of 4 streams"), "{text}");
        assert!(text.contains("Of 3 incidents and pools, 0 would have been decided otherwise."), "{text}");
        assert!(!text.contains("scaling"), "what did not happen is no line: {text}");
        assert!(
            text.contains("Not read, because there is too much of it: the first 12 commits of budgets/site.")
        );
        assert!(has(&text, &["faults confirmed", "2", "2"]), "{text}");
        assert!(has(&text, &["power-cycle", "2", "0", "-2"]), "{text}");
        assert!(has(&text, &["held back by rack", "0", "3", "+3"]), "{text}");
        assert!(text.contains("These policies would have decided the same."), "{text}");
        assert!(text.contains("Whether any other would have helped is not known."), "{text}");
    }

    #[test]
    fn what_was_not_asked_for_is_in_the_sums_only() {
        let text = shown(vec![compared()], 2, Vec::new());
        assert!(text.contains("Those that were asked for are shown: 1. The sums are of all."), "{text}");
    }

    #[test]
    fn what_is_not_reproduced_is_not_to_be_trusted_and_says_why() {
        let text = shown(Vec::new(), 0, vec![compared()]);
        assert!(text.contains("1 of them are not reproduced"), "{text}");
        assert!(text.contains("only in the replay: whether replace helps is not known"), "{text}");
    }
}
