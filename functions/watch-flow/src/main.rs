//! Starts the function that looks at the queues.

use hostler_application::start;
use hostler_aws::lambda::Error;
use hostler_runtime::flow::Watch;
use watch_flow::{QUEUES, watch_flow};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("watch-flow").await?;
    let watch = Watch::new(
        "watch-flow",
        function.shell()?,
        function.depths()?,
        function.consumers()?,
        function.control()?,
        QUEUES,
    );
    function.serve_schedule(async || watch_flow(&watch).await).await
}
