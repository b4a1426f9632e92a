//! Starts the function that runs all sagas.

use hostler_aws::lambda::{Error, Function};
use hostler_core::saga::SAGAS_QUEUE;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start(SAGAS_QUEUE).await?;
    let sagas = run_sagas::sagas(function.shell()?)?;
    function.serve_queue(SAGAS_QUEUE, sagas).await
}
