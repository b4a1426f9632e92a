//! The hosts of a replay: what each is told, and how what is done to it ends.

use std::collections::BTreeMap;

use hostler_core::Decider;
use hostler_core::saga::{SagaDefinition, SagaRef};
use hostler_events::health::{HealthEvent, RemediationOutcome, RemediationStarted};
use hostler_events::recovery::ReportMember;
use hostler_events::signal::{SignalHeader, SignalStatus};
use hostler_events::site::Rung;
use hostler_events::{HostId, ProvisioningPolicy, Signal, StepId};
use jiff::{SignedDuration, Timestamp};

use super::account::{Subject, What};
use super::recording::{Chapter, Entry, HostTape, Repair, SeenSince};
use super::run::{Due, Run};
use crate::health::{Claim, Condition, HealthDecider, HealthInput, HealthState, HostSeen, Seen, wait_name};
use crate::recovery::Recovery;

/// How long it takes to look at a host, where that was not done on record.
const LOOK_SECONDS: i64 = 30;
/// A repair that begins so much earlier than on record may find a host that is not healthy yet.
const EARLIER_SECONDS: i64 = -60;
/// For how long a source is taken to go on: longer than any recording.
const GOES_ON_HOURS: i64 = 24 * 365;

/// A host of a replay.
pub(super) struct HostRun<'a> {
    pub(super) state: HealthState,
    tape: &'a HostTape,
    chapter: usize,
    /// Repairs of the record that were done here as well, and how much later.
    followed: BTreeMap<SagaRef, SignedDuration>,
    /// How many repairs of each kind have begun in this chapter.
    begun: BTreeMap<Option<Rung>, usize>,
    /// How often a person was asked for each in this chapter.
    asked: BTreeMap<Rung, usize>,
    /// Whether it has been repaired in a way that the record does not know: nothing more can be said until the next chapter.
    unknown: bool,
    /// Whether its fault was taken to go on.
    goes_on: bool,
}

/// What is due for a host. What belongs to a chapter that is over means nothing any more.
pub(super) enum HostDue {
    Entry(usize),
    Timer { chapter: usize, name: String },
    Signal { chapter: usize, signal: Box<Signal> },
    Word { chapter: usize, approved: bool, reason: String },
    End { chapter: usize, saga: SagaRef, outcome: RemediationOutcome, reason: String },
    Unknown { chapter: usize, saga: SagaRef, rung: Rung },
}

impl<'a> HostRun<'a> {
    pub(super) fn new(tape: &'a HostTape) -> Self {
        let state = tape.chapters.first().map(|chapter| chapter.start.clone()).unwrap_or_default();
        let (followed, begun, asked) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { state, tape, chapter: 0, followed, begun, asked, unknown: false, goes_on: false }
    }

    fn chapter(&self) -> Option<&'a Chapter> {
        self.tape.chapters.get(self.chapter)
    }

    /// How the host is now: as on record, but for what was done to it there and not here.
    pub(super) fn seen(&self, now: Timestamp) -> Option<&HostSeen> {
        let here = |since: &&SeenSince| match &since.by {
            None => since.at <= now,
            Some(saga) => self
                .followed
                .get(saga)
                .is_some_and(|later| since.at.checked_add(*later).is_ok_and(|at| at <= now)),
        };
        self.tape.seen.iter().rfind(here).and_then(|since| since.seen.as_ref())
    }

    /// The signals that go on, as their sources would say them again.
    fn again(&self, status: SignalStatus, now: Timestamp) -> Vec<Signal> {
        let firing = self.state.signals.iter().filter(|(_, known)| known.status == SignalStatus::Firing);
        let expires_at = now.checked_add(SignedDuration::from_hours(GOES_ON_HOURS)).unwrap_or(now);
        firing
            .filter_map(|(name, known)| {
                let (source, fingerprint) = name.split_once('/')?;
                let header = SignalHeader {
                    source: source.to_owned(),
                    fingerprint: fingerprint.to_owned(),
                    status,
                    starts_at: known.starts_at,
                    observed_at: now,
                    expires_at,
                };
                let (fault, summary) = (known.fault.clone()?, known.summary.clone());
                Some(Signal { header, fault, severity: String::new(), summary, labels: BTreeMap::new() })
            })
            .collect()
    }
}

impl Run<'_> {
    /// What was under way when the replay began.
    pub(super) fn wind_up_host(&mut self, host: &HostId) {
        let Some(run) = self.hosts.get_mut(host) else { return };
        let Some(chapter) = run.chapter() else { return };
        let until = match &run.state.condition {
            Condition::Suspect { until }
            | Condition::Claiming { until, .. }
            | Condition::Held { until }
            | Condition::AwaitingApproval { until, .. }
            | Condition::Waiting { until } => Some(*until),
            Condition::Healthy | Condition::Acting { .. } | Condition::Escalated { .. } => None,
        };
        let name = wait_name(run.state.waits);
        let asks = match run.state.condition {
            Condition::AwaitingApproval { rung, .. } => Some(rung),
            Condition::Healthy
            | Condition::Suspect { .. }
            | Condition::Claiming { .. }
            | Condition::Held { .. }
            | Condition::Acting { .. }
            | Condition::Waiting { .. }
            | Condition::Escalated { .. } => None,
        };
        let acts = run.state.acting().and_then(|saga| chapter.repairs.iter().find(|of| of.saga == *saga));
        if let Some(repair) = acts {
            run.begun.insert(repair.rung, 1);
            let (saga, now) = (repair.saga.clone(), repair.started_at);
            self.follow(host, repair, saga, now);
        }
        if let Some(until) = until {
            self.due(until, Due::Host(host.clone(), HostDue::Timer { chapter: 0, name }));
        }
        if let Some(rung) = asks {
            self.awaits(host, rung);
        }
    }

    pub(super) fn seen(&self, host: &HostId) -> Box<Seen> {
        let host = self.hosts.get(host).and_then(|run| run.seen(self.now)).cloned();
        let (policies, provisioning) = (self.policies.at(self.now), ProvisioningPolicy::default());
        Box::new(Seen { host, correlated: None, policies, provisioning })
    }

    pub(super) fn host_due(&mut self, host: &HostId, due: HostDue) {
        let Some((now_in, unknown)) = self.hosts.get(host).map(|run| (run.chapter, run.unknown)) else {
            return;
        };
        match due {
            HostDue::Entry(index) => self.entry(host, index, unknown),
            HostDue::Timer { chapter, name } if chapter == now_in && !unknown => {
                let seen = self.seen_with_others(host);
                self.tell(host, &HealthInput::Timer { name, seen });
            }
            HostDue::Signal { chapter, signal } if chapter == now_in && !unknown => {
                self.signal(host, *signal);
            }
            HostDue::Word { chapter, approved, reason } if chapter == now_in && !unknown => {
                let word = match approved {
                    true => HealthInput::Approve { reason },
                    false => HealthInput::Reject { reason },
                };
                self.tell(host, &word);
            }
            HostDue::End { chapter, saga, outcome, reason } if chapter == now_in && !unknown => {
                let helped = match outcome {
                    RemediationOutcome::Healed
                    | RemediationOutcome::Needless
                    | RemediationOutcome::Replaced => true,
                    RemediationOutcome::Redirected | RemediationOutcome::Failed => false,
                };
                if helped && self.hosts.get(host).is_some_and(|run| run.goes_on) {
                    self.say_again(host, SignalStatus::Resolved);
                }
                self.end(host, saga, outcome, reason);
            }
            HostDue::Unknown { chapter, saga, rung } if chapter == now_in && !unknown => {
                self.not_known(host, saga, rung);
            }
            HostDue::Timer { .. }
            | HostDue::Signal { .. }
            | HostDue::Word { .. }
            | HostDue::End { .. }
            | HostDue::Unknown { .. } => {}
        }
    }

    fn entry(&mut self, host: &HostId, index: usize, unknown: bool) {
        let Some(run) = self.hosts.get(host) else { return };
        let (Some((_, entry)), Some(chapter)) = (run.tape.entries.get(index), run.chapter()) else { return };
        let follows = |repair: &Repair| run.followed.contains_key(&repair.saga);
        let (is_open, now_in) = (run.state.open().is_some(), run.chapter);
        match entry {
            Entry::Chapter(next) => self.turn_to(host, *next),
            _ if unknown => {}
            Entry::Signal(signal, during) => {
                let repair = during.and_then(|index| chapter.repairs.get(index));
                let is_over = signal.header.status == SignalStatus::Resolved;
                // What a source says to the end of a repair is told to those who have made it.
                let is_its_own = |repair: &Repair| {
                    follows(repair) || (is_over && repair.rung.is_some() && !repair.has_been_in_vain())
                };
                if !repair.is_some_and(is_its_own) {
                    self.signal(host, (**signal).clone());
                }
            }
            Entry::RepairEnded { chapter: of, repair } if *of == now_in && is_open => {
                let repair = chapter.repairs.get(*repair).filter(|repair| !follows(repair));
                let Some(repair) = repair else { return };
                if repair.was_needless() {
                    self.say_again(host, SignalStatus::Resolved);
                } else if repair.has_helped() {
                    self.say_again(host, SignalStatus::Firing);
                }
            }
            Entry::Escalated { chapter: of } if *of == now_in && is_open => {
                if !matches!(run.state.condition, Condition::Escalated { .. }) {
                    self.say_again(host, SignalStatus::Firing);
                }
            }
            Entry::RepairEnded { .. } | Entry::Escalated { .. } => {}
            Entry::Closed(reason) => {
                let reason = reason.clone();
                self.tell(host, &HealthInput::Close { reason });
            }
        }
    }

    /// The next incident on record: whatever was different before, it begins as it did there. What is still being done here
    /// has no end.
    fn turn_to(&mut self, host: &HostId, next: usize) {
        let Some(run) = self.hosts.get(host) else { return };
        if let Condition::Acting { claim: Claim { rung: Some(rung), .. }, .. } = run.state.condition {
            let incident_at = run.chapter().map_or(self.now, |chapter| chapter.at);
            self.say(Subject::Host(host.clone()), incident_at, What::Unknown { rung });
        }
        let Some(run) = self.hosts.get_mut(host) else { return };
        let Some(chapter) = run.tape.chapters.get(next) else { return };
        let open = run.state.open().map(|open| (open.rack.clone(), open.number));
        let earlier = run.tape.chapters.iter().take(next).flat_map(|chapter| &chapter.repairs);
        run.followed = earlier.map(|repair| (repair.saga.clone(), SignedDuration::ZERO)).collect();
        (run.state, run.chapter) = (chapter.start.clone(), next);
        (run.begun, run.asked) = (BTreeMap::new(), BTreeMap::new());
        (run.unknown, run.goes_on) = (false, false);
        let known = run.state.incident.as_ref().map(|incident| (incident.rack.clone(), incident.number));
        if let Some((rack, incident)) = open.clone().or(known) {
            let report = ReportMember { rack, host: host.clone(), unhealthy: false, incident };
            if open.is_some() {
                self.member(&report);
            }
            self.forget_member(&report);
        }
        let is_its_own = |saga: &SagaRef| saga.kind() == Recovery::KIND;
        self.budget.holders.retain(|of| of.disruption.host != *host || !is_its_own(&of.saga));
    }

    fn signal(&mut self, host: &HostId, signal: Signal) {
        let seen = self.seen(host);
        self.tell(host, &HealthInput::Signal { signal, seen });
    }

    fn say_again(&mut self, host: &HostId, status: SignalStatus) {
        let Some(run) = self.hosts.get_mut(host) else { return };
        run.goes_on = status == SignalStatus::Firing;
        for signal in run.again(status, self.now) {
            self.signal(host, signal);
        }
    }

    /// Tells a host's health something, and has done what follows. What it refuses is nothing that it waits for here.
    pub(super) fn tell(&mut self, host: &HostId, input: &HealthInput) {
        self.decide(host, input, true);
    }

    fn decide(&mut self, host: &HostId, input: &HealthInput, aloud: bool) {
        let Some(run) = self.hosts.get_mut(host) else { return };
        let Ok(decision) = HealthDecider::decide(&run.state, input, self.now) else { return };
        let state = std::mem::take(&mut run.state);
        run.state = decision.events.iter().fold(state, HealthDecider::evolve);
        let (chapter, incident_at) = (run.chapter, run.chapter().map_or(self.now, |chapter| chapter.at));
        for event in &decision.events {
            if let Some(what) = What::of_health(event).filter(|_| aloud) {
                self.say(Subject::Host(host.clone()), incident_at, what);
            }
            if let HealthEvent::Started(started) = event {
                self.started(host, started);
            } else if let HealthEvent::ApprovalRequested(asked) = event {
                self.awaits(host, asked.rung);
            }
        }
        for timer in decision.timers {
            let due = HostDue::Timer { chapter, name: timer.name };
            self.due(timer.due_at, Due::Host(host.clone(), due));
        }
        for command in &decision.commands {
            self.ask(command);
        }
    }

    /// What was done on record as well ends as it did there, and takes as long.
    fn started(&mut self, host: &HostId, started: &RemediationStarted) {
        let Some(run) = self.hosts.get_mut(host) else { return };
        let Some(tape) = run.chapter() else { return };
        let nth = run.begun.entry(started.rung).or_default();
        let found = tape.repairs.iter().filter(|repair| repair.rung == started.rung).nth(*nth);
        *nth += 1;
        let (chapter, saga, now) = (run.chapter, started.saga.clone(), self.now);
        let too_early = |repair: &&Repair| {
            repair.was_needless() && now.duration_since(repair.started_at).as_secs() < EARLIER_SECONDS
        };
        match (found.filter(|repair| !too_early(repair)), started.rung) {
            (Some(repair), _) => self.follow(host, repair, saga, now),
            (None, Some(rung)) => {
                let at = now.checked_add(self.usual(rung)).unwrap_or(now);
                self.due(at, Due::Host(host.clone(), HostDue::Unknown { chapter, saga, rung }));
            }
            (None, None) => {
                let at = now.checked_add(SignedDuration::from_secs(LOOK_SECONDS)).unwrap_or(now);
                let (outcome, reason) = (RemediationOutcome::Needless, String::new());
                self.due(at, Due::Host(host.clone(), HostDue::End { chapter, saga, outcome, reason }));
            }
        }
    }

    fn follow(&mut self, host: &HostId, repair: &Repair, saga: SagaRef, started_at: Timestamp) {
        let Some(run) = self.hosts.get_mut(host) else { return };
        let later = started_at.duration_since(repair.started_at);
        run.followed.insert(repair.saga.clone(), later);
        let (chapter, shift) = (run.chapter, |at: Timestamp| at.checked_add(later).unwrap_or(at));
        for (at, signal) in &repair.signals {
            let mut signal = Box::new(signal.clone());
            let header = &mut signal.header;
            header.observed_at = shift(header.observed_at);
            header.expires_at = shift(header.expires_at);
            self.due(shift(*at), Due::Host(host.clone(), HostDue::Signal { chapter, signal }));
        }
        if let Some(end) = &repair.end {
            let (outcome, reason) = (end.outcome, end.reason.clone());
            let due = HostDue::End { chapter, saga, outcome, reason };
            self.due(shift(end.at), Due::Host(host.clone(), due));
        }
    }

    /// A person takes as long, and says the same, as on record.
    fn awaits(&mut self, host: &HostId, rung: Rung) {
        let Some(run) = self.hosts.get_mut(host) else { return };
        let Some(tape) = run.chapter() else { return };
        let nth = run.asked.entry(rung).or_default();
        let word = tape.words.iter().filter(|word| word.rung == rung).nth(*nth);
        *nth += 1;
        let Some(word) = word else { return };
        let (chapter, approved, reason) = (run.chapter, word.approved, word.reason.clone());
        let at = self.now.checked_add(word.after).unwrap_or(self.now);
        self.due(at, Due::Host(host.clone(), HostDue::Word { chapter, approved, reason }));
    }

    fn end(&mut self, host: &HostId, saga: SagaRef, outcome: RemediationOutcome, reason: String) {
        if let Some(input) = self.ending(host, saga, outcome, reason) {
            self.tell(host, &input);
        }
    }

    fn ending(
        &self,
        host: &HostId,
        saga: SagaRef,
        outcome: RemediationOutcome,
        reason: String,
    ) -> Option<HealthInput> {
        // The step's id only goes back to its saga.
        let (step, seen) = (StepId::new("replay/conclude-recovery/1").ok()?, self.seen(host));
        Some(match outcome {
            RemediationOutcome::Failed => HealthInput::Abandoned { saga, step, reason, seen },
            RemediationOutcome::Healed
            | RemediationOutcome::Needless
            | RemediationOutcome::Replaced
            | RemediationOutcome::Redirected => HealthInput::Concluded { saga, step, outcome, seen },
        })
    }

    /// Nobody knows what would have come of it. For the others the replay goes on as if it had helped.
    fn not_known(&mut self, host: &HostId, saga: SagaRef, rung: Rung) {
        self.say_again(host, SignalStatus::Resolved);
        let Some(run) = self.hosts.get(host) else { return };
        let incident_at = run.chapter().map_or(self.now, |chapter| chapter.at);
        self.say(Subject::Host(host.clone()), incident_at, What::Unknown { rung });
        if let Some(input) = self.ending(host, saga, RemediationOutcome::Healed, String::new()) {
            self.decide(host, &input, false);
        }
        if let Some(run) = self.hosts.get_mut(host) {
            run.unknown = true;
        }
    }
}

impl Repair {
    /// Whether nothing came of it, so that what sources said meanwhile was not its doing.
    fn has_been_in_vain(&self) -> bool {
        let unhealed = [RemediationOutcome::Failed, RemediationOutcome::Redirected];
        self.was_needless() || self.end.as_ref().is_some_and(|end| unhealed.contains(&end.outcome))
    }
}
