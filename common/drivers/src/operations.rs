//! Whole operations on a BMC, made of its single ones so that they can be repeated after a crash at any point.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::bmc::{Bmc, BootStarted, Patience, PowerGoal, PowerState, Rested};
use crate::error::{At, DriverError};

/// How often the host is prepared again when somebody else switches it meanwhile.
const ROUNDS_MAX: u32 = 2;

/// The time left for a whole operation. Dropping a step half-way is what a crash does, and is survived alike.
struct TimeLeft<'a> {
    system: &'a str,
    started: Instant,
    patience: &'a Patience,
}

impl<'a> TimeLeft<'a> {
    fn new(system: &'a str, patience: &'a Patience) -> Self {
        Self { system, started: Instant::now(), patience }
    }

    fn remaining(&self) -> Duration {
        self.patience.deadline.saturating_sub(self.started.elapsed())
    }

    /// The patience that is left for a step that takes its own.
    fn patience(&self) -> Patience {
        Patience { deadline: self.remaining(), poll_interval: self.patience.poll_interval }
    }

    /// Runs a step that has no patience of its own.
    async fn within<T>(
        &self,
        doing: &'static str,
        step: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        match timeout(self.remaining(), step).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(DriverError::OutOfTime {
                at: At { system: self.system.to_owned(), doing },
                seconds: self.patience.deadline.as_secs_f64(),
            }),
        }
    }
}

/// See [`Bmc::boot_from_image`].
pub(crate) async fn boot_from_image<B: Bmc + ?Sized>(
    bmc: &B,
    image_url: &str,
    patience: &Patience,
) -> Result<BootStarted, DriverError> {
    let time = TimeLeft::new(bmc.address(), patience);
    let mut done = BootStarted::default();
    if inserted(bmc, &time).await?.as_deref() == Some(image_url) && go_on(bmc, &time, &mut done).await? {
        return Ok(done);
    }
    for _round in 0..ROUNDS_MAX {
        prepare(bmc, image_url, &time, &mut done).await?;
        let change = bmc.set_power(PowerGoal::On, &time.patience()).await?;
        if change.changed {
            done.power_changes.push(PowerState::On);
            return Ok(done);
        }
        // On without our order: somebody else was quicker, and the host may have started without its image.
    }
    Err(interference(&time, "starting from an image", PowerState::On))
}

/// Goes on where an earlier call stopped that had inserted the image already. Its order to switch on may be under way
/// still, and must not be answered by switching off a host that has just begun to boot. Returns whether the host is
/// on; if not, the boot was not fully prepared.
async fn go_on<B: Bmc + ?Sized>(
    bmc: &B,
    time: &TimeLeft<'_>,
    done: &mut BootStarted,
) -> Result<bool, DriverError> {
    if bmc.settled_power_state(&time.patience()).await? == PowerState::On {
        done.already_running = true;
        return Ok(true);
    }
    if set_boot_target(bmc, time, done).await? {
        return Ok(false);
    }
    let change = bmc.set_power(PowerGoal::On, &time.patience()).await?;
    done.already_running = !change.changed;
    if change.changed {
        done.power_changes.push(PowerState::On);
    }
    Ok(true)
}

async fn set_boot_target<B: Bmc + ?Sized>(
    bmc: &B,
    time: &TimeLeft<'_>,
    done: &mut BootStarted,
) -> Result<bool, DriverError> {
    let changed = time.within("setting the boot target", bmc.set_boot_once()).await?;
    done.boot_target_set |= changed;
    Ok(changed)
}

/// Switches the host off and prepares its boot.
async fn prepare<B: Bmc + ?Sized>(
    bmc: &B,
    image_url: &str,
    time: &TimeLeft<'_>,
    done: &mut BootStarted,
) -> Result<(), DriverError> {
    let off = bmc.set_power(PowerGoal::ForceOff, &time.patience()).await?;
    if off.changed {
        done.power_changes.push(PowerState::Off);
    }
    let present = inserted(bmc, time).await?;
    if present.as_deref() != Some(image_url) {
        if present.is_some() {
            done.ejected |= time.within("ejecting another image", bmc.clear_boot_image()).await?;
        }
        done.inserted |= time.within("inserting the image", bmc.set_boot_image(image_url)).await?;
    }
    set_boot_target(bmc, time, done).await?;
    Ok(())
}

async fn inserted<B: Bmc + ?Sized>(bmc: &B, time: &TimeLeft<'_>) -> Result<Option<String>, DriverError> {
    time.within("reading the image", bmc.boot_image()).await
}

/// See [`Bmc::return_to_rest`].
pub(crate) async fn return_to_rest<B: Bmc + ?Sized>(
    bmc: &B,
    patience: &Patience,
) -> Result<Rested, DriverError> {
    let time = TimeLeft::new(bmc.address(), patience);
    let mut done = Rested::default();
    for _round in 0..ROUNDS_MAX {
        let off = bmc.set_power(PowerGoal::ForceOff, &time.patience()).await?;
        if off.changed {
            done.power_changes.push(PowerState::Off);
        }
        done.ejected |= match time.within("taking the image out", bmc.clear_boot_image()).await {
            // A BMC that boots no images has none.
            Err(DriverError::Unsupported { .. }) => false,
            outcome => outcome?,
        };
        done.boot_restored |= time.within("restoring the boot target", bmc.restore_boot()).await?;
        // An order to switch on that was given before may take effect only now.
        if bmc.settled_power_state(&time.patience()).await? == PowerState::Off {
            return Ok(done);
        }
    }
    Err(interference(&time, "returning to rest", PowerState::On))
}

fn interference(time: &TimeLeft<'_>, doing: &'static str, found: PowerState) -> DriverError {
    DriverError::Interference { at: At { system: time.system.to_owned(), doing }, found }
}
