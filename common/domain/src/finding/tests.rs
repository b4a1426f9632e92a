//! A vulnerability of a host: deadlines, exceptions, and what a late word changes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use hostler_events::Priority;
use hostler_events::packages::AffectedPackage;

use super::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn verdict(reboot_pending: bool) -> Verdict {
    let package = AffectedPackage {
        package: "openssl".to_owned(),
        installed: "1.0".to_owned(),
        fixed: Some("2.0".to_owned()),
    };
    Verdict { packages: vec![package], reboot_pending }
}

fn urgency(priority: Priority, decided: i64, days: u32) -> Urgency {
    let deadline = Some(at(decided + 24 * i64::from(days)));
    Urgency { priority, decided_at: at(decided), deadline, days: Some(days) }
}

fn note(sequence: u64, verdict: Option<Verdict>, urgency: Urgency) -> FindingInput {
    FindingInput::Note(Box::new(NoteFinding {
        finding: "CVE-2026-1/rack-1/h-1".parse().unwrap(),
        advisory: "CVE-2026-1".parse().unwrap(),
        host: "h-1".parse().unwrap(),
        pool: "web".parse().unwrap(),
        fault_domain: "rack-1".parse().unwrap(),
        exposed: false,
        sequence,
        verdict,
        urgency,
    }))
}

fn open(sequence: u64) -> FindingInput {
    note(sequence, Some(verdict(false)), urgency(Priority::Attend, 0, 14))
}

fn except(until: Timestamp) -> FindingInput {
    FindingInput::Except(Box::new(ExceptFinding {
        finding: "CVE-2026-1/rack-1/h-1".parse().unwrap(),
        owner: "ada".to_owned(),
        reason: "the vendor has no fix".to_owned(),
        until,
    }))
}

fn tell(state: FindingState, input: &FindingInput, hour: i64) -> (FindingState, FindingDecision) {
    let decision = FindingDecider::decide(&state, input, at(hour)).unwrap();
    (decision.events.iter().fold(state, FindingDecider::evolve), decision)
}

fn told(inputs: &[(FindingInput, i64)]) -> FindingState {
    inputs.iter().fold(FindingState::default(), |state, (input, hour)| tell(state, input, *hour).0)
}

fn fire(state: FindingState, timer: &SetTimer, hour: i64) -> (FindingState, FindingDecision) {
    tell(state, &FindingInput::Timer { name: timer.name.clone() }, hour)
}

/// DOMAIN C: a deadline that is breached is told, once.
#[test]
fn a_deadline_is_breached_once_and_only_by_a_host_that_still_has_it() {
    let (state, decision) = tell(FindingState::default(), &open(1), 0);
    let timer = decision.timers[0].clone();
    assert_eq!(timer.due_at, at(14 * 24));
    let (breached, decision) = fire(state.clone(), &timer, 14 * 24);
    assert!(matches!(decision.events[..], [FindingEvent::DeadlineBreached(_)]));
    assert_eq!(fire(breached, &timer, 14 * 24).1, Decision::nothing());
    let (resolved, _) = tell(state, &note(2, None, urgency(Priority::Attend, 0, 14)), 5);
    assert_eq!(resolved.status(), FindingStatus::Resolved);
    assert_eq!(fire(resolved, &timer, 14 * 24).1, Decision::nothing());
}

/// DOMAIN C: "installed, reboot pending" is not fixed: its deadline goes on.
#[test]
fn a_finding_that_waits_for_a_reboot_is_not_fixed() {
    let (state, decision) = tell(FindingState::default(), &open(1), 0);
    let pending = note(2, Some(verdict(true)), urgency(Priority::Attend, 0, 14));
    let (state, _) = tell(state, &pending, 1);
    assert_eq!(state.status(), FindingStatus::RebootPending);
    assert_eq!(fire(state.clone(), &decision.timers[0], 14 * 24).1.events.len(), 1);
    // The fix was taken back.
    assert_eq!(tell(state, &open(3), 2).0.status(), FindingStatus::Open);
}

/// DOMAIN C: an exception has an owner, a reason and an end.
#[test]
fn an_exception_has_an_owner_a_reason_and_an_end_and_ends_by_itself() {
    let state = told(&[(open(1), 0)]);
    let (excepted, decision) = tell(state.clone(), &except(at(20 * 24)), 1);
    assert_eq!(excepted.status(), FindingStatus::Excepted);
    // Its deadline passes meanwhile, and is breached when the exception ends.
    let deadline = SetTimer { name: format!("deadline:{}", at(14 * 24)), ..decision.timers[0].clone() };
    assert_eq!(fire(excepted.clone(), &deadline, 14 * 24).1, Decision::nothing());
    let (ended, ends) = fire(excepted, &decision.timers[0], 20 * 24);
    assert!(matches!(ends.events[..], [FindingEvent::ExceptionEnded(_), FindingEvent::DeadlineBreached(_)]));
    assert_eq!(ended.status(), FindingStatus::Open);
    for until in [at(1), at(0), at(367 * 24 + 2), Timestamp::MAX] {
        let refused = FindingDecider::decide(&state, &except(until), at(1)).unwrap_err();
        assert_eq!(refused.label(), "invalid-end", "{until}");
    }
    let FindingInput::Except(mut nobody) = except(at(9)) else { return };
    nobody.owner = " ".to_owned();
    let refused = FindingDecider::decide(&state, &FindingInput::Except(nobody), at(1)).unwrap_err();
    assert_eq!(refused.label(), "no-owner");
    let unknown = FindingDecider::decide(&FindingState::default(), &except(at(9)), at(1)).unwrap_err();
    assert_eq!(unknown.label(), "unknown-finding");
}

/// An exception that was made longer is not ended by the timer of the shorter one.
#[test]
fn an_exception_that_was_made_longer_ends_at_its_own_time() {
    let (state, first) = tell(told(&[(open(1), 0)]), &except(at(5)), 1);
    let (state, _) = tell(state, &except(at(9)), 2);
    let (state, decision) = fire(state, &first.timers[0], 5);
    assert_eq!((state.status(), decision), (FindingStatus::Excepted, Decision::nothing()));
}

/// Words overtake one another: an older one never replaces a newer one.
#[test]
fn an_older_word_changes_nothing() {
    let state = told(&[(open(2), 0), (note(5, None, urgency(Priority::Attend, 0, 14)), 1)]);
    assert_eq!(tell(state, &open(4), 2).1, Decision::nothing());
}

#[test]
fn what_is_more_urgent_has_an_earlier_deadline_and_what_comes_later_has_days_of_its_own() {
    let state = told(&[(open(1), 0)]);
    let act = note(2, Some(verdict(false)), urgency(Priority::Act, 24, 3));
    let (state, decision) = tell(state, &act, 24);
    assert_eq!(state.found.unwrap().deadline, Some(at(96)));
    assert_eq!(decision.timers[0].due_at, at(96));
    // Found ten days after the decision: fourteen days from then.
    let late = told(&[(open(1), 240)]);
    assert_eq!(late.found.unwrap().deadline, Some(at(240 + 14 * 24)));
}
