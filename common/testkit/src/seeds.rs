//! Many seeds of a simulation, each in one thread, on all cores.
//!
//! `HOSTLER_SIM_SEEDS=from..to` says which (`7..8` is the seed 7 alone), `HOSTLER_SIM_SECONDS` how long seeds are begun, and
//! `HOSTLER_SIM_THREADS` how many run at a time. When a seed fails, a smaller run is looked for that fails in the same way, for
//! `HOSTLER_SIM_SHRINK_SECONDS` (120; 0 for not at all): see [`shrink`](crate::shrink). `HOSTLER_SIM_FAULTS` and
//! `HOSTLER_SIM_COMMANDS` say what may happen in a run, by the numbers that were printed.

use std::any::Any;
use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::ops::{AddAssign, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::shrink::{Only, Shrunk, shrink, with_only};

/// For how many seconds a smaller run is looked for, when nobody says so.
const SHRINK_SECONDS: u64 = 120;

/// Which seeds are run, and for how long.
#[derive(Debug, Clone)]
pub struct Seeds {
    /// The seeds.
    pub range: Range<u64>,
    /// How long seeds are begun.
    pub time: Duration,
    /// How many run at a time.
    pub threads: usize,
    /// What may happen in them.
    pub only: Only,
    /// How long a smaller run is looked for when one fails.
    pub shrink: Duration,
}

/// What many seeds came to.
#[derive(Debug)]
pub struct Tally<T> {
    /// How many were run.
    pub runs: u64,
    /// The last of them.
    pub last: u64,
    /// The sum of what they came to.
    pub sum: T,
    /// Those that failed, and why. No more are begun after the first.
    pub failed: Vec<(u64, String)>,
    /// The first of them in a smaller run, if there was time to find one.
    pub shrunk: Option<Shrunk>,
    /// How long it took.
    pub took: Duration,
}

impl Seeds {
    /// These seeds, however long they take.
    #[must_use]
    pub fn of(range: Range<u64>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shrink = Duration::from_secs(number("HOSTLER_SIM_SHRINK_SECONDS").unwrap_or(SHRINK_SECONDS));
        Self { range, time: Duration::MAX, threads, only: Only::default(), shrink }
    }

    /// The seeds that the environment names, without limit; else these, begun within so many seconds.
    ///
    /// # Panics
    /// When the environment's variables cannot be read.
    #[must_use]
    pub fn from_env(range: Range<u64>, seconds: u64) -> Self {
        let seeds = Self::of(range);
        let named = env::var("HOSTLER_SIM_SEEDS").ok().map(|text| {
            let range =
                text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
            range.unwrap_or_else(|| panic!("HOSTLER_SIM_SEEDS is {text:?}: give a range as 1..1001"))
        });
        let unless_told = if named.is_some() { Duration::MAX } else { Duration::from_secs(seconds) };
        Self {
            time: number("HOSTLER_SIM_SECONDS").map_or(unless_told, Duration::from_secs),
            threads: number("HOSTLER_SIM_THREADS")
                .map_or(seeds.threads, |threads| usize::try_from(threads).unwrap()),
            range: named.unwrap_or(seeds.range),
            only: Only { faults: numbers("HOSTLER_SIM_FAULTS"), commands: numbers("HOSTLER_SIM_COMMANDS") },
            shrink: seeds.shrink,
        }
    }

    /// Runs seeds until they or the time are used up, or one fails.
    pub fn run<T, S>(&self, run: impl Fn(u64) -> T + Sync) -> Tally<S>
    where
        S: Default + Send + for<'a> AddAssign<&'a T>,
    {
        let (next, begun) = (AtomicU64::new(self.range.start), Instant::now());
        let (sum, took) = (S::default(), Duration::ZERO);
        let tally = Mutex::new(Tally { runs: 0, last: 0, sum, failed: Vec::new(), shrunk: None, took });
        let work = || {
            while begun.elapsed() < self.time {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.range.end || !tally.lock().unwrap().failed.is_empty() {
                    return;
                }
                let ended = catch_unwind(AssertUnwindSafe(|| with_only(&self.only, || run(seed))));
                let mut tally = tally.lock().unwrap();
                match ended {
                    Ok(ended) => {
                        tally.runs += 1;
                        tally.last = tally.last.max(seed);
                        tally.sum += &ended;
                    }
                    Err(panic) => tally.failed.push((seed, text(&*panic))),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(work);
            }
        });
        let mut tally = tally.into_inner().unwrap();
        tally.took = begun.elapsed();
        if let Some((seed, _)) = tally.failed.first().filter(|_| !self.shrink.is_zero()) {
            tally.shrunk = shrink(&self.only, self.shrink, || run(*seed));
        }
        tally
    }
}

impl<T: std::fmt::Debug> Tally<T> {
    /// Says which seeds were run, past the capture of the test's output, and that none of them failed. `again` is the command
    /// that runs a seed again.
    ///
    /// # Panics
    /// When one failed, or none was run.
    pub fn report(&self, name: &str, again: &str) {
        let Self { runs, last, sum, failed, shrunk, took } = self;
        let mut out = std::io::stderr();
        writeln!(out, "{name}: {runs} runs up to seed {last} in {took:.1?}: {sum:?}").unwrap();
        for (seed, why) in failed {
            println!("SEED {seed} FAILS: {why}");
            println!("again: HOSTLER_SIM_SEEDS={seed}..{} {again}", seed + 1);
        }
        if let (Some((seed, _)), Some(shrunk)) = (failed.first(), shrunk) {
            println!("SEED {seed} {shrunk}");
            println!("again: HOSTLER_SIM_SEEDS={seed}..{} {} {again}", seed + 1, shrunk.environment());
        }
        assert!(failed.is_empty(), "{} seeds fail", failed.len());
        assert!(*runs > 0, "no seed was run");
    }
}

/// Runs one seed in this thread, on virtual time.
///
/// # Panics
/// Where the run does.
pub fn in_one_thread<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run)
}

/// What a run panics with; nothing, when it does not. For checks of checks: break something, and see who notices.
pub fn notices(run: impl FnOnce()) -> Option<String> {
    catch_unwind(AssertUnwindSafe(run)).err().map(|panic| text(&*panic))
}

/// Breaks something in one seed after the other, until it is noticed, and prints what was.
///
/// # Panics
/// When no seed notices.
pub fn is_noticed(what: &str, seeds: Range<u64>, run: impl Fn(u64)) {
    let noticed = seeds.clone().find_map(|seed| Some((seed, notices(|| run(seed))?)));
    let (seed, by) = noticed.unwrap_or_else(|| panic!("{what} went unnoticed in the seeds {seeds:?}"));
    let by: String = by.lines().next().unwrap_or_default().chars().take(120).collect();
    println!("{what}: noticed in seed {seed}: {by}");
}

pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: give a whole number")))
}

/// The numbers of faults or commands, in hexadecimal.
fn numbers(name: &str) -> Option<BTreeSet<u32>> {
    let text = env::var(name).ok()?;
    let listed = text.split(',').filter(|number| !number.is_empty());
    let number = |number: &str| {
        u32::from_str_radix(number, 16)
            .unwrap_or_else(|_| panic!("{name} has {number:?}: give what was printed"))
    };
    Some(listed.map(number).collect())
}
