//! A vulnerability that is published, as OSV would have it, and what the site does about it.

use std::collections::{BTreeMap, BTreeSet};

use hostler_domain::patching::patching_of;
use hostler_domain::views::{CampaignView, FindingView, finding_group};
use hostler_events::findings::RefreshAdvisory;
use hostler_events::{AdvisoryId, CampaignId, FindingStatus};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};

use super::play::Play;
use super::scenario::Package;
use super::streams::{self, Reaction};
use crate::api::{CampaignRow, FindingRow, Said, View};
use crate::error::CliError;
use crate::render::{counted, time};
use crate::target::Target;

/// An attacker can automate it, and it gives everything.
const SEVERE: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
/// What a campaign's end looks like when a person has stopped it, or too many hosts have failed.
const STOPPED: [&str; 3] = ["halted", "paused", "rejected"];

/// A vulnerability that was published by a scenario.
pub(super) struct Published {
    advisory: AdvisoryId,
    package: Package,
    at: Timestamp,
    /// What was said of its campaign.
    said: BTreeSet<String>,
}

/// What came of a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patched {
    /// The campaign.
    pub(super) campaign: CampaignId,
    /// Its status at the end.
    pub(super) status: String,
    /// How many waves it took.
    pub(super) waves: usize,
    /// How many hosts were patched.
    pub(super) patched: u32,
    /// How many failed.
    pub(super) failed: u32,
}

impl Play<'_> {
    /// A vulnerability of a package becomes known, and with it the versions that do not have it.
    pub(super) async fn publish(&mut self, package: &Package) -> Result<(), CliError> {
        let (year, seconds) = (self.began_at.to_zoned(TimeZone::UTC).year(), self.began_at.as_second());
        let id = format!("CVE-{year}-{seconds}");
        let advisory = AdvisoryId::new(&id).map_err(CliError::failed(format!("{id} is no advisory")))?;
        let (package, at) = (package.clone(), Timestamp::now());
        let published = Published { advisory, package, at, said: BTreeSet::new() };
        let record = record(&published, &self.why(), at, None);
        let Package { package: name, fixed, .. } = &published.package;
        let what = format!("published: {id}, in {name} before {fixed}");
        // On record before it is told: what was published is withdrawn whatever happens.
        self.published = Some(published);
        self.signal("osv", &record).await?;
        self.say(&what)
    }

    /// The catalogue of what is exploited has it.
    pub(super) async fn exploit(&self) -> Result<(), CliError> {
        let Some(Published { advisory, .. }) = &self.published else { return Ok(()) };
        let since = Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
        let told = RefreshAdvisory { advisory: advisory.clone(), exploited_since: Some(since), epss: None };
        let on = (View::Advisory, advisory.as_str());
        self.target.api.command_on(Said("simulate"), on, "refresh-advisory", &json!(told)).await?;
        self.say(&format!("{advisory} is exploited, says the catalogue KEV"))
    }

    /// Whether hosts are known that have it.
    pub(super) async fn is_found(&self) -> Result<bool, CliError> {
        Ok(!self.findings().await?.is_empty())
    }

    /// Whether no host that had it has it any more.
    pub(super) async fn is_patched(&self) -> Result<bool, CliError> {
        let findings = self.findings().await?;
        Ok(!findings.is_empty() && findings.iter().all(|of| of.status == FindingStatus::Resolved))
    }

    /// Says what is new of the campaign.
    pub(super) async fn follow(&mut self) -> Result<(), CliError> {
        let Some(campaign) = self.campaign().await? else { return Ok(()) };
        let mut news = Vec::new();
        if let Some(published) = &mut self.published {
            news.extend(in_words(&campaign).into_iter().filter(|line| published.said.insert(line.clone())));
        }
        news.iter().try_for_each(|line| self.say(line))
    }

    /// The campaign ends, if it has not; and what was published is withdrawn, so that no host has it by name any more.
    pub(super) async fn withdraw(&self) -> Result<(), CliError> {
        let Some(published) = &self.published else { return Ok(()) };
        let patched = self.is_patched().await?;
        if let Some(campaign) = self.campaign().await?.filter(|of| of.ended_at.is_none() && !patched) {
            let (id, reason) = (campaign.campaign.as_str(), self.why());
            let body = json!({ "campaign": id, "reason": reason });
            let on = (View::Campaign, id);
            self.target.api.command_on(Said("simulate"), on, "reject-campaign", &body).await?;
            self.say(&format!("rejected, for it is withdrawn: campaign {id}"))?;
        }
        let now = Timestamp::now();
        self.signal("osv", &record(published, &self.why(), now, Some(now))).await?;
        self.say(&format!("withdrawn: {}", published.advisory))?;
        match self.campaign().await?.filter(|of| of.ended_at.is_none()) {
            Some(of) => {
                self.say(&format!("campaign {} looks for hosts once more, and ends then", of.campaign))
            }
            None => Ok(()),
        }
    }

    /// What of it goes on.
    pub(super) async fn unpatched(&self) -> Result<Vec<String>, CliError> {
        let campaign = self.campaign().await?.filter(|campaign| campaign.ended_at.is_none());
        Ok(campaign.map(|of| format!("campaign {} is {}", of.campaign, of.status)).into_iter().collect())
    }

    /// What came of it.
    pub(super) async fn patched(&self) -> Result<Option<Patched>, CliError> {
        Ok(self.campaign().await?.map(|campaign| Patched {
            waves: campaign.waves.len(),
            patched: campaign.patched,
            failed: campaign.failed,
            campaign: campaign.campaign,
            status: campaign.status,
        }))
    }

    /// What was done about it, host by host.
    pub(super) async fn patches(&self) -> Result<Vec<Reaction>, CliError> {
        let (Some(published), Some(campaign)) = (&self.published, self.campaign().await?) else {
            return Ok(Vec::new());
        };
        let mut reactions = Vec::new();
        for finding in self.findings().await? {
            let commits = streams::commits(self.target, View::Host, finding.host.as_str()).await?;
            let saga = patching_of(&campaign.campaign, &finding.host)
                .map_err(CliError::failed(format!("{} has no patching", finding.host)))?;
            let worked = streams::worked(&commits).remove(&saga);
            reactions.push(reaction(published, &campaign, &finding, worked));
        }
        Ok(reactions)
    }

    /// The hosts that have it or had it.
    async fn findings(&self) -> Result<Vec<FindingView>, CliError> {
        let Some(Published { advisory, .. }) = &self.published else { return Ok(Vec::new()) };
        findings(self.target, advisory).await
    }

    /// The campaign that the site has begun because of it.
    async fn campaign(&self) -> Result<Option<CampaignView>, CliError> {
        let Some(Published { advisory, .. }) = &self.published else { return Ok(None) };
        let rows: Vec<CampaignRow> = self.target.api.rows(None).await?;
        Ok(rows.into_iter().map(|row| row.campaign).find(|campaign| campaign.advisory == *advisory))
    }
}

async fn findings(target: &Target, advisory: &AdvisoryId) -> Result<Vec<FindingView>, CliError> {
    let mut by_host = BTreeMap::new();
    for status in FindingStatus::ALL {
        let rows: Vec<FindingRow> = target.api.rows(Some(&finding_group(advisory, status))).await?;
        by_host.extend(rows.into_iter().map(|row| (row.finding.host.clone(), row.finding)));
    }
    Ok(by_host.into_values().collect())
}

/// A record in the *Open Source Vulnerability format* (ossf.github.io/osv-schema, November 2026).
fn record(of: &Published, why: &str, modified: Timestamp, withdrawn: Option<Timestamp>) -> Value {
    let Package { package, ecosystem, fixed } = &of.package;
    let mut record = json!({
        "schema_version": "1.7.0", "id": of.advisory, "published": of.at, "modified": modified,
        "summary": format!("Simulated: {why}."),
        "severity": [{ "type": "CVSS_V3", "score": SEVERE }],
        "affected": [{
            "package": { "ecosystem": ecosystem, "name": package },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
        }],
    });
    if let Some(withdrawn) = withdrawn {
        record["withdrawn"] = json!(withdrawn);
    }
    record
}

/// How far a campaign is, a line for each thing that happens once.
fn in_words(campaign: &CampaignView) -> Vec<String> {
    let id = &campaign.campaign;
    let mut lines =
        vec![format!("campaign {id} was asked for ({}): its hosts are counted in a minute", campaign.reason)];
    if campaign.hosts > 0 {
        let urgency = if campaign.emergency { ", as an emergency" } else { "" };
        let by = campaign.deadline.map(|deadline| format!(" by {}", time::moment(deadline)));
        lines.push(format!(
            "it patches {}{}{urgency}",
            counted(campaign.hosts, "host"),
            by.unwrap_or_default()
        ));
    }
    for wave in &campaign.waves {
        let (number, name) = (wave.number, if wave.number == 1 { ", the canary" } else { "" });
        lines.push(format!("wave {number}{name}: {} of {} hosts", wave.hosts, wave.left));
        if wave.completed_at.is_some() {
            lines.push(format!("wave {number} has ended: {} patched, {} failed", wave.patched, wave.failed));
        }
    }
    if let Some(held) = campaign.held.as_ref().filter(|_| campaign.ended_at.is_none()) {
        lines.push(format!("it waits: {}", held.lifts));
    }
    if STOPPED.contains(&campaign.status.as_str()) {
        lines.push(format!("it is {}: `hostler campaigns show {id}` says why", campaign.status));
    }
    lines
}

/// What was done about it on a host, which its saga had to itself from the first moment to the second.
fn reaction(
    published: &Published,
    campaign: &CampaignView,
    finding: &FindingView,
    worked: Option<(Timestamp, Option<Timestamp>)>,
) -> Reaction {
    let began = worked.map(|(began, _)| began);
    let wave = began.and_then(|began| campaign.waves.iter().rev().find(|wave| wave.started_at <= began));
    let versions = finding.packages.iter().map(|of| match &of.fixed {
        Some(fixed) => format!("{} {} to {fixed}", of.package, of.installed),
        None => format!("{} {}", of.package, of.installed),
    });
    let versions: Vec<String> = versions.collect();
    let did = match wave {
        Some(wave) => format!("wave {}: {}", wave.number, versions.join(", ")),
        None => "nothing".to_owned(),
    };
    Reaction {
        what: finding.host.to_string(),
        did,
        repairs: 0,
        caused_at: published.at,
        detected_at: Some(finding.detected_at),
        decided_at: wave.map(|wave| wave.started_at),
        acted_at: began,
        verified_at: finding.resolved_at.filter(|_| wave.is_some()),
        closed_at: worked.and_then(|(_, ended)| ended),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use jiff::SignedDuration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        "2026-01-31T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
    }

    fn published() -> Published {
        let package = Package {
            package: "openssl".to_owned(),
            ecosystem: "Debian:12".to_owned(),
            fixed: "3.0.14-1".to_owned(),
        };
        Published {
            advisory: "CVE-2026-1769860800".parse().unwrap(),
            package,
            at: at(0),
            said: BTreeSet::new(),
        }
    }

    fn campaign(status: &str) -> CampaignView {
        let wave = |number: u32, hosts: u32, from: i64, to: Option<i64>| {
            json!({
                "number": number, "percent": 25, "left": 4, "hosts": hosts, "errorsMax": 0, "soakSeconds": 5,
                "startedAt": at(from), "completedAt": to.map(at), "patched": hosts, "failed": 0, "patchedBefore": 0,
                "failedBefore": 0, "errorsFrom": 0,
            })
        };
        serde_json::from_value(json!({
            "campaign": "CVE-2026-1769860800.1", "advisory": "CVE-2026-1769860800", "status": status,
            "reason": "act, by decision table 1", "requestedAt": at(1), "deadline": at(259_200), "breached": false,
            "emergency": true, "hosts": 4, "patched": 1, "skipped": 0, "failed": 0, "excepted": 0, "planned": [5, 25, 100],
            "waves": [wave(1, 1, 61, Some(90)), wave(2, 3, 95, None)], "openRacks": [],
        }))
        .unwrap()
    }

    #[test]
    fn a_record_says_which_versions_have_it_and_one_that_is_withdrawn_says_so() {
        let told = record(&published(), "hostler simulate hot-cve", at(1), None);
        assert_eq!(told["affected"][0]["ranges"][0]["events"][1]["fixed"], "3.0.14-1");
        assert_eq!((&told["modified"], &told["withdrawn"]), (&json!(at(1)), &Value::Null));
        let withdrawn = record(&published(), "hostler simulate hot-cve", at(9), Some(at(9)));
        assert_eq!((&withdrawn["id"], &withdrawn["withdrawn"]), (&told["id"], &json!(at(9))));
    }

    #[test]
    fn a_campaign_is_told_step_by_step() {
        assert_eq!(
            in_words(&campaign("running")),
            [
                "campaign CVE-2026-1769860800.1 was asked for (act, by decision table 1): its hosts are counted in a minute",
                "it patches 4 hosts by 2026-02-03 12:00:00 UTC, as an emergency",
                "wave 1, the canary: 1 of 4 hosts",
                "wave 1 has ended: 1 patched, 0 failed",
                "wave 2: 3 of 4 hosts",
            ]
        );
        let halted = in_words(&campaign("halted"));
        assert!(halted.last().unwrap().starts_with("it is halted"), "{halted:?}");
    }

    #[test]
    fn a_host_is_patched_from_its_wave_to_the_scan_that_finds_nothing_any_more() {
        let finding: FindingView = serde_json::from_value(json!({
            "finding": "CVE-2026-1769860800/r-1/h-1", "advisory": "CVE-2026-1769860800", "host": "h-1", "pool": "web",
            "faultDomain": "r-1", "exposed": false, "status": "resolved", "priority": "act", "detectedAt": at(2),
            "resolvedAt": at(130), "packages": [{ "package": "openssl", "installed": "3.0.13-1", "fixed": "3.0.14-1" }],
        }))
        .unwrap();
        let worked = Some((at(100), Some(at(120))));
        let of = reaction(&published(), &campaign("running"), &finding, worked);
        assert_eq!(of.did, "wave 2: openssl 3.0.13-1 to 3.0.14-1");
        let times = [of.detected_at, of.decided_at, of.acted_at, of.verified_at, of.closed_at];
        assert_eq!(times, [2, 95, 100, 130, 120].map(|second| Some(at(second))));
        let untouched = reaction(&published(), &campaign("running"), &finding, None);
        assert_eq!((untouched.did.as_str(), untouched.verified_at), ("nothing", None));
    }
}
