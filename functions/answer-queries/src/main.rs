//! Starts the function that answers questions.

use answer_queries::answer_queries;
use hostler_aws::lambda::{Error, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("answer-queries").await?;
    let handler = answer_queries(function.store()?, function.views()?);
    function.serve_http(handler).await
}
