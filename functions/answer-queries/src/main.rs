//! Starts the function that answers questions.

use answer_queries::answer_queries;
use hostler_app::start;
use hostler_aws::lambda::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("answer-queries").await?;
    let handler = answer_queries(function.store()?, function.views()?);
    function.serve_http(handler).await
}
