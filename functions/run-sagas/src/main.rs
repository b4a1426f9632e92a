//! Starts the function that runs all sagas.

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_core::saga::SAGAS_QUEUE;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start(SAGAS_QUEUE).await?;
    let sagas = run_sagas::sagas(function.shell()?)?;
    function.serve_queue(SAGAS_QUEUE, sagas).await
}
