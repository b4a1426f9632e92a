//! Looks at cards.

use hostler::aws::lambda::{Error, Function};
use orders::Shop;
use orders::fraud::CheckCards;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<Shop>("check-fraud").await?;
    let handler = CheckCards { shell: function.shell()? };
    function.do_steps(handler).await
}
