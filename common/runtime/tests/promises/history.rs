//! Folding: from snapshots or from the start, at a version or an instant, and what cannot be read.

use hostler_core::{Commit, ContractError, EventId, Failure, StreamVersion, TimerId};
use hostler_runtime::ports::StoreError;
use hostler_runtime::state::history::{Fold, HistoryError};
use hostler_runtime::state::history::{Moment, load, load_at};
use hostler_runtime::state::item::{Field, Fields, to_commit, to_fields};
use hostler_testkit::sample;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use crate::tally::{Fixture, Input, Tally, cause_of, rival, stream};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_load_equals_the_fold_of_all_commits(amounts in proptest::collection::vec(1u64..1_000, 0..70)) {
        block_on(async {
            let fixture = Fixture::new();
            for (number, amount) in amounts.iter().enumerate() {
                fixture.add(&format!("add-{number}"), *amount).await;
            }
            let store = fixture.shell.store();
            let loaded: Fold<Tally<1>> = load(store, &stream()).await.unwrap();
            let folded: Fold<Tally<1>> = load_at(store, &stream(), Moment::At(Timestamp::MAX)).await.unwrap();
            assert_eq!(loaded.state, folded.state);
            assert_eq!((loaded.version, loaded.updated_at), (folded.version, folded.updated_at));
            assert_eq!(loaded.seen, folded.seen, "causes, too");
            assert_eq!(loaded.state.total, amounts.iter().sum::<u64>());
        });
    }

    #[test]
    fn the_state_at_every_version_is_that_of_the_moment(amounts in proptest::collection::vec(1u64..9, 1..40)) {
        block_on(async {
            let fixture = Fixture::new();
            for (number, amount) in amounts.iter().enumerate() {
                fixture.add(&format!("add-{number}"), *amount).await;
            }
            for version in 0..=amounts.len() {
                let wanted = StreamVersion(version as u64);
                let fold: Fold<Tally<1>> =
                    load_at(fixture.shell.store(), &stream(), Moment::Version(wanted)).await.unwrap();
                assert_eq!(fold.version, wanted);
                assert_eq!(fold.state.total, amounts[..version].iter().sum::<u64>());
            }
        });
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_has_the_first_state() {
    let fixture = Fixture::new();
    let fold = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!((fold.version, fold.state.total, fold.updated_at), (StreamVersion::EMPTY, 0, None));
}

#[tokio::test]
async fn a_snapshot_of_another_form_is_passed_over() {
    let fixture = Fixture::new();
    fixture.add_ones(37).await;
    let other = fixture.shell.load::<Tally<2>>(&stream()).await.unwrap();
    assert_eq!((other.version, other.state.total, other.seen.len()), (StreamVersion(37), 74, 37));
    let done =
        fixture.shell.execute::<Tally<2>>(&stream(), &cause_of("add-1"), &Input::Add(1)).await.unwrap();
    assert_eq!(done.fold.version, StreamVersion(37), "causes are recognised across the change of form");
}

#[tokio::test]
async fn a_snapshot_that_does_not_read_is_passed_over() {
    let fixture = Fixture::new();
    fixture.add_ones(15).await;
    let mut commit = rival(16, 1);
    commit.snapshot = Some(sample::snapshot(json!("not a state"), Vec::new()));
    commit.snapshot.as_mut().unwrap().state_version = 1;
    fixture.shell.store().append(&commit).await.unwrap();
    assert_eq!(fixture.shell.load::<Tally<1>>(&stream()).await.unwrap().state.total, 16);
}

#[tokio::test]
async fn the_state_at_an_instant_is_that_of_the_last_commit_until_then() {
    let fixture = Fixture::new();
    let start = fixture.shell.now();
    for number in 0..5 {
        fixture.clock.set(start + SignedDuration::from_secs(number * 10));
        fixture.add(&format!("add-{number}"), 1).await;
    }
    for (seconds, total) in [(-1, 0), (0, 1), (9, 1), (10, 2), (39, 4), (40, 5), (4_000, 5)] {
        let at = start + SignedDuration::from_secs(seconds);
        let fold: Fold<Tally<1>> = load_at(fixture.shell.store(), &stream(), Moment::At(at)).await.unwrap();
        assert_eq!(fold.state.total, total, "after {seconds} s");
    }
}

/// What a load says of a stream whose second commit is this one.
async fn refused(second: Commit) -> HistoryError {
    let fixture = Fixture::new();
    fixture.add("first", 1).await;
    fixture.shell.store().append(&second).await.unwrap();
    fixture.shell.load::<Tally<1>>(&stream()).await.unwrap_err()
}

#[tokio::test]
async fn an_event_of_an_unknown_type_is_an_error_that_names_stream_version_and_type() {
    let mut commit = rival(2, 1);
    commit.events = vec![sample::event("tally.halved", json!({}))];
    let error = refused(commit).await;
    let text = error.to_string();
    for part in ["tally#one", "version 2", "tally.halved"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(matches!(error, HistoryError::Contract { source: ContractError::UnknownType { .. }, .. }));
    assert!(matches!(Failure::from(error), Failure::Deferred { .. }), "it waits for the build that knows it");
}

#[tokio::test]
async fn an_event_of_an_older_form_is_upcast() {
    let fixture = Fixture::new();
    let mut commit = rival(1, 1);
    (commit.events[0].schema_version, commit.events[0].data) = (1, json!({ "amount": 7 }).into());
    fixture.shell.store().append(&commit).await.unwrap();
    let fold = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap();
    assert_eq!(fold.state.total, 7);
}

#[tokio::test]
async fn an_event_of_newer_code_is_an_error_that_says_so() {
    let mut commit = rival(2, 1);
    commit.events[0].schema_version = 3;
    let error = refused(commit).await;
    let text = error.to_string();
    assert!(text.contains("tally#one") && text.contains("deploy a newer reader"), "{text}");
    assert!(matches!(error, HistoryError::Contract { source: ContractError::Version { found: 3, .. }, .. }));
    assert!(matches!(Failure::from(error), Failure::Deferred { .. }), "it waits for the build that reads it");
}

#[tokio::test]
async fn a_missing_version_is_an_error_and_never_skipped() {
    let error = refused(rival(3, 1)).await;
    assert!(
        matches!(&error, HistoryError::Store(StoreError::Corrupt { version: StreamVersion(2), .. })),
        "{error}"
    );
    assert!(matches!(Failure::from(error), Failure::Terminal { .. }));
}

#[tokio::test]
async fn a_stream_that_does_not_begin_at_its_beginning_is_an_error() {
    let fixture = Fixture::new();
    fixture.shell.store().append(&rival(2, 1)).await.unwrap();
    let error = fixture.shell.load::<Tally<1>>(&stream()).await.unwrap_err();
    assert!(
        matches!(error, HistoryError::Store(StoreError::Corrupt { version: StreamVersion(1), .. })),
        "{error}"
    );
}

/// Given a commit, when it is written as an item, then its parts need no ids of their own; and what was written before that,
/// with long names and ids, reads as the same.
#[test]
fn items_of_both_forms_are_read() {
    let mut commit = sample::full_commit("order#1", 7);
    let written = |commit: &Commit| to_fields(commit).unwrap();
    let text = |fields: &Fields, wanted: &str| match fields.iter().find(|(name, _)| *name == wanted) {
        Some((_, Field::Text(text) | Field::Number(text))) => text.clone(),
        None => String::new(),
    };
    // Ids that do not follow from the commit's are kept.
    assert_eq!(to_commit(&written(&commit)).unwrap(), commit);
    let ids: Vec<Uuid> = (0..4).map(|n| commit.commit_id.part(n)).collect();
    for (event, id) in commit.events.iter_mut().zip(&ids) {
        event.event_id = EventId(*id);
    }
    commit.commands[0].command_id = ids[2].into();
    commit.timers[0].timer_id = TimerId(ids[3]);
    let short = written(&commit);
    assert_eq!(to_commit(&short).unwrap(), commit);
    for name in ["events", "commands", "timers"] {
        assert!(!text(&short, name).contains(&ids[0].to_string()[..13]), "{}", text(&short, name));
    }
    let mut long = short.clone();
    for (name, field) in &mut long {
        let lists = match *name {
            "events" => serde_json::to_string(&commit.events).unwrap(),
            "commands" => serde_json::to_string(&commit.commands).unwrap(),
            "timers" => serde_json::to_string(&commit.timers).unwrap(),
            _ => continue,
        };
        *field = Field::Text(lists);
    }
    assert_eq!(to_commit(&long).unwrap(), commit);
}

/// The size of an item as DynamoDB counts it: the names and the values of its attributes.
fn item_bytes(commit: &Commit) -> usize {
    let fields = to_fields(commit).unwrap();
    fields.iter().map(|(name, Field::Text(value) | Field::Number(value))| name.len() + value.len()).sum()
}

fn message_bytes(commit: &Commit) -> Vec<usize> {
    let events = commit.envelopes().map(|event| event.to_json().unwrap().len());
    let commands =
        commit.command_envelopes().map(|(_, command)| serde_json::to_string(&command).unwrap().len());
    let timers = commit.timer_messages().map(|timer| serde_json::to_string(&timer).unwrap().len());
    events.chain(commands).chain(timers).collect()
}

/// A text whose characters take one to six bytes in JSON.
fn text(bytes_max: usize) -> impl Strategy<Value = String> {
    let letter = prop_oneof![Just("x"), Just("é"), Just("\""), Just("\u{1}"), Just("🚀")];
    (letter, 0..bytes_max).prop_map(|(letter, bytes)| letter.repeat(bytes / letter.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// What is stored can be stored, and can be published; and what fits is not refused.
    #[test]
    fn what_passes_fits_into_its_item_and_its_messages(
        actor in text(400_000), source in text(60_000), tracestate in text(60_000), timer in text(60_000),
        events in proptest::collection::vec(text(260_000), 0..4),
        commands in proptest::collection::vec(text(260_000), 0..3),
        state in text(300_000),
        small in any::<(bool, bool, bool, bool)>(),
    ) {
        let mut commit = sample::full_commit("order#1", 7);
        let short = |is_short, text: String| if is_short { "short".to_owned() } else { text };
        commit.actor.0 = short(small.0, actor);
        commit.source = short(small.1, source);
        commit.trace_context.as_mut().unwrap().tracestate = Some(short(small.2, tracestate));
        commit.timers[0].name = short(small.3, timer);
        commit.events = events.iter().map(|text| sample::event("order.placed", json!(text))).collect();
        let command = commit.commands.remove(0);
        commit.commands = commands
            .iter()
            .map(|text| hostler_core::RecordedCommand { data: json!(text).into(), ..command.clone() })
            .collect();
        commit.snapshot = Some(sample::snapshot(json!(state), Vec::new()));
        let largest_message = message_bytes(&commit).into_iter().max().unwrap_or_default();
        match commit.check_size() {
            Ok(()) => {
                prop_assert!(item_bytes(&commit) <= 400 * 1_024, "{} bytes", item_bytes(&commit));
                // A signature, and what EventBridge wraps around it, come on top.
                prop_assert!(largest_message <= 256 * 1_024 - 2_000, "{largest_message} bytes");
            }
            Err(refused) => prop_assert!(
                item_bytes(&commit) > 380_000 || largest_message > 250_000,
                "{refused}, and it has {} bytes, its largest message {largest_message}", item_bytes(&commit)
            ),
        }
    }
}

#[test]
fn a_long_actor_is_part_of_the_size() {
    let mut commit = rival(1, 1);
    commit.events.clear();
    commit.actor.0 = "x".repeat(420_000);
    let refused = commit.check_size().unwrap_err().to_string();
    assert!(refused.contains("the commit") && refused.contains("390000"), "{refused}");
}
