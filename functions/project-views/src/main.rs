//! Starts the function that keeps the read models.

use hostler_app::start;
use hostler_aws::lambda::Error;
use project_views::project_views;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("project-views").await?;
    let handler = project_views(function.store()?, function.views()?);
    function.serve_queue("project-views", handler).await
}
