//! The stream `finding#<advisory>/<rack>/<host>`: one vulnerability of one host, from its detection until it is resolved.
//!
//! It hears what comparisons on its host have shown, and has what people say of it: exceptions. Its deadline and the end of an
//! exception are timers.

use hostler_core::{Decider, Decision, NoCommand, SetTimer, mutants};
use hostler_events::findings::{ExceptFinding, NoteFinding, Urgency};
use hostler_events::packages::{
    Exception, Finding, FindingChanged, FindingDeadlineBreached, FindingDetected, FindingEvent,
    FindingExcepted, FindingExceptionEnded, FindingId, FindingRebootPending, FindingResolved, FindingStatus,
    Verdict,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::advisory::in_days;

#[cfg(test)]
mod tests;

/// The queue to which the timers of findings are delivered.
pub const FINDING_TIMERS_TO: &str = "assess-hosts";
/// What the names of timers begin with.
const DEADLINE: &str = "deadline";
const EXCEPTION: &str = "exception";
/// The longest exception.
const EXCEPTION_DAYS_MAX: u32 = 366;
/// A host that is found to have a vulnerability later than this after its priority was decided has days of its own.
const FOUND_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Decides on `finding#` streams.
#[derive(Debug, Clone, Copy)]
pub struct FindingDecider;

/// What comparisons say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The host does not have it.
    #[default]
    Absent,
    /// It has it.
    Present,
    /// What fixes it is installed, and the host must be rebooted.
    RebootPending,
}

/// What is known of a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingState {
    /// It; absent until it was detected.
    pub finding: Option<FindingId>,
    /// What was found last.
    pub found: Option<Finding>,
    /// What the newest comparison says.
    pub seen: Seen,
    /// The number of that.
    pub sequence: u64,
    /// Who answers for it.
    pub exception: Option<Exception>,
    /// When it was detected, the last time.
    pub detected_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// The deadline at which the host still had it.
    pub breached: Option<Timestamp>,
}

impl FindingState {
    /// Where it is.
    #[must_use]
    pub fn status(&self) -> FindingStatus {
        match (self.seen, &self.exception) {
            (Seen::Absent, _) => FindingStatus::Resolved,
            (Seen::Present | Seen::RebootPending, Some(_)) => FindingStatus::Excepted,
            (Seen::Present, None) => FindingStatus::Open,
            (Seen::RebootPending, None) => FindingStatus::RebootPending,
        }
    }
}

/// What a finding is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingInput {
    /// A comparison has shown something.
    Note(Box<NoteFinding>),
    /// Somebody answers for it.
    Except(Box<ExceptFinding>),
    /// A timer has fired.
    Timer {
        /// Its name.
        name: String,
    },
}

/// Why a finding refuses what a person wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindingRefusal {
    /// There is no such finding.
    #[error("nothing is known of this finding: `hostler findings list` shows those that are")]
    Unknown,
    /// The host does not have it any more.
    #[error("the finding is resolved: it needs no exception")]
    Resolved,
    /// An exception has an owner and a reason.
    #[error("an exception needs an owner and a reason: the {field} is empty")]
    Nobody {
        /// What is empty.
        field: &'static str,
    },
    /// An exception has an end.
    #[error(
        "the exception would end at {until}: give a time that is to come, {EXCEPTION_DAYS_MAX} days from now at most"
    )]
    Until {
        /// What was given.
        until: Timestamp,
    },
}

impl FindingRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown-finding",
            Self::Resolved => "resolved",
            Self::Nobody { .. } => "no-owner",
            Self::Until { .. } => "invalid-end",
        }
    }
}

type FindingDecision = Decision<FindingEvent, NoCommand>;

impl Decider for FindingDecider {
    const CATEGORY: &'static str = "finding";
    const STATE_VERSION: u32 = 1;
    type State = FindingState;
    type Input = FindingInput;
    type Event = FindingEvent;
    type Command = NoCommand;
    type Refusal = FindingRefusal;

    fn decide(
        state: &FindingState,
        input: &FindingInput,
        now: Timestamp,
    ) -> Result<FindingDecision, FindingRefusal> {
        match input {
            FindingInput::Note(note)
                if note.sequence <= state.sequence && !mutants::on("finding.takes-older-words") =>
            {
                Ok(Decision::nothing())
            }
            FindingInput::Note(note) => Ok(match &note.verdict {
                Some(verdict) => shown(state, note, verdict, now),
                None => gone(state, note, now),
            }),
            FindingInput::Except(except) => exception(state, except, now),
            FindingInput::Timer { name } => Ok(timer(state, name, now)),
        }
    }

    fn evolve(mut state: FindingState, event: &FindingEvent) -> FindingState {
        match event {
            FindingEvent::Detected(FindingDetected { finding, sequence, found, detected_at }) => {
                state.finding = Some(finding.clone());
                state.found = Some(found.clone());
                state.seen = Seen::Present;
                state.sequence = *sequence;
                state.detected_at = Some(*detected_at);
                state.resolved_at = None;
                state.breached = None;
            }
            FindingEvent::Changed(FindingChanged { sequence, found, .. }) => {
                state.found = Some(found.clone());
                state.seen = Seen::Present;
                state.sequence = *sequence;
            }
            FindingEvent::RebootPending(FindingRebootPending { sequence, .. }) => {
                state.seen = Seen::RebootPending;
                state.sequence = *sequence;
            }
            FindingEvent::Resolved(FindingResolved { sequence, resolved_at, .. }) => {
                state.seen = Seen::Absent;
                state.sequence = *sequence;
                state.resolved_at = Some(*resolved_at);
            }
            FindingEvent::Excepted(FindingExcepted { exception, .. }) => {
                state.exception = Some(exception.clone());
            }
            FindingEvent::ExceptionEnded(FindingExceptionEnded { .. }) => state.exception = None,
            FindingEvent::DeadlineBreached(FindingDeadlineBreached { deadline, .. }) => {
                state.breached = Some(*deadline);
            }
        }
        state
    }
}

fn shown(state: &FindingState, note: &NoteFinding, verdict: &Verdict, now: Timestamp) -> FindingDecision {
    let before = state.found.as_ref().filter(|_| state.seen != Seen::Absent);
    let detected_at = state.detected_at.filter(|_| before.is_some()).unwrap_or(now);
    let found = Finding {
        advisory: note.advisory.clone(),
        host: note.host.clone(),
        pool: note.pool.clone(),
        fault_domain: note.fault_domain.clone(),
        exposed: note.exposed,
        packages: verdict.packages.clone(),
        priority: note.urgency.priority,
        deadline: deadline(before, note.urgency, detected_at),
    };
    let (finding, sequence) = (note.finding.clone(), note.sequence);
    let mut decision = Decision::nothing();
    let is_open_again = state.seen == Seen::RebootPending && !verdict.reboot_pending;
    match before {
        None => {
            let (finding, found) = (finding.clone(), found.clone());
            decision = decision.event(FindingEvent::Detected(FindingDetected {
                finding,
                sequence,
                found,
                detected_at,
            }));
        }
        Some(before) if *before != found || is_open_again => {
            let (finding, found, changed_at) = (finding.clone(), found.clone(), now);
            decision = decision.event(FindingEvent::Changed(FindingChanged {
                finding,
                sequence,
                found,
                changed_at,
            }));
        }
        Some(_) => {}
    }
    // What has changed counts as open again, so that it is said anew that the reboot is missing.
    if verdict.reboot_pending && (state.seen != Seen::RebootPending || !decision.events.is_empty()) {
        decision = decision.event(FindingEvent::RebootPending(FindingRebootPending {
            finding,
            sequence,
            seen_at: now,
        }));
    }
    let was = before.and_then(|before| before.deadline);
    match found.deadline.filter(|deadline| was != Some(*deadline)) {
        Some(due_at) => decision.timer(wake(format!("{DEADLINE}:{due_at}"), due_at)),
        None => decision,
    }
}

/// A finding that is as urgent as before keeps its deadline; one that is more urgent never gets a later one.
fn deadline(before: Option<&Finding>, urgency: Urgency, detected_at: Timestamp) -> Option<Timestamp> {
    let is_late = detected_at.duration_since(urgency.decided_at) > FOUND_WITHIN;
    let own = urgency.days.filter(|_| is_late).map(|days| in_days(detected_at, days));
    let anew = own.or(urgency.deadline);
    match before {
        Some(before) if before.priority == urgency.priority => before.deadline,
        Some(Finding { priority, deadline: Some(deadline), .. }) if urgency.priority < *priority => {
            Some(anew.map_or(*deadline, |anew| anew.min(*deadline)))
        }
        Some(_) | None => anew,
    }
}

fn gone(state: &FindingState, note: &NoteFinding, now: Timestamp) -> FindingDecision {
    if state.seen == Seen::Absent {
        return Decision::nothing();
    }
    let resolved =
        FindingResolved { finding: note.finding.clone(), sequence: note.sequence, resolved_at: now };
    Decision::events([FindingEvent::Resolved(resolved)])
}

fn exception(
    state: &FindingState,
    except: &ExceptFinding,
    now: Timestamp,
) -> Result<FindingDecision, FindingRefusal> {
    let ExceptFinding { finding, owner, reason, until } = except.clone();
    if state.finding.is_none() {
        return Err(FindingRefusal::Unknown);
    }
    for (field, text) in [("owner", &owner), ("reason", &reason)] {
        if text.trim().is_empty() {
            return Err(FindingRefusal::Nobody { field });
        }
    }
    if until <= now || until > in_days(now, EXCEPTION_DAYS_MAX) {
        return Err(FindingRefusal::Until { until });
    }
    if state.seen == Seen::Absent {
        return Err(FindingRefusal::Resolved);
    }
    let excepted = FindingExcepted { finding, exception: Exception { owner, reason, until } };
    Ok(Decision::events([FindingEvent::Excepted(excepted)])
        .timer(wake(format!("{EXCEPTION}:{until}"), until)))
}

/// A timer whose wait is over means nothing: what it names is not so any more.
fn timer(state: &FindingState, name: &str, now: Timestamp) -> FindingDecision {
    let (Some(finding), Some((about, at))) = (state.finding.clone(), name.split_once(':')) else {
        return Decision::nothing();
    };
    let Ok(at) = at.parse::<Timestamp>() else { return Decision::nothing() };
    match &state.exception {
        None if about == DEADLINE => Decision::events(breach(state, at, now)),
        Some(_) if mutants::on("finding.excepted-for-ever") => Decision::nothing(),
        Some(exception) if about == EXCEPTION && exception.until == at => {
            let ended = FindingExceptionEnded { finding, ended_at: now };
            let breach = state.found.as_ref().and_then(|found| breach(state, found.deadline?, now));
            Decision::events([FindingEvent::ExceptionEnded(ended)].into_iter().chain(breach))
        }
        Some(_) | None => Decision::nothing(),
    }
}

/// It is said once for each deadline.
fn breach(state: &FindingState, deadline: Timestamp, now: Timestamp) -> Option<FindingEvent> {
    let (found, finding) = (state.found.as_ref()?, state.finding.clone()?);
    let is_it = found.deadline == Some(deadline) && state.breached != Some(deadline);
    let (advisory, host) = (found.advisory.clone(), found.host.clone());
    let is_due = is_it && deadline <= now && state.seen != Seen::Absent;
    let breached = FindingDeadlineBreached { finding, advisory, host, deadline };
    is_due.then_some(FindingEvent::DeadlineBreached(breached))
}

fn wake(name: String, due_at: Timestamp) -> SetTimer {
    SetTimer { name, due_at, deliver_to: FINDING_TIMERS_TO }
}
