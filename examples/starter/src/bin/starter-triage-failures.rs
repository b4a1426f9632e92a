//! Deals with dead letters.

use hostler::aws::lambda::{Error, Function};
use starter::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("triage-failures").await?.triage::<App>().await
}
