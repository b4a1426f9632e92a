//! A polling orchestrator beside Hostler: the same hosts, faults, monitoring, toleration, runbook and repairs, and a loop that looks
//! at every host each 30 seconds. What it is given is more than such systems have: a pass over all hosts takes no time, each
//! action is done within the pass that decides on it, and nothing is held back.

use jiff::{SignedDuration, Timestamp};

use crate::model::{BOOT_SECONDS, SCRAPE_SECONDS, What};

/// How often it looks at all hosts.
const POLL: SignedDuration = SignedDuration::from_secs(30);
const TOLERATION: SignedDuration = SignedDuration::from_secs(60);
/// How long an image takes until it calls back, as in the model of a site.
const INSTALL: SignedDuration = SignedDuration::from_secs(60);
/// How long a repair has until it has failed: what the recovery saga waits for a healthy sample, with all its tries.
const VERIFY: SignedDuration = SignedDuration::from_secs(515);
/// The delay before the same rung is tried again.
const DELAY: SignedDuration = SignedDuration::from_secs(60);

/// The rungs of the runbook, each as often as it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    PowerCycle,
    Reimage,
    Replace,
}

const RUNBOOK: [Rung; 4] = [Rung::PowerCycle, Rung::PowerCycle, Rung::Reimage, Rung::Replace];

/// What a month of it came to.
#[derive(Debug, Default)]
pub struct Polled {
    /// Looks at hosts.
    pub reads: u64,
    /// Those after which nothing was done or noted.
    pub for_nothing: u64,
    /// Of each fault, the seconds until the first action.
    pub to_action: Vec<f64>,
    /// Of each fault, the seconds until it is known to be over.
    pub to_close: Vec<f64>,
}

/// Lets it look at so many hosts while these faults come, each at its time.
pub fn month(hosts: usize, began: Timestamp, ended: Timestamp, faults: &[(Timestamp, What)]) -> Polled {
    let mut polled = Polled::default();
    let passes = ended.duration_since(began).as_secs() / POLL.as_secs();
    polled.reads = passes.unsigned_abs() * hosts as u64;
    let mut useful = 0;
    for (at, what) in faults {
        let (acted, closed, looks) = repair(began, *at, *what);
        polled.to_action.push(acted.duration_since(*at).as_secs_f64());
        polled.to_close.push(closed.duration_since(*at).as_secs_f64());
        useful += looks;
    }
    polled.for_nothing = polled.reads.saturating_sub(useful);
    polled
}

/// When it first acts on a fault, when it knows that it is over, and how many of its looks led to something.
fn repair(began: Timestamp, broken: Timestamp, what: What) -> (Timestamp, Timestamp, u64) {
    let pass_after = |at: Timestamp| {
        let passed = at.duration_since(began).as_secs() / POLL.as_secs();
        began + SignedDuration::from_secs((passed + 1) * POLL.as_secs())
    };
    let sampled = |at: Timestamp| at + SignedDuration::from_secs(i64::from(SCRAPE_SECONDS) / 2);
    let boot = SignedDuration::from_secs(BOOT_SECONDS.into());
    // The first pass that finds it faulty notes so; the first one after the toleration acts.
    let noted = pass_after(sampled(broken));
    let mut now = pass_after(noted + TOLERATION - SignedDuration::from_secs(1));
    let (first, mut looks) = (now, 2);
    for (tried, rung) in RUNBOOK.iter().enumerate() {
        let helps = match (rung, what) {
            (Rung::PowerCycle, What::Hang)
            | (Rung::Reimage, What::Hang | What::Disk)
            | (Rung::Replace, _) => true,
            (Rung::PowerCycle | Rung::Reimage, What::Disk | What::Dead) => false,
        };
        looks += 2;
        if helps {
            let works = match rung {
                Rung::PowerCycle => boot,
                // A pass finds the image installed, and applies the role.
                Rung::Reimage => pass_after(now + INSTALL).duration_since(now) + boot,
                Rung::Replace => pass_after(now + INSTALL).duration_since(now),
            };
            return (first, pass_after(sampled(now + works)), looks);
        }
        let failed = pass_after(now + VERIFY);
        let again = RUNBOOK.get(tried + 1) == Some(rung);
        now = if again { pass_after(failed + DELAY) } else { failed };
    }
    (first, now, looks)
}

#[test]
fn a_fault_is_acted_on_by_the_pass_after_its_toleration() {
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let broken = began + SignedDuration::from_secs(10);
    let (acted, closed, _) = repair(began, broken, What::Hang);
    // Sampled after 17 s, noted after 30 s, acted on after 90 s, well after 180 s, seen so after 187 s, found so after 210 s.
    assert_eq!(acted.duration_since(began).as_secs(), 90);
    assert_eq!(closed.duration_since(began).as_secs(), 210);
}
