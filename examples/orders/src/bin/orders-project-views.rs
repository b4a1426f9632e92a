//! Keeps the read models.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::of::<Shop>("project-views").await?.project_views::<Shop>().await
}
