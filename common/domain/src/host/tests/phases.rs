//! The table of phases is what the decider does: each move is tried in each phase, whether the table has it or not.

use hostler_core::Payload;

use super::*;

/// A host at each station of its life, with `p-1` as its saga.
pub(in crate::host) fn at(phase: &str) -> Host {
    let stations = [
        ("unknown", vec![]),
        ("verifying", vec![enrol()]),
        ("cleaning", vec![facts("h-1/verify/1")]),
        ("available", vec![booted("h-1/clean/2"), cleaned("h-1/clean/2")]),
        ("reserved", vec![reserve("p-1", "s/reserve/1")]),
        ("deploying", vec![deploy("p-1", "s/deploy/1")]),
        ("configuring", vec![booted("s/deploy/1"), deployed("s/deploy/1")]),
        ("registering-monitoring", vec![configured("p-1", "s/apply/1")]),
        ("in-service", vec![monitored("p-1", "s/register/1")]),
        ("cordoned", vec![cordon("r-1", "r/cordon/1")]),
        ("power-cut", vec![power_cut("r-1", "r/cycle/1")]),
        ("power-cycled", vec![power_cycled("r-1", "r/cycle/1")]),
        ("reimaging", vec![reimage("r-1", "r/reimage/1")]),
        ("reimaged", vec![booted("r/reimage/1"), recovered("r/reimage/1")]),
        ("reconfigured", vec![configured_for(recovery("r-1"), "r/apply/1")]),
        ("in-service-again", vec![monitored_for(recovery("r-1"), "r/register/1")]),
    ];
    let undone = [
        ("deprovisioning", vec![undeploy("p-1", "s/undeploy/1")]),
        ("cleaning-held", vec![undeployed("p-1", "s/undeploy/1")]),
    ];
    if let Some(host) = on_the_way(&stations, phase) {
        return host;
    }
    let in_service = stations.iter().position(|(name, _)| *name == "in-service").unwrap();
    let stations: Vec<_> = stations.into_iter().take(in_service + 1).chain(undone).collect();
    if let Some(host) = on_the_way(&stations, phase) {
        return host;
    }
    if phase == "draining" {
        let mut host = at("in-service");
        host.when(&give_back(false)).unwrap();
        return host;
    }
    if phase == "retired" {
        let mut host = at("available");
        host.when(&give_back(true)).unwrap();
        return host;
    }
    if phase == "quarantined" {
        let mut host = at("cleaning-held");
        quarantine(&mut host);
        return host;
    }
    panic!("no station {phase}");
}

fn on_the_way(stations: &[(&str, Vec<HostInput>)], phase: &str) -> Option<Host> {
    let at = stations.iter().position(|(name, _)| *name == phase)?;
    Some(Host::given(stations[..=at].iter().flat_map(|(_, inputs)| inputs.clone())))
}

pub(in crate::host) fn give_back(retire: bool) -> HostInput {
    HostInput::GiveBack { retire, reason: "scaled in".to_owned(), policy: Box::default() }
}

/// How often a host is told something, so that a move that takes several inputs happens: a quarantine takes all tries.
const TOLD: usize = 12;

/// What a host is told for the `n`th time so that the move happens, where it can happen.
fn told(host: &Host, what: Move, n: usize) -> HostInput {
    let step = host.state.phase.step().map_or_else(|| "none/1".to_owned(), ToString::to_string);
    let (category, reason) = (Category::Transient, "x".to_owned());
    let retry = timer(&format!("retry:{step}"));
    match what {
        Move::Enrol => enrol(),
        Move::RetryVerification => HostInput::FailVerification { step: id(&step), category, reason },
        Move::Clean => vec![facts(&step), undeployed("p-1", &step), retry].swap_remove(n % 3),
        Move::RetryCleaning => HostInput::FailCleaning { step: id(&step), category, reason },
        Move::FinishCleaning => vec![booted(&step), cleaned(&step)].swap_remove(n % 2),
        Move::Reserve => reserve("p-1", "new/1"),
        Move::Release => release("p-1", "new/1"),
        Move::Deploy => deploy("p-1", "new/1"),
        Move::FinishDeploy => vec![booted(&step), deployed(&step)].swap_remove(n % 2),
        Move::Configure => configured("p-1", "new/1"),
        Move::Serve => monitored("p-1", "new/1"),
        Move::Drain => give_back(false),
        Move::Retire => give_back(true),
        Move::Undeploy | Move::ConfirmReturn => {
            let held = |saga: &SagaRef| HostInput::StartUndeploy { saga: saga.clone(), step: id("new/1") };
            host.state.reservation.as_ref().map_or_else(|| undeploy("p-1", "new/1"), held)
        }
        Move::Quarantine => vec![timer(&step), retry].swap_remove(n % 2),
        Move::Requalify => HostInput::Requalify,
        Move::Cordon => cordon("r-9", "new/1"),
        Move::Uncordon => uncordon("r-1", "new/1"),
        Move::PowerCycle => vec![power_cut("r-1", "new/1"), power_cycled("r-1", "new/1")].swap_remove(n % 2),
        Move::RestartService => restarted("r-1", "new/1"),
        Move::ChangePackages => packages_found("r-1", "new/1"),
        Move::Reimage => reimage("r-1", &format!("new/{n}")),
        Move::CheckConfiguration => HostInput::Check,
        Move::RestoreConfiguration => HostInput::Restore { reason: "drifted".to_owned() },
    }
}

/// The transitions that were recorded: each event that has a row, with the phases before and after it.
fn recorded(before: &HostState, events: &[HostEvent]) -> Vec<(Phase, &'static str, Phase)> {
    let mut state = before.clone();
    let mut found = Vec::new();
    for event in events {
        let from = state.phase.kind();
        state = HostDecider::evolve(state, event);
        found.push((from, event.type_name(), state.phase.kind()));
    }
    found
}

/// A saga that does not hold the host may give it back, and one that has not cordoned it may be done with it, in any phase: that
/// is only remembered.
fn is_remembered((from, event, to): (Phase, &str, Phase)) -> bool {
    let unmoved = event == "host.released" || (event == "host.uncordoned" && !from.allows(Move::Uncordon));
    from == to && unmoved
}

/// Fails where an event changes the phase in a way that the table does not have, or has rows of which none fits.
pub(super) fn is_allowed(before: &HostState, events: &[HostEvent]) {
    for (from, event, to) in recorded(before, events) {
        let mut rows = TRANSITIONS.iter().filter(|row| row.event == event);
        let unmoved = is_remembered((from, event, to)) || (from == to && rows.clone().next().is_none());
        let known = rows.any(|row| row.from.contains(&from) && row.to == to);
        assert!(known || unmoved, "{event} leads from {} to {}: no such row", from.name(), to.name());
    }
}

/// Hosts in this phase. One that is being cleaned may be held by a saga, and may wait for the delay before a try.
fn hosts_in(phase: Phase) -> Vec<Host> {
    let of_a_recovery = match phase {
        Phase::InService => vec!["cordoned", "power-cut", "in-service-again"],
        Phase::Deploying => vec!["reimaging"],
        Phase::Configuring => vec!["reimaged"],
        Phase::RegisteringMonitoring => vec!["reconfigured"],
        _ => vec![],
    };
    if phase != Phase::Cleaning {
        return of_a_recovery.into_iter().chain([phase.name()]).map(at).collect();
    }
    let mut delayed = at("cleaning");
    let step = delayed.state.phase.step().unwrap().to_string();
    delayed.when(&timer(&step)).unwrap();
    vec![at("cleaning"), at("cleaning-held"), delayed]
}

/// To which phases the move leads from this one.
fn happens(phase: Phase, what: Move) -> Vec<Phase> {
    let mut led_to = Vec::new();
    for mut host in hosts_in(phase) {
        for n in 0..TOLD {
            let (before, heard) = (host.state.clone(), host.events.len());
            let input = told(&host, what, n);
            let _refused = host.when(&input);
            for (from, event, to) in recorded(&before, &host.events[heard..]) {
                let of_the_move = TRANSITIONS.iter().any(|row| row.what == what && row.event == event);
                if from == phase && of_the_move && !is_remembered((from, event, to)) {
                    led_to.push(to);
                }
            }
        }
    }
    led_to.sort();
    led_to.dedup();
    led_to
}

#[test]
fn every_move_happens_in_the_phases_that_the_table_allows_and_in_no_other() {
    for phase in Phase::ALL {
        for what in Move::ALL {
            let mut allowed: Vec<Phase> = TRANSITIONS
                .iter()
                .filter(|row| row.what == *what && row.from.contains(phase))
                .map(|row| row.to)
                .collect();
            allowed.sort();
            assert_eq!(phase.allows(*what), !allowed.is_empty());
            assert_eq!(happens(*phase, *what), allowed, "{what:?} while {}", phase.name());
        }
    }
}

#[test]
fn every_row_is_of_an_event_that_exists_and_every_phase_can_be_reached_and_left() {
    for row in TRANSITIONS {
        assert!(HostEvent::NAMES.contains(&row.event), "{}", row.event);
    }
    for phase in Phase::ALL {
        let reached =
            TRANSITIONS.iter().any(|row| row.to == *phase && row.from.iter().any(|from| from != phase));
        let left = TRANSITIONS.iter().any(|row| row.to != *phase && row.from.contains(phase));
        assert!(reached || *phase == Phase::Unknown, "{} is never reached", phase.name());
        assert!(left, "{} is never left", phase.name());
    }
}

#[test]
fn the_names_of_phases_are_those_of_the_states() {
    for phase in Phase::ALL {
        assert_eq!(at(phase.name()).state.phase.kind(), *phase);
    }
    assert!(Phase::shown().all(|name| name != "unknown"));
    assert_eq!(Phase::shown().count() + 1, Phase::ALL.len());
}
