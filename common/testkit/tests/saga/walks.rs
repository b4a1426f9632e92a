//! Random walks: whatever is told, in whatever order, every saga ends, and undoes exactly what it did.

use hostler_core::Category;
use hostler_core::saga::{ChildEnd, SagaInput, SagaStatus, StepId};
use hostler_testkit::sample_saga::{Order, OrderRun};

use super::{by, failed, name, started, succeeded, why};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn is_over(run: &OrderRun) -> bool {
    match &run.state.status {
        SagaStatus::Completed | SagaStatus::Compensated { .. } | SagaStatus::Stuck { .. } => true,
        SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Undoing { .. } => false,
    }
}

#[test]
fn fed_with_nothing_but_its_timers_every_saga_ends() {
    for amount in [10, 5_000] {
        let mut run = started(amount);
        while run.fire_next() {
            assert!(run.events.len() < 1_000, "it does not end");
        }
        assert!(is_over(&run), "it waits for ever: {:?}", run.state);
    }
}

/// Something that may be told now, was told before, or makes no sense.
fn something(run: &OrderRun, known: &[StepId], dice: &mut Dice) -> SagaInput<Order> {
    let running: Vec<StepId> = run.state.running.values().map(|attempt| attempt.id.clone()).collect();
    let from = if dice.below(4) == 0 || running.is_empty() { known } else { &running };
    let at = usize::try_from(dice.below(from.len() as u64)).unwrap();
    let step = from[at].clone();
    let category = if dice.below(2) == 0 { Category::Transient } else { Category::Business };
    match dice.below(10) {
        0..=2 => succeeded(step),
        3 => failed(step, category),
        4 => SagaInput::Heartbeat { step },
        5 | 6 => SagaInput::ChildEnded { step, end: ChildEnd::Completed },
        7 => SagaInput::ChildEnded { step, end: ChildEnd::Compensated { reason: why() } },
        8 if dice.below(3) == 0 => SagaInput::ChildEnded { step, end: ChildEnd::Stuck { reason: why() } },
        _ => SagaInput::Timer { name: format!("deadline:{step}") },
    }
}

fn by_person(run: &mut OrderRun, dice: &mut Dice) {
    if let Some(attempt) = run.state.running.get(&name("approve")) {
        let step = attempt.id.clone();
        run.tell(&SagaInput::Approve { step, actor: by() });
    } else if run.state.status == SagaStatus::Running && dice.below(8) == 0 {
        run.tell(&SagaInput::Cancel { actor: by(), reason: why() });
    }
}

#[test]
fn whatever_is_told_a_saga_ends_and_undoes_exactly_what_it_did_in_reverse() {
    let (mut completed, mut compensated, mut stuck) = (0, 0, 0);
    for seed in 1..=2_000_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut run = started(if seed % 2 == 0 { 10 } else { 5_000 });
        let mut known: Vec<StepId> = Vec::new();
        for _ in 0..40 {
            known.extend(run.state.running.values().map(|attempt| attempt.id.clone()));
            if is_over(&run) {
                break;
            }
            if dice.below(5) == 0 {
                run.fire_next();
            } else if dice.below(6) == 0 {
                by_person(&mut run, &mut dice);
            } else {
                let input = something(&run, &known, &mut dice);
                run.tell(&input);
            }
        }
        while !is_over(&run) {
            assert!(run.fire_next(), "seed {seed}: it waits for ever: {:?}", run.state);
        }
        let mut reversed = run.effects();
        reversed.reverse();
        match &run.state.status {
            SagaStatus::Completed => completed += 1,
            SagaStatus::Compensated { .. } => {
                compensated += 1;
                assert_eq!(run.undone(), reversed, "seed {seed}");
            }
            _ => {
                stuck += 1;
                assert!(reversed.starts_with(&run.undone()), "seed {seed}");
            }
        }
        let events = run.events.len();
        while run.fire_next() {}
        assert_eq!(run.events.len(), events, "seed {seed}: an ended saga is moved by its old timers");
    }
    assert!(completed > 20 && compensated > 20 && stuck > 20, "{completed} {compensated} {stuck}");
}
