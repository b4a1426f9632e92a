//! `policies try --follow`: what other policies decide otherwise, as it happens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostler_domain::shadow::{Compared, Pair};
use hostler_events::SitePolicy;
use jiff::Timestamp;
use serde_json::json;

use super::read::Reader;
use super::{show, tried};
use crate::commands::datacentre::policies::args::TryArgs;
use crate::error::CliError;
use crate::output::Out;
use crate::render::time;

/// How often what was recorded meanwhile is read.
const PAUSE: Duration = Duration::from_secs(2);

/// Replays again and again, and says each difference once. All is decided here: the running system hears nothing of it.
pub(super) async fn run(
    args: &TryArgs,
    policy: &SitePolicy,
    reader: &mut Reader<'_>,
    out: Out,
) -> Result<(), CliError> {
    let (started, mut told) = (Instant::now(), BTreeSet::new());
    loop {
        reader.read_on(Timestamp::now()).await?;
        let (report, _) = tried(args, policy, reader);
        for compared in &report.differences {
            for pair in compared.decisions.iter().filter(|pair| pair.differs) {
                if told.insert(name(compared, pair)) {
                    tell(compared, pair, out)?;
                }
            }
        }
        if args.timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same difference is not told again. What would be decided at another moment by now is.
fn name(compared: &Compared, pair: &Pair) -> String {
    let recorded = pair.recorded.as_ref().map(|said| &said.what);
    let would = pair.would.as_ref().map(|said| (said.at.as_second(), &said.what));
    format!("{} {} {recorded:?} {would:?}", compared.of, compared.incident_at)
}

fn tell(compared: &Compared, pair: &Pair, out: Out) -> Result<(), CliError> {
    if out.json {
        return out
            .json_line(&json!({ "of": compared.of, "incidentAt": compared.incident_at, "decision": pair }));
    }
    out.line(line(compared, pair))
}

fn line(compared: &Compared, pair: &Pair) -> String {
    let of = &compared.of;
    let change = show::change(pair);
    match (&pair.recorded, &pair.would) {
        (Some(recorded), Some(would)) => {
            let at = time::moment(would.at);
            format!("{at}  {of}  would be: {}  ({change}; on record: {})", would.what, recorded.what)
        }
        (None, Some(would)) => format!("{}  {of}  would be: {}", time::moment(would.at), would.what),
        // It may come later: what is tolerated for longer, for one.
        (Some(recorded), None) => {
            format!("{}  {of}  not yet: {}", time::moment(recorded.at), recorded.what)
        }
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use hostler_domain::shadow::{Said, Subject, What};
    use hostler_events::site::Rung;
    use jiff::SignedDuration;

    use super::*;

    fn told(recorded: Option<i64>, would: Option<i64>) -> (String, String) {
        let began: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let of = Subject::Host("h-1".parse().unwrap());
        let said = |seconds: i64| Said {
            of: of.clone(),
            incident_at: began,
            at: began + SignedDuration::from_secs(seconds),
            what: What::Acted { rung: Rung::PowerCycle, attempt: 1 },
        };
        let pair = Pair { recorded: recorded.map(said), would: would.map(said), differs: true };
        let compared = Compared { of: of.clone(), incident_at: began, decisions: Vec::new() };
        (line(&compared, &pair), name(&compared, &pair))
    }

    #[test]
    fn a_difference_is_one_line_with_its_moment() {
        assert_eq!(told(None, Some(5)).0, "2026-01-31 12:00:05 UTC  h-1  would be: power-cycle, attempt 1");
        assert_eq!(told(Some(5), None).0, "2026-01-31 12:00:05 UTC  h-1  not yet: power-cycle, attempt 1");
        assert!(told(Some(5), Some(65)).0.ends_with("(60.0 s later; on record: power-cycle, attempt 1)"));
    }

    #[test]
    fn a_difference_is_told_again_only_when_it_looks_otherwise() {
        assert_eq!(told(None, Some(5)).1, told(None, Some(5)).1);
        assert_eq!(told(Some(4), None).1, told(Some(5), None).1);
        assert_ne!(told(None, Some(5)).1, told(None, Some(65)).1);
        assert_ne!(told(None, Some(5)).1, told(Some(65), Some(5)).1);
    }
}
