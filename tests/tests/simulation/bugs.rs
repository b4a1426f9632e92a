//! The checks themselves are checked: each promise is broken in turn, and somebody must notice.

use hostler_core::Commit;
use hostler_testkit::seeds;

use crate::seeds::run_with;
use crate::site::{Bug, Chaos, ChaosRates, Site};

/// The seeds that a bug has to show itself.
const SEEDS: std::ops::Range<u64> = 1..61;

/// A small run, with something broken or not.
fn run(seed: u64, broken: impl FnOnce(&mut Site)) {
    let rates = ChaosRates { dependency: 3_500, give_way: 3_000, stall: 150, ..ChaosRates::EVERYTHING };
    run_with(Chaos { rates, ..Chaos::seeded(seed) }, |site| {
        broken(site);
        site.plan(seed, (8, 6, 2), 80);
    });
}

/// What is noticed below is the bug, and not what the seed does anyhow.
#[test]
fn nothing_is_noticed_where_nothing_is_broken() {
    SEEDS.for_each(|seed| run(seed, |_| {}));
}

fn is_noticed(bug: Bug) {
    seeds::is_noticed(&format!("{bug:?}"), SEEDS, |seed| {
        run(seed, |site| site.switch.break_on_purpose(bug));
    });
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

/// What is undone is undone in the order in which it was done.
fn compensate_forwards(commit: &mut Commit) {
    if !commit.events.iter().any(|event| event.event_type == "saga.compensation-started") {
        return;
    }
    for event in commit.events.iter_mut().filter(|event| event.event_type == "saga.step-started") {
        let mut data = event.data.to_value();
        let (first, last) = ("release-reservation", data["step"].as_str().unwrap().to_owned());
        data["id"] = data["id"].as_str().unwrap().replace(&last, first).into();
        data["step"] = first.into();
        event.data = data.into();
    }
}

#[test]
fn undoing_in_the_wrong_order_is_noticed() {
    seeds::is_noticed("undoing in the wrong order", SEEDS, |seed| {
        run(seed, |site| site.switch.tamper(compensate_forwards));
    });
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
