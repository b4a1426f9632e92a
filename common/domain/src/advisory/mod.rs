//! The stream `advisory#<advisory>`: what is published of a vulnerability, and how urgent it is.
//!
//! New facts are recorded as they come, and then it is decided anew by the site's table. A decision that changes something
//! has the whole fleet looked through, page by page; and once more a little later, for hosts whose lists came meanwhile.

use std::collections::BTreeMap;

use hostler_core::{Decider, Decision, SetTimer};
use hostler_events::HostId;
use hostler_events::advisory::{
    AdvisoryEvent, AdvisoryExploited, AdvisoryFacts, AdvisoryId, AdvisoryPrioritised, AdvisoryRecord,
    AdvisoryRecorded, AdvisoryScored, Affected, Priority,
};
use hostler_events::findings::{
    AssessFleet, EpssScore, FindingsCommand, MatchHosts, PrioritiseAdvisory, Urgency,
};
use hostler_events::vulnerabilities::VulnerabilityPolicy;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::packages::{is_compared, is_in};
use crate::support::after;

mod facts;
#[cfg(test)]
mod tests;

/// The queue to which the timers of advisories are delivered.
pub const ADVISORY_TIMERS_TO: &str = "assess-hosts";
/// How many hosts one command names.
const HOSTS_PER_COMMAND: usize = 25;
/// How many records of different publishers are kept of one vulnerability.
const RECORDS_MAX: usize = 200;
/// After so many seconds the fleet is looked through once more: those who read lists know of an advisory by then.
const AGAIN_AFTER_SECONDS: u32 = 300;

/// Decides on `advisory#` streams.
#[derive(Debug, Clone, Copy)]
pub struct AdvisoryDecider;

/// What is known of a vulnerability.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryState {
    /// It; absent until something was recorded.
    pub advisory: Option<AdvisoryId>,
    /// What was published, by the publishers' ids.
    pub records: BTreeMap<String, AdvisoryRecord>,
    /// Since when it is known to be exploited.
    pub exploited: Option<String>,
    /// How likely it is that it will be exploited.
    pub epss: Option<EpssScore>,
    /// The newest decision.
    pub decision: Option<AdvisoryPrioritised>,
    /// Whether something was published since that decides who has it.
    pub is_stale: bool,
}

impl AdvisoryState {
    /// The number of the newest decision; 0 for none.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.decision.as_ref().map_or(0, |decision| decision.revision)
    }

    /// What hosts are compared with; none before it is decided how urgent it is.
    #[must_use]
    pub fn brief(&self) -> Option<AdvisoryBrief> {
        let records = self
            .records
            .values()
            .filter(|record| record.affected.iter().any(|of| is_compared(&of.ecosystem)));
        AdvisoryBrief::of(self.decision.as_ref()?, records.cloned().collect())
    }

    /// Whether all that was published of it is withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        !self.records.is_empty() && self.records.values().all(|record| record.withdrawn_at.is_some())
    }

    /// The facts by which it is decided.
    #[must_use]
    pub fn facts(&self) -> AdvisoryFacts {
        let epss = self.epss.as_ref().map(|epss| epss.score);
        facts::facts(self.records.values(), self.exploited.is_some(), epss)
    }
}

/// What hosts are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryBrief {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The number of the decision.
    pub revision: u32,
    /// The records whose versions can be compared.
    pub records: Vec<AdvisoryRecord>,
    /// How urgent it is on exposed hosts.
    pub exposed: Urgency,
    /// How urgent it is on the others.
    pub unexposed: Urgency,
}

impl AdvisoryBrief {
    /// Of a decision, and of these records.
    #[must_use]
    pub fn of(decision: &AdvisoryPrioritised, records: Vec<AdvisoryRecord>) -> Option<Self> {
        let AdvisoryPrioritised { advisory, revision, decided_at, .. } = decision.clone();
        let urgency = |priority, deadline, days| Urgency { priority, decided_at, deadline, days };
        Some(Self {
            advisory,
            revision,
            records,
            exposed: urgency(decision.priority, decision.deadline, decision.days),
            unexposed: urgency(decision.unexposed, decision.unexposed_deadline, decision.unexposed_days),
        })
    }

    /// How urgent it is on a host.
    #[must_use]
    pub fn urgency(&self, exposed: bool) -> Urgency {
        if exposed { self.exposed } else { self.unexposed }
    }
}

/// What an advisory is told.
#[derive(Debug, Clone, PartialEq)]
pub enum AdvisoryInput {
    /// A record was published.
    Record {
        /// The vulnerability.
        advisory: AdvisoryId,
        /// The record.
        record: Box<AdvisoryRecord>,
        /// How likely it is that it will be exploited, where the source says.
        epss: Option<EpssScore>,
    },
    /// Catalogues say something of it.
    Refresh {
        /// Since when it is known to be exploited.
        exploited_since: Option<String>,
        /// How likely it is that it will be exploited.
        epss: Option<EpssScore>,
    },
    /// Decide how urgent it is.
    Prioritise {
        /// By what.
        table: Box<VulnerabilityPolicy>,
    },
    /// A page of the fleet was read.
    Page {
        /// For which decision.
        revision: u32,
        /// The hosts on it.
        hosts: Vec<HostId>,
        /// Where the next page begins; none after the last.
        next: Option<String>,
    },
    /// The fleet is to be looked through once more.
    Again {
        /// For which decision.
        revision: u32,
    },
}

/// Why an advisory refuses what a person wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdvisoryRefusal {
    /// Nothing is on record of it.
    #[error("nothing is on record of this advisory: `hostler findings advisories` lists what is")]
    Unknown,
    /// The score is none.
    #[error("the EPSS score is {score}: give a number from 0 to 1")]
    Score {
        /// What was given.
        score: String,
    },
    /// The date is none.
    #[error("{date:?} is no date: give one such as 2026-11-28")]
    Date {
        /// What was given.
        date: String,
    },
}

impl AdvisoryRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown-advisory",
            Self::Score { .. } => "invalid-score",
            Self::Date { .. } => "invalid-date",
        }
    }
}

/// Reads a timer's name: for which decision the fleet is to be looked through again.
#[must_use]
pub fn again_of(timer: &str) -> Option<u32> {
    timer.strip_prefix("again:")?.parse().ok()
}

type AdvisoryDecision = Decision<AdvisoryEvent, FindingsCommand>;

impl Decider for AdvisoryDecider {
    const CATEGORY: &'static str = "advisory";
    const STATE_VERSION: u32 = 1;
    type State = AdvisoryState;
    type Input = AdvisoryInput;
    type Event = AdvisoryEvent;
    type Command = FindingsCommand;
    type Refusal = AdvisoryRefusal;

    fn decide(
        state: &AdvisoryState,
        input: &AdvisoryInput,
        now: Timestamp,
    ) -> Result<AdvisoryDecision, AdvisoryRefusal> {
        match input {
            AdvisoryInput::Record { advisory, record, epss } => {
                let recorded = record_of(state, advisory, &without_repeats(record));
                let scored = score_of(state, advisory, epss.as_ref())?;
                Ok(noted(advisory, recorded.into_iter().chain(scored)))
            }
            AdvisoryInput::Refresh { exploited_since, epss } => {
                let advisory = state.advisory.as_ref().ok_or(AdvisoryRefusal::Unknown)?;
                let exploited = exploited_of(state, advisory, exploited_since.as_ref())?;
                let scored = score_of(state, advisory, epss.as_ref())?;
                Ok(noted(advisory, exploited.into_iter().chain(scored)))
            }
            AdvisoryInput::Prioritise { table } => Ok(prioritise(state, table, now)),
            AdvisoryInput::Page { revision, hosts, next } => Ok(page(state, *revision, hosts, next.as_ref())),
            AdvisoryInput::Again { revision } if *revision == state.revision() => {
                Ok(look_through(state, *revision, None))
            }
            AdvisoryInput::Again { .. } => Ok(Decision::nothing()),
        }
    }

    fn evolve(mut state: AdvisoryState, event: &AdvisoryEvent) -> AdvisoryState {
        match event {
            AdvisoryEvent::Recorded(AdvisoryRecorded { advisory, record }) => {
                state.advisory = Some(advisory.clone());
                state.records.insert(record.id.clone(), record.clone());
                state.is_stale = true;
            }
            AdvisoryEvent::Exploited(AdvisoryExploited { added, .. }) => {
                state.exploited = Some(added.clone())
            }
            AdvisoryEvent::Scored(AdvisoryScored { epss, date, .. }) => {
                state.epss = Some(EpssScore { score: *epss, date: date.clone() });
            }
            AdvisoryEvent::Prioritised(decision) => {
                state.decision = Some(decision.clone());
                state.is_stale = false;
            }
        }
        state
    }
}

/// What was noted leads to a new decision.
fn noted(advisory: &AdvisoryId, events: impl Iterator<Item = AdvisoryEvent>) -> AdvisoryDecision {
    let decision = Decision::events(events);
    if decision.events.is_empty() {
        return decision;
    }
    decision.command(PrioritiseAdvisory { advisory: advisory.clone() }.into())
}

/// Versions that a range has as well say nothing more, and a record may name thousands.
fn without_repeats(record: &AdvisoryRecord) -> AdvisoryRecord {
    let mut record = record.clone();
    for affected in &mut record.affected {
        let Affected { ranges, versions, .. } = affected;
        versions.retain(|version| !ranges.iter().any(|range| is_in(range, version)));
    }
    record
}

/// An older record, or one that says the same, changes nothing.
fn record_of(state: &AdvisoryState, advisory: &AdvisoryId, record: &AdvisoryRecord) -> Option<AdvisoryEvent> {
    let is_news = match state.records.get(&record.id) {
        None => state.records.len() < RECORDS_MAX,
        Some(known) => {
            let same = AdvisoryRecord { modified_at: known.modified_at, ..record.clone() } == *known;
            record.modified_at > known.modified_at && !same
        }
    };
    is_news.then(|| {
        AdvisoryEvent::Recorded(AdvisoryRecorded { advisory: advisory.clone(), record: record.clone() })
    })
}

fn exploited_of(
    state: &AdvisoryState,
    advisory: &AdvisoryId,
    since: Option<&String>,
) -> Result<Option<AdvisoryEvent>, AdvisoryRefusal> {
    let Some(added) = since.filter(|_| state.exploited.is_none()) else { return Ok(None) };
    check_date(added)?;
    Ok(Some(AdvisoryEvent::Exploited(AdvisoryExploited { advisory: advisory.clone(), added: added.clone() })))
}

fn score_of(
    state: &AdvisoryState,
    advisory: &AdvisoryId,
    epss: Option<&EpssScore>,
) -> Result<Option<AdvisoryEvent>, AdvisoryRefusal> {
    let Some(EpssScore { score, date }) = epss else { return Ok(None) };
    check_date(date)?;
    if !(0.0..=1.0).contains(score) {
        return Err(AdvisoryRefusal::Score { score: score.to_string() });
    }
    // Dates of this form sort as text.
    let is_newer = state.epss.as_ref().is_none_or(|known| known.date < *date);
    Ok(is_newer.then(|| {
        AdvisoryEvent::Scored(AdvisoryScored { advisory: advisory.clone(), epss: *score, date: date.clone() })
    }))
}

fn check_date(date: &str) -> Result<(), AdvisoryRefusal> {
    let is_date = date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok();
    is_date.then_some(()).ok_or_else(|| AdvisoryRefusal::Date { date: date.chars().take(40).collect() })
}

/// A decision that changes neither who has it nor how urgent it is, is none.
fn prioritise(state: &AdvisoryState, table: &VulnerabilityPolicy, now: Timestamp) -> AdvisoryDecision {
    let Some(advisory) = state.advisory.clone() else { return Decision::nothing() };
    let facts = state.facts();
    let before = state.decision.as_ref();
    // What is withdrawn has no deadline, also where it is known to be exploited: otherwise it would have a campaign for no host.
    let is_withdrawn = state.is_withdrawn();
    let priority_of = |exposed| if is_withdrawn { Priority::Track } else { table.priority(&facts, exposed) };
    let (priority, unexposed) = (priority_of(true), priority_of(false));
    let emergency = table.emergency.contains(&priority);
    let known = before.map(|of| (of.priority, of.unexposed, of.emergency, of.table));
    if known == Some((priority, unexposed, emergency, table.version)) && !state.is_stale {
        return Decision::nothing();
    }
    let days = table.deadlines.days(priority);
    let unexposed_days = table.deadlines.days(unexposed);
    let revision = state.revision().saturating_add(1);
    let was = before.map(|of| (of.priority, of.deadline));
    let was_unexposed = before.map(|of| (of.unexposed, of.unexposed_deadline));
    let decided = AdvisoryPrioritised {
        advisory,
        revision,
        priority,
        deadline: deadline(was, priority, days, now),
        emergency,
        unexposed,
        unexposed_deadline: deadline(was_unexposed, unexposed, unexposed_days, now),
        days,
        unexposed_days,
        table: table.version,
        facts,
        decided_at: now,
    };
    let again = SetTimer {
        name: format!("again:{revision}"),
        due_at: after(now, AGAIN_AFTER_SECONDS),
        deliver_to: ADVISORY_TIMERS_TO,
    };
    let look = look_through(state, revision, None).commands;
    let decision = Decision::events([AdvisoryEvent::Prioritised(decided)]).timer(again);
    look.into_iter().fold(decision, Decision::command)
}

/// Until when: a decision that says the same moves no deadline, and one that is more urgent never moves it back.
fn deadline(
    was: Option<(Priority, Option<Timestamp>)>,
    is: Priority,
    days: Option<u32>,
    now: Timestamp,
) -> Option<Timestamp> {
    let anew = days.map(|days| in_days(now, days));
    match was {
        Some((priority, deadline)) if priority == is => deadline,
        Some((priority, Some(deadline))) if is < priority => {
            Some(anew.map_or(deadline, |anew| anew.min(deadline)))
        }
        Some(_) | None => anew,
    }
}

/// The moment so many days later.
pub(crate) fn in_days(now: Timestamp, days: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

fn look_through(state: &AdvisoryState, revision: u32, after: Option<String>) -> AdvisoryDecision {
    match state.advisory.clone() {
        Some(advisory) => Decision::nothing().command(AssessFleet { advisory, revision, after }.into()),
        None => Decision::nothing(),
    }
}

/// The hosts of a page are compared a few at a time, and the next page is asked for.
fn page(state: &AdvisoryState, revision: u32, hosts: &[HostId], next: Option<&String>) -> AdvisoryDecision {
    let Some(advisory) = state.advisory.clone().filter(|_| revision == state.revision()) else {
        return Decision::nothing();
    };
    let mut decision = Decision::nothing();
    for hosts in hosts.chunks(HOSTS_PER_COMMAND) {
        let (advisory, hosts) = (advisory.clone(), hosts.to_vec());
        decision = decision.command(MatchHosts { advisory, revision, hosts }.into());
    }
    match next {
        Some(after) => {
            let after = Some(after.clone());
            decision.command(AssessFleet { advisory, revision, after }.into())
        }
        None => decision,
    }
}
