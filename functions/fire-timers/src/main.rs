//! Starts the function that delivers timers.

use fire_timers::fire_timers;
use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_runtime::messages::timers::TIMERS_QUEUE;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("fire-timers").await?;
    let handler = fire_timers(function.clock(), function.queues()?, function.schedules());
    function.serve_queue(TIMERS_QUEUE, handler).await
}
