//! A smaller run that fails in the same way: of all faults of a failing seed the fewest, and of all commands the fewest.
//!
//! Each fault has a number, which follows from the seed, what was called, and how often it was called before: so a fault keeps
//! its number in a run in which others do not happen. Commands that a test gives later have numbers as well.
//! [`Seeds`](crate::seeds::Seeds) looks for the smaller run when a seed fails, prints what is left of it, and the command that
//! repeats exactly that run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Something that went wrong in a run, or a command that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number.
    pub number: u32,
    /// When, in virtual time.
    pub at: Timestamp,
    /// What it is, such as `the answer to a write is lost`.
    pub what: String,
    /// What was worked off and what was called, such as `run-sagas: append order#o-1`.
    pub place: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08x}  {}  {}, at {}", self.number, self.at, self.what, self.place)
    }
}

/// What may happen in a run: all, where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// The faults that may happen.
    pub faults: Option<BTreeSet<u32>>,
    /// The commands that are given.
    pub commands: Option<BTreeSet<u32>>,
}

/// What a run is told, and what it says about itself. Each run has a thread of its own.
#[derive(Default)]
struct Run {
    only: Only,
    watched: bool,
    faults: Vec<Fault>,
    commands: Vec<Fault>,
    quiet: bool,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

/// Whether a fault may happen in this thread's run. It is noted if it does, and somebody watches.
pub(crate) fn may_happen(number: u32, fault: impl FnOnce() -> Fault) -> bool {
    RUN.with_borrow_mut(|run| {
        let may = run.only.faults.as_ref().is_none_or(|only| only.contains(&number));
        if may && run.watched {
            run.faults.push(fault());
        }
        may
    })
}

/// Whether a command is given in this thread's run.
pub(crate) fn is_given(number: u32, command: impl FnOnce() -> Fault) -> bool {
    RUN.with_borrow_mut(|run| {
        let given = run.only.commands.as_ref().is_none_or(|only| only.contains(&number));
        if given && run.watched {
            run.commands.push(command());
        }
        given
    })
}

/// Lets a run have only this.
pub fn with_only<T>(only: &Only, run: impl FnOnce() -> T) -> T {
    /// Whatever comes after this run is told nothing, even if the run panics.
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            RUN.with_borrow_mut(|run| run.only = Only::default());
        }
    }
    RUN.with_borrow_mut(|run| run.only = only.clone());
    let _restore = Restore;
    run()
}

/// The fewest items with which it still fails, by delta debugging (Zeller, "Yesterday, my program worked", 1999): larger and
/// smaller parts are left out as long as that goes, in so many tries at most. What is returned fails if all items do.
pub fn reduce<T: Clone>(items: &[T], tries_max: usize, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut tries = 0;
    let mut fails = |part: &[T]| {
        tries += 1;
        tries <= tries_max && fails(part)
    };
    let mut left = items.to_vec();
    if left.is_empty() || fails(&[]) {
        return Vec::new();
    }
    let mut parts = 2;
    while left.len() > 1 {
        let chunks: Vec<Vec<T>> = left.chunks(left.len().div_ceil(parts)).map(<[T]>::to_vec).collect();
        // The latest first: what comes last is seldom the cause of what was before.
        let without = |out: usize| -> Vec<T> {
            let kept = chunks.iter().enumerate().filter(|(at, _)| *at != out);
            kept.flat_map(|(_, chunk)| chunk.clone()).collect()
        };
        match (0..chunks.len()).rev().map(without).find(|rest| fails(rest)) {
            Some(rest) => (left, parts) = (rest, (parts - 1).max(2)),
            None if parts >= left.len() => break,
            None => parts = (2 * parts).min(left.len()),
        }
    }
    left
}

/// A smaller run that fails as a seed did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// What goes wrong in it.
    pub faults: Vec<Fault>,
    /// The commands that are given in it.
    pub commands: Vec<Fault>,
    /// How many faults and commands the whole run has.
    pub of: (usize, usize),
    /// How many runs were made to find it.
    pub runs: usize,
    /// Why it fails.
    pub why: String,
}

impl Shrunk {
    /// The environment by which exactly this run is run again.
    #[must_use]
    pub fn environment(&self) -> String {
        let list = |all: &[Fault]| {
            let numbers: BTreeSet<u32> = all.iter().map(|fault| fault.number).collect();
            numbers.iter().map(|number| format!("{number:x}")).collect::<Vec<_>>().join(",")
        };
        format!("HOSTLER_SIM_FAULTS={} HOSTLER_SIM_COMMANDS={}", list(&self.faults), list(&self.commands))
    }
}

impl fmt::Display for Shrunk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, commands, of, runs, why } = self;
        writeln!(out, "shrunk in {runs} runs to {} of {} faults:", faults.len(), of.0)?;
        faults.iter().try_for_each(|fault| writeln!(out, "  {fault}"))?;
        writeln!(out, "and to {} of {} commands:", commands.len(), of.1)?;
        commands.iter().try_for_each(|command| writeln!(out, "  {command}"))?;
        writeln!(out, "it fails with: {why}")
    }
}

/// How many runs are made at most for a smaller one.
const RUNS_MAX: usize = 1_000;

/// Looks for a smaller run that fails in the same way, as long as there is time. None, where the run does not fail.
pub fn shrink<T>(only: &Only, time: Duration, run: impl Fn() -> T) -> Option<Shrunk> {
    let (begun, mut runs) = (Instant::now(), 0);
    let mut watch = |only: &Only| {
        runs += 1;
        watched(only, &run)
    };
    let (why, all_faults, all_commands) = watch(only)?;
    let symptom = symptom(&why);
    let mut left = Only { faults: Some(numbers(&all_faults)), commands: Some(numbers(&all_commands)) };
    let mut fails = |only: &Only| {
        let in_time = begun.elapsed() < time;
        in_time && watch(only).is_some_and(|(why, ..)| self::symptom(&why) == symptom)
    };
    // With fewer commands fewer faults are needed, and the other way round.
    for _ in 0..2 {
        let before = left.clone();
        let faults: Vec<u32> = left.faults.iter().flatten().copied().collect();
        let commands: Vec<u32> = left.commands.iter().flatten().copied().collect();
        let with = |faults: &[u32], commands: &[u32]| Only {
            faults: Some(faults.iter().copied().collect()),
            commands: Some(commands.iter().copied().collect()),
        };
        let in_order = |all: &[Fault], left: &[u32]| -> Vec<u32> {
            all.iter().map(|fault| fault.number).filter(|number| left.contains(number)).collect()
        };
        let faults =
            reduce(&in_order(&all_faults, &faults), RUNS_MAX, |faults| fails(&with(faults, &commands)));
        let commands =
            reduce(&in_order(&all_commands, &commands), RUNS_MAX, |commands| fails(&with(&faults, commands)));
        left = with(&faults, &commands);
        if left == before {
            break;
        }
    }
    let (why, faults, commands) = watch(&left)?;
    Some(Shrunk { faults, commands, of: (all_faults.len(), all_commands.len()), runs, why })
}

fn numbers(faults: &[Fault]) -> BTreeSet<u32> {
    faults.iter().map(|fault| fault.number).collect()
}

/// Why a run fails, and what happened in it; none, when it does not fail.
fn watched<T>(only: &Only, run: impl Fn() -> T) -> Option<(String, Vec<Fault>, Vec<Fault>)> {
    be_quiet();
    RUN.with_borrow_mut(|now| (now.watched, now.quiet) = (true, true));
    let failed = with_only(only, || catch_unwind(AssertUnwindSafe(run))).err();
    let run = RUN.take();
    Some((crate::seeds::text(&*failed?), run.faults, run.commands))
}

/// What a failure is known by: the words of its first line. Numbers differ from run to run.
fn symptom(why: &str) -> String {
    const CHARS_MAX: usize = 60;
    let words = why.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_ascii_digit());
    words.take(CHARS_MAX).collect()
}

/// From here on panics of quiet runs are not told: there are many, and all of them are the same.
fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !RUN.with_borrow(|run| run.quiet) {
                tell(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_it_takes() {
        let items: Vec<u32> = (0..1_000).collect();
        for needed in [vec![], vec![7], vec![3, 999], vec![0, 1, 500, 501, 700]] {
            let mut tries = 0;
            let left = reduce(&items, usize::MAX, |part| {
                tries += 1;
                needed.iter().all(|item| part.contains(item))
            });
            assert_eq!(left, needed);
            assert!(tries < 200, "{needed:?} in {tries} tries");
        }
    }

    #[test]
    fn tries_are_bounded_and_what_is_left_still_fails() {
        let items: Vec<u32> = (0..100).collect();
        for tries_max in 0..30 {
            let mut tries = 0;
            let left = reduce(&items, tries_max, |part| {
                tries += 1;
                [10, 90].iter().all(|item| part.contains(item))
            });
            assert!(tries <= tries_max && left.contains(&10) && left.contains(&90), "{tries}: {left:?}");
        }
    }

    #[test]
    fn another_failure_is_not_the_same_one() {
        assert_eq!(symptom("o-3 was paid twice\nleft: 1"), symptom("o-17 was paid twice"));
        assert_ne!(symptom("o-3 was paid twice"), symptom("o-3 waits for ever"));
    }
}
