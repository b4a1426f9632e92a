//! UEFI HTTP boot over Redfish (ComputerSystem from 1.9 on): the firmware fetches the image itself, from an address that is kept in
//! the system's `Boot` object. It plays the part that the image in a drive plays elsewhere.

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::boot::override_to;
use super::wire::{Ask, Wire};
use crate::error::DriverError;

const LOOKING: &str = "reading the address for UEFI HTTP boot";
const SETTING: &str = "setting the address for UEFI HTTP boot";
const CLEARING: &str = "clearing the address for UEFI HTTP boot";
const URI: &str = "HttpBootUri";
/// The boot target's name.
pub(super) const TARGET: &str = "UefiHttp";

/// The address in what a BMC says of a system.
pub(super) fn image_in(system: &Value) -> Option<&str> {
    // The emulator writes an absent one as `None`.
    let uri = system.get("Boot")?.get(URI)?.as_str()?;
    (!matches!(uri, "" | "None")).then_some(uri)
}

/// Whether a BMC has its host boot from an address. One that lists the target without having a place for the address takes the
/// address from DHCP or from the firmware's settings, where no step's token can be.
pub(super) fn is_offered(system: &Value) -> bool {
    let has_place = system.get("Boot").is_some_and(|boot| boot.get(URI).is_some());
    has_place && super::boot::allows(system, TARGET) != Some(false)
}

pub(super) async fn image(wire: &Wire, ends: Instant) -> Result<Option<String>, DriverError> {
    let system = wire.read_system(LOOKING, ends).await?;
    Ok(image_in(&system).map(str::to_owned))
}

/// Sets the address together with the boot target, for some BMCs take neither without the other, and waits until it shows.
pub(super) async fn set(wire: &Wire, image_url: &str, ends: Instant) -> Result<bool, DriverError> {
    let started = Instant::now();
    let system = wire.read_system(SETTING, ends).await?;
    if image_in(&system) == Some(image_url) {
        return Ok(false);
    }
    let mut change = override_to(&system, TARGET);
    change[URI] = json!(image_url);
    wire.ask(SETTING, Ask::Patch(&json!({ "Boot": change })), wire.system(), ends).await?;
    loop {
        if image(wire, ends).await?.as_deref() == Some(image_url) {
            return Ok(true);
        }
        let pause = wire.limits().backoff_first;
        if Instant::now() + pause >= ends {
            let seconds = started.elapsed().as_secs_f64();
            return Err(DriverError::MediaNotChanged { at: wire.at(SETTING), seconds });
        }
        sleep(pause).await;
    }
}

/// An address that is still there is used no more once the boot target is another one. So a BMC that refuses to forget it is
/// no failure.
pub(super) async fn clear(wire: &Wire, ends: Instant) -> Result<bool, DriverError> {
    if image(wire, ends).await?.is_none() {
        return Ok(false);
    }
    for nothing in [Value::Null, json!("")] {
        let body = json!({ "Boot": { URI: nothing } });
        match wire.ask(CLEARING, Ask::Patch(&body), wire.system(), ends).await {
            Ok(_) => return Ok(true),
            Err(DriverError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    tracing::warn!(system = %wire.system(), "the BMC keeps the address for UEFI HTTP boot: it refuses to clear it");
    Ok(false)
}
