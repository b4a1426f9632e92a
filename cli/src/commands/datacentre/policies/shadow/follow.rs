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
        let report = tried(args, policy, reader);
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

/// The same difference is not told again. One that looks otherwise by now is.
fn name(compared: &Compared, pair: &Pair) -> String {
    let what = |said: &Option<hostler_domain::shadow::Said>| {
        said.as_ref().map(|said| format!("{} {:?}", said.at.as_second(), said.what))
    };
    format!("{} {} {:?} {:?}", compared.of, compared.incident_at, what(&pair.recorded), what(&pair.would))
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
        (Some(recorded), None) => {
            format!("{}  {of}  would not be: {}", time::moment(recorded.at), recorded.what)
        }
        (None, None) => String::new(),
    }
}
