//! Thanks customers.

use std::sync::Arc;

use hostler::aws::lambda::{Error, Function};
use orders::Shop;
use orders::mail::SendMails;
use orders::outside::OutsideInControl;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<Shop>("send-mails").await?;
    let mailer = Arc::new(OutsideInControl { control: function.control()? });
    let handler = SendMails { worker: function.worker()?, mailer };
    function.do_steps(handler).await
}
