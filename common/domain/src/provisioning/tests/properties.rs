//! What holds for every saga, whatever it hears in whatever order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Heard {
    Success,
    Failure(Category),
    LiveTimer,
    OldTimer(usize),
    OldAnswer(usize),
    OldFailure(usize),
    Cleaned,
    Quarantined,
    ReleasedByHost,
    Cancel,
    Resume,
    Start,
}

fn heard() -> impl Strategy<Value = Heard> {
    prop_oneof![
        8 => Just(Heard::Success),
        3 => Just(Heard::Failure(Category::Transient)),
        1 => Just(Heard::Failure(Category::Business)),
        4 => Just(Heard::LiveTimer),
        2 => any::<usize>().prop_map(Heard::OldTimer),
        2 => any::<usize>().prop_map(Heard::OldAnswer),
        2 => any::<usize>().prop_map(Heard::OldFailure),
        1 => Just(Heard::Cleaned),
        1 => Just(Heard::Quarantined),
        1 => Just(Heard::ReleasedByHost),
        1 => Just(Heard::Cancel),
        2 => Just(Heard::Resume),
        1 => Just(Heard::Start),
    ]
}

/// A step that was begun at some time.
fn old_step(saga: &Provisioning, n: usize) -> Option<(StepKind, String)> {
    let steps: Vec<_> = saga
        .events
        .iter()
        .filter_map(|event| match event {
            ProvisioningEvent::StepStarted(e) => Some((e.kind, e.step.to_string())),
            _ => None,
        })
        .collect();
    steps.get(n % steps.len().max(1)).cloned()
}

fn input(saga: &Provisioning, heard: Heard) -> Option<ProvisioningInput> {
    let current = saga.state.current().map(|current| (current.kind, current.step.to_string()));
    match heard {
        Heard::Success => current.map(|(kind, step)| success(kind, &step)),
        Heard::Failure(category) => current.map(|(kind, step)| failure(kind, &step, category)),
        Heard::LiveTimer => saga.state.live_timer().map(|name| timer(&name)),
        Heard::OldTimer(n) => saga.timers.get(n % saga.timers.len().max(1)).map(|old| timer(&old.name)),
        Heard::OldAnswer(n) => old_step(saga, n).map(|(kind, step)| success(kind, &step)),
        Heard::OldFailure(n) => old_step(saga, n).map(|(kind, step)| failure(kind, &step, Category::Unknown)),
        Heard::Cleaned => Some(cleaned(HOST)),
        Heard::Quarantined => Some(quarantined(HOST)),
        Heard::ReleasedByHost => current.map(|(_, step)| released_by_host(&step)),
        Heard::Cancel => Some(cancel()),
        Heard::Resume => Some(ProvisioningInput::Resume),
        Heard::Start => Some(start()),
    }
}

/// One live wait while the saga is at work, none otherwise; and ids that never repeat.
fn check(saga: &Provisioning) {
    let live = saga.state.live_timer();
    let at_work = matches!(saga.state.status_name(), "running" | "compensating");
    assert_eq!(live.is_some(), at_work, "{:?}", saga.state.status);
    if let Some(name) = live {
        let set = saga.timers.iter().filter(|timer| timer.name == name).count();
        assert_eq!(set, 1, "timer {name}");
    }
    let mut ids = BTreeSet::new();
    for event in &saga.events {
        if let ProvisioningEvent::StepStarted(started) = event {
            assert!(ids.insert(started.step.clone()), "{} twice", started.step);
        }
    }
    assert_eq!(saga.commands.len(), ids.len(), "one command for each attempt");
}

/// Compensations undo the steps that were begun, the last one first.
fn check_order(saga: &Provisioning) {
    let undoes = |kind: StepKind| match kind {
        StepKind::RegisterMonitoring => StepKind::DeregisterMonitoring,
        StepKind::ApplyRole | StepKind::DeployImage => StepKind::UndeployHost,
        StepKind::ReserveHost => StepKind::ReleaseReservation,
        other => other,
    };
    let mut expected: Vec<StepKind> = Vec::new();
    for kind in StepKind::FORWARD.into_iter().rev() {
        let begun = saga.state.tries(kind).begun > 0;
        if begun && expected.last() != Some(&undoes(kind)) {
            expected.push(undoes(kind));
        }
    }
    let done = saga.compensations();
    assert_eq!(done, expected[..done.len()], "compensations out of order");
    if saga.state.status_name() == "compensated" {
        assert_eq!(done, expected, "something was not undone");
    }
}

fn told(story: &[Heard]) -> Provisioning {
    let mut saga = Provisioning::given([start()]);
    for heard in story {
        let Some(input) = input(&saga, *heard) else { continue };
        let before = saga.state.clone();
        if saga.when(&input).is_err() {
            assert_eq!(saga.state, before, "a refusal changes nothing");
        }
        check(&saga);
        check_order(&saga);
    }
    saga
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_heard_a_saga_keeps_its_rules_and_comes_to_an_end(
        story in prop::collection::vec(heard(), 0..60),
    ) {
        let mut saga = told(&story);
        // From here on nobody answers: timers alone bring it to its end.
        let policies: u32 = StepKind::FORWARD
            .into_iter()
            .chain(COMPENSATIONS)
            .map(|kind| state::policy_of(&policy(), kind).attempts)
            .sum();
        let mut fired = 0;
        while saga.state.live_timer().is_some() {
            saga.fire();
            check(&saga);
            fired += 1;
            prop_assert!(fired <= 2 * policies, "still {:?}", saga.state.status);
        }
        prop_assert!(["completed", "compensated", "stuck"].contains(&saga.state.status_name()));
        check_order(&saga);
    }

    #[test]
    fn what_is_over_stays_over(
        story in prop::collection::vec(heard(), 0..60), more in prop::collection::vec(heard(), 0..30),
    ) {
        let mut saga = told(&story);
        saga.finish();
        if saga.state.status_name() == "stuck" {
            return Ok(());
        }
        let before = saga.state.clone();
        for heard in more {
            if let Some(input) = input(&saga, heard) {
                let _refused = saga.when(&input);
            }
            prop_assert_eq!(&saga.state, &before);
        }
    }

    #[test]
    fn any_events_in_any_order_fold(
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6), 0..40),
    ) {
        let mut all: Vec<ProvisioningEvent> = Vec::new();
        for (_, saga) in everywhere() {
            all.extend(saga.events);
        }
        let mut state = ProvisioningState::default();
        for (pick, _) in picks {
            state = ProvisioningDecider::evolve(state, pick.get(&all));
            let text = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(&serde_json::from_str::<ProvisioningState>(&text).unwrap(), &state);
        }
    }
}
