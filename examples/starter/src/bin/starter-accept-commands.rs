//! Takes orders, and what operators ask for.

use hostler::aws::lambda::{Error, Function};
use starter::{App, operations};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("accept-commands").await?.take_commands(operations()).await
}
