//! Looks at the queues.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<Shop>("watch-flow").await?.watch_flow::<Shop>().await
}
