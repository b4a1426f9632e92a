//! What holds for every host, whatever it is told in whatever order.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use hostler_core::saga::{SagaCommand, StepOutcome};
use hostler_events::drift::DriftChange;
use hostler_events::host::{RunOutcome, RunReport};

use super::*;
use crate::PolicyState;

/// Inputs that often fit: steps are the current one, a known earlier one or a new one.
#[derive(Debug, Clone)]
struct Told {
    what: usize,
    saga: usize,
    step: usize,
}

fn told() -> impl Strategy<Value = Told> {
    (0usize..39, 0usize..3, 0usize..6).prop_map(|(what, saga, step)| Told { what, saga, step })
}

fn input(host: &Host, told: &Told, n: usize) -> HostInput {
    let current = host.state.phase.step().map_or_else(|| "none/1".to_owned(), ToString::to_string);
    let step = match told.step {
        0..=3 => current.clone(),
        4 => host.timers.get(n % host.timers.len().max(1)).map_or("none/1".into(), |t| t.name.clone()),
        _ => format!("new/{n}"),
    };
    let holder = host.state.reservation.as_ref().map_or("p-0".to_owned(), |saga| saga.id().to_owned());
    let saga = if told.saga == 0 { format!("p-{}", n % 4) } else { holder };
    let new = format!("new/{n}");
    let recovery = format!("r-{}", told.saga);
    let holder = host.state.reservation.clone().filter(|_| told.saga > 0).unwrap_or_else(|| saga_ref("p-0"));
    match told.what {
        0 => enrol(),
        1 => facts(&step),
        2 => {
            HostInput::FailVerification { step: id(&step), category: Category::Transient, reason: "x".into() }
        }
        3 | 4 => booted(&step),
        5 => boot_failed(&step),
        6 | 7 => cleaned(&step),
        8 => HostInput::FailCleaning { step: id(&step), category: Category::Transient, reason: "x".into() },
        9 => reserve(&saga, &new),
        10 => release(&saga, &new),
        11 => deploy(&saga, if told.step < 5 { &new } else { &step }),
        12 => configured_for(holder, &new),
        13 => monitored_for(holder, &new),
        14 => step_failed(&saga, &new),
        15 => deregistered(&saga, &new),
        16 => undeploy(&saga, &new),
        17 => HostInput::RecordUndeployed { saga: holder, step: id(&step) },
        18 => timer(&step),
        19 => timer(&format!("retry:{current}")),
        20 => HostInput::RecordPower { step: id(&step), power_states: vec![PowerState::On, PowerState::Off] },
        21 => HostInput::Requalify,
        22 => cordon(&recovery, &new),
        23 => uncordon(&recovery, &new),
        24 => start_power_cycle(&recovery, &new),
        25 => power_cut(&recovery, &new),
        26 => power_cycled(&recovery, &new),
        27 => reimage(&recovery, &new),
        29 => start_restart(&recovery, &new),
        30 => restarted(&recovery, &new),
        31 => HostInput::StartConfiguration { saga: holder, step: id(&new), role: id("web"), revision: None },
        32 => ran(host, &step, n),
        33 => HostInput::Check,
        34 => HostInput::Restore { reason: "x".to_owned() },
        35 => timer(&host.state.drift.next.map_or_else(|| step, |next| format!("check:{}", next.at))),
        36 => looked(host, &step, n),
        37 => timer(&host.state.drift.run.as_ref().map_or(step, |run| run.step.to_string())),
        28 => HostInput::RecordDeployed { saga: super::recovery(&recovery), step: id(&step) },
        _ => HostInput::StartUndeploy { saga: super::recovery(&recovery), step: id(&new) },
    }
}

/// The end of the run that there is, or of one that is over.
fn ran(host: &Host, step: &str, n: usize) -> HostInput {
    let outcomes = [RunOutcome::Succeeded, RunOutcome::Failed, RunOutcome::Lost];
    let running = host.state.configuration.as_ref().map_or_else(|| id(step), |run| run.step.clone());
    HostInput::ConfigurationReported {
        step: running,
        report: report(outcomes[n % outcomes.len()], n),
        policies: checked(n),
    }
}

/// The end of the check or restoration that there is, or of one that is over.
fn looked(host: &Host, step: &str, n: usize) -> HostInput {
    let outcomes = [RunOutcome::Succeeded, RunOutcome::Succeeded, RunOutcome::Lost];
    let running = host.state.drift.run.as_ref().map_or_else(|| id(step), |run| run.step.clone());
    HostInput::ConfigurationReported {
        step: running,
        report: report(outcomes[n % outcomes.len()], n),
        policies: checked(n),
    }
}

/// Policies by which hosts are checked and restored, or none.
fn checked(n: usize) -> Arc<PolicyState> {
    let policy = serde_json::json!({
        "configuration": { "checkSeconds": 60 + n, "autonomy": "auto" },
        "pools": { "web": { "role": "web", "image": "debian-13", "hosts": 9 } },
    });
    let policy = serde_json::from_value(if n.is_multiple_of(4) { serde_json::json!({}) } else { policy });
    Arc::new(PolicyState { policy: policy.unwrap(), ..PolicyState::default() })
}

fn report(outcome: RunOutcome, n: usize) -> RunReport {
    let change = || DriftChange { task: "t".to_owned(), path: String::new(), diff: String::new() };
    RunReport::Ended {
        revision: format!("r{}", n % 2),
        outcome,
        changed: n.is_multiple_of(2),
        message: "x".to_owned(),
        tasks: Vec::new(),
        tasks_left_off: 0,
        changes: (0..n % 3).map(|_| change()).collect(),
        changes_left_off: 0,
    }
}

fn check(host: &Host) {
    let state = &host.state;
    // A runner is at work for a saga that holds the host, and may configure it.
    if let Some(run) = &state.configuration {
        assert!(state.phase.allows(Move::Configure) && state.is_held_by(&run.saga), "{state:?}");
    }
    // Nobody gets a host that was not cleaned since it was last written to.
    let last = host.events.iter().rev().find(|event| {
        matches!(
            event,
            HostEvent::Enrolled(_)
                | HostEvent::Requalified(_)
                | HostEvent::DeployStarted(_)
                | HostEvent::ReimageStarted(_)
                | HostEvent::CleaningStarted(_)
                | HostEvent::Cleaned(_)
        )
    });
    if matches!(state.phase, HostPhase::Available | HostPhase::Reserved) {
        assert!(matches!(last, Some(HostEvent::Cleaned(_))), "{:?} after {last:?}", state.phase);
    }
    let held = state.phase == HostPhase::Reserved || state.phase.allows(Move::Undeploy);
    let may_be_held = held || matches!(state.phase, HostPhase::Cleaning { .. });
    assert!(!held || state.reservation.is_some(), "{:?} without a holder", state.phase);
    assert!(may_be_held || state.reservation.is_none(), "{:?} with a holder", state.phase);
    // A cordon is one of a host in service, or of one that its saga installs again.
    if let Some(cordon) = &state.cordon {
        assert!(state.phase.allows(Move::Cordon) || state.is_held_by(&cordon.saga), "{state:?}");
        assert!(state.phase.allows(Move::Reimage), "{:?} and cordoned", state.phase);
        assert!(!state.uncordoned.contains(&cordon.saga), "{} was done with it", cordon.saga);
    }
    // A check or restoration is one of a host in service that no saga works on, and ends by its report or by its deadline.
    let has_timer = |name: &str| host.timers.iter().any(|timer| timer.name == name);
    if let Some(run) = &state.drift.run {
        assert!(state.phase == HostPhase::InService && state.cordon.is_none(), "{state:?}");
        assert!(has_timer(run.step.as_str()), "no deadline for {run:?}");
    }
    if let Some(next) = &state.drift.next {
        assert!(has_timer(&format!("check:{}", next.at)), "no timer for {next:?}");
        assert!(
            state.phase == HostPhase::InService || state.phase == HostPhase::RegisteringMonitoring,
            "{state:?}"
        );
    }
    // The host's own waits have a timer each.
    let waits_by = if let HostPhase::Verifying { step, .. } = &state.phase {
        vec![step.to_string(), format!("retry:{step}")]
    } else if let HostPhase::Cleaning { step, delayed, .. } = &state.phase {
        vec![if *delayed { format!("retry:{step}") } else { step.to_string() }]
    } else {
        return;
    };
    assert!(host.timers.iter().any(|timer| waits_by.contains(&timer.name)), "no timer for {waits_by:?}");
}

/// Fires the host's own timers until it waits for nothing of its own.
fn run_out(host: &mut Host) {
    for _ in 0..40 {
        let Some(step) = host.state.phase.step().cloned() else { return };
        if matches!(host.state.phase, HostPhase::Deploying { .. } | HostPhase::Deprovisioning { .. }) {
            return;
        }
        host.when(&timer(&format!("retry:{step}"))).unwrap();
        host.when(&timer(step.as_str())).unwrap();
    }
    panic!("the host still waits: {:?}", host.state.phase);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_host_is_told_its_rules_hold(
        phase in prop::sample::select(vec![
            "unknown", "verifying", "available", "reserved", "registering-monitoring", "in-service",
            "cordoned", "reimaging", "cleaning-held", "quarantined",
        ]),
        story in prop::collection::vec(told(), 0..60),
    ) {
        let mut host = at(phase);
        for (n, told) in story.iter().enumerate() {
            let input = input(&host, told, n);
            let (before, heard) = (host.state.clone(), host.events.len());
            if host.when(&input).is_err() {
                prop_assert_eq!(&host.state, &before);
            }
            super::phases::is_allowed(&before, &host.events[heard..]);
            check(&host);
        }
        let mut cleanings = BTreeSet::new();
        for command in &host.commands {
            if let StepCommand::Deploy(DeployCommand::CleanHost(clean)) = command {
                prop_assert!(cleanings.insert(clean.step.clone()), "{} twice", clean.step);
            }
        }
    }

    #[test]
    fn a_saga_that_undeploys_always_hears_an_end(
        story in prop::collection::vec(told(), 0..60), last_words in any::<bool>(),
    ) {
        let mut host = at("reserved");
        for (n, told) in story.iter().enumerate() {
            let input = input(&host, told, n);
            let _refused = host.when(&input);
        }
        let heard_before = host.commands.len();
        host.when(&undeploy("p-1", "u/last")).unwrap();
        host.when(&undeployed("p-1", "u/last")).unwrap();
        if last_words && let Some(step) = host.state.phase.step().cloned() {
            let _refused = host.when(&booted(step.as_str()));
            host.when(&cleaned(step.as_str())).unwrap();
        }
        run_out(&mut host);
        let heard = host.commands[heard_before..].iter().any(|command| {
            matches!(command, StepCommand::Saga(SagaCommand::Answer(reply))
                if reply.saga == saga_ref("p-1") && matches!(reply.outcome, StepOutcome::Succeeded { .. }))
        });
        prop_assert!(heard, "in {:?}", host.state);
    }

    #[test]
    fn a_silent_host_of_its_own_ends_in_quarantine(story in prop::collection::vec(told(), 0..40)) {
        let mut host = at("verifying");
        for (n, told) in story.iter().enumerate() {
            let input = input(&host, told, n);
            let _refused = host.when(&input);
        }
        run_out(&mut host);
    }
}
