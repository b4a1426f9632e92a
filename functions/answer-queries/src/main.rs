//! Starts the function that answers questions.

use answer_queries::Answers;
use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_runtime::serving::bearer::BearerToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("answer-queries").await?;
    let token =
        match std::env::var("MONITORING_TOKEN").unwrap_or_default() {
            token if token.is_empty() => None,
            token => Some(BearerToken::new(token.as_bytes()).map_err(|error| {
                format!("the environment variable MONITORING_TOKEN cannot be used: {error}")
            })?),
        };
    let handler = Answers::new(function.store()?, function.views()?, token);
    function.serve_http(handler).await
}
