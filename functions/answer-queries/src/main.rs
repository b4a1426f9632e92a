//! Starts the function that answers questions.

use answer_queries::AnswerQueries;
use hostler_application::start;
use hostler_aws::lambda::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("answer-queries").await?;
    let handler = AnswerQueries { store: function.store()?, views: function.views()? };
    function.serve_http(handler).await
}
