//! The choreographed saga, drawn by running a host: from its enrolment to its being available, and its quarantine.

use hostler_core::{Decider, Payload};
use hostler_domain::{Hardware, HostDecider, HostFacts, HostInput, HostState};
use hostler_events::commands::BootOutcome;
use hostler_events::host::PowerState;
use hostler_events::{HostPolicy, OperatorCommand, StepId};
use jiff::Timestamp;

use super::{Lines, sample};

/// The most timers until a host must be quarantined.
const TIMERS_MAX: usize = 100;

#[derive(Default)]
struct Walk {
    state: HostState,
    timers: Vec<String>,
}

impl Walk {
    /// Tells the host something, and draws what comes of it.
    fn tell(&mut self, what: &str, input: &HostInput, lines: &mut Lines) {
        let before = self.state.phase.name();
        let decision = HostDecider::decide(&self.state, input, Timestamp::UNIX_EPOCH).unwrap();
        let events: Vec<&str> = decision.events.iter().map(Payload::type_name).collect();
        let commands: Vec<&str> = decision.commands.iter().map(Payload::type_name).collect();
        self.state = decision.events.iter().fold(std::mem::take(&mut self.state), HostDecider::evolve);
        self.timers.extend(decision.timers.into_iter().map(|timer| timer.name));
        if events.is_empty() && commands.is_empty() {
            return;
        }
        let recorded = events.iter().map(|name| format!(" / {name}"));
        let asked = commands.iter().map(|name| format!(" / asks {name}"));
        let heard: String = std::iter::once(what.to_owned()).chain(recorded).chain(asked).collect();
        lines.add(format!("{} --> {}: {heard}", shown(before), shown(self.state.phase.name())));
    }

    fn step(&self) -> StepId {
        self.state.phase.step().unwrap().clone()
    }

    /// Lets nothing come but timers until the host is quarantined.
    fn starve(mut self, lines: &mut Lines) -> Self {
        for _ in 0..TIMERS_MAX {
            if self.state.phase.name() == "quarantined" {
                return self;
            }
            let name = self.timers.pop().unwrap();
            let what = if name.starts_with("retry:") { "after a delay" } else { "no answer in time" };
            self.tell(what, &HostInput::Timer { name }, lines);
        }
        panic!("the host waits for ever: {:?}", self.state.phase);
    }
}

fn shown(phase: &str) -> &str {
    if phase == "unknown" { "[*]" } else { phase }
}

fn walk(until: usize, lines: &mut Lines) -> Walk {
    let mut walk = Walk::default();
    let OperatorCommand::EnrolHost(command) = sample("enrol-host", &[]) else {
        panic!("the sample is another command")
    };
    for station in 0..until {
        let (what, input) = match station {
            0 => {
                let (command, policy) = (command.clone(), HostPolicy::default());
                ("enrol-host", HostInput::Enrol { command, policy })
            }
            1 => {
                let hardware = Hardware {
                    manufacturer: None,
                    model: None,
                    serial: None,
                    processors: None,
                    memory_gib: None,
                    boot_method: None,
                };
                let facts = HostFacts { power_state: PowerState::Off, hardware };
                ("its BMC answers", HostInput::RecordFacts { step: walk.step(), facts })
            }
            2 => {
                let (step, outcome) = (walk.step(), BootOutcome::Succeeded);
                ("report-boot", HostInput::BootReported { step, outcome, reason: None })
            }
            _ => ("it is at rest", HostInput::RecordCleaned { step: walk.step() }),
        };
        walk.tell(what, &input, lines);
    }
    walk
}

/// The diagram.
pub(super) fn drawn() -> String {
    let mut lines = Lines::default();
    let available = walk(4, &mut lines);
    assert_eq!(available.state.phase.name(), "available");
    for station in [1, 2, 3] {
        let mut quarantined = walk(station, &mut lines).starve(&mut lines);
        quarantined.tell("requalify-host", &HostInput::Requalify, &mut lines);
    }
    format!("stateDiagram-v2\n{}", lines.text)
}

#[test]
fn what_changes_nothing_is_not_drawn() {
    let mut lines = Lines::default();
    let mut host = walk(1, &mut Lines::default());
    let name = "verify/of-another-host".to_owned();
    host.tell("a foreign timer", &HostInput::Timer { name }, &mut lines);
    assert_eq!(lines.text, "");
}
