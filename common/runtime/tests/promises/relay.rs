//! The relay: everything that a commit says it publishes is published at least once, whatever fails, and no target waits for
//! another.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Commit, Envelope, Failure, Incoming, RecordedTimer, TimerId};
use hostler_runtime::messages::relay::{BUS, OutboxRecord, Relay, Relayed, TARGET};
use hostler_runtime::messages::timers::{Fired, TIMERS_QUEUE, fire};
use hostler_runtime::ports::{
    Clock, EntryFailure, EntryResults, EventBus, Outbound, Queues, Schedule, Schedules,
};
use hostler_testkit::memory::{MemoryBus, MemoryQueues, MemorySchedules, outbox_records};
use hostler_testkit::{TestClock, sample};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

const FAILURE_QUEUE: &str = "relay-dlq";

struct Fixture {
    bus: MemoryBus,
    queues: MemoryQueues,
    clock: TestClock,
    relay: Relay,
}

impl Fixture {
    fn new() -> Self {
        let (bus, clock) = (MemoryBus::default(), TestClock::default());
        let queues = MemoryQueues::new(&clock, ["pack-order", "orders", "timers", FAILURE_QUEUE]);
        let relay = relay(bus.clone(), queues.clone(), &clock);
        Self { bus, queues, clock, relay }
    }

    async fn relay(&self, commits: impl IntoIterator<Item = Commit>) -> Result<Relayed, Failure> {
        self.relay.relay(&outbox_records(commits)).await
    }

    fn queue_is_gone(&self, queue: &str) {
        let failure = EntryFailure {
            retryable: true,
            code: "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            message: "it is not there".to_owned(),
        };
        self.queues.refuse(queue, failure);
    }

    /// The targets of what is parked.
    fn parked(&self) -> Vec<String> {
        let parked = self.queues.peek(FAILURE_QUEUE).into_iter();
        parked.map(|message| message.attributes[TARGET].clone()).collect()
    }

    fn published(&self) -> usize {
        self.bus.published().len()
    }
}

fn relay(bus: impl EventBus + 'static, queues: impl Queues + 'static, clock: &TestClock) -> Relay {
    Relay::new(Arc::new(bus), Arc::new(queues), Arc::new(clock.clone()), FAILURE_QUEUE)
}

/// Commits of two events, a command and a timer each.
fn commits(n: u64) -> Vec<Commit> {
    (1..=n).map(|version| sample::full_commit("order#1", version)).collect()
}

fn with_queue(mut commit: Commit, queue: &str) -> Commit {
    commit.commands[0].queue = queue.to_owned();
    commit
}

#[tokio::test]
async fn everything_that_a_commit_says_is_published() {
    let fixture = Fixture::new();
    let commits = commits(7);
    let done = fixture.relay(commits.clone()).await.unwrap();
    assert_eq!(done, Relayed { commits: 7, events: 14, commands: 7, timers: 7, parked: 0, failed: 0 });
    let said: Vec<Envelope> = commits.iter().flat_map(Commit::envelopes).collect();
    assert_eq!(fixture.bus.published(), said, "in their order");
    let commands: Vec<String> = fixture.queues.peek("pack-order").into_iter().map(|sent| sent.body).collect();
    let said: Vec<String> = commits
        .iter()
        .flat_map(Commit::command_envelopes)
        .map(|(_, command)| serde_json::to_string(&command).unwrap())
        .collect();
    assert_eq!(commands, said);
    assert_eq!(fixture.queues.len("timers"), 7);
    assert_eq!(fixture.queues.len(FAILURE_QUEUE), 0);
}

#[tokio::test]
async fn a_batch_notifies_once_of_each_stream_that_moved_and_has_a_view() {
    let fixture = Fixture::new();
    let relay = fixture.relay.clone().notifying("orders", ["order"]);
    let other = sample::full_commit("parcel#1", 1);
    // Shards are told apart by streams, so that the commits of one come in order; a republishing may begin again.
    let mut batch = commits(5);
    batch.extend([sample::full_commit("order#2", 9), other]);
    batch.extend(commits(2));
    relay.relay(&outbox_records(batch)).await.unwrap();
    let notices = fixture.queues.peek("orders").into_iter();
    let notices: Vec<Envelope> = notices.map(|sent| serde_json::from_str(&sent.body).unwrap()).collect();
    let said: Vec<(&str, u64)> =
        notices.iter().map(|notice| (notice.stream.as_str(), notice.stream_version.0)).collect();
    assert_eq!(said, [("order#1", 5), ("order#2", 9)]);
    assert_eq!(fixture.published(), 18, "the bus hears all of it");
}

#[tokio::test]
async fn a_commit_without_events_hides_no_event_before_it() {
    let fixture = Fixture::new();
    let relay = fixture.relay.clone().notifying("orders", ["order"]);
    let mut batch = commits(3);
    batch[2].events.clear();
    relay.relay(&outbox_records(batch)).await.unwrap();
    let notices = fixture.queues.peek("orders").into_iter();
    let notices: Vec<Envelope> = notices.map(|sent| serde_json::from_str(&sent.body).unwrap()).collect();
    assert_eq!(notices.iter().map(|notice| notice.stream_version.0).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_notice_that_is_not_taken_is_parked() {
    let fixture = Fixture::new();
    let relay = fixture.relay.clone().notifying("orders", ["order"]);
    fixture.queue_is_gone("orders");
    relay.relay(&outbox_records([sample::commit("order#1", 1)])).await.unwrap();
    assert_eq!(fixture.parked(), ["orders"]);
}

#[tokio::test]
async fn internal_events_stay_off_the_bus_and_their_commands_do_not() {
    let fixture = Fixture::new();
    let internal = sample::full_commit("order#1", 1).events[0].event_type.clone();
    let relay = fixture.relay.clone().notifying("orders", ["order"]).keeping([internal.clone()]);
    let done = relay.relay(&outbox_records(commits(3))).await.unwrap();
    assert!(fixture.bus.published().iter().all(|event| event.event_type != internal));
    assert_eq!((done.events, done.commands, done.timers), (fixture.published(), 3, 3));
    assert!(fixture.published() < 6);
    assert_eq!(fixture.queues.len("orders"), 1, "views hear of them");
}

#[tokio::test]
async fn a_commit_that_says_nothing_needs_nobody() {
    let fixture = Fixture::new();
    let mut commit = sample::commit("order#1", 1);
    commit.events.clear();
    fixture.bus.faults().fail_next(1);
    fixture.queues.faults().fail_next(1);
    assert_eq!(fixture.relay([commit]).await.unwrap().commits, 1);
}

#[tokio::test]
async fn only_the_failed_entries_are_sent_again() {
    let fixture = Fixture::new();
    fixture.bus.faults().partial_next([1, 4]);
    fixture.queues.faults().partial_next([0]);
    let commits = commits(3);
    fixture.relay(commits.clone()).await.unwrap();
    let published: Vec<Uuid> = fixture.bus.published().iter().map(|event| event.event_id.0).collect();
    let each: BTreeSet<&Uuid> = published.iter().collect();
    assert_eq!((published.len(), each.len()), (6, 6), "each event once: {published:?}");
    assert_eq!(fixture.queues.len("pack-order"), 3);
}

#[tokio::test]
async fn a_broken_queue_holds_nobody_back() {
    let fixture = Fixture::new();
    let relay = fixture.relay.clone().notifying("orders", ["order"]);
    fixture.queue_is_gone("pack-order");
    let commits = commits(3);
    let done = relay.relay(&outbox_records(commits.clone())).await.unwrap();
    assert_eq!((done.commits, done.parked, done.failed), (3, 3, 0));
    // All others have theirs by the same call, and by one call each: nothing is billed again.
    let said: Vec<Envelope> = commits.iter().flat_map(Commit::envelopes).collect();
    assert_eq!(fixture.bus.published(), said);
    assert_eq!((fixture.queues.len("timers"), fixture.queues.len("orders")), (3, 1));
    assert_eq!(fixture.parked(), ["pack-order"; 3]);
    let parked = fixture.queues.peek(FAILURE_QUEUE);
    let commands: Vec<String> = commits
        .iter()
        .flat_map(Commit::command_envelopes)
        .map(|(_, command)| serde_json::to_string(&command).unwrap())
        .collect();
    assert_eq!(parked.iter().map(|message| message.body.clone()).collect::<Vec<_>>(), commands, "whole");
    assert!(parked[0].attributes["reason"].contains("NonExistentQueue"), "{:?}", parked[0].attributes);
    // A batch that comes again parks the same under the same ids.
    relay.relay(&outbox_records(commits)).await.unwrap();
    let ids: BTreeSet<String> = fixture
        .queues
        .peek(FAILURE_QUEUE)
        .into_iter()
        .map(|parked| parked.attributes["originalMessageId"].clone())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_bus_that_throttles_holds_nobody_back() {
    let fixture = Fixture::new();
    fixture.bus.faults().fail_next(3);
    let done = fixture.relay(commits(2)).await.unwrap();
    assert_eq!((done.parked, fixture.published()), (4, 0));
    assert_eq!((fixture.queues.len("pack-order"), fixture.queues.len("timers")), (2, 2));
    assert_eq!(fixture.parked(), [BUS; 4]);
    // The next batch is published: nothing waits for what is parked.
    assert_eq!(fixture.relay(commits(2)).await.unwrap().parked, 0);
    assert_eq!(fixture.published(), 4);
}

#[tokio::test]
async fn what_passes_within_a_few_tries_is_not_parked() {
    let fixture = Fixture::new();
    fixture.bus.faults().fail_next(2);
    assert_eq!(fixture.relay(commits(2)).await.unwrap().parked, 0);
    assert_eq!(fixture.published(), 4);
}

/// A clock that notes for how long it was asked to wait, and does not.
struct NotesWaits {
    clock: TestClock,
    waits: Arc<Mutex<Vec<Duration>>>,
}

#[async_trait]
impl Clock for NotesWaits {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn sleep(&self, time: Duration) {
        self.waits.lock().unwrap().push(time);
    }

    async fn wait_until(&self, at: Timestamp) {
        self.clock.wait_until(at).await;
    }
}

/// A relay whose waits are noted instead of waited.
fn noting(fixture: &Fixture) -> (Relay, Arc<Mutex<Vec<Duration>>>) {
    let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let clock = NotesWaits { clock: fixture.clock.clone(), waits: Arc::clone(&waits) };
    let (bus, queues) = (Arc::new(fixture.bus.clone()), Arc::new(fixture.queues.clone()));
    (Relay::new(bus, queues, Arc::new(clock), FAILURE_QUEUE), waits)
}

#[tokio::test]
async fn a_target_that_does_not_take_it_is_tried_three_times_with_longer_waits_between_and_none_after() {
    let fixture = Fixture::new();
    fixture.queue_is_gone("pack-order");
    let (relay, waits) = noting(&fixture);
    relay.relay(&outbox_records(commits(1))).await.unwrap();
    assert_eq!(fixture.parked(), ["pack-order"]);
    assert_eq!(*waits.lock().unwrap(), [100, 200].map(Duration::from_millis));
}

#[tokio::test]
async fn the_failure_queue_is_tried_three_times_with_longer_waits_between_and_none_after() {
    let fixture = Fixture::new();
    fixture.queue_is_gone(FAILURE_QUEUE);
    let (relay, waits) = noting(&fixture);
    let unreadable =
        OutboxRecord { position: "1".to_owned(), commit: Err("no commit".to_owned()), raw: "{}".to_owned() };
    relay.relay(&[unreadable]).await.unwrap_err();
    assert_eq!(*waits.lock().unwrap(), [100, 200].map(Duration::from_millis));
}

#[tokio::test]
async fn timers_that_their_queue_does_not_take_are_parked_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    fixture.queue_is_gone("timers");
    assert_eq!(fixture.relay(commits(2)).await.unwrap().parked, 2);
    assert_eq!((fixture.published(), fixture.queues.len("pack-order")), (4, 2));
    assert_eq!(fixture.parked(), ["timers"; 2]);
}

#[tokio::test]
async fn only_when_the_failure_queue_does_not_take_it_either_the_batch_comes_again() {
    let fixture = Fixture::new();
    fixture.queue_is_gone("pack-order");
    fixture.queue_is_gone(FAILURE_QUEUE);
    let failure = fixture.relay(commits(2)).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure}");
    fixture.queues.accept(FAILURE_QUEUE);
    assert_eq!(fixture.relay(commits(2)).await.unwrap().parked, 2);
}

/// Queues of which one never answers.
struct Silent(MemoryQueues);

#[async_trait]
impl Queues for Silent {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        if queue == "pack-order" {
            std::future::pending::<()>().await;
        }
        self.0.send(queue, messages).await
    }

    async fn change_visibility(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure> {
        self.0.change_visibility(queue, receipt, seconds).await
    }
}

#[tokio::test]
async fn a_queue_that_never_answers_is_given_up_in_time_and_nobody_waits_for_it() {
    let fixture = Fixture::new();
    let relay = relay(fixture.bus.clone(), Silent(fixture.queues.clone()), &fixture.clock);
    let records = outbox_records(commits(1));
    let others = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!((fixture.published(), fixture.queues.len("timers")), (2, 1), "without a second passing");
        fixture.clock.advance_seconds(15);
    };
    let (done, ()) = tokio::join!(relay.relay(&records), others);
    assert_eq!(done.unwrap().parked, 1);
    assert!(fixture.queues.peek(FAILURE_QUEUE)[0].attributes["reason"].contains("no answer within"));
}

#[tokio::test]
async fn what_is_too_large_to_be_parked_gives_its_record_up() {
    let fixture = Fixture::new();
    fixture.queue_is_gone("pack-order");
    let mut commit = sample::full_commit("order#1", 1);
    commit.commands[0].data = json!({ "text": "x".repeat(1_048_400) }).into();
    let done = fixture.relay([commit]).await.unwrap();
    assert_eq!((done.parked, done.failed, done.commits), (1, 1, 0));
    let given_up = fixture.queues.peek(FAILURE_QUEUE);
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].attributes["reason"].contains("cannot be parked"), "{:?}", given_up[0].attributes);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_goes_to_the_failure_queue_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    let mut records = outbox_records(commits(3));
    records[1].commit = Err("it has no events".to_owned());
    let done = fixture.relay.relay(&records).await.unwrap();
    assert_eq!((done.commits, done.failed, fixture.published()), (2, 1, 4));
    let failed = fixture.queues.peek(FAILURE_QUEUE);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].body, records[1].raw);
    assert_eq!(failed[0].attributes["reason"], "it has no events");
    assert_eq!(failed[0].attributes["position"], "order#1@2");
}

#[tokio::test]
async fn a_record_that_is_refused_for_good_goes_to_the_failure_queue_and_the_rest_goes_on() {
    let fixture = Fixture::new();
    let [first, second, third] = <[Commit; 3]>::try_from(commits(3)).unwrap();
    let done = fixture.relay([first, with_queue(second, "no-such-queue"), third]).await.unwrap();
    assert_eq!((done.commits, done.failed), (2, 1));
    assert_eq!(fixture.published(), 6, "its events are published all the same");
    assert_eq!(fixture.queues.len("timers"), 3, "and its timers are set");
    let failed = fixture.queues.peek(FAILURE_QUEUE);
    assert!(failed[0].attributes["reason"].contains("no-such-queue"), "{failed:?}");
}

#[tokio::test]
async fn an_event_too_large_for_the_bus_does_not_block_its_shard() {
    let fixture = Fixture::new();
    let mut large = sample::commit("order#1", 1);
    large.events = vec![sample::event("order.placed", json!({ "text": "x".repeat(300_000) }))];
    let done = fixture.relay([large, sample::commit("order#1", 2)]).await.unwrap();
    assert_eq!((done.failed, fixture.published()), (1, 1));
}

#[tokio::test]
async fn a_failure_queue_that_does_not_answer_keeps_the_batch_in_the_stream() {
    let fixture = Fixture::new();
    let mut records = outbox_records(commits(1));
    records[0].commit = Err("unreadable".to_owned());
    fixture.queues.faults().fail_next(3);
    assert!(matches!(fixture.relay.relay(&records).await, Err(Failure::Retryable { .. })));
    assert_eq!(fixture.relay.relay(&records).await.unwrap().failed, 1, "it is tried again with the batch");
    assert_eq!(fixture.queues.len(FAILURE_QUEUE), 1);
}

#[tokio::test]
async fn whatever_a_record_holds_the_failure_queue_can_take_it() {
    let fixture = Fixture::new();
    let odd = OutboxRecord {
        position: String::new(),
        commit: Err("\u{1b}[31mred\u{ffff}\u{0}".repeat(1_000)),
        raw: "odd \u{1b} \u{fffe} text".to_owned(),
    };
    let empty = OutboxRecord { position: "2".to_owned(), commit: Err(String::new()), raw: String::new() };
    assert_eq!(fixture.relay.relay(&[odd, empty]).await.unwrap().failed, 2);
    for message in fixture.queues.peek(FAILURE_QUEUE) {
        let texts = message.attributes.values().chain([&message.body]);
        for text in texts {
            assert!(!text.is_empty(), "SQS refuses empty texts: {message:?}");
            assert!(
                !text.contains(['\u{1b}', '\u{0}', '\u{fffe}', '\u{ffff}']),
                "and these characters: {text:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_batch_that_comes_twice_publishes_the_same_again_and_nothing_else() {
    let fixture = Fixture::new();
    let commits = commits(2);
    fixture.relay(commits.clone()).await.unwrap();
    fixture.relay(commits).await.unwrap();
    let published: Vec<Uuid> = fixture.bus.published().iter().map(|event| event.event_id.0).collect();
    assert_eq!(published[..4], published[4..], "the same ids, by which consumers know the repeat");
    let sent = fixture.queues.peek("pack-order");
    assert_eq!((sent[0].body.clone(), sent[1].body.clone()), (sent[2].body.clone(), sent[3].body.clone()));
}

#[tokio::test]
async fn a_timer_waits_for_as_long_as_one_hop_can() {
    let fixture = Fixture::new();
    let now = fixture.clock.now();
    let mut commit = sample::full_commit("order#1", 1);
    let timer = |seconds| RecordedTimer {
        timer_id: TimerId(Uuid::now_v7()),
        name: format!("in-{seconds}"),
        due_at: now + SignedDuration::from_secs(seconds),
        deliver_to: "orders".to_owned(),
    };
    commit.timers = [-5, 0, 1, 899, 900, 901, 86_400].map(timer).to_vec();
    fixture.relay([commit]).await.unwrap();
    let delay = |message: &Outbound| message.delay_seconds;
    let mut delays: Vec<u16> = fixture.queues.peek("timers").iter().map(delay).collect();
    delays.sort_unstable();
    assert_eq!(delays, [0, 0, 1, 899, 900, 900, 900]);
}

fn timer_in(clock: &TestClock, stream: &str, seconds: i64) -> Commit {
    let mut commit = sample::full_commit(stream, 1);
    commit.commands.clear();
    commit.timers = vec![RecordedTimer {
        timer_id: TimerId(Uuid::now_v7()),
        name: format!("in-{seconds}"),
        due_at: clock.now() + SignedDuration::from_secs(seconds),
        deliver_to: "orders".to_owned(),
    }];
    commit
}

#[tokio::test]
async fn a_timer_that_waits_long_waits_in_a_schedule_and_one_that_does_not_on_its_queue() {
    let fixture = Fixture::new();
    let schedules = MemorySchedules::new(&fixture.clock, &fixture.queues);
    let relay = fixture.relay.clone().scheduling(Some(Arc::new(schedules.clone())));
    for (seconds, scheduled) in [(900, 0), (901, 1), (172_800, 2)] {
        let commit = timer_in(&fixture.clock, "order#1", seconds);
        // The stream may deliver it twice.
        relay.relay(&outbox_records([commit.clone()])).await.unwrap();
        relay.relay(&outbox_records([commit])).await.unwrap();
        assert_eq!(schedules.pending().len(), scheduled, "in {seconds} s");
    }
    let soon = fixture.queues.receive(TIMERS_QUEUE, 10);
    assert_eq!(soon, [], "nothing is due");
    assert_eq!(fixture.queues.len(TIMERS_QUEUE), 2 + 2);
}

/// Schedules that are not there, and count how often they are asked.
#[derive(Clone, Default)]
struct Away(Arc<Mutex<usize>>);

#[async_trait]
impl Schedules for Away {
    async fn create(&self, _: &Schedule) -> Result<(), EntryFailure> {
        *self.0.lock().unwrap() += 1;
        tokio::task::yield_now().await;
        let (code, message) = ("AccessDeniedException".to_owned(), "may not".to_owned());
        Err(EntryFailure { retryable: true, code, message })
    }
}

#[tokio::test]
async fn without_a_scheduler_timers_hop_and_it_is_not_asked_for_each_of_them() {
    let fixture = Fixture::new();
    let away = Away::default();
    let relay = fixture.relay.clone().scheduling(Some(Arc::new(away.clone())));
    let commits = (0..50).map(|n| timer_in(&fixture.clock, &format!("order#{n}"), 86_400));
    let done = relay.relay(&outbox_records(commits)).await.unwrap();
    assert_eq!((done.timers, done.parked, done.failed), (50, 0, 0));
    let hops = fixture.queues.peek(TIMERS_QUEUE);
    assert!(hops.len() == 50 && hops.iter().all(|hop| hop.delay_seconds == 900));
    let asked = *away.0.lock().unwrap();
    assert!(asked <= 8, "asked {asked} times");
}

/// Queues and schedules that count calls.
#[derive(Clone)]
struct Counting<T>(T, Arc<Mutex<Vec<String>>>);

impl<T> Counting<T> {
    fn count(&self, call: String) {
        self.1.lock().unwrap().push(call);
    }
}

#[async_trait]
impl Queues for Counting<MemoryQueues> {
    async fn send(&self, queue: &str, messages: &[Outbound]) -> EntryResults {
        self.count(format!("send to {queue}"));
        self.0.send(queue, messages).await
    }

    async fn change_visibility(&self, queue: &str, receipt: &str, seconds: u32) -> Result<(), EntryFailure> {
        self.0.change_visibility(queue, receipt, seconds).await
    }
}

#[async_trait]
impl Schedules for Counting<MemorySchedules> {
    async fn create(&self, schedule: &Schedule) -> Result<(), EntryFailure> {
        self.count("schedule".to_owned());
        self.0.create(schedule).await
    }
}

#[tokio::test]
async fn a_wait_of_two_days_costs_three_calls() {
    // The second one is the deadline of a quarantined failure.
    for stream in ["order#1", "failure#m-1"] {
        let fixture = Fixture::new();
        let clock = &fixture.clock;
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let queues = Counting(fixture.queues.clone(), calls.clone());
        let schedules = Counting(MemorySchedules::new(clock, &fixture.queues), calls.clone());
        let relay = relay(fixture.bus.clone(), queues.clone(), clock);
        let relay = relay.scheduling(Some(Arc::new(schedules.clone())));
        let commit = timer_in(clock, stream, 172_800);
        let due_at = commit.timers[0].due_at;
        relay.relay(&outbox_records([commit])).await.unwrap();
        let mut received = 0;
        while fixture.queues.len("orders") == 0 {
            clock.set(fixture.queues.next_visible_at().unwrap());
            for message in fixture.queues.receive(TIMERS_QUEUE, 10) {
                let Ok(Incoming::Timer(timer)) = Incoming::decode(&message.body) else { panic!("no timer") };
                let fired = fire(&timer, clock.now(), &queues, Some(&schedules)).await.unwrap();
                assert!(fired != Fired::Scheduled);
                fixture.queues.delete(TIMERS_QUEUE, &message.receipt);
                received += 1;
            }
        }
        assert_eq!(clock.now(), due_at, "on time");
        assert_eq!(*calls.lock().unwrap(), ["schedule", "send to timers", "send to orders"]);
        assert_eq!(received, 2);
    }
}

/// A service that answers for one entry less than it was given, and once only.
#[derive(Clone, Default)]
struct Forgetful(MemoryBus);

#[async_trait]
impl EventBus for Forgetful {
    async fn publish(&self, events: &[Envelope]) -> EntryResults {
        let answered = events.len().saturating_sub(1).max(usize::from(events.len() == 1));
        self.0.publish(&events[..answered]).await
    }
}

#[tokio::test]
async fn an_entry_without_an_answer_is_not_taken_for_published() {
    let fixture = Fixture::new();
    let bus = Forgetful::default();
    let relay = relay(bus.clone(), fixture.queues.clone(), &fixture.clock);
    relay.relay(&outbox_records(commits(1))).await.unwrap();
    assert_eq!(bus.0.published().len(), 2);
}

/// A bus that refuses one type of event for good.
#[derive(Clone, Default)]
struct Picky(MemoryBus);

#[async_trait]
impl EventBus for Picky {
    async fn publish(&self, events: &[Envelope]) -> EntryResults {
        let mut results = Vec::new();
        for event in events {
            results.push(match event.event_type.as_str() {
                "order.paid" => Err(EntryFailure {
                    retryable: false,
                    code: "MalformedDetail".to_owned(),
                    message: "not taken".to_owned(),
                }),
                _ => self.0.publish(std::slice::from_ref(event)).await.remove(0),
            });
        }
        results
    }
}

#[tokio::test]
async fn a_record_with_several_refused_parts_is_one_dead_letter() {
    let fixture = Fixture::new();
    let bus = Picky::default();
    let relay = relay(bus.clone(), fixture.queues.clone(), &fixture.clock);
    let commit = with_queue(sample::full_commit("order#1", 1), "no-such-queue");
    let done = relay.relay(&outbox_records([commit])).await.unwrap();
    assert_eq!((done.failed, bus.0.published().len()), (1, 1));
    assert_eq!(fixture.queues.len(FAILURE_QUEUE), 1);
}

/// The deadline of what a commit asks for counts from when it is asked: held up together, the deadline does not pass before
/// anybody could answer. A timer that is set without a command is due when it is due.
#[tokio::test]
async fn a_deadline_that_was_held_up_with_its_question_begins_with_it() {
    let waits = async |with_command: bool, late: i64, wait: i64| {
        let fixture = Fixture::new();
        let mut commit = sample::full_commit("order#1", 1);
        commit.recorded_at = fixture.clock.now() - SignedDuration::from_secs(late);
        commit.timers[0].due_at = commit.recorded_at + SignedDuration::from_secs(wait);
        if !with_command {
            commit.commands.clear();
        }
        let set = commit.timers[0].due_at;
        assert_eq!(fixture.relay([commit]).await.unwrap().timers, 1);
        let message = fixture.queues.peek(TIMERS_QUEUE).remove(0);
        let Incoming::Timer(timer) = Incoming::decode(&message.body).unwrap() else { panic!("no timer") };
        assert_eq!(timer.due_at, set, "it says when it was to be due");
        message.delay_seconds
    };
    assert_eq!(waits(true, 0, 30).await, 30, "in time");
    assert_eq!(waits(true, 600, 30).await, 30, "ten minutes late, and due before it was set");
    assert_eq!(waits(true, 600, 1_200).await, 900, "as long as a queue can delay it");
    assert_eq!(waits(false, 600, 30).await, 0, "nobody is asked");
}
