//! Answers questions.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<Shop>("answer-queries").await?.answer_queries::<Shop>().await
}
