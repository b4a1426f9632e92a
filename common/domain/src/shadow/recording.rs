//! What is on record of a running system, in the form in which a replay takes it.

use std::collections::BTreeMap;

use hostler_core::Decider;
use hostler_core::saga::{SagaDefinition, SagaRef};
use hostler_events::budget::BudgetEvent;
use hostler_events::fault_domain::FaultDomainEvent;
use hostler_events::health::{HealthEvent, RemediationOutcome};
use hostler_events::pool::PoolEvent;
use hostler_events::site::{PolicyEvent, Rung};
use hostler_events::{HostEvent, HostId, PoolId, Signal};
use jiff::{SignedDuration, Timestamp};

use crate::health::{Condition, HealthDecider, HealthState, HostSeen};
use crate::host::{HostDecider, HostState, Phase};
use crate::pool::PoolHost;
use crate::recovery::Recovery;

/// By how much the moments of a replay may be later than those on record where nothing else differs.
const GRACE: SignedDuration = SignedDuration::from_mins(1);

/// The events of one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E> {
    /// When it was recorded.
    pub at: Timestamp,
    /// Its events.
    pub events: Vec<E>,
}

/// The streams that policies decide on, each from its first event that was read. Streams that nobody wrote to are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// From when on it is replayed. What is older only says how things stood then.
    pub since: Timestamp,
    /// Until when it was read.
    pub until: Timestamp,
    /// `health#` streams.
    pub health: BTreeMap<HostId, Vec<Recorded<HealthEvent>>>,
    /// The `host#` streams of these hosts.
    pub hosts: BTreeMap<HostId, Vec<Recorded<HostEvent>>>,
    /// `pool#` streams.
    pub pools: BTreeMap<PoolId, Vec<Recorded<PoolEvent>>>,
    /// The hosts of these pools as they are at the end: who served before is told by who has come and left since.
    pub members: BTreeMap<PoolId, Vec<PoolHost>>,
    /// `domain#` streams, by their keys.
    pub domains: BTreeMap<String, Vec<Recorded<FaultDomainEvent>>>,
    /// The disruption budget.
    pub budget: Vec<Recorded<BudgetEvent>>,
    /// The policies, as they were applied.
    pub policies: Vec<Recorded<PolicyEvent>>,
}

impl Recording {
    /// A recording of nothing, for this time.
    #[must_use]
    pub fn between(since: Timestamp, until: Timestamp) -> Self {
        let (health, hosts, pools) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (members, domains, budget, policies) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), Vec::new());
        Self { since, until, health, hosts, pools, members, domains, budget, policies }
    }
}

/// The state of a stream as it was before a moment.
pub(super) fn before<D: Decider>(commits: &[Recorded<D::Event>], moment: Timestamp) -> D::State {
    let commits = commits.iter().filter(|commit| commit.at < moment);
    commits.flat_map(|commit| &commit.events).fold(D::State::default(), D::evolve)
}

/// What a replay takes from the record of one host. It is told in chapters: each begins with an incident on record, and is
/// replayed from the state that the host's health was in by then.
pub(super) struct HostTape {
    pub chapters: Vec<Chapter>,
    pub entries: Vec<(Timestamp, Entry)>,
    pub seen: Vec<SeenSince>,
}

/// From one incident on record to the next.
pub(super) struct Chapter {
    /// When it began on record.
    pub at: Timestamp,
    /// The state of the host's health by then.
    pub start: HealthState,
    /// What was done to the host.
    pub repairs: Vec<Repair>,
    /// What people said.
    pub words: Vec<PersonsWord>,
}

/// Something that was done to the host, and what came of it.
pub(super) struct Repair {
    pub saga: SagaRef,
    /// Absent where the host was only looked at.
    pub rung: Option<Rung>,
    pub started_at: Timestamp,
    pub end: Option<RepairEnd>,
    /// What sources said meanwhile.
    pub signals: Vec<(Timestamp, Signal)>,
}

pub(super) struct RepairEnd {
    pub at: Timestamp,
    pub outcome: RemediationOutcome,
    pub reason: String,
}

impl Repair {
    /// Whether the host was made healthy, or replaced.
    pub(super) fn has_helped(&self) -> bool {
        self.rung.is_some()
            && self.end.as_ref().is_some_and(|end| match end.outcome {
                RemediationOutcome::Healed | RemediationOutcome::Replaced => true,
                RemediationOutcome::Needless
                | RemediationOutcome::Redirected
                | RemediationOutcome::Failed => false,
            })
    }

    /// Whether the fault had ended by itself.
    pub(super) fn was_needless(&self) -> bool {
        let end = self.end.as_ref();
        end.is_some_and(|end| end.outcome == RemediationOutcome::Needless)
            || (self.rung.is_none() && end.is_some_and(|end| end.outcome == RemediationOutcome::Healed))
    }
}

/// What a person said when asked.
pub(super) struct PersonsWord {
    pub rung: Rung,
    /// How long it took.
    pub after: SignedDuration,
    pub approved: bool,
    pub reason: String,
}

/// An input on record.
pub(super) enum Entry {
    /// The next chapter begins.
    Chapter(usize),
    /// A source says something; during a repair, which one.
    Signal(Box<Signal>, Option<usize>),
    /// This repair of this chapter has ended a while ago.
    RepairEnded { chapter: usize, repair: usize },
    /// The incident of this chapter was left to a person a while ago: what sources said from then on was not recorded.
    Escalated { chapter: usize },
    /// A person closed the incident.
    Closed(String),
}

/// How the host was from a moment on.
pub(super) struct SeenSince {
    pub at: Timestamp,
    pub seen: Option<HostSeen>,
    /// The repair that made it so.
    pub by: Option<SagaRef>,
}

impl HostTape {
    pub(super) fn read(
        health: &[Recorded<HealthEvent>],
        host: &[Recorded<HostEvent>],
        since: Timestamp,
    ) -> Self {
        let mut reader = TapeReader::new(before::<HealthDecider>(health, since), since);
        for commit in health.iter().filter(|commit| commit.at >= since) {
            reader.commit(commit);
        }
        let TapeReader { chapters, entries, .. } = reader;
        let seen = seen(host, &chapters);
        Self { chapters, entries, seen }
    }
}

/// By when a replay that does the same as the record has done it, too: nothing is taken for granted before.
fn later(at: Timestamp) -> Timestamp {
    at.checked_add(GRACE).unwrap_or(at)
}

struct TapeReader {
    state: HealthState,
    chapters: Vec<Chapter>,
    entries: Vec<(Timestamp, Entry)>,
    asked: Option<(Rung, Timestamp)>,
}

impl TapeReader {
    fn new(start: HealthState, since: Timestamp) -> Self {
        let mut first = Chapter { at: since, start: start.clone(), repairs: Vec::new(), words: Vec::new() };
        if let Condition::Acting { claim, since, .. } = &start.condition {
            first.repairs.push(Repair {
                saga: claim.saga.clone(),
                rung: claim.rung,
                started_at: *since,
                end: None,
                signals: Vec::new(),
            });
        }
        let mut asked = None;
        if let Condition::AwaitingApproval { rung, .. } = start.condition {
            asked = Some((rung, since));
        }
        Self { state: start, chapters: vec![first], entries: Vec::new(), asked }
    }

    fn commit(&mut self, commit: &Recorded<HealthEvent>) {
        // What begins while a signal comes is a chapter. What goes on after a repair belongs to that repair's.
        let signal = commit.events.iter().any(|event| matches!(event, HealthEvent::SignalReceived(_)));
        let begins = commit.events.iter().any(|event| matches!(event, HealthEvent::Suspected(_)));
        if signal && begins {
            self.entries.push((commit.at, Entry::Chapter(self.chapters.len())));
            let (start, repairs, words) = (self.state.clone(), Vec::new(), Vec::new());
            self.chapters.push(Chapter { at: commit.at, start, repairs, words });
        }
        for event in &commit.events {
            self.event(commit.at, event);
            self.state = HealthDecider::evolve(std::mem::take(&mut self.state), event);
        }
    }

    fn event(&mut self, at: Timestamp, event: &HealthEvent) {
        let is_acting = self.state.acting().is_some();
        let now_in = self.chapters.len().saturating_sub(1);
        let Some(chapter) = self.chapters.last_mut() else { return };
        let last = chapter.repairs.len().checked_sub(1);
        match event {
            HealthEvent::SignalReceived(e) => {
                let during = last.filter(|_| is_acting);
                if let Some(repair) = during.and_then(|index| chapter.repairs.get_mut(index)) {
                    repair.signals.push((at, e.signal.clone()));
                }
                self.entries.push((at, Entry::Signal(Box::new(e.signal.clone()), during)));
            }
            HealthEvent::Started(e) => chapter.repairs.push(Repair {
                saga: e.saga.clone(),
                rung: e.rung,
                started_at: at,
                end: None,
                signals: Vec::new(),
            }),
            HealthEvent::Ended(e) => {
                let of = chapter.repairs.iter().rposition(|repair| repair.saga == e.saga);
                let Some(index) = of else { return };
                if let Some(repair) = chapter.repairs.get_mut(index) {
                    let reason = e.reason.clone().unwrap_or_default();
                    repair.end = Some(RepairEnd { at, outcome: e.outcome, reason });
                }
                let ended = Entry::RepairEnded { chapter: now_in, repair: index };
                self.entries.push((later(at), ended));
            }
            HealthEvent::ApprovalRequested(e) => self.asked = Some((e.rung, at)),
            HealthEvent::Approved(e) => self.word(at, e.rung, true, &e.reason),
            HealthEvent::Escalated(e) => {
                if let Condition::AwaitingApproval { rung, until } = self.state.condition
                    && at < until
                {
                    let reason = e.reason.split_once(": ").map_or(e.reason.as_str(), |(_, reason)| reason);
                    self.word(at, rung, false, reason);
                }
                self.entries.push((later(at), Entry::Escalated { chapter: now_in }));
            }
            HealthEvent::Closed(e) => self.entries.push((at, Entry::Closed(e.reason.clone()))),
            HealthEvent::SignalDropped(_)
            | HealthEvent::Suspected(_)
            | HealthEvent::Confirmed(_)
            | HealthEvent::Suppressed(_)
            | HealthEvent::Claimed(_)
            | HealthEvent::Checked(_)
            | HealthEvent::Recovered(_) => {}
        }
    }

    fn word(&mut self, at: Timestamp, rung: Rung, approved: bool, reason: &str) {
        let asked = self.asked.filter(|(asked, _)| *asked == rung).map_or(at, |(_, asked)| asked);
        let word = PersonsWord { rung, after: at.duration_since(asked), approved, reason: reason.to_owned() };
        if let Some(chapter) = self.chapters.last_mut() {
            chapter.words.push(word);
        }
    }
}

/// How the host was, with whose doing each change was. A repair that leaves the host out of service has done what follows, too.
fn seen(commits: &[Recorded<HostEvent>], chapters: &[Chapter]) -> Vec<SeenSince> {
    let (mut state, mut seen) = (HostState::default(), Vec::<SeenSince>::new());
    for commit in commits {
        state = commit.events.iter().fold(state, HostDecider::evolve);
        let now = HostSeen::of(&state).map(without_repair);
        if seen.last().is_some_and(|last| last.seen == now) {
            continue;
        }
        let mut repairs = chapters.iter().flat_map(|chapter| &chapter.repairs);
        let repair = repairs.rfind(|repair| repair.rung.is_some() && repair.started_at <= commit.at);
        let is_out = seen.last().is_some_and(|last| !is_in_service(last.seen.as_ref()) && last.by.is_some());
        let by = repair.filter(|repair| {
            let is_over = repair.end.as_ref().is_some_and(|end| end.at < commit.at);
            !is_over || is_out || repair.has_replaced()
        });
        seen.push(SeenSince { at: commit.at, seen: now, by: by.map(|repair| repair.saga.clone()) });
    }
    seen
}

impl Repair {
    fn has_replaced(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.outcome == RemediationOutcome::Replaced)
    }
}

fn is_in_service(seen: Option<&HostSeen>) -> bool {
    seen.is_some_and(|seen| seen.phase == Phase::InService)
}

/// A host that a repair has cordoned is cordoned in the world of that repair only, where nothing else is decided meanwhile.
fn without_repair(mut seen: HostSeen) -> HostSeen {
    seen.cordoned_by = seen.cordoned_by.filter(|saga| saga.kind() != Recovery::KIND);
    seen
}
