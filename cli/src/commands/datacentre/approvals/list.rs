//! `approvals list`: everything that waits for a person's word, and the command that says it.

use clap::ValueEnum;
use comfy_table::Cell;
use hostler_domain::health::name_of;
use hostler_domain::views::{CampaignView, IncidentView, PoolView};
use hostler_events::drift::DriftRepair;
use hostler_events::pool::ScalingDirection;
use jiff::Timestamp;
use serde::Serialize;

use super::ListArgs;
use crate::api::{CampaignRow, HostRow, IncidentRow, PoolRow, RequestRow};
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table::{plain, short, text};
use crate::render::{counted, time};
use crate::target::Target;

/// The status of what waits for a person's word.
const AWAITS_APPROVAL: &str = "awaits-approval";

/// What may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A host is to be repaired
    Remediation,
    /// The configuration of a host is to be restored
    Drift,
    /// A vulnerability is to be patched
    Campaign,
    /// A pool is to grow or shrink
    Scaling,
    /// Hosts were asked for
    Request,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Remediation => "remediation",
            Self::Drift => "drift",
            Self::Campaign => "campaign",
            Self::Scaling => "scaling",
            Self::Request => "request",
        }
    }
}

/// Something that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    kind: Kind,
    /// The host, the campaign, the pool or the request.
    id: String,
    /// Its pool; a campaign has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    /// What is done once it is approved, and why.
    would: String,
    /// Until when it waits, where that has an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// What approves it, but for the reason.
    approve: String,
}

/// Lists what waits, kind by kind.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let api = &target.api;
    let incidents: Vec<IncidentRow> = api.rows(None).await?;
    let hosts: Vec<HostRow> = api.rows(None).await?;
    let campaigns: Vec<CampaignRow> = api.rows(Some(AWAITS_APPROVAL)).await?;
    let pools: Vec<PoolRow> = api.rows(None).await?;
    let requests: Vec<RequestRow> = api.rows(None).await?;
    if let Some(pool) = &args.pool {
        require("pool", pool.as_str(), hosts.iter().map(|row| row.pool.as_str()))?;
    }
    let mut rows: Vec<Waiting> = incidents.iter().filter_map(|row| remediation(&row.incident)).collect();
    rows.extend(hosts.iter().filter_map(drift));
    rows.extend(campaigns.iter().map(|row| campaign(&row.campaign)));
    rows.extend(pools.iter().filter_map(|row| scaling(&row.pool)));
    rows.extend(requests.iter().filter_map(request));
    rows.retain(|row| {
        let of_pool = args.pool.as_ref().is_none_or(|pool| row.pool.as_deref() == Some(pool.as_str()));
        of_pool && args.kind.is_none_or(|kind| kind == row.kind)
    });
    out.list(&rows, |row| row.id.as_str(), "Nothing waits for approval.", table, |_| String::new())
}

fn remediation(incident: &IncidentView) -> Option<Waiting> {
    let IncidentView { host, pool, fault, .. } = incident;
    (incident.status == AWAITS_APPROVAL).then(|| Waiting {
        kind: Kind::Remediation,
        id: host.to_string(),
        pool: Some(pool.to_string()),
        would: format!("{}, because of {fault}", incident.rung.map_or("nothing", name_of)),
        until: incident.until,
        approve: format!("hostler approvals approve {host}"),
    })
}

fn drift(row: &HostRow) -> Option<Waiting> {
    let found = row.drift.as_ref()?;
    let DriftRepair::AwaitsApproval { rule } = &found.repair else { return None };
    let role = row.role.as_deref().unwrap_or_default();
    Some(Waiting {
        kind: Kind::Drift,
        id: row.host.clone(),
        pool: Some(row.pool.clone()),
        would: format!("apply role {role} again, {}: {rule}", counted(found.changes, "change")),
        until: None,
        approve: format!("hostler hosts configure {}", row.host),
    })
}

fn campaign(campaign: &CampaignView) -> Waiting {
    let CampaignView { campaign: id, advisory, hosts, .. } = campaign;
    Waiting {
        kind: Kind::Campaign,
        id: id.to_string(),
        pool: None,
        would: format!("patch {advisory} on {}", counted(*hosts, "host")),
        until: campaign.deadline,
        approve: format!("hostler campaigns approve {id}"),
    }
}

fn scaling(view: &PoolView) -> Option<Waiting> {
    let (pool, proposal) = (&view.pool, view.proposal.as_ref()?);
    let verb = match proposal.direction {
        ScalingDirection::Out => "grow",
        ScalingDirection::In => "shrink",
    };
    Some(Waiting {
        kind: Kind::Scaling,
        id: pool.to_string(),
        pool: Some(pool.to_string()),
        would: format!("{verb} to {}", counted(proposal.chosen, "host")),
        until: Some(proposal.approve_by),
        approve: format!("hostler pools approve {pool} --number {}", proposal.number),
    })
}

fn request(row: &RequestRow) -> Option<Waiting> {
    let RequestRow { request, pool, role, .. } = row;
    (row.status == AWAITS_APPROVAL).then(|| Waiting {
        kind: Kind::Request,
        id: request.clone(),
        pool: Some(pool.clone()),
        would: format!("bring {} of role {role} into service", counted(row.provisionings.len(), "host")),
        until: row.approval_due_at,
        approve: format!("hostler requests approve {request}"),
    })
}

fn table(rows: &[Waiting]) -> String {
    let mut table = plain(["KIND", "WHAT", "POOL", "WOULD", "UNTIL", "IS APPROVED BY"]);
    for row in rows {
        table.add_row([
            Cell::new(row.kind.name()),
            Cell::new(&row.id),
            Cell::new(row.pool.as_deref().unwrap_or("-")),
            Cell::new(short(&row.would)),
            Cell::new(row.until.map_or_else(|| "-".to_owned(), time::moment)),
            Cell::new(&row.approve),
        ]);
    }
    text(&table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn drift_waits_for_a_person_only_where_the_policies_ask_for_one() {
        let host = |repair: serde_json::Value| -> HostRow {
            serde_json::from_value(json!({
                "host": "h-03", "pool": "web", "phase": "in-service", "role": "web", "version": 1,
                "drift": { "changes": 2, "repair": repair }, "updatedAt": "2026-01-31T12:00:00Z",
            }))
            .unwrap()
        };
        let rule = "configuration.autonomy is approve";
        let waits = drift(&host(json!({ "decision": "awaits-approval", "rule": rule }))).unwrap();
        assert_eq!(waits.would, format!("apply role web again, 2 changes: {rule}"));
        let shown = table(&[waits]);
        assert!(shown.contains("hostler hosts configure h-03"), "{shown}");
        assert_eq!(drift(&host(json!({ "decision": "begun" }))), None);
        assert_eq!(drift(&host(json!({ "decision": "suppressed", "rule": rule }))), None);
    }

    #[test]
    fn a_request_and_a_campaign_say_what_would_be_done_and_until_when() {
        let row: RequestRow = serde_json::from_value(json!({
            "request": "web-q3", "pool": "web", "role": "web", "status": "awaits-approval", "version": 1,
            "provisionings": ["web-q3.1", "web-q3.2"], "approvalDueAt": "2026-02-01T12:00:00Z",
            "updatedAt": "2026-01-31T12:00:00Z",
        }))
        .unwrap();
        let waits = request(&row).unwrap();
        assert_eq!(waits.would, "bring 2 hosts of role web into service");
        assert_eq!(waits.until, row.approval_due_at);
        assert_eq!(request(&RequestRow { status: "approved".to_owned(), ..row }), None);
        let view: CampaignView = serde_json::from_value(json!({
            "campaign": "CVE-2026-1.1", "advisory": "CVE-2026-1", "status": "awaits-approval", "reason": "attend",
            "requestedAt": "2026-01-31T12:00:00Z", "breached": false, "emergency": false, "hosts": 40, "patched": 0,
            "skipped": 0, "failed": 0, "excepted": 0, "planned": [1, 100], "waves": [], "openRacks": [],
        }))
        .unwrap();
        let waits = campaign(&view);
        assert_eq!((waits.would.as_str(), waits.pool), ("patch CVE-2026-1 on 40 hosts", None));
        assert_eq!(waits.approve, "hostler campaigns approve CVE-2026-1.1");
    }
}
