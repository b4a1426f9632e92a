//! Delivers timers.

use hostler::aws::lambda::{Error, Function};
use starter::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("fire-timers").await?.fire_timers().await
}
