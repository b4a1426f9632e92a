//! Replay and republishing: nothing comes of a replay but read models, and republishing says everything again.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::{Category, Commit, Failure, Incoming};
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::operations::replay::{Replayer, Selection, Told};
use hostler_runtime::ports::{Clock, EventStore, Outbound, Queues};
use hostler_testkit::memory::{Delivered, MemoryBus, MemoryQueues, MemoryStore, deliver};
use hostler_testkit::{SeededIds, TestClock, sample};
use jiff::{SignedDuration, Timestamp};

const VIEWS: &str = "project-views";
const DLQ: &str = "project-views-dlq";

/// Notes what it is handed; `replays` says whether it changes read models only.
#[derive(Default)]
struct Handed {
    replays: bool,
    fails: bool,
    messages: Mutex<Vec<String>>,
}

#[async_trait]
impl Handler for Handed {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        self.messages.lock().unwrap().push(message.type_name().to_owned());
        if self.fails { Err(Failure::terminal(Category::Business, "never")) } else { Ok(()) }
    }

    fn replays(&self) -> bool {
        self.replays
    }
}

/// A handler that declares nothing.
struct Plain(Handed);

#[async_trait]
impl Handler for Plain {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        self.0.handle(message).await
    }
}

struct Fixture {
    clock: TestClock,
    store: MemoryStore,
    bus: MemoryBus,
    queues: MemoryQueues,
    replayer: Replayer,
}

impl Fixture {
    /// Two streams of five commits, a minute apart, each with two events, a command and a timer.
    async fn new() -> Self {
        let (clock, store, bus) = (TestClock::default(), MemoryStore::default(), MemoryBus::default());
        for stream in ["order#1", "order#2"] {
            for version in 1..=5 {
                let recorded_at = moment(i64::try_from(version).unwrap());
                store.append(&Commit { recorded_at, ..sample::full_commit(stream, version) }).await.unwrap();
            }
        }
        let queues = MemoryQueues::new(&clock, [VIEWS, DLQ, "pack-order", "timers", "relay-dlq"]);
        let replayer = Replayer::new(Arc::new(store.clone()), Arc::new(clock.clone()), 10);
        Self { clock, store, bus, queues, replayer }
    }

    async fn replay(&self, selection: &Selection) -> Told {
        self.replayer.replay(selection, &self.queues, VIEWS, |_| {}).await.unwrap()
    }

    async fn republish(&self, selection: &Selection) -> Told {
        let (queues, clock) = (Arc::new(self.queues.clone()), Arc::new(self.clock.clone()));
        let relay = Relay::new(Arc::new(self.bus.clone()), queues, clock, "relay-dlq");
        self.replayer.republish(selection, &relay, |_| {}).await.unwrap()
    }

    async fn deliver(&self, handler: &dyn Handler) -> Delivered {
        let (queues, clock) = (Arc::new(self.queues.clone()), Arc::new(self.clock.clone()));
        let batch = Batch::new(VIEWS, VIEWS, queues, clock, Arc::new(SeededIds::default()));
        deliver(&self.queues, VIEWS, &batch, handler, Duration::from_secs(30)).await
    }
}

fn moment(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
}

#[tokio::test]
async fn a_replay_touches_nothing_but_the_consumers_queue() {
    let fixture = Fixture::new().await;
    let told = fixture.replay(&Selection::default()).await;
    assert_eq!((told.read, told.commits, told.events), (10, 10, 20));
    assert_eq!((told.commands, told.timers), (0, 0));
    assert_eq!(fixture.queues.len(VIEWS), 20);
    assert_eq!(fixture.bus.published(), [], "nothing is published");
    for queue in ["pack-order", "timers"] {
        assert_eq!(fixture.queues.len(queue), 0, "nothing is asked for on {queue}");
    }
    assert!(fixture.queues.peek(VIEWS).iter().all(|sent| sent.attributes.contains_key("replay")));
    assert_eq!(fixture.store.commits(&"order#1".parse().unwrap()).len(), 5, "nothing is recorded");
}

#[tokio::test]
async fn only_handlers_that_change_read_models_alone_are_handed_what_is_replayed() {
    for (replays, expected) in [(true, 10), (false, 0)] {
        let fixture = Fixture::new().await;
        let stream = Some("order#1".parse().unwrap());
        fixture.replay(&Selection { stream, ..Selection::default() }).await;
        let handler = Handed { replays, ..Handed::default() };
        while fixture.queues.len(VIEWS) > 0 {
            fixture.deliver(&handler).await;
        }
        assert_eq!(handler.messages.lock().unwrap().len(), expected);
        assert_eq!(fixture.queues.len(DLQ), 0, "what is left alone is done with");
    }
}

#[tokio::test]
async fn a_handler_that_declares_nothing_is_handed_nothing_that_is_replayed() {
    let fixture = Fixture::new().await;
    fixture.replay(&Selection::default()).await;
    let handler = Plain(Handed::default());
    while fixture.queues.len(VIEWS) > 0 {
        fixture.deliver(&handler).await;
    }
    assert!(handler.0.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_handler_is_handed_what_is_not_replayed_whatever_it_declares() {
    let fixture = Fixture::new().await;
    let event = fixture.store.commits(&"order#1".parse().unwrap())[0].envelopes().next().unwrap();
    let body = serde_json::to_string(&event).unwrap();
    fixture.queues.send(VIEWS, &[Outbound { body, ..Outbound::default() }]).await;
    let handler = Handed::default();
    fixture.deliver(&handler).await;
    assert_eq!(handler.messages.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_replayed_message_stays_one_among_the_dead_letters() {
    let fixture = Fixture::new().await;
    let event_type = Some("order.paid".to_owned());
    fixture.replay(&Selection { event_type, until: Some(moment(2)), ..Selection::default() }).await;
    let handler = Handed { replays: true, fails: true, ..Handed::default() };
    fixture.deliver(&handler).await;
    let letters = fixture.queues.peek(DLQ);
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.attributes.contains_key("replay")));
}

#[tokio::test]
async fn what_is_told_again_is_chosen_by_stream_type_and_time() {
    let since_until = Selection { since: Some(moment(2)), until: Some(moment(4)), ..Selection::default() };
    let of_type = Selection { event_type: Some("order.paid".to_owned()), ..Selection::default() };
    let of_stream = Selection { stream: Some("order#2".parse().unwrap()), ..Selection::default() };
    let nothing = Selection { stream: Some("order#3".parse().unwrap()), ..Selection::default() };
    for (selection, events) in [(since_until, 8), (of_type, 10), (of_stream, 10), (nothing, 0)] {
        let fixture = Fixture::new().await;
        let counted = fixture.replayer.count(&selection, |_| {}).await.unwrap();
        assert_eq!(counted.events, events, "{selection:?}");
        assert_eq!(fixture.queues.len(VIEWS), 0, "counting tells nothing");
        assert_eq!(fixture.replay(&selection).await.events, events, "{selection:?}");
    }
}

/// A clock on which time passes by sleeping.
#[derive(Default)]
struct Sleeper(Mutex<Duration>);

#[async_trait]
impl Clock for Sleeper {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

#[tokio::test]
async fn a_replay_keeps_to_its_rate() {
    let fixture = Fixture::new().await;
    for (rate, seconds) in [(10, 2), (1, 20), (0, 20)] {
        let clock = Arc::new(Sleeper::default());
        let replayer = Replayer::new(Arc::new(fixture.store.clone()), clock.clone(), rate);
        replayer.replay(&Selection::default(), &fixture.queues, VIEWS, |_| {}).await.unwrap();
        assert_eq!(*clock.0.lock().unwrap(), Duration::from_secs(seconds), "20 events at {rate} a second");
    }
}

#[tokio::test]
async fn messages_that_the_queue_does_not_take_are_sent_again() {
    let fixture = Fixture::new().await;
    fixture.queues.faults().fail_next(2);
    assert_eq!(fixture.replay(&Selection::default()).await.events, 20);
    assert_eq!(fixture.queues.len(VIEWS), 20);
}

#[tokio::test]
async fn after_an_outage_everything_is_said_anew() {
    let fixture = Fixture::new().await;
    let told = fixture.republish(&Selection { since: Some(moment(3)), ..Selection::default() }).await;
    let expected = Told { read: 10, commits: 6, events: 12, commands: 6, timers: 6, parked: 0, failed: 0 };
    assert_eq!(told, expected);
    assert_eq!(fixture.bus.published().len(), 12);
    assert_eq!(fixture.queues.len("pack-order"), 6);
    assert_eq!(fixture.queues.len("timers"), 6);
    let commit = &fixture.store.commits(&"order#1".parse().unwrap())[2];
    let said: Vec<_> = commit.envelopes().collect();
    assert!(
        said.iter().all(|event| fixture.bus.published().contains(event)),
        "with the ids by which consumers know them"
    );
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_told_and_not_taken_for_its_end() {
    let fixture = Fixture::new().await;
    fixture.store.faults().fail_reads_next(1);
    let error = fixture.replayer.count(&Selection::default(), |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("start again"), "{error}");
}
