//! Records of vulnerabilities (*Open Source Vulnerability format 1.7*, ossf.github.io/osv-schema, November 2026).
//!
//! A vulnerability goes by its CVE id, whatever its publishers call their records: a distribution's advisory that is about
//! several is a record of each.

use std::collections::BTreeSet;

use hostler_events::AdvisoryId;
use hostler_events::advisory::{AdvisoryRecord, Affected, AffectedRange};
use hostler_events::findings::RecordAdvisory;
use jiff::Timestamp;
use serde_json::Value;

use super::Reading;
use super::item::{short, text, time};

/// What the ids of CVE begin with.
const CVE: &str = "CVE-";
/// The most vulnerabilities that one record may be about.
const ADVISORIES_MAX: usize = 100;
const SUMMARY_CHARS_MAX: usize = 300;
const VERSION_CHARS_MAX: usize = 100;

pub(super) fn read(body: &Value, received_at: Timestamp) -> Reading {
    let id = text(body, "id").unwrap_or_default();
    match record(body, received_at).and_then(|record| Ok((advisories(body, id)?, record))) {
        Ok((advisories, record)) => {
            let record = |advisory| RecordAdvisory { advisory, record: record.clone(), epss: None };
            Reading { advisories: advisories.into_iter().map(record).collect(), ..Reading::default() }
        }
        Err(reason) => Reading::misread(&format!("the record {:?}", short(id, 60)), reason),
    }
}

/// The vulnerabilities that a record is about.
fn advisories(body: &Value, id: &str) -> Result<Vec<AdvisoryId>, String> {
    let named = |field: &str| texts(&body[field]).into_iter();
    // Debian calls its record of a CVE so.
    let own = id.strip_prefix("DEBIAN-").unwrap_or(id);
    let is_cve = |id: &String| id.starts_with(CVE);
    let mut cves: BTreeSet<String> = [own.to_owned()].into_iter().filter(is_cve).collect();
    if cves.is_empty() {
        cves = named("aliases").chain(named("upstream")).filter(is_cve).collect();
    }
    // Older records of Debian's advisories name their CVEs as related.
    if cves.is_empty() && ["DSA-", "DLA-"].iter().any(|prefix| id.starts_with(prefix)) {
        cves = named("related").filter(is_cve).collect();
    }
    if cves.is_empty() {
        cves.insert(id.to_owned());
    }
    if cves.len() > ADVISORIES_MAX {
        return Err(format!("it is about {} vulnerabilities: send {ADVISORIES_MAX} at most", cves.len()));
    }
    cves.iter().map(|id| AdvisoryId::new(id).map_err(|error| error.to_string())).collect()
}

fn record(body: &Value, received_at: Timestamp) -> Result<AdvisoryRecord, String> {
    let id = text(body, "id").ok_or("it has no id")?;
    let id = AdvisoryId::new(id).map_err(|error| error.to_string())?.to_string();
    let modified_at = time(body, "modified", received_at)?.ok_or("it has no time in modified")?;
    let withdrawn_at = time(body, "withdrawn", received_at)?;
    let summary = text(body, "summary").or_else(|| text(body, "details")).unwrap_or_default();
    let lists = body["affected"].as_array().map_or(&[][..], Vec::as_slice);
    let affected =
        lists.iter().enumerate().map(|(n, of)| affected(of).map_err(|why| format!("affected[{n}]: {why}")));
    let of_packages = lists.iter().flat_map(|of| vectors(&of["severity"]));
    let cvss: BTreeSet<String> = vectors(&body["severity"]).chain(of_packages).collect();
    Ok(AdvisoryRecord {
        id,
        aliases: texts(&body["aliases"]),
        summary: short(summary, SUMMARY_CHARS_MAX),
        modified_at,
        withdrawn_at,
        cvss: cvss.into_iter().collect(),
        affected: affected.collect::<Result<_, String>>()?,
    })
}

fn vectors(severity: &Value) -> impl Iterator<Item = String> {
    let severities = severity.as_array().into_iter().flatten();
    let scores = severities.filter(|of| text(of, "type").is_some_and(|kind| kind.starts_with("CVSS")));
    scores.filter_map(|of| text(of, "score").map(|score| short(score, 200)))
}

fn affected(of: &Value) -> Result<Affected, String> {
    let package = &of["package"];
    let name = text(package, "name").ok_or("it names no package")?;
    let ecosystem = text(package, "ecosystem").ok_or("its package has no ecosystem")?;
    let ranges = of["ranges"].as_array().into_iter().flatten();
    // Ranges of commits say nothing of packages.
    let ranges = ranges.filter(|range| text(range, "type") != Some("GIT"));
    Ok(Affected {
        ecosystem: short(ecosystem, 60),
        package: short(name, 200),
        purl: text(package, "purl").map(|purl| short(purl, 300)),
        ranges: ranges.map(range).collect::<Result<Vec<_>, _>>()?.concat(),
        versions: texts(&of["versions"]).iter().map(|version| short(version, VERSION_CHARS_MAX)).collect(),
    })
}

/// The events of a range, in their order: each `introduced` begins one, which lasts until the next event.
fn range(of: &Value) -> Result<Vec<AffectedRange>, String> {
    let (mut ranges, mut begun) = (Vec::new(), None);
    for event in of["events"].as_array().into_iter().flatten() {
        let version = |field: &str| text(event, field).map(|version| short(version, VERSION_CHARS_MAX));
        if let Some(introduced) = version("introduced") {
            ranges.extend(begun.replace(open(introduced)));
        }
        let (fixed, last_affected) = (version("fixed"), version("last_affected"));
        if fixed.is_some() || last_affected.is_some() {
            let range: AffectedRange =
                begun.take().ok_or("a range ends that has not begun with introduced")?;
            ranges.push(AffectedRange { fixed, last_affected, ..range });
        }
    }
    ranges.extend(begun);
    Ok(ranges)
}

fn open(introduced: String) -> AffectedRange {
    AffectedRange { introduced, fixed: None, last_affected: None }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(|text| short(text, 200)).collect()
}
