//! Publishes what commits say.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<Shop>("relay-outbox").await?.relay::<Shop>().await
}
