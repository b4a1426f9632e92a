//! Starts the function that keeps the read models.

use hostler_aws::lambda::{Error, Function};
use hostler_runtime::catch_up::Followed;
use project_views::ProjectViews;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("project-views").await?;
    let handler =
        ProjectViews { store: function.store()?, views: function.views()?, followed: Followed::default() };
    function.serve_queue("project-views", handler).await
}
