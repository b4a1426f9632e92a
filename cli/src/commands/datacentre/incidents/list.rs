//! `incidents list`.

use comfy_table::Cell;
use hostler_domain::health::name_of;
use hostler_domain::views::{FaultDomainView, IncidentView};
use jiff::Timestamp;
use serde::Serialize;

use super::args::ListArgs;
use crate::api::{FaultDomainRow, IncidentRow};
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, short, tally, text};
use crate::render::time;
use crate::target::Target;

/// An incident of a host, or of what fails together.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Listed {
    Domain(FaultDomainView),
    Host(Box<IncidentView>),
}

impl Listed {
    fn id(&self) -> &str {
        match self {
            Self::Domain(domain) => &domain.domain,
            Self::Host(incident) => incident.host.as_str(),
        }
    }

    fn status(&self) -> &str {
        match self {
            Self::Domain(domain) => &domain.status,
            Self::Host(incident) => &incident.status,
        }
    }
}

/// Lists what fails together first: its members are held back by it.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let domains: Vec<FaultDomainRow> = target.api.rows(None).await?;
    let hosts: Vec<IncidentRow> = target.api.rows(None).await?;
    let domains = domains.into_iter().map(|row| row.domain);
    let domains = domains.filter(|domain| args.pool.is_none() && (args.all || domain.closed_at.is_none()));
    let domains = domains.filter(|domain| domain.incident > 0);
    let hosts = hosts.into_iter().map(|row| row.incident);
    let over = args.all || args.status.as_deref() == Some("closed");
    let hosts = hosts.filter(|incident| {
        let of_pool = args.pool.as_ref().is_none_or(|pool| *pool == incident.pool);
        of_pool && (over || incident.closed_at.is_none())
    });
    let mut rows: Vec<Listed> =
        domains.map(Listed::Domain).chain(hosts.map(|incident| Listed::Host(Box::new(incident)))).collect();
    rows.retain(|row| args.status.as_ref().is_none_or(|status| status == row.status()));
    out.list(
        &rows,
        Listed::id,
        "There are no such incidents.",
        |rows| table(rows, Timestamp::now()),
        |rows| tally(rows.iter().map(Listed::status)),
    )
}

fn table(rows: &[Listed], now: Timestamp) -> String {
    let mut table = plain(["WHAT", "STATUS", "FAULT", "POOL", "RACK", "FOR", "DOING", "WHY"]);
    for row in rows {
        let cells = match row {
            Listed::Domain(domain) => [
                domain.domain.clone(),
                domain.status.clone(),
                format!("{} unhealthy", domain.unhealthy.len()),
                "-".to_owned(),
                "-".to_owned(),
                length(domain.opened_at, domain.closed_at, now),
                "-".to_owned(),
                match domain.escalated {
                    0 => "what its members share is lost".to_owned(),
                    times => format!("what its members share is lost; escalated {times} times"),
                },
            ],
            Listed::Host(incident) => [
                incident.host.to_string(),
                incident.status.clone(),
                incident.fault.to_string(),
                incident.pool.to_string(),
                incident.rack.to_string(),
                length(Some(incident.detected_at), incident.closed_at, now),
                incident.rung.map_or("-", name_of).to_owned(),
                short(&why(incident)),
            ],
        };
        table.add_row(cells.map(Cell::new));
    }
    text(&table)
}

/// How it ended, why it is a person's, or what holds it back.
fn why(incident: &IncidentView) -> String {
    let held = incident.held_back.as_ref().filter(|_| incident.status == "held").map(|held| held.why.clone());
    incident.reason.clone().or(held).unwrap_or_default()
}

fn length(from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> String {
    from.map_or_else(|| "-".to_owned(), |from| time::rough(time::between(from, to.unwrap_or(now))))
}
