//! Holds goods for orders, and orders more.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;
use orders::stock::ManageStock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<Shop>("manage-stock").await?;
    let handler = ManageStock { shell: function.shell()? };
    function.do_steps(handler).await
}
