//! The endpoint's own floor: the calls that the sagas were made of, bare, as many of them and as many at a time.

use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, stream};
use hostler_bench::{Figures, percentile};
use uuid::Uuid;

use crate::metered::Bill;
use crate::states::StateMachines;
use crate::world::World;

/// A call of the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Put,
    Query,
    Send,
    Publish,
    Invoke,
}

struct Floor<'a> {
    world: &'a World,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    queue: String,
    /// A function that is told of nothing.
    function: String,
    http: StateMachines,
}

/// Makes the calls of `bill`, as many at a time as there were sagas; gives the seconds that it took.
pub async fn measure(figures: &mut Figures, world: &World, bill: &Bill, at_a_time: usize) -> f64 {
    let config = world.site.account.sdk_config();
    let floor = Floor {
        world,
        dynamodb: aws_sdk_dynamodb::Client::new(&config),
        sqs: aws_sdk_sqs::Client::new(&config),
        eventbridge: aws_sdk_eventbridge::Client::new(&config),
        queue: world.queue_urls()["relay-outbox-dlq"].clone(),
        function: world.site.stack.outputs["RelayOutboxFunction"].clone(),
        http: StateMachines::of(world),
    };
    let number = |kinds: &[&str]| usize::try_from(bill.sum(kinds).calls).unwrap();
    let counts = [
        (Call::Put, number(&["PutItem", "UpdateItem", "DeleteItem"])),
        (Call::Query, number(&["Query", "GetItem"])),
        (Call::Send, number(&["SendMessageBatch"])),
        (Call::Publish, number(&["PutEvents"])),
        (Call::Invoke, usize::try_from(bill.invocations()).unwrap()),
    ];
    // Mixed, as they come.
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let turns = (0..most).flat_map(|turn| {
        // Each kind is spread over all of the time.
        counts.into_iter().filter(move |(_, count)| (turn * count) / most != ((turn + 1) * count) / most)
    });
    let calls: Vec<Call> = turns.map(|(call, _)| call).collect();
    let begun = Instant::now();
    stream::iter(calls).for_each_concurrent(at_a_time, |call| floor.make(call)).await;
    let seconds = begun.elapsed().as_secs_f64();
    figures.row(
        "the endpoint's own: the same calls, bare, 20 at a time",
        format!("{seconds:.2} s"),
        counts.map(|(call, count)| format!("{call:?} {count}")).join(", "),
    );
    let mut alone = Vec::new();
    for call in [Call::Put, Call::Query, Call::Send, Call::Publish, Call::Invoke] {
        let mut times = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            floor.make(call).await;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        alone.push(format!("{call:?} {:.1} ms", percentile(&mut times, 0.5)));
    }
    figures.row("the endpoint's own: each of these calls alone, p50", alone.join(", "), "");
    floor.sqs.purge_queue().queue_url(&floor.queue).send().await.unwrap();
    seconds
}

impl Floor<'_> {
    async fn make(&self, call: Call) {
        match call {
            Call::Put => self.put().await,
            Call::Query => self.query().await,
            Call::Send => self.send().await,
            Call::Publish => self.publish().await,
            Call::Invoke => self.http.invoke(&self.function).await,
        }
    }

    fn table(&self) -> &str {
        &self.world.site.stack.outputs["ViewsTable"]
    }

    async fn put(&self) {
        let key = AttributeValue::S(format!("floor#{}", Uuid::now_v7()));
        let put = self.dynamodb.put_item().table_name(self.table());
        let put = put.item("view", key.clone()).item("key", key.clone()).item("group", key);
        put.item("body", AttributeValue::S("x".repeat(900))).send().await.unwrap();
    }

    async fn query(&self) {
        let query = self.dynamodb.query().table_name(self.table()).consistent_read(true);
        let query = query.key_condition_expression("#v = :v").expression_attribute_names("#v", "view");
        query.expression_attribute_values(":v", AttributeValue::S("floor".to_owned())).send().await.unwrap();
    }

    async fn send(&self) {
        let send = self.sqs.send_message().queue_url(&self.queue);
        send.message_body("floor").delay_seconds(900).send().await.unwrap();
    }

    async fn publish(&self) {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name(&self.world.site.stack.outputs["EventBus"])
            // Nobody listens to it.
            .source("floor")
            .detail_type("floor")
            .detail("{}");
        self.eventbridge.put_events().entries(entry.build()).send().await.unwrap();
    }
}
