//! Charges cards, and gives the money back.

use std::sync::Arc;

use hostler::aws::lambda::{Error, Function};
use orders::Shop;
use orders::outside::OutsideInControl;
use orders::payment::TakePayments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<Shop>("take-payments").await?;
    let bank = Arc::new(OutsideInControl { control: function.control()? });
    let handler = TakePayments { worker: function.worker()?, bank };
    function.do_steps(handler).await
}
