//! The shell: each cause commits once, on the newest state, whatever happens in between.

use hostler_core::{Failure, StreamVersion, TraceContext};
use hostler_runtime::ports::StoreError;
use hostler_runtime::state::shell::{Cause, ExecuteError, Outcome};

use crate::tally::{Added, AddsNothing, Fixture, Input, Tally, cause_of, rival, stream};

#[tokio::test]
async fn a_commit_says_what_happened_who_asked_and_what_follows() {
    let fixture = Fixture::new();
    let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
    let cause = Cause { trace_context: trace.clone(), ..cause_of("ask") };
    let done = fixture.shell.execute::<Tally<1>>(&stream(), &cause, &Input::Ask).await.unwrap();
    assert_eq!(
        (done.outcome, done.fold.version, done.fold.state.total),
        (Outcome::Committed, StreamVersion(1), 1)
    );
    let commit = &fixture.commits()[0];
    assert_eq!((commit.causation_id.as_str(), commit.source.as_str()), ("ask", "tests"));
    assert_eq!((commit.actor.0.as_str(), commit.trace_context.clone()), ("tester", trace));
    assert_eq!(commit.recorded_at, fixture.shell.now());
    assert_eq!(commit.events[0].event_type, "tally.added");
    assert_eq!(
        (commit.commands[0].command_type.as_str(), commit.commands[0].queue.as_str()),
        ("count", "counters")
    );
    assert_eq!(
        (commit.timers[0].name.as_str(), commit.timers[0].deliver_to.as_str()),
        ("look-again", "tallies")
    );
    assert!(commit.snapshot.is_none());
}

#[tokio::test]
async fn hops_grow_by_one_with_every_commit_of_a_chain() {
    let fixture = Fixture::new();
    let cause = cause_of("first");
    fixture.shell.execute::<Tally<1>>(&stream(), &cause, &Input::Ask).await.unwrap();
    let commit = fixture.commits().remove(0);
    assert_eq!(commit.hops, cause.hops + 1);
    let hops: Vec<u16> = commit
        .envelopes()
        .map(|event| event.header.hops)
        .chain(commit.command_envelopes().map(|(_, command)| command.header.hops))
        .chain(commit.timer_messages().map(|timer| timer.header.hops))
        .collect();
    assert_eq!(hops, [cause.hops + 1; 3], "whatever follows is as far along the chain as its commit");
    let endless = Cause { hops: u16::MAX, ..cause_of("endless") };
    fixture.shell.execute::<Tally<1>>(&stream(), &endless, &Input::Ask).await.unwrap();
    assert_eq!(fixture.commits()[1].hops, u16::MAX, "a count at its end stays there");
}

#[tokio::test]
async fn a_conflict_is_decided_anew_on_what_the_faster_writer_left() {
    let fixture = Fixture::new();
    fixture.add("five", 5).await;
    fixture.store.rival_next(rival(2, 100));
    let done =
        fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("double"), &Input::Double).await.unwrap();
    assert_eq!(done.events, [Added { n: 105, note: String::new() }], "decided on 105, not on 5");
    assert_eq!((done.fold.version, done.fold.state.total), (StreamVersion(3), 210));
}

#[tokio::test]
async fn a_rival_of_the_same_cause_makes_it_a_repeat() {
    let fixture = Fixture::new();
    let mut repeat = rival(1, 7);
    repeat.causation_id = cause_of("once").id;
    fixture.store.rival_next(repeat);
    let done = fixture.add("once", 7).await;
    assert_eq!(
        (done.outcome, done.fold.version, done.fold.state.total),
        (Outcome::Repeated, StreamVersion(1), 7)
    );
    assert_eq!(fixture.commits().len(), 1);
}

#[tokio::test]
async fn conflicts_without_end_are_given_up_and_may_be_tried_later() {
    let fixture = Fixture::new();
    for version in 1..=8 {
        fixture.store.rival_next(rival(version, 1));
    }
    let error =
        fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("late"), &Input::Add(1)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Contended { tries: 8, .. }), "{error}");
    assert!(matches!(Failure::from(error), Failure::Retryable { .. }));
    assert_eq!(fixture.commits().len(), 8, "nothing of the loser was written");
    assert_eq!(fixture.add("late", 1).await.outcome, Outcome::Committed);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_the_repeat() {
    let fixture = Fixture::new();
    fixture.store.faults().lose_answer_next(1);
    let error =
        fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("once"), &Input::Add(4)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Store(StoreError::Unavailable { .. })), "{error}");
    assert!(matches!(Failure::from(error), Failure::Retryable { .. }));
    let done = fixture.add("once", 4).await;
    assert_eq!((done.outcome, done.fold.state.total), (Outcome::Repeated, 4));
    assert_eq!(done.events, [Added { n: 4, note: String::new() }]);
    assert_eq!(fixture.commits().len(), 1);
}

#[tokio::test]
async fn a_put_of_our_own_that_is_repeated_is_success_and_no_second_commit() {
    let fixture = Fixture::new();
    let ours = rival(1, 4);
    let store = fixture.shell.store();
    store.append(&ours).await.unwrap();
    store.append(&ours).await.unwrap();
    assert_eq!(fixture.commits().len(), 1);
    assert!(matches!(store.append(&rival(1, 4)).await, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn a_commit_that_was_not_written_may_be_tried_again() {
    let fixture = Fixture::new();
    fixture.store.faults().fail_next(1);
    let input = Input::Add(4);
    assert!(fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("once"), &input).await.is_err());
    assert!(fixture.commits().is_empty());
    assert_eq!(fixture.add("once", 4).await.outcome, Outcome::Committed);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_an_empty_stream() {
    let fixture = Fixture::new();
    fixture.add("five", 5).await;
    fixture.store.faults().fail_reads_next(1);
    let done = fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("double"), &Input::Double).await;
    assert!(matches!(Failure::from(done.unwrap_err()), Failure::Retryable { .. }));
    assert_eq!(fixture.commits().len(), 1);
}

#[tokio::test]
async fn the_same_cause_commits_once_and_the_repeat_returns_what_the_first_did() {
    let fixture = Fixture::new();
    fixture.add("first", 2).await;
    fixture.add("second", 3).await;
    let repeated = fixture.add("first", 2).await;
    assert_eq!(repeated.outcome, Outcome::Repeated);
    assert_eq!(repeated.events, [Added { n: 2, note: String::new() }], "what the first did");
    assert_eq!(
        (repeated.fold.version, repeated.fold.state.total),
        (StreamVersion(2), 5),
        "the stream as it is now"
    );
    assert_eq!(fixture.commits().len(), 2);
}

#[tokio::test]
async fn one_message_may_commit_more_than_once_by_the_parts_of_its_cause() {
    let fixture = Fixture::new();
    let cause = cause_of("message");
    for part in ["started", "done", "started"] {
        let part = cause.part(part).unwrap();
        fixture.shell.execute::<Tally<1>>(&stream(), &part, &Input::Add(1)).await.unwrap();
    }
    assert_eq!(fixture.commits().len(), 2);
    assert!(cause.part(&"x".repeat(300)).is_err(), "an id that is too long is refused, not cut");
}

/// Given a fold that somebody else has overtaken, when it is executed from, then the put fails, and the decision is made
/// again; where the decision needs no put, the stream is looked at before it is believed.
#[tokio::test]
async fn an_old_fold_never_decides() {
    let fixture = Fixture::new();
    let shell = &fixture.shell;
    let old = shell.load::<Tally<1>>(&stream()).await.unwrap();
    fixture.add("five", 5).await;
    let done = shell.execute_from(&stream(), old.clone(), &cause_of("double"), &Input::Double).await.unwrap();
    assert_eq!((done.outcome, done.fold.state.total), (Outcome::Committed, 10));
    let look = shell.execute_from(&stream(), old.clone(), &cause_of("look"), &Input::Look).await.unwrap();
    assert_eq!((look.outcome, look.fold.version), (Outcome::Unchanged, StreamVersion(2)));
    let again =
        shell.execute_from(&stream(), old.clone(), &cause_of("double"), &Input::Double).await.unwrap();
    assert_eq!((again.outcome, again.fold.state.total), (Outcome::Repeated, 10));
    let refused = shell.execute_from(&stream(), old, &cause_of("zero"), &Input::Add(0)).await;
    assert!(matches!(refused, Err(ExecuteError::Refused(_))));
    assert_eq!(fixture.commits().len(), 2);
}

/// Given a fold that is the newest, when it is executed from, then nothing is read.
#[tokio::test]
async fn a_kept_fold_spares_the_read() {
    let fixture = Fixture::new();
    let mut fold = fixture.add("one", 1).await.fold;
    fixture.store.faults().fail_reads_next(1);
    for number in 2..=40 {
        let cause = cause_of(&number.to_string());
        fold = fixture.shell.execute_from(&stream(), fold, &cause, &Input::Add(1)).await.unwrap().fold;
        assert_eq!((fold.version, fold.state.total), (StreamVersion(number), number));
    }
}

#[tokio::test]
async fn an_empty_decision_writes_nothing() {
    let fixture = Fixture::new();
    let done = fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("look"), &Input::Look).await.unwrap();
    assert_eq!((done.outcome, done.fold.version), (Outcome::Unchanged, StreamVersion::EMPTY));
    assert!(done.events.is_empty() && fixture.commits().is_empty());
}

#[tokio::test]
async fn a_refusal_is_an_outcome_and_writes_nothing() {
    let fixture = Fixture::new();
    let refused =
        fixture.shell.execute::<Tally<1>>(&stream(), &cause_of("zero"), &Input::Add(0)).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Refused(AddsNothing)));
    assert!(fixture.commits().is_empty());
}
