//! The checks themselves are checked: each promise is broken in turn, and somebody must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::seeds::{SAFETY, run_with, said};
use crate::site::{Bug, Chaos, Rates};

/// How many seeds a bug has to show itself.
const SEEDS: u64 = 60;

/// A small run, with something broken or not.
fn run(seed: u64, bug: Option<Bug>) {
    let plan = |chaos: &mut Chaos| {
        if let Some(bug) = bug {
            chaos.site.switch.break_on_purpose(bug);
        }
        chaos.plan(8, 6, 2, 80);
    };
    run_with(seed, plan, Rates { driver: 3_500, give_way: 3_000, stall: 150, ..SAFETY });
}

/// What is noticed first when this is broken, and in which seed.
fn notices(bug: Bug) -> Option<(u64, String)> {
    (1..=SEEDS).find_map(|seed| {
        let panic = catch_unwind(AssertUnwindSafe(|| run(seed, Some(bug)))).err()?;
        Some((seed, said(&*panic)))
    })
}

/// What is noticed below is the bug, and not what the seed does anyhow.
#[test]
fn nothing_is_noticed_where_nothing_is_broken() {
    (1..=SEEDS).for_each(|seed| run(seed, None));
}

fn is_noticed(bug: Bug) {
    let noticed = notices(bug);
    let (seed, by) = noticed.unwrap_or_else(|| panic!("{bug:?} went unnoticed in {SEEDS} seeds"));
    let by: String = by.lines().next().unwrap_or_default().chars().take(120).collect();
    println!("{bug:?}: noticed in seed {seed}: {by}");
}

#[test]
fn an_acknowledged_commit_that_is_lost_is_noticed() {
    is_noticed(Bug::ForgetCommit);
}

#[test]
fn a_store_without_its_condition_is_noticed() {
    is_noticed(Bug::Overwrite);
}

#[test]
fn a_gap_in_the_versions_is_noticed() {
    is_noticed(Bug::SkipVersion);
}

#[test]
fn a_cause_that_commits_twice_is_noticed() {
    is_noticed(Bug::ForgetCause);
}

#[test]
fn an_event_that_is_not_published_is_noticed() {
    is_noticed(Bug::LoseEvent);
}

#[test]
fn a_message_that_is_not_sent_is_noticed() {
    is_noticed(Bug::LoseMessage);
}

#[test]
fn a_timer_that_is_not_set_is_noticed() {
    is_noticed(Bug::LoseTimer);
}

#[test]
fn a_failure_that_is_acknowledged_is_noticed() {
    is_noticed(Bug::AcknowledgeFailure);
}

#[test]
fn a_row_that_goes_back_is_noticed() {
    is_noticed(Bug::ViewGoesBack);
}

#[test]
fn a_row_that_is_lost_is_noticed() {
    is_noticed(Bug::LoseRow);
}

#[test]
fn a_lease_that_everybody_gets_is_noticed() {
    is_noticed(Bug::GrantEveryLease);
}

#[test]
fn undoing_in_the_wrong_order_is_noticed() {
    is_noticed(Bug::CompensateForwards);
}

#[test]
fn a_saga_that_never_ends_is_noticed() {
    is_noticed(Bug::ForgetEnd);
}

#[test]
fn a_dead_letter_that_is_lost_is_noticed() {
    is_noticed(Bug::LoseLetter);
}

#[test]
fn a_replay_that_changes_more_than_rows_is_noticed() {
    is_noticed(Bug::ForgetReplay);
}
