//! The fault switch of a whole site: it counts every write, and lets one of them go wrong.

use std::sync::{Arc, Mutex};

use hostler_testkit::clock::Random;
use tokio::sync::Notify;

/// How many of a hundred calls let others go first, and how often in a row: seldom and long, so that one function
/// stands still at some point while another one runs through.
const YIELDING_PERCENT: u8 = 25;
const YIELDS_MAX: u64 = 60;

/// What happens at one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The function dies before it.
    DieBefore,
    /// It is carried out, and the function dies before it hears so.
    DieAfter,
    /// It is not carried out, and says so.
    Fail,
    /// It is carried out, and the answer is lost: the function hears of a failure.
    LoseAnswer,
}

/// Shared by all ports of a site.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    inner: Arc<Mutex<Inner>>,
    died: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Every write so far, by what it was.
    writes: Vec<&'static str>,
    planned: Option<(usize, Fault)>,
    dead: bool,
    yields: Option<Random>,
}

impl Switch {
    /// The `n`th write, from 0, goes wrong.
    pub fn plan(&self, n: usize, fault: Fault) {
        self.inner.lock().unwrap().planned = Some((n, fault));
    }

    /// From here on calls let others go first, now and then, so that what runs at once gets in each other's way:
    /// the same for each run with this seed.
    pub fn let_others_go_first(&self, seed: u64) {
        self.inner.lock().unwrap().yields = Some(Random::new(seed));
    }

    /// All writes so far, by what they were.
    pub fn writes(&self) -> Vec<&'static str> {
        self.inner.lock().unwrap().writes.clone()
    }

    /// Runs an invocation; none when it died on the way.
    pub async fn invoke<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let done = tokio::select! {
            biased;
            done = work => Some(done),
            () = self.died.notified() => None,
        };
        self.inner.lock().unwrap().dead = false;
        done
    }

    /// A call that changes nothing.
    pub async fn read<T>(&self, act: impl Future<Output = T>) -> T {
        self.alive().await;
        act.await
    }

    /// A call that changes something; `failed` is what is heard when it fails.
    pub async fn write<T>(
        &self,
        what: &'static str,
        act: impl Future<Output = T>,
        failed: impl FnOnce() -> T,
    ) -> T {
        self.alive().await;
        match self.next(what) {
            None => act.await,
            Some(Fault::DieBefore) => self.die().await,
            Some(Fault::DieAfter) => {
                act.await;
                self.die().await
            }
            Some(Fault::Fail) => failed(),
            Some(Fault::LoseAnswer) => {
                act.await;
                failed()
            }
        }
    }

    fn next(&self, what: &'static str) -> Option<Fault> {
        let mut inner = self.inner.lock().unwrap();
        let number = inner.writes.len();
        inner.writes.push(what);
        inner.planned.filter(|(planned, _)| *planned == number).map(|(_, fault)| fault)
    }

    async fn alive(&self) {
        let (dead, yields) = {
            let mut inner = self.inner.lock().unwrap();
            let yields = |random: &mut Random| match random.percent(YIELDING_PERCENT) {
                true => random.below(YIELDS_MAX) + 1,
                false => 0,
            };
            (inner.dead, inner.yields.as_mut().map_or(0, yields))
        };
        if dead {
            std::future::pending::<()>().await;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    /// The whole invocation ends here: nothing of it runs on.
    async fn die<T>(&self) -> T {
        self.inner.lock().unwrap().dead = true;
        self.died.notify_one();
        std::future::pending().await
    }
}
