//! Whether what is installed has a vulnerability: OSV's rules (*OSV schema 1.7, evaluation*, November 2026) over Debian's versions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use hostler_core::mutants;
use hostler_events::advisory::{AdvisoryRecord, Affected, AffectedRange};
use hostler_events::packages::{AffectedPackage, InstalledVersion, PackageName};

use super::version::compare;

/// The ecosystem whose versions are compared.
const DEBIAN: &str = "Debian";

/// Whether the versions of an ecosystem, such as `Debian:12`, can be compared.
#[must_use]
pub fn is_compared(ecosystem: &str) -> bool {
    ecosystem.split(':').next() == Some(DEBIAN)
}

/// The packages of a host that have a vulnerability, each once, whatever the number of records.
#[must_use]
pub fn affected(
    ecosystem: &str,
    installed: &BTreeMap<PackageName, InstalledVersion>,
    records: &[AdvisoryRecord],
) -> Vec<AffectedPackage> {
    let lists =
        records.iter().filter(|record| record.withdrawn_at.is_none()).flat_map(|record| &record.affected);
    let lists: Vec<&Affected> = lists.filter(|list| is_for(list, ecosystem)).collect();
    let found = installed.iter().filter_map(|(name, is)| {
        let hits: Vec<Hit> = lists.iter().filter_map(|list| hit(list, name, is)).collect();
        // All records of a package must be satisfied: what fixes it is the newest of the fixes.
        let fixed = hits.iter().filter_map(|hit| hit.fixed.as_deref()).max_by(|a, b| compare(a, b));
        (!hits.is_empty()).then(|| AffectedPackage {
            package: name.clone(),
            installed: is.version.clone(),
            fixed: fixed.map(str::to_owned),
        })
    });
    found.collect()
}

/// The names under which records may speak of a package: its own, without the architecture, and that of its source.
pub fn names<'a>(name: &'a str, is: &'a InstalledVersion) -> impl Iterator<Item = &'a str> {
    [Some(binary(name)), is.source.as_deref()].into_iter().flatten()
}

/// The name without the architecture.
fn binary(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// An ecosystem without a release is that of all releases.
fn is_for(list: &Affected, ecosystem: &str) -> bool {
    is_compared(&list.ecosystem)
        && (list.ecosystem == ecosystem || (list.ecosystem == DEBIAN && is_compared(ecosystem)))
}

/// A package that has a vulnerability, and the version that has it no more.
struct Hit {
    fixed: Option<String>,
}

fn hit(list: &Affected, name: &str, is: &InstalledVersion) -> Option<Hit> {
    let version = version_of(list, name, is)?;
    let range = list.ranges.iter().find(|range| is_in(range, version));
    let is_named = list.versions.iter().any(|named| compare(named, version) == Ordering::Equal);
    if range.is_none() && !is_named {
        return None;
    }
    // Of what is named alone, the first fix after it.
    let later = || {
        let fixes = list.ranges.iter().filter_map(|range| range.fixed.as_deref());
        fixes.filter(|fixed| compare(version, fixed) == Ordering::Less).min_by(|a, b| compare(a, b))
    };
    let fixed = range.and_then(|range| range.fixed.as_deref()).or_else(later);
    Some(Hit { fixed: fixed.map(str::to_owned) })
}

/// The version that a record speaks of: that of the source package, where it names the source. Debian's records do, and
/// their purls say so.
fn version_of<'a>(list: &Affected, name: &str, is: &'a InstalledVersion) -> Option<&'a str> {
    let source = is.source.as_deref().unwrap_or(binary(name));
    let source_version = is.source_version.as_deref().unwrap_or(&is.version);
    let names_source = list.purl.as_deref().is_some_and(|purl| purl.contains("arch=source"));
    if list.package == source {
        Some(source_version)
    } else if !names_source && list.package == binary(name) {
        Some(&is.version)
    } else {
        None
    }
}

/// Whether a version is in a range.
pub(crate) fn is_in(range: &AffectedRange, version: &str) -> bool {
    let from = range.introduced == "0" || compare(&range.introduced, version) != Ordering::Greater;
    // Without its revision, a backport is as old as its upstream version.
    let upstream = version.split('-').next().unwrap_or(version);
    let compared = if mutants::on("packages.overlooks-backports") { upstream } else { version };
    let before_fix = range.fixed.as_ref().is_none_or(|fixed| compare(compared, fixed) == Ordering::Less);
    let up_to = range.last_affected.as_ref().is_none_or(|last| compare(version, last) != Ordering::Greater);
    from && before_fix && up_to
}
