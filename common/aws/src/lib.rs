//! Adapters of the runtime's ports on the AWS SDK, and the start of a Lambda function.
//!
//! The only room where SDK types appear. A function's `main.rs` says [`Aws::from_env`] and asks it for the
//! ports that the function needs; names of tables and attributes live in [`tables`].

pub mod bus;
pub mod connect;
mod consumers;
pub mod control;
pub mod error;
pub mod event_log;
pub mod event_store;
mod item;
pub mod lambda;
pub mod leases;
pub mod meter;
mod nodes;
pub mod process;
pub mod queues;
mod schedules;
pub mod settings;
pub mod stream_image;
pub mod tables;
mod target_groups;
pub mod telemetry;
pub mod views;

#[cfg(test)]
mod answers;

pub use bus::EventBridgeBus;
pub use connect::{Aws, sdk_config};
pub use consumers::LambdaConsumers;
pub use control::DynamoControl;
pub use error::{AwsError, Class};
pub use event_log::DynamoEventLog;
pub use event_store::DynamoEventStore;
pub use item::commit_of_item;
pub use leases::DynamoLeases;
pub use nodes::SsmNodes;
pub use process::{SystemClock, UuidV7};
pub use queues::{Received, SqsQueues};
pub use schedules::{EventBridgeSchedules, ScheduleSettings};
pub use settings::{Settings, SettingsError};
pub use stream_image::{StreamEventError, outbox_records};
pub use target_groups::ElbTargetGroups;
pub use views::DynamoViews;
