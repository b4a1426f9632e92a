//! Deals with dead letters.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<Shop>("triage-failures").await?.triage::<Shop>().await
}
