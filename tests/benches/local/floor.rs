//! The endpoint's own floor: the calls that a saga is made of, bare, one after another and in the same number.

use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use hostler_bench::{Figures, percentile};
use uuid::Uuid;

use crate::ledger::queue_urls;
use crate::world::World;

const ROUNDS: usize = 200;

/// Measures the raw calls.
pub async fn measure(figures: &mut Figures, world: &World) {
    let config = world.site.account.sdk_config();
    let (dynamodb, sqs) = (aws_sdk_dynamodb::Client::new(&config), aws_sdk_sqs::Client::new(&config));
    let table = &world.site.stack.outputs["ViewsTable"];
    let queue = &queue_urls(world)["relay-outbox-dlq"];
    let mut puts = Vec::new();
    let mut queries = Vec::new();
    let mut sends = Vec::new();
    for _ in 0..ROUNDS {
        let key = AttributeValue::S(format!("floor#{}", Uuid::now_v7()));
        let begun = Instant::now();
        let put = dynamodb.put_item().table_name(table).item("view", key.clone()).item("key", key.clone());
        put.item("group", key.clone()).item("body", AttributeValue::S("x".repeat(900))).send().await.unwrap();
        puts.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let query =
            dynamodb.query().table_name(table).key_condition_expression("#v = :v").consistent_read(true);
        query
            .expression_attribute_names("#v", "view")
            .expression_attribute_values(":v", key)
            .send()
            .await
            .unwrap();
        queries.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        sqs.send_message().queue_url(queue).message_body("floor").delay_seconds(900).send().await.unwrap();
        sends.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    sqs.purge_queue().queue_url(queue).send().await.unwrap();
    for (name, times) in [("put", &mut puts), ("query", &mut queries), ("send", &mut sends)] {
        figures.row(
            format!("the endpoint's own: a bare {name}, p50"),
            format!("{:.1} ms", percentile(times, 0.5)),
            "",
        );
    }
}
