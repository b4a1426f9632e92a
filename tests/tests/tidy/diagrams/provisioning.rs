//! The orchestrated saga, drawn by running it: along all steps, and from each one's failure back.

use hostler_core::{Decider, Payload};
use hostler_domain::{
    Attempt, ProvisioningDecider, ProvisioningInput, ProvisioningState, SAGA_EVENTS, Status,
};
use hostler_events::{HostEvent, ProvisioningEvent, ReservationEvent, StepCommand, StepKind};
use jiff::Timestamp;

use super::{Lines, sample};

/// The most inputs until a saga must have ended.
const INPUTS_MAX: usize = 100;

struct Walk {
    state: ProvisioningState,
    timers: Vec<String>,
}

impl Walk {
    fn tell(&mut self, input: &ProvisioningInput, lines: &mut Lines) {
        let now = Timestamp::UNIX_EPOCH;
        let decision = ProvisioningDecider::decide(&self.state, input, now).unwrap();
        for event in &decision.events {
            if let ProvisioningEvent::StepStarted(started) = event
                && started.attempt == 1
            {
                let seconds = started.deadline_at.duration_since(now).as_secs();
                let (node, kind) = (node(started.kind), started.kind);
                lines.add(format!("{node}[\"{kind}<br/>answer within {seconds} s\"]"));
            }
            self.state = ProvisioningDecider::evolve(self.state.clone(), event);
        }
        self.timers.extend(decision.timers.into_iter().map(|timer| timer.name));
    }

    fn current(&self) -> Option<Attempt> {
        match &self.state.status {
            Status::Running { current } | Status::Compensating { current, .. } => current.clone(),
            Status::NotStarted | Status::Completed | Status::Compensated { .. } | Status::Stuck { .. } => {
                None
            }
        }
    }

    /// Where the saga is, as a node.
    fn node(&self) -> String {
        match self.current() {
            Some(attempt) => node(attempt.kind),
            None => format!("{0}(({0}))", self.state.status_name()),
        }
    }

    /// The event that answers the attempt under way: the decider itself says which.
    fn answer(&self, attempt: &Attempt) -> (&'static str, ProvisioningInput) {
        let failures = ["host.step-failed", "host.quarantined", "reservation.failed", "host.released"];
        let events = SAGA_EVENTS.iter().filter(|name| !failures.contains(name));
        let answers = |name: &&'static str| {
            let input = heard(name, attempt);
            let decision = ProvisioningDecider::decide(&self.state, &input, Timestamp::UNIX_EPOCH).unwrap();
            let done = decision.events.iter().any(
                |event| matches!(event, ProvisioningEvent::StepSucceeded(done) if done.kind == attempt.kind),
            );
            done.then_some((*name, input))
        };
        events.filter_map(answers).next().unwrap()
    }
}

fn node(kind: StepKind) -> String {
    kind.as_str().replace('-', "_")
}

fn heard(name: &str, attempt: &Attempt) -> ProvisioningInput {
    let changes = [
        ("provisioning", "web-1.1"),
        ("host", "h-01"),
        ("step", attempt.step.as_str()),
        ("category", "business"),
    ];
    if HostEvent::NAMES.contains(&name) {
        ProvisioningInput::Host(sample(name, &changes))
    } else {
        ProvisioningInput::Reservation(sample::<ReservationEvent>(name, &changes))
    }
}

fn started(lines: &mut Lines) -> Walk {
    let StepCommand::StartProvisioning(start) = sample("start-provisioning", &[]) else {
        panic!("the sample is another command")
    };
    let mut walk = Walk { state: ProvisioningState::default(), timers: Vec::new() };
    walk.tell(&ProvisioningInput::Start(start), lines);
    walk
}

/// Follows the answers until a step, or to the end.
fn follow(walk: &mut Walk, until: Option<StepKind>, lines: &mut Lines) {
    for _ in 0..INPUTS_MAX {
        let Some(attempt) = walk.current().filter(|attempt| Some(attempt.kind) != until) else { return };
        let (name, input) = walk.answer(&attempt);
        walk.tell(&input, lines);
        lines.add(format!("{} -- {name} --> {}", node(attempt.kind), walk.node()));
    }
    panic!("the saga does not end");
}

/// Lets nothing come but timers until the saga is elsewhere.
fn starve(walk: &mut Walk, lines: &mut Lines) {
    let at = walk.current().unwrap().kind;
    for _ in 0..INPUTS_MAX {
        if walk.current().is_none_or(|attempt| attempt.kind != at) {
            lines.add(format!("{} -. no answer .-> {}", node(at), walk.node()));
            return;
        }
        let name = walk.timers.pop().unwrap();
        walk.tell(&ProvisioningInput::Timer { name }, lines);
    }
    panic!("the saga waits for ever at {at}");
}

/// The diagram.
pub(super) fn drawn() -> String {
    let mut lines = Lines::default();
    let mut walk = started(&mut lines);
    lines.add(format!("start((start)) -- start-provisioning --> {}", walk.node()));
    follow(&mut walk, None, &mut lines);
    for kind in StepKind::FORWARD {
        let mut walk = started(&mut lines);
        follow(&mut walk, Some(kind), &mut lines);
        starve(&mut walk, &mut lines);
        follow(&mut walk, None, &mut lines);
    }
    // The longest way back has all compensations; each may fail for good.
    let last = StepKind::RegisterMonitoring;
    let mut back = started(&mut Lines::default());
    follow(&mut back, Some(last), &mut Lines::default());
    starve(&mut back, &mut Lines::default());
    while let Some(attempt) = back.current() {
        let mut stuck = Walk { state: back.state.clone(), timers: back.timers.clone() };
        starve(&mut stuck, &mut lines);
        let (_, input) = back.answer(&attempt);
        back.tell(&input, &mut Lines::default());
    }
    format!("flowchart TD\n{}", lines.text)
}

#[test]
fn a_sample_is_told_about_the_attempt_that_is_under_way() {
    let mut lines = Lines::default();
    let walk = started(&mut lines);
    let attempt = walk.current().unwrap();
    let (name, input) = walk.answer(&attempt);
    let ProvisioningInput::Host(event) = input else { panic!("{name}") };
    assert_eq!(
        (name, event.to_data().to_value()["step"].as_str()),
        ("host.reserved", Some(attempt.step.as_str()))
    );
}
