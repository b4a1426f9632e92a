//! Timers: in a schedule or hop by hop until they are due, and then delivered.

use hostler_core::{Failure, Incoming, TimerFired};
use hostler_runtime::messages::timers::{Fired, TIMERS_QUEUE, fire};
use hostler_runtime::ports::{Clock, Queues, Schedules};
use hostler_testkit::memory::{MemoryQueues, MemorySchedules};
use hostler_testkit::{TestClock, sample};
use jiff::SignedDuration;

fn timer(clock: &TestClock, seconds: i64) -> TimerFired {
    let mut timer = sample::full_commit("order#1", 1).timer_messages().next().unwrap();
    timer.due_at = clock.now() + SignedDuration::from_secs(seconds);
    timer
}

/// Hands the timers queue to the function until the timer is delivered; says in how many hops and when.
async fn run(clock: &TestClock, queues: &MemoryQueues, schedules: Option<&dyn Schedules>) -> (usize, i64) {
    let start = clock.now();
    for hops in 0..200 {
        let Some(next) = queues.next_visible_at() else { panic!("the timer is lost") };
        clock.set(next.max(clock.now()));
        for received in queues.receive(TIMERS_QUEUE, 10) {
            let Incoming::Timer(timer) = Incoming::decode(&received.body).unwrap() else {
                panic!("no timer")
            };
            let fired = fire(&timer, clock.now(), queues, schedules).await.unwrap();
            queues.delete(TIMERS_QUEUE, &received.receipt);
            if fired == Fired::Delivered {
                return (hops, clock.now().duration_since(start).as_secs());
            }
        }
    }
    panic!("the timer never fires");
}

#[tokio::test]
async fn a_timer_hops_until_it_is_due_and_is_never_early() {
    for (seconds, hops) in [(0, 0), (1, 1), (900, 1), (901, 2), (1_800, 2), (2_700, 3), (86_400, 96)] {
        let clock = TestClock::default();
        let queues = MemoryQueues::new(&clock, [TIMERS_QUEUE, "orders"]);
        let set = timer(&clock, seconds);
        let body = serde_json::to_string(&set).unwrap();
        let message = hostler_runtime::ports::Outbound { body, ..Default::default() };
        assert!(queues.send(TIMERS_QUEUE, &[message]).await[0].is_ok());
        assert_eq!(run(&clock, &queues, None).await, (hops, seconds), "set {seconds} s ahead");
        let delivered = queues.peek("orders").remove(0);
        let Incoming::Timer(fired) = Incoming::decode(&delivered.body).unwrap() else { panic!("no timer") };
        assert_eq!(*fired, set, "it arrives as it was set, by the id it is known by");
    }
}

#[tokio::test]
async fn no_hop_is_longer_than_a_queue_can_delay() {
    let clock = TestClock::default();
    let queues = MemoryQueues::new(&clock, [TIMERS_QUEUE, "orders"]);
    assert_eq!(fire(&timer(&clock, 100_000), clock.now(), &queues, None).await.unwrap(), Fired::Hopped);
    assert_eq!(queues.peek(TIMERS_QUEUE)[0].delay_seconds, hostler_runtime::ports::DELAY_SECONDS_MAX);
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_asked_again_and_one_that_does_not_exist_is_not() {
    let clock = TestClock::default();
    let queues = MemoryQueues::new(&clock, [TIMERS_QUEUE, "orders"]);
    queues.faults().fail_next(1);
    let failure = fire(&timer(&clock, 0), clock.now(), &queues, None).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure}");
    let mut lost = timer(&clock, 0);
    lost.deliver_to = "no-such-queue".to_owned();
    let failure = fire(&lost, clock.now(), &queues, None).await.unwrap_err();
    assert!(
        matches!(failure, Failure::Terminal { .. }) && failure.chain().contains("no-such-queue"),
        "{failure}"
    );
}

async fn hop(queues: &MemoryQueues, timer: &TimerFired) {
    let body = serde_json::to_string(timer).unwrap();
    let message = hostler_runtime::ports::Outbound { body, ..Default::default() };
    assert!(queues.send(TIMERS_QUEUE, &[message]).await[0].is_ok());
}

#[tokio::test]
async fn a_timer_on_its_queue_moves_to_a_schedule_as_soon_as_one_can_be_made() {
    let clock = TestClock::default();
    let queues = MemoryQueues::new(&clock, [TIMERS_QUEUE, "orders"]);
    let schedules = MemorySchedules::new(&clock, &queues);
    let set = timer(&clock, 172_800);
    hop(&queues, &set).await;
    schedules.faults().fail_next(2);
    // Two hops without a schedule, then the schedule, then what is left of the wait: four instead of 192.
    assert_eq!(run(&clock, &queues, Some(&schedules)).await, (4, 172_800));
    assert_eq!(queues.len("orders"), 1);
    assert!(schedules.pending().is_empty() && queues.len(TIMERS_QUEUE) == 0);
}

#[tokio::test]
async fn a_schedule_whose_answer_was_lost_does_no_harm() {
    let clock = TestClock::default();
    let queues = MemoryQueues::new(&clock, [TIMERS_QUEUE, "orders"]);
    let schedules = MemorySchedules::new(&clock, &queues);
    let set = timer(&clock, 7_200);
    hop(&queues, &set).await;
    schedules.faults().lose_answer_next(1);
    // The timer is in the schedule and hops as well; its owner knows the second one by its id.
    assert_eq!(run(&clock, &queues, Some(&schedules)).await.1, 7_200);
    assert_eq!(schedules.pending().len(), 0, "the hop found its schedule, and made no other");
}

#[tokio::test]
async fn a_schedule_ends_early_and_the_queue_carries_the_rest() {
    let clock = TestClock::default();
    let queues = MemoryQueues::new(&clock, [TIMERS_QUEUE, "orders"]);
    let schedules = MemorySchedules::new(&clock, &queues);
    let set = timer(&clock, 901);
    let made = fire(&set, clock.now(), &queues, Some(&schedules)).await.unwrap();
    assert_eq!(made, Fired::Scheduled);
    let pending = schedules.pending();
    assert_eq!(pending[&set.timer_id.to_string()], set.due_at - SignedDuration::from_secs(120));
    // A minute late, as schedules are: the timer is on time all the same.
    clock.set(set.due_at - SignedDuration::from_secs(60));
    let received = queues.receive(TIMERS_QUEUE, 10).remove(0);
    assert_eq!(received.body, serde_json::to_string(&set).unwrap(), "signature and all");
    assert_eq!(fire(&set, clock.now(), &queues, Some(&schedules)).await.unwrap(), Fired::Hopped);
    queues.delete(TIMERS_QUEUE, &received.receipt);
    assert_eq!(queues.next_visible_at(), Some(set.due_at), "neither early nor late");
    let short = fire(&timer(&clock, 900), clock.now(), &queues, Some(&schedules)).await.unwrap();
    assert_eq!(short, Fired::Hopped, "what a queue can delay needs no schedule");
}
