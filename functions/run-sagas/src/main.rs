//! Starts the function that runs all sagas.

use hostler_app::start;
use hostler_aws::lambda::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("run-sagas").await?;
    let sagas = run_sagas::sagas(function.shell()?)?;
    function.serve_queue("run-sagas", sagas).await
}
