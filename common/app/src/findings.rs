//! Vulnerabilities, what is installed, and which hosts have them: how each is shown, and what its refusals are.

use hostler_domain::advisory::ADVISORY_TIMERS_TO;
use hostler_domain::finding::FINDING_TIMERS_TO;
use hostler_domain::views::{self, ADVISORIES, FINDINGS, PACKAGES, finding_group};
use hostler_domain::{
    AdvisoryDecider, AdvisoryRefusal, AdvisoryState, FindingDecider, FindingRefusal, FindingState,
    PackagesDecider, PackagesRefusal, PackagesState,
};
use hostler_events::Priority;
use hostler_runtime::register::{Entity, Operated, Refused, Shown, Viewed};

/// Vulnerabilities, listed by how urgent they are.
#[derive(Debug, Clone, Copy)]
pub struct Advisories;

impl Entity for Advisories {
    type Decider = AdvisoryDecider;
    const TIMERS_TO: Option<&'static str> = Some(ADVISORY_TIMERS_TO);
}

impl Viewed for Advisories {
    const VIEW: &'static str = ADVISORIES;

    fn show(state: &AdvisoryState) -> Option<Shown> {
        let advisory = views::advisory(state)?;
        let priority = advisory.decision.as_ref().map_or(Priority::Track, |decision| decision.priority);
        Some(Shown::of(priority.name(), &advisory))
    }
}

impl Operated for Advisories {
    fn refused(refusal: &AdvisoryRefusal) -> Refused {
        let status = match refusal {
            AdvisoryRefusal::Unknown => 404,
            AdvisoryRefusal::Score { .. } | AdvisoryRefusal::Date { .. } => 400,
        };
        Refused { status, label: refusal.label() }
    }
}

/// What was read of the packages of hosts, listed by pool.
#[derive(Debug, Clone, Copy)]
pub struct PackagesOfHosts;

impl Entity for PackagesOfHosts {
    type Decider = PackagesDecider;
}

impl Viewed for PackagesOfHosts {
    const VIEW: &'static str = PACKAGES;

    fn show(state: &PackagesState) -> Option<Shown> {
        let packages = views::packages(state)?;
        Some(Shown::of(packages.pool.as_str(), &packages))
    }
}

impl Operated for PackagesOfHosts {
    fn refused(refusal: &PackagesRefusal) -> Refused {
        let status = match refusal {
            PackagesRefusal::TooMany { .. } | PackagesRefusal::Name { .. } => 400,
        };
        Refused { status, label: refusal.label() }
    }
}

/// Vulnerabilities of hosts, listed by vulnerability and by where each is.
#[derive(Debug, Clone, Copy)]
pub struct Findings;

impl Entity for Findings {
    type Decider = FindingDecider;
    const TIMERS_TO: Option<&'static str> = Some(FINDING_TIMERS_TO);
}

impl Viewed for Findings {
    const VIEW: &'static str = FINDINGS;

    fn show(state: &FindingState) -> Option<Shown> {
        let finding = views::finding(state)?;
        Some(Shown::of(finding_group(&finding.advisory, finding.status), &finding))
    }
}

impl Operated for Findings {
    fn refused(refusal: &FindingRefusal) -> Refused {
        let status = match refusal {
            FindingRefusal::Unknown => 404,
            FindingRefusal::Nobody { .. } | FindingRefusal::Until { .. } => 400,
            FindingRefusal::Resolved => 409,
        };
        Refused { status, label: refusal.label() }
    }
}
