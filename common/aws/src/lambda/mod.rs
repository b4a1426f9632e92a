//! The start of a Lambda function: logging, configuration, clients, and the loop over invocations.

mod http;
mod own;
mod serve;
mod shapes;

use std::sync::Arc;

use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::messages::batch::Adopt;
use hostler_runtime::messages::integrity::Integrity;
use hostler_runtime::messages::ordering::OrderingKeys;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::operations::flow::{Consumers, Depths};
use hostler_runtime::operations::replay::EventLog;
use hostler_runtime::operations::telemetry::LogSample;
use hostler_runtime::ports::{
    Clock, Control, EventBus, EventStore, Ids, Queues, Schedules, TargetGroups, Views,
};
use hostler_runtime::state::shell::Shell;

use crate::{Aws, SettingsError, SsmNodes, SystemClock, UuidV7, telemetry};

pub use lambda_runtime::Error;

/// A function that has started and can serve.
pub struct Function {
    /// What its commits name as their source.
    source: &'static str,
    name: &'static str,
    aws: Aws,
    /// Which invocations log everything.
    sample: LogSample,
    /// Present where the messages of its queue keep their order.
    ordering: Option<OrderingKeys>,
    /// Present where others put messages of their own form on its queue.
    adopt: Option<Adopt>,
}

impl Function {
    /// Starts logging, reads the environment and warms the clients. `source` is the application's name, which its commits
    /// and messages carry; `name` is the function's.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable that is wrong.
    pub async fn start(source: &'static str, name: &'static str) -> Result<Self, SettingsError> {
        let sample = telemetry::start()?;
        let aws = Aws::from_env()?;
        aws.warm().await;
        Ok(Self { source, name, aws, sample, ordering: None, adopt: None })
    }

    /// The shell over the event store.
    ///
    /// # Errors
    /// [`SettingsError`]; so too for the other ports.
    pub fn shell(&self) -> Result<Shell, SettingsError> {
        Ok(Shell::new(self.store()?, self.clock(), self.ids(), self.source))
    }

    /// The event store.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn store(&self) -> Result<Arc<dyn EventStore>, SettingsError> {
        Ok(Arc::new(self.aws.event_store()?))
    }

    /// All that the event store holds, from end to end.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn event_log(&self) -> Result<Arc<dyn EventLog>, SettingsError> {
        Ok(Arc::new(self.aws.event_log()?))
    }

    /// The read models.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn views(&self) -> Result<Arc<dyn Views>, SettingsError> {
        Ok(Arc::new(self.aws.views()?))
    }

    /// Shared control state.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn control(&self) -> Result<Arc<dyn Control>, SettingsError> {
        Ok(Arc::new(self.aws.control()?))
    }

    /// The leases under which effects happen once.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn once(&self) -> Result<Once, SettingsError> {
        Ok(Once::new(Arc::new(self.aws.leases()?), self.clock(), self.ids()))
    }

    /// The breakers of its dependencies.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn breakers(&self) -> Result<Breakers, SettingsError> {
        Ok(Breakers::new(self.control()?, self.clock(), self.ids()))
    }

    /// The event bus.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn bus(&self) -> Result<Arc<dyn EventBus>, SettingsError> {
        Ok(Arc::new(self.aws.bus()?))
    }

    /// The queues.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn queues(&self) -> Result<Arc<dyn Queues>, SettingsError> {
        Ok(Arc::new(self.aws.queues()?))
    }

    /// Where long timers wait; none where the deployment has no schedules.
    #[must_use]
    pub fn schedules(&self) -> Option<Arc<dyn Schedules>> {
        self.aws.schedules().map(|schedules| Arc::new(schedules) as Arc<dyn Schedules>)
    }

    /// The target groups that addresses join and leave.
    #[must_use]
    pub fn target_groups(&self) -> Arc<dyn TargetGroups> {
        Arc::new(self.aws.target_groups())
    }

    /// The machines that take commands, and the parameters beside them.
    #[must_use]
    pub fn nodes(&self) -> SsmNodes {
        self.aws.nodes()
    }

    /// The depths of the queues.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn depths(&self) -> Result<Arc<dyn Depths>, SettingsError> {
        Ok(Arc::new(self.aws.queues()?))
    }

    /// The consumers of the queues.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn consumers(&self) -> Result<Arc<dyn Consumers>, SettingsError> {
        Ok(Arc::new(self.aws.consumers()?))
    }

    /// How many consumers all queues together have at the most.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn consumers_max(&self) -> Result<u16, SettingsError> {
        self.aws.settings().consumers_max()
    }

    /// What producers ask before they produce.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn backpressure(&self) -> Result<Backpressure, SettingsError> {
        Ok(Backpressure::new(self.control()?, self.clock()))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    /// The source of identifiers.
    #[must_use]
    pub fn ids(&self) -> Arc<dyn Ids> {
        Arc::new(UuidV7)
    }

    /// Types of events that stay off the bus.
    #[must_use]
    pub fn internal_events(&self) -> Vec<String> {
        self.aws.settings().internal_events()
    }

    /// What messages are signed by.
    #[must_use]
    pub fn integrity(&self) -> Arc<Integrity> {
        self.aws.settings().integrity()
    }

    /// Has the messages of its queue keep their order by their [`Handler::key`](hostler_runtime::messages::batch::Handler::key).
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn keeping_order(mut self) -> Result<Self, SettingsError> {
        self.ordering = Some(OrderingKeys::new(self.control()?));
        Ok(self)
    }

    /// Takes what others put on its queue in a form of their own.
    #[must_use]
    pub fn adopting(mut self, adopt: Adopt) -> Self {
        self.adopt = Some(adopt);
        self
    }
}
