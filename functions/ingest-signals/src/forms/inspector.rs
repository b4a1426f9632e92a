//! Findings of Amazon Inspector (*Amazon Inspector User Guide: EventBridge event schema*, November 2026).
//!
//! A finding says two things: which versions of a package have a vulnerability, and which version an instance has. Each is told to
//! whom it concerns; whether the host has the vulnerability is compared there, as with any other list.

use std::collections::BTreeMap;

use hostler_events::advisory::{AdvisoryRecord, Affected, AffectedRange};
use hostler_events::findings::{EpssScore, PackageReport, RecordAdvisory, RecordPackages};
use hostler_events::packages::InstalledVersion;
use hostler_events::{AdvisoryId, HostId};
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{short, text, time};
use super::packages::checked;

/// Its detail-type.
pub(super) const KIND: &str = "Inspector2 Finding";
const SOURCE: &str = "inspector";
/// What instances of EC2 are called as resources.
const INSTANCE: &str = "AWS_EC2_INSTANCE";
/// What the type of a finding about a package begins with.
const OF_PACKAGE: &str = "PACKAGE";
const SUMMARY_CHARS_MAX: usize = 300;

pub(super) fn read(event: &Value, received_at: Timestamp) -> Reading {
    match said(event, received_at) {
        Ok(reading) => reading,
        Err(reason) => {
            let title = text(&event["detail"], "title").unwrap_or_default();
            Reading::misread(&format!("the finding {:?}", short(title, 60)), reason)
        }
    }
}

fn said(event: &Value, received_at: Timestamp) -> Result<Reading, String> {
    let detail = &event["detail"];
    let instance =
        detail["resources"].as_array().into_iter().flatten().find(|of| text(of, "type") == Some(INSTANCE));
    let is_closed = match text(detail, "status") {
        Some("ACTIVE") => false,
        Some("CLOSED") => true,
        // Exceptions are made here, with an owner and an end: what is suppressed there says nothing.
        Some("SUPPRESSED") => return Ok(quiet()),
        other => {
            let other = short(other.unwrap_or_default(), 40);
            return Err(format!("its status is {other:?}, and none of ACTIVE, CLOSED and SUPPRESSED"));
        }
    };
    // Images of containers and functions are no hosts, and an open port is no vulnerability of a package.
    let is_of_package = text(detail, "type").is_some_and(|kind| kind.starts_with(OF_PACKAGE));
    let Some(instance) = instance.filter(|_| is_of_package) else { return Ok(quiet()) };
    let host = HostId::new(text(instance, "id").unwrap_or_default()).map_err(|error| error.to_string())?;
    let platform = text(&instance["details"]["awsEc2Instance"], "platform").unwrap_or_default();
    let observed_at = time(event, "time", received_at)?.ok_or("it has no time")?;
    let vulnerability = &detail["packageVulnerabilityDetails"];
    let advisory = text(vulnerability, "vulnerabilityId").ok_or("it has no vulnerabilityId")?;
    let advisory = AdvisoryId::new(advisory).map_err(|error| error.to_string())?;
    let (mut advisories, mut packages, mut gone) = (Vec::new(), BTreeMap::new(), Vec::new());
    for package in vulnerability["vulnerablePackages"].as_array().into_iter().flatten() {
        let name = checked("the name of a package", text(package, "name").unwrap_or_default())?;
        let version = version(package)?;
        let record = record(detail, &name, platform, fixed(package), observed_at)?;
        let epss = detail["epss"]["score"].as_f64().filter(|score| (0.0..=1.0).contains(score));
        let date = observed_at.strftime("%Y-%m-%d").to_string();
        let epss = epss.map(|score| EpssScore { score, date });
        advisories.push(RecordAdvisory { advisory: advisory.clone(), record, epss });
        if is_closed {
            gone.push(name);
        } else {
            packages.insert(name, InstalledVersion { version, source: None, source_version: None });
        }
    }
    if advisories.is_empty() {
        return Err("it names no vulnerable package".to_owned());
    }
    let report = PackageReport {
        source: SOURCE.to_owned(),
        ecosystem: Some(ecosystem(platform)),
        complete: false,
        packages,
        gone,
        reboot_pending: None,
        observed_at,
    };
    Ok(Reading { advisories, packages: vec![RecordPackages { host, report }], ..Reading::default() })
}

fn quiet() -> Reading {
    Reading { quiet: 1, ..Reading::default() }
}

/// What Inspector knows of one package, as a record of its own: the same from all instances of a platform.
fn record(
    detail: &Value,
    name: &str,
    platform: &str,
    fixed: Option<String>,
    modified_at: Timestamp,
) -> Result<AdvisoryRecord, String> {
    let id = format!("{SOURCE}/{platform}/{name}").replace('+', "_");
    let id = AdvisoryId::new(id).map_err(|error| error.to_string())?.to_string();
    let cvss = detail["packageVulnerabilityDetails"]["cvss"].as_array().into_iter().flatten();
    let cvss = cvss.filter_map(|of| text(of, "scoringVector")).map(|vector| short(vector, 200)).collect();
    let range = AffectedRange { introduced: "0".to_owned(), fixed, last_affected: None };
    let affected = Affected {
        ecosystem: ecosystem(platform),
        package: name.to_owned(),
        purl: None,
        ranges: vec![range],
        versions: Vec::new(),
    };
    let summary = short(text(detail, "title").unwrap_or_default(), SUMMARY_CHARS_MAX);
    let (aliases, withdrawn_at, affected) = (Vec::new(), None, vec![affected]);
    Ok(AdvisoryRecord { id, aliases, summary, modified_at, withdrawn_at, cvss, affected })
}

/// `DEBIAN_12` is `Debian:12`. Other platforms stay as they are, and their versions are not compared.
fn ecosystem(platform: &str) -> String {
    match platform.split_once('_') {
        Some(("DEBIAN", release)) => format!("Debian:{release}"),
        Some(_) | None => short(platform, 60),
    }
}

/// `[epoch:]version[-release]`, whose parts are fields of their own.
fn version(package: &Value) -> Result<String, String> {
    let epoch = package["epoch"].as_u64().filter(|epoch| *epoch > 0);
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let release = text(package, "release").map(|release| format!("-{release}")).unwrap_or_default();
    let version = text(package, "version").unwrap_or_default();
    checked("the version of a package", &format!("{epoch}{version}{release}"))
}

/// The version that fixes it, if there is one.
fn fixed(package: &Value) -> Option<String> {
    let fixed = text(package, "fixedInVersion").filter(|fixed| *fixed != "NotAvailable")?;
    checked("fixedInVersion", fixed).ok()
}
