//! Looks at the queues.

use hostler::aws::lambda::{Error, Function};
use starter::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("watch-flow").await?.watch_flow::<App>().await
}
