//! Runs the sagas.

use hostler::aws::lambda::{Error, Function};
use starter::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("run-sagas").await?.run_sagas::<App>().await
}
