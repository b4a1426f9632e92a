//! Holds goods for orders.

use hostler::aws::lambda::{Error, Function};
use starter::App;
use starter::stock::ManageStock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<App>("manage-stock").await?;
    let handler = ManageStock { shell: function.shell()? };
    function.do_steps(handler).await
}
