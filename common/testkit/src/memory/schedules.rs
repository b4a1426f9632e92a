//! Schedules in memory: each puts its message on the timers' queue at its time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::ports::{Clock, EntryFailure, Outbound, Schedule, Schedules};
use jiff::{SignedDuration, Timestamp};

use crate::clock::TestClock;
use crate::faults::{Fault, FaultPlan, injected};
use crate::memory::MemoryQueues;

/// Schedules in memory.
#[derive(Debug, Clone)]
pub struct MemorySchedules {
    clock: TestClock,
    queues: MemoryQueues,
    /// When each that was made fires.
    pending: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    faults: FaultPlan,
}

impl MemorySchedules {
    /// Schedules that send to the timers' queue of `queues`.
    #[must_use]
    pub fn new(clock: &TestClock, queues: &MemoryQueues) -> Self {
        let (clock, queues) = (clock.clone(), queues.clone());
        Self { clock, queues, pending: Arc::default(), faults: FaultPlan::default() }
    }

    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// The schedules that have not fired yet, and when they do.
    #[must_use]
    pub fn pending(&self) -> BTreeMap<String, Timestamp> {
        let now = self.clock.now();
        let mut pending = self.pending.lock().unwrap();
        pending.retain(|_, at| *at > now);
        pending.clone()
    }

    /// Makes a schedule that fires so much later than it should, and once more where it fires `twice`.
    pub(crate) fn make(
        &self,
        schedule: &Schedule,
        late: SignedDuration,
        twice: bool,
    ) -> Result<(), EntryFailure> {
        schedule.check()?;
        let Schedule { name, at, body } = schedule;
        let now = self.clock.now();
        let mut pending = self.pending.lock().unwrap();
        // It is there, and stays as it is; what has fired is gone.
        if pending.get(name).is_some_and(|at| *at > now) {
            return Ok(());
        }
        let at = (*at).max(now) + late;
        pending.insert(name.clone(), at);
        for _ in 0..=usize::from(twice) {
            self.queues.deliver_at(TIMERS_QUEUE, Outbound { body: body.clone(), ..Outbound::default() }, at);
        }
        Ok(())
    }
}

#[async_trait]
impl Schedules for MemorySchedules {
    async fn create(&self, schedule: &Schedule) -> Result<(), EntryFailure> {
        let fault = self.faults.on_write(1);
        let failed = || EntryFailure {
            retryable: true,
            code: "InjectedFault".to_owned(),
            message: injected(&fault).to_string(),
        };
        match fault {
            Fault::None => self.make(schedule, SignedDuration::ZERO, false),
            Fault::LoseAnswer => {
                self.make(schedule, SignedDuration::ZERO, false)?;
                Err(failed())
            }
            Fault::Fail | Fault::Partial(_) => Err(failed()),
        }
    }
}
