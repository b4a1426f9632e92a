//! Charges cards, and gives the money back.

use std::sync::Arc;

use hostler::aws::lambda::{Error, Function};
use starter::App;
use starter::payment::{BankInControl, TakePayments};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<App>("take-payments").await?;
    let bank = Arc::new(BankInControl { control: function.control()? });
    let handler = TakePayments { worker: function.worker()?, bank };
    function.do_steps(handler).await
}
