//! The in-memory ports: deterministic, shared by their clones, each with a fault switch.

mod bus;
mod control;
mod deliver;
mod leases;
mod log;
mod queues;
mod schedules;
mod store;
mod views;

pub use bus::MemoryBus;
pub use control::MemoryControl;
pub use deliver::{Delivered, deliver, outbox_records, sqs_event};
pub use leases::{MemoryLeases, Record};
pub use queues::{MemoryQueues, Received, Redrive};
pub use schedules::MemorySchedules;
pub use store::MemoryStore;
pub use views::MemoryViews;
