//! Publishes what commits say.

use hostler::aws::lambda::{Error, Function};
use starter::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("relay-outbox").await?.relay::<App>().await
}
