//! Starts the function that takes signals.

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_runtime::serving::bearer::BearerToken;
use ingest_signals::IngestSignals;
use ingest_signals::adopt::adopt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("ingest-signals").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let token = BearerToken::new(variable("SIGNAL_TOKEN").as_bytes())
        .map_err(|error| format!("the environment variable SIGNAL_TOKEN cannot be used: {error}"))?;
    let token = token
        .after(variable("PREVIOUS_SIGNAL_TOKEN").as_bytes())
        .map_err(|error| format!("the environment variable PREVIOUS_SIGNAL_TOKEN cannot be used: {error}"))?;
    let (clock, ids, queues) = (function.clock(), function.ids(), function.queues()?);
    let handler = IngestSignals { clock, ids, queues, integrity: function.integrity(), token };
    function.adopting(adopt).serve_queue_and_http("signals", handler).await
}
