//! Starts the function that looks at the queues.

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_runtime::serving::watch_flow;
use watch_flow::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("watch-flow").await?;
    let watch = watch(function.shell()?, function.depths()?, function.consumers()?, function.control()?);
    let watch = watch.sharing(function.consumers_max()?);
    function.serve_schedule(async || watch_flow(&watch).await).await
}
