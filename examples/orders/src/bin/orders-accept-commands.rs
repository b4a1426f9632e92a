//! Takes orders, what operators ask for, and the courier's callbacks.

use hostler::aws::lambda::{Error, Function};
use hostler::runtime::serving::callback::CallbackKey;
use orders::{Shop, operations};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<Shop>("accept-commands").await?;
    let key = CallbackKey::new(function.variable("CALLBACK_KEY")?.as_bytes())?;
    function.take_commands(operations(key)).await
}
