//! What operators and customers may ask for.

use hostler::prelude::*;
use hostler::runtime::serving::callback::CallbackKey;

use crate::Shop;
use crate::order::{Line, Order, OrderSaga, Orders};
use crate::stock::{Items, StockInput, StockItem};

payloads! {
    /// Order something.
    pub struct PlaceOrder {
        pub order: String,
        pub customer: String,
        pub card: String,
        pub lines: Vec<Line>,
    }
}

contracts! {
    /// What the shop is asked for.
    pub enum ShopCommand as Command {
        "place-order" v 1 @ "commands" => PlaceOrder(PlaceOrder) of order,
        "stock-item" v 1 @ "commands" => StockItem(StockItem) of item,
    }
}

/// What each command tells whom. Sagas of every kind are operated by the runtime's own commands: `cancel-saga`,
/// `approve-step` and so on.
pub fn operations(callback_key: CallbackKey) -> Operations {
    Operations::default()
        .asking::<SagaEntity<Orders>, PlaceOrder>(|placed, _| {
            let PlaceOrder { order, customer, card, lines } = placed;
            let saga = SagaRef::new(OrderSaga::KIND, &order).map_err(Failure::invalid)?;
            let order = Order { customer, card, lines };
            Ok(Asked::new(SagaInput::Start { saga, order, parent: None }))
        })
        .on::<Items, StockItem>(StockInput::Stock)
        .sagas::<Shop>()
        .callbacks::<Shop>(callback_key)
}
