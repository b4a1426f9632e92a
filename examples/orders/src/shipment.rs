//! The saga of a parcel, a child of its order's: a courier takes it, and calls back when it is delivered.

use std::sync::Arc;

use hostler::core::saga::RetryPolicy as Retry;
use hostler::prelude::*;
use hostler::runtime::serving::callback::CallbackKey;

/// How long a courier may take, and how long he may be silent.
const DELIVERY_SECONDS: u32 = 3 * 86_400;
const SILENCE_SECONDS: u32 = 86_400;

payloads! {
    /// What is shipped.
    pub struct Parcel {
        pub customer: String,
    }

    /// Have a courier deliver it.
    pub struct BookCourier {
        pub saga: SagaRef,
        pub step: StepId,
        pub customer: String,
    }

    /// Have him bring it back.
    pub struct CancelCourier {
        pub saga: SagaRef,
        pub step: StepId,
    }
}

effect_commands!(BookCourier, CancelCourier);

contracts! {
    /// What is asked of `ship-parcels`.
    pub enum CourierCommand as Command {
        "book-courier" v 1 @ "ship-parcels" => Book(BookCourier),
        "cancel-courier" v 1 @ "ship-parcels" => Cancel(CancelCourier),
    }
}

step_names! {
    /// What a parcel goes through.
    pub enum ShipmentStep {
        /// The courier takes it, and calls back.
        Deliver = "deliver",
        /// He brings it back.
        BringBack = "bring-back",
    }
}

/// The definition.
pub struct ShipmentSaga;

impl SagaDefinition for ShipmentSaga {
    const KIND: &'static str = "shipment";
    const VERSION: u32 = 1;
    type Order = Parcel;
    type Step = ShipmentStep;
    type Command = CourierCommand;

    fn plan(version: u32, _: &Parcel) -> Option<Plan<ShipmentStep>> {
        let deliver = Step::callback(ShipmentStep::Deliver, Retry::once(DELIVERY_SECONDS), SILENCE_SECONDS);
        let deliver = deliver.undone_by(ShipmentStep::BringBack, Retry::attempts(10, 120));
        (version == 1).then(|| Plan::default().then(deliver))
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<CourierCommand>, SagaRefusal> {
        let (saga, step, customer) = (ask.saga.clone(), ask.id.clone(), ask.order.customer.clone());
        Ok(Some(match ask.step {
            ShipmentStep::Deliver => BookCourier { saga, step, customer }.into(),
            ShipmentStep::BringBack => CancelCourier { saga, step }.into(),
        }))
    }

    fn examples() -> Vec<Parcel> {
        vec![Parcel { customer: "ann@shop.test".to_owned() }]
    }
}

/// Shipments, listed by their status.
pub struct Shipments;

impl SagaEntry for Shipments {
    type Definition = ShipmentSaga;
    const VIEW: &'static str = "shipments";
}

/// The courier.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Books him. He calls the URL back; what he is told twice under one key he does once.
    async fn book(&self, key: &str, customer: &str, callback_url: &str) -> Result<(), StepError>;

    /// Calls him off, whether he was booked or not.
    async fn cancel(&self, key: &str) -> Result<(), StepError>;
}

/// The step function.
pub struct ShipParcels {
    pub worker: StepWorker,
    pub courier: Arc<dyn Courier>,
    pub callback_key: CallbackKey,
    /// Where `POST /callbacks` is served.
    pub callback_url: String,
}

#[async_trait]
impl Handler for ShipParcels {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = Cause::of(message);
        match message.command()? {
            CourierCommand::Book(command) => self.worker.perform(self, &cause, &command).await,
            CourierCommand::Cancel(command) => self.worker.undo(self, &cause, &command).await,
        }
    }
}

impl Effect for ShipParcels {
    type Do = BookCourier;
    type Undo = CancelCourier;
    type Output = ();
    const NAME: Option<&'static str> = Some("courier");
    // The step is over when the courier says so.
    const ENDS_BY_CALLBACK: bool = true;

    fn dependencies(&self) -> Vec<String> {
        vec!["courier".to_owned()]
    }

    async fn perform(&self, command: &BookCourier, call: &Call) -> Result<(), StepError> {
        let url = self.callback_key.url(&self.callback_url, &command.saga, &command.step);
        self.courier.book(&call.key, &command.customer, &url).await
    }

    async fn undo(&self, _: &CancelCourier, _: Option<()>, call: &Call) -> Result<(), StepError> {
        self.courier.cancel(&call.key).await
    }
}
