//! The stream `packages#<host>`: what is installed on a host, and which vulnerabilities it has because of it.
//!
//! Lists come from agents, from scans and from other systems, and each says when it was read: an older one changes nothing. What
//! is compared with a vulnerability is only what is installed; a host that does not have the package is never touched.

use std::collections::BTreeMap;

use hostler_core::saga::{SagaCommand, SagaRef, StepReply};
use hostler_core::{Decider, Decision, command_sets, mutants};
use hostler_events::findings::{FindingsCommand, NoteFinding, PackageReport, ScanHost};
use hostler_events::packages::{
    AffectedPackage, FindingId, InstalledVersion, PackageName, PackagesAssessed, PackagesEvent,
    PackagesObserved, Verdict,
};
use hostler_events::patching::PackagesScanned;
use hostler_events::{AdvisoryId, FaultDomain, HostId, PoolId, StepId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

mod matching;
#[cfg(test)]
mod tests;
mod version;

pub(crate) use matching::is_in;
pub use matching::{affected, is_compared, names};
pub use version::compare;

use crate::advisory::AdvisoryBrief;

/// How many packages a host may have.
pub const PACKAGES_MAX: usize = 3_000;
/// How many packages one commit records.
pub const CHANGES_MAX: usize = 1_000;
/// How many vulnerabilities one commit records. Whoever asks does so until nothing changes any more.
const ASSESSED_MAX: usize = 100;

/// Decides on `packages#` streams.
#[derive(Debug, Clone, Copy)]
pub struct PackagesDecider;

command_sets! {
    /// What hosts' packages lead to.
    pub enum PackagesCommand {
        /// To a saga.
        Saga(SagaCommand),
        /// To `assess-hosts`.
        Findings(FindingsCommand),
    }
}

/// What is known of the packages of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackagesState {
    /// The host and where it is; absent until a list was read.
    pub place: Option<HostPlace>,
    /// The system, such as `Debian:12`.
    pub ecosystem: String,
    /// Who has read the newest list.
    pub source: String,
    /// What is installed.
    pub installed: BTreeMap<PackageName, InstalledVersion>,
    /// Whether something waits for a reboot.
    pub reboot_pending: bool,
    /// When the newest list was read.
    pub observed_at: Option<Timestamp>,
    /// The vulnerabilities that the host has.
    pub verdicts: BTreeMap<AdvisoryId, Known>,
    /// How many comparisons have shown something.
    pub sequence: u64,
}

impl PackagesState {
    /// The vulnerability of this id, where the host has it.
    #[must_use]
    pub fn verdict(&self, advisory: &AdvisoryId) -> Option<&Verdict> {
        self.verdicts.get(advisory).map(|known| &known.verdict)
    }

    /// The names under which advisories may speak of what is installed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.installed.iter().flat_map(|(name, is)| names(name, is))
    }
}

/// A host, and what of it matters for how urgent its vulnerabilities are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostPlace {
    /// The host.
    pub host: HostId,
    /// Its pool.
    pub pool: PoolId,
    /// Its rack.
    pub fault_domain: FaultDomain,
    /// Whether it is exposed.
    pub exposed: bool,
}

impl HostPlace {
    /// The id of a vulnerability of this host.
    fn finding(&self, advisory: &AdvisoryId) -> Result<FindingId, PackagesRefusal> {
        let id = format!("{advisory}/{}/{}", self.fault_domain, self.host);
        FindingId::new(id).map_err(|error| PackagesRefusal::Name { reason: error.to_string() })
    }
}

/// What is known of a vulnerability of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// The finding.
    pub finding: FindingId,
    /// The number of the decision that it was compared by.
    pub revision: u32,
    /// Whether the host was exposed then.
    pub exposed: bool,
    /// What has it.
    pub verdict: Verdict,
}

/// What the packages of a host are told.
#[derive(Debug, Clone, PartialEq)]
pub enum PackagesInput {
    /// A list was read.
    Observed {
        /// The host.
        place: HostPlace,
        /// What was read.
        report: Box<PackageReport>,
    },
    /// Have a list read.
    Rescan {
        /// The host.
        host: HostId,
    },
    /// A step of a saga is done or has failed, and this answers it.
    Answer(Box<SagaCommand>),
    /// A step that has read the packages anew is answered by what is known now.
    AnswerScan {
        /// The saga.
        saga: SagaRef,
        /// The step.
        step: StepId,
        /// What it asks about.
        advisory: AdvisoryId,
    },
    /// Compare what is installed with these.
    Match {
        /// The vulnerabilities.
        advisories: Vec<AdvisoryBrief>,
    },
}

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackagesRefusal {
    /// It is too long.
    #[error("the list has {packages} packages, and {PACKAGES_MAX} is the most that a host may have")]
    TooMany {
        /// How many.
        packages: usize,
    },
    /// A finding cannot be named.
    #[error(
        "a vulnerability of this host cannot be named: {reason}; give the host and its rack shorter names"
    )]
    Name {
        /// Why.
        reason: String,
    },
}

impl PackagesRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too-many-packages",
            Self::Name { .. } => "finding-without-name",
        }
    }
}

type PackagesDecision = Decision<PackagesEvent, PackagesCommand>;

impl Decider for PackagesDecider {
    const CATEGORY: &'static str = "packages";
    const STATE_VERSION: u32 = 1;
    type State = PackagesState;
    type Input = PackagesInput;
    type Event = PackagesEvent;
    type Command = PackagesCommand;
    type Refusal = PackagesRefusal;

    fn decide(
        state: &PackagesState,
        input: &PackagesInput,
        _: Timestamp,
    ) -> Result<PackagesDecision, PackagesRefusal> {
        match input {
            PackagesInput::Observed { place, report } => observe(state, place, report),
            PackagesInput::Rescan { host } => {
                let scan = FindingsCommand::from(ScanHost { host: host.clone() });
                Ok(Decision::nothing().command(scan.into()))
            }
            PackagesInput::Answer(answer) => Ok(Decision::nothing().command((**answer).clone().into())),
            PackagesInput::AnswerScan { saga, step, advisory } => {
                Ok(Decision::nothing().command(scanned(state, saga, step, advisory).into()))
            }
            PackagesInput::Match { advisories } => assess(state, advisories),
        }
    }

    fn evolve(mut state: PackagesState, event: &PackagesEvent) -> PackagesState {
        match event {
            PackagesEvent::Observed(observed) => {
                let PackagesObserved { host, pool, fault_domain, exposed, .. } = observed.clone();
                state.place = Some(HostPlace { host, pool, fault_domain, exposed });
                state.ecosystem.clone_from(&observed.ecosystem);
                state.source.clone_from(&observed.source);
                state.installed.extend(observed.installed.clone());
                state.installed.retain(|name, _| !observed.removed.contains(name));
                state.reboot_pending = observed.reboot_pending;
                state.observed_at = Some(observed.observed_at);
            }
            PackagesEvent::Assessed(assessed) => {
                let PackagesAssessed { advisory, revision, finding, verdict, exposed, .. } = assessed.clone();
                state.sequence = state.sequence.saturating_add(1);
                match verdict {
                    Some(verdict) => {
                        state.verdicts.insert(advisory, Known { finding, revision, exposed, verdict });
                    }
                    None => {
                        state.verdicts.remove(&advisory);
                    }
                }
            }
        }
        state
    }
}

/// What a scan has shown of a vulnerability.
fn scanned(state: &PackagesState, saga: &SagaRef, step: &StepId, advisory: &AdvisoryId) -> SagaCommand {
    let verdict = state.verdict(advisory);
    let reboot_pending = verdict.is_some_and(|verdict| verdict.reboot_pending);
    let output = json!(PackagesScanned { resolved: verdict.is_none(), reboot_pending });
    StepReply::succeeded(saga.clone(), step.clone(), output).into()
}

/// A list that is older than the newest changes nothing. One that says what is known is recorded when it is newer, for it
/// says until when that was so.
fn observe(
    state: &PackagesState,
    place: &HostPlace,
    report: &PackageReport,
) -> Result<PackagesDecision, PackagesRefusal> {
    if report.packages.len() > PACKAGES_MAX {
        return Err(PackagesRefusal::TooMany { packages: report.packages.len() });
    }
    let is_older = state.observed_at.is_some_and(|newest| report.observed_at < newest);
    if is_older && !mutants::on("packages.takes-older-lists") {
        return Ok(Decision::nothing());
    }
    let (mut installed, mut removed) = (BTreeMap::new(), Vec::new());
    for (name, is) in &report.packages {
        let name = known_name(state, report, name);
        let is = with_known_source(is, state.installed.get(name));
        if state.installed.get(name) != Some(&is) {
            installed.insert(name.clone(), is);
        }
    }
    for name in state.installed.keys() {
        let is_gone = report.gone.contains(name) || (report.complete && !report.packages.contains_key(name));
        if is_gone {
            removed.push(name.clone());
        }
    }
    let reboot_pending = report.reboot_pending.unwrap_or(state.reboot_pending);
    let ecosystem = report.ecosystem.clone().unwrap_or_else(|| state.ecosystem.clone());
    let is_same = installed.is_empty()
        && removed.is_empty()
        && reboot_pending == state.reboot_pending
        && ecosystem == state.ecosystem
        && state.place.as_ref() == Some(place);
    if is_same && state.observed_at == Some(report.observed_at) {
        return Ok(Decision::nothing());
    }
    let installed = installed.into_iter().take(CHANGES_MAX).collect();
    let HostPlace { host, pool, fault_domain, exposed } = place.clone();
    let (source, observed_at) = (report.source.clone(), report.observed_at);
    let observed = PackagesObserved {
        host,
        pool,
        fault_domain,
        exposed,
        ecosystem,
        source,
        installed,
        removed,
        reboot_pending,
        observed_at,
    };
    Ok(Decision::events([PackagesEvent::Observed(observed)]))
}

/// Who reads some packages only may name them without their architecture.
fn known_name<'a>(
    state: &'a PackagesState,
    report: &PackageReport,
    name: &'a PackageName,
) -> &'a PackageName {
    if report.complete || state.installed.contains_key(name) {
        return name;
    }
    let of_an_architecture = |known: &&PackageName| known.split_once(':').is_some_and(|(of, _)| of == name);
    state.installed.keys().find(of_an_architecture).unwrap_or(name)
}

/// Who reads names and versions alone does not make the source unknown.
fn with_known_source(is: &InstalledVersion, known: Option<&InstalledVersion>) -> InstalledVersion {
    match known {
        Some(known) if is.source.is_none() && is.version == known.version => known.clone(),
        Some(known) if is.source.is_none() => InstalledVersion { source: known.source.clone(), ..is.clone() },
        Some(_) | None => is.clone(),
    }
}

/// What has changed of the vulnerabilities, the first of them where there are many.
fn assess(state: &PackagesState, advisories: &[AdvisoryBrief]) -> Result<PackagesDecision, PackagesRefusal> {
    let Some(place) = &state.place else { return Ok(Decision::nothing()) };
    let (mut decision, mut sequence) = (Decision::nothing(), state.sequence);
    for brief in advisories {
        let known = state.verdicts.get(&brief.advisory);
        if known.is_some_and(|known| known.revision > brief.revision) {
            continue;
        }
        let verdict = verdict(state, brief, known.map(|known| &known.verdict));
        let is_same = match (&verdict, known) {
            (None, None) => true,
            (Some(verdict), Some(known)) => {
                (verdict, brief.revision, place.exposed) == (&known.verdict, known.revision, known.exposed)
            }
            (_, _) => false,
        };
        if is_same {
            continue;
        }
        let finding =
            known.map_or_else(|| place.finding(&brief.advisory), |known| Ok(known.finding.clone()))?;
        sequence = sequence.saturating_add(1);
        let assessed = PackagesAssessed {
            host: place.host.clone(),
            advisory: brief.advisory.clone(),
            revision: brief.revision,
            exposed: place.exposed,
            finding: finding.clone(),
            verdict: verdict.clone(),
        };
        let note = NoteFinding {
            finding,
            advisory: brief.advisory.clone(),
            host: place.host.clone(),
            pool: place.pool.clone(),
            fault_domain: place.fault_domain.clone(),
            exposed: place.exposed,
            sequence,
            verdict,
            urgency: brief.urgency(place.exposed),
        };
        decision =
            decision.event(PackagesEvent::Assessed(assessed)).command(FindingsCommand::from(note).into());
        if decision.events.len() >= ASSESSED_MAX {
            break;
        }
    }
    Ok(decision)
}

/// What has it now. What was vulnerable and is fixed waits for the reboot that its host is due.
fn verdict(state: &PackagesState, brief: &AdvisoryBrief, known: Option<&Verdict>) -> Option<Verdict> {
    let packages = affected(&state.ecosystem, &state.installed, &brief.records);
    match known {
        _ if !packages.is_empty() => Some(Verdict { packages, reboot_pending: false }),
        Some(known) if state.reboot_pending && !mutants::on("packages.fixed-before-the-reboot") => {
            let packages: Vec<AffectedPackage> = known.packages.clone();
            Some(Verdict { packages, reboot_pending: true })
        }
        Some(_) | None => None,
    }
}
