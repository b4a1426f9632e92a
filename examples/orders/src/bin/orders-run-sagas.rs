//! Runs the shop's sagas.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<Shop>("run-sagas").await?.run_sagas::<Shop>().await
}
