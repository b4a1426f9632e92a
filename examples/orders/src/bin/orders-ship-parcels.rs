//! Books couriers, and calls them off.

use std::sync::Arc;

use hostler::aws::lambda::{Error, Function};
use hostler::runtime::serving::callback::CallbackKey;
use orders::Shop;
use orders::outside::OutsideInControl;
use orders::shipment::ShipParcels;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::of::<Shop>("ship-parcels").await?;
    let handler = ShipParcels {
        worker: function.worker()?,
        courier: Arc::new(OutsideInControl { control: function.control()? }),
        callback_key: CallbackKey::new(function.variable("CALLBACK_KEY")?.as_bytes())?,
        callback_url: function.variable("CALLBACK_URL")?,
    };
    function.do_steps(handler).await
}
