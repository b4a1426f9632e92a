//! Ports and the imperative shell: load, decide, append, relay, batches, timers. Domain-free.

pub mod batch;
pub mod breakers;
pub mod callback;
pub mod catch_up;
pub mod control;
mod deadline;
pub mod flow;
pub mod history;
pub mod http;
pub mod integrity;
pub mod item;
pub mod leases;
pub mod once;
pub mod ordering;
pub mod pack;
pub mod ports;
pub mod register;
pub mod relay;
pub mod replay;
pub mod sagas;
pub mod serve;
pub mod shell;
pub mod steps;
pub mod telemetry;
pub mod timers;
pub mod triage;
mod under_lease;
pub mod vault;

pub use batch::{Batch, Handler};
pub use breakers::{Breakers, Called, Open, Permit};
pub use callback::{CallbackKey, WeakKey};
pub use deadline::{Deadline, Elapsed, time_left};
pub use flow::Backpressure;
pub use history::{Fold, HistoryError};
pub use http::{HttpHandler, Request, Response};
pub use integrity::{Integrity, KeyError, SigningKeys};
pub use leases::{Claim, Claimed, Leases};
pub use once::{Fence, NotTried, Once, OnceError};
pub use ordering::OrderingKeys;
pub use ports::{
    Clock, Control, Entry, EntryFailure, EntryResults, EventBus, EventStore, Ids, Outbound, Page, PortError,
    Queues, Row, StoreError, Views,
};
pub use register::{Application, Entities, Register};
pub use sagas::Sagas;
pub use shell::{Cause, ExecuteError, Executed, Outcome, Shell};
pub use steps::{Begin, Call, Effect, EffectCommand, NoUndo, Step, StepError, StepWorker, Target, Wanted};
pub use triage::Triage;
pub use under_lease::{Lease, Recorded};
