//! What goes wrong, and when: scripted for one call, or seeded for all of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hostler_core::failure::BoxError;
use hostler_runtime::ports::{EntryFailure, EntryResults};

use crate::clock::Random;

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    None,
    /// It is not carried out.
    Fail,
    /// It is carried out, and the caller is told that it failed.
    LoseAnswer,
    /// These entries of the batch are not carried out.
    Partial(Vec<usize>),
}

/// How often, of a hundred calls, something goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// A call that writes is not carried out.
    pub fail_percent: u8,
    /// A call that writes is carried out, and its answer is lost.
    pub lose_answer_percent: u8,
    /// An entry of a batch is not carried out.
    pub entry_percent: u8,
    /// A call that reads fails.
    pub fail_read_percent: u8,
}

/// The fault switch of an in-memory port, shared by its clones. Scripted faults come before seeded ones.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    writes: VecDeque<Fault>,
    failing_reads: usize,
    seeded: Option<(Random, Rates)>,
}

impl FaultPlan {
    /// The next `n` calls that write are not carried out.
    pub fn fail_next(&self, n: usize) {
        self.script(std::iter::repeat_n(Fault::Fail, n));
    }

    /// The next `n` calls that write are carried out, and their answers are lost.
    pub fn lose_answer_next(&self, n: usize) {
        self.script(std::iter::repeat_n(Fault::LoseAnswer, n));
    }

    /// Of the next batch, these entries are not carried out.
    pub fn partial_next(&self, entries: impl IntoIterator<Item = usize>) {
        self.script([Fault::Partial(entries.into_iter().collect())]);
    }

    /// The next `n` calls that write work; for faults scripted after them.
    pub fn pass_next(&self, n: usize) {
        self.script(std::iter::repeat_n(Fault::None, n));
    }

    /// The next `n` calls that read fail.
    pub fn fail_reads_next(&self, n: usize) {
        self.0.lock().unwrap().failing_reads += n;
    }

    /// From here on things go wrong at these rates, the same for each run with this seed.
    pub fn seed(&self, seed: u64, rates: Rates) {
        self.0.lock().unwrap().seeded = Some((Random::new(seed), rates));
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        *self.0.lock().unwrap() = Inner::default();
    }

    fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().writes.extend(faults);
    }

    /// What happens to a call that writes `entries` entries.
    #[must_use]
    pub fn on_write(&self, entries: usize) -> Fault {
        let mut inner = self.0.lock().unwrap();
        if let Some(fault) = inner.writes.pop_front() {
            return fault;
        }
        let Some((random, rates)) = inner.seeded.as_mut() else { return Fault::None };
        if random.percent(rates.fail_percent) {
            return Fault::Fail;
        }
        if random.percent(rates.lose_answer_percent) {
            return Fault::LoseAnswer;
        }
        let failing: Vec<usize> = (0..entries).filter(|_| random.percent(rates.entry_percent)).collect();
        if failing.is_empty() { Fault::None } else { Fault::Partial(failing) }
    }

    /// Whether a call that reads fails.
    #[must_use]
    pub fn on_read(&self) -> bool {
        let mut inner = self.0.lock().unwrap();
        if inner.failing_reads > 0 {
            inner.failing_reads -= 1;
            return true;
        }
        inner.seeded.as_mut().is_some_and(|(random, rates)| random.percent(rates.fail_read_percent))
    }
}

/// The error of a call that was made to fail.
pub(crate) fn injected(fault: &Fault) -> BoxError {
    match fault {
        Fault::LoseAnswer => "injected fault: done, and the answer was lost".into(),
        _ => "injected fault: not done".into(),
    }
}

/// Carries out a batch entry by entry, as far as the fault lets it.
pub(crate) fn batch<T>(
    plan: &FaultPlan,
    entries: &[T],
    mut carry_out: impl FnMut(&T) -> Result<(), EntryFailure>,
) -> EntryResults {
    let fault = plan.on_write(entries.len());
    let failure = || {
        Err(EntryFailure {
            retryable: true,
            code: "InjectedFault".to_owned(),
            message: injected(&fault).to_string(),
        })
    };
    let one = |(index, entry): (usize, &T)| match &fault {
        Fault::Fail => failure(),
        Fault::Partial(indices) if indices.contains(&index) => failure(),
        Fault::LoseAnswer => carry_out(entry).and_then(|()| failure()),
        Fault::None | Fault::Partial(_) => carry_out(entry),
    };
    entries.iter().enumerate().map(one).collect()
}
