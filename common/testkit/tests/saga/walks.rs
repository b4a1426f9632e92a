//! Random walks: whatever is told, in whatever order, every saga ends, and undoes exactly what it did.

use hostler_core::saga::{
    Answers, Direction, Operation, SagaDefinition, SagaEvent, SagaInput, SagaStatus, StepName, StepOutcome,
    Waiting,
};
use hostler_core::{Category, StepId};
use hostler_testkit::SagaRun;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::basket::{BasketRun, basket};
use super::{
    alive, answer, cancel, child_compensated, child_completed, child_stuck, edit, failed, failed_half_way,
    operate, resume, skip, started, why,
};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

fn is_stuck<D: SagaDefinition>(run: &SagaRun<D>) -> bool {
    matches!(run.state.status, SagaStatus::Stuck { .. })
}

fn output(dice: &mut Dice) -> Value {
    match dice.below(8) {
        0 => Value::Null,
        1..=3 => json!({ "total": 10 }),
        _ => json!({ "total": 1_000 }),
    }
}

/// Something that may be told now, was told before, or makes no sense.
fn something<D: SagaDefinition>(run: &SagaRun<D>, known: &[StepId], dice: &mut Dice) -> SagaInput<D::Order> {
    let running: Vec<StepId> = run.state.running.values().map(|attempt| attempt.id.clone()).collect();
    let from = if dice.below(4) == 0 || running.is_empty() { known } else { &running };
    let step = dice.one_of(from).clone();
    match dice.below(16) {
        0..=4 => answer(step, StepOutcome::Succeeded { output: output(dice) }),
        5 => failed(step, if dice.below(2) == 0 { Category::Transient } else { Category::Business }),
        6 => failed_half_way(step),
        7 => alive(step),
        8..=11 => child_completed(step),
        12 => child_compensated(step),
        13 if dice.below(3) == 0 => child_stuck(step),
        14 => {
            let until = run.now + SignedDuration::from_secs(i64::try_from(dice.below(600)).unwrap());
            answer(step, StepOutcome::Deferred { until, reason: why() })
        }
        15 => {
            let name = StepName::said(step.as_str().split('/').nth(1).unwrap());
            let outcome = StepOutcome::Succeeded { output: output(dice) };
            SagaInput::Answer { answers: Answers::Step(name), outcome }
        }
        _ => SagaInput::Timer { name: format!("deadline:{step}") },
    }
}

/// Something that an operator may want, wisely or not.
fn by_person<D: SagaDefinition>(run: &SagaRun<D>, dice: &mut Dice) -> SagaInput<D::Order> {
    let mut names: Vec<&str> = run.state.running.keys().map(StepName::as_str).collect();
    if let SagaStatus::Stuck { step, .. } = &run.state.status {
        names.push(step.as_str());
    }
    let step = *dice.one_of(&names);
    match dice.below(12) {
        0..=4 => super::approve(Some(step)),
        5 => operate(Operation::Reject { step: Some(StepName::said(step)) }),
        6 => cancel(),
        7 | 8 => resume(),
        9 | 10 => skip(step),
        _ => edit(step),
    }
}

/// What must hold after everything that is told.
fn check<D: SagaDefinition>(run: &SagaRun<D>, seed: u64) {
    for attempt in run.state.running.values() {
        let timer = attempt.timer();
        assert!(run.timers.iter().any(|(_, name)| *name == timer), "seed {seed}: nothing ends {attempt:?}");
    }
    let over = run.state.status.is_over();
    assert!(!over || run.state.running.is_empty(), "seed {seed}: it is over, and goes on");
    assert!(over || is_stuck(run) || !run.state.running.is_empty(), "seed {seed}: it waits for nothing");
}

/// Told anything by anybody for a while, and then nothing but the time.
fn walk<D: SagaDefinition<Command: Clone>>(run: &mut SagaRun<D>, seed: u64) {
    let mut dice = Dice::of(seed);
    let mut known: Vec<StepId> = Vec::new();
    for _ in 0..60 {
        known.extend(run.state.running.values().map(|attempt| attempt.id.clone()));
        if run.state.status.is_over() {
            break;
        }
        match dice.below(6) {
            0 => drop(run.fire_next()),
            1 => {
                let input = by_person(run, &mut dice);
                if let Err(refusal) = run.try_tell(&input) {
                    assert!(!refusal.is_fault(), "seed {seed}: {refusal}");
                }
            }
            _ => drop(run.tell(&something(run, &known, &mut dice))),
        }
        check(run, seed);
    }
    while !run.state.status.is_over() && run.fire_next() {
        check(run, seed);
    }
    assert!(run.state.status.is_over() || is_stuck(run), "seed {seed}: it waits for ever: {:?}", run.state);
    while run.fire_next() {}
}

/// What must hold in the end.
fn check_end<D: SagaDefinition>(run: &SagaRun<D>, seed: u64) {
    let (undone, to_undo) = (run.undone(), run.to_undo());
    match &run.state.status {
        SagaStatus::Completed => assert!(undone.is_empty(), "seed {seed}: {undone:?} undone"),
        SagaStatus::Compensated { .. } => assert_eq!(undone, to_undo, "seed {seed}"),
        SagaStatus::Stuck { compensating: None, .. } => assert!(undone.is_empty(), "seed {seed}"),
        _ => assert!(to_undo.starts_with(&undone), "seed {seed}: {undone:?} of {to_undo:?}"),
    }
    let ends = ["saga.completed", "saga.compensated"].map(|name| super::count(run, name));
    assert!(ends.iter().sum::<usize>() <= 1, "seed {seed}: it ended twice");
    let mut doing = run.events.iter().filter_map(|event| match event {
        SagaEvent::StepStarted { direction, .. } => Some(*direction),
        _ => None,
    });
    doing.find(|direction| *direction == Direction::Back);
    assert!(
        doing.all(|direction| direction == Direction::Back),
        "seed {seed}: forward after the way back began"
    );
}

fn walks<D: SagaDefinition<Command: Clone>>(start: impl Fn(u64) -> SagaRun<D>) {
    let mut ends = std::collections::BTreeMap::new();
    for seed in 1..=2_000_u64 {
        let mut run = start(seed);
        walk(&mut run, seed);
        check_end(&run, seed);
        *ends.entry(run.state.status.name()).or_insert(0) += 1;
    }
    for end in ["completed", "compensated", "stuck"] {
        assert!(ends.get(end).is_some_and(|count| *count > 20), "{ends:?}");
    }
}

#[test]
fn whatever_is_told_an_order_ends_and_undoes_exactly_what_it_did_in_reverse() {
    walks(|seed| started(if seed % 2 == 0 { 10 } else { 5_000 }));
}

#[test]
fn whatever_is_told_a_basket_ends_and_undoes_exactly_what_it_did_in_reverse() {
    walks(|seed| {
        let mut run = BasketRun::new();
        run.tell(&basket(u32::try_from(seed % 4).unwrap(), seed % 3 == 0));
        run
    });
}

#[test]
fn fed_with_nothing_but_its_timers_every_saga_ends() {
    for amount in [10, 5_000] {
        let mut run = started(amount);
        super::starve_to_the_end(&mut run);
    }
    for step in ["reserve.0", "authorize", "pick", "capture", "parcel", "dispatch", "delivery"] {
        let mut run = super::basket::before(step);
        super::starve_to_the_end(&mut run);
    }
}

#[test]
fn every_wait_for_a_next_attempt_has_a_timer() {
    let mut run = super::basket::before("authorize");
    let step = run.at("authorize");
    run.tell(&failed(step, Category::Transient));
    assert!(run.state.running.values().all(|attempt| attempt.waiting == Waiting::Retry));
    check(&run, 0);
}
