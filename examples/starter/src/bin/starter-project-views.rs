//! Keeps the read models.

use hostler::aws::lambda::{Error, Function};
use starter::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<App>("project-views").await?.project_views::<App>().await
}
