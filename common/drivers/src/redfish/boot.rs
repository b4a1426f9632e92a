//! The boot target over Redfish, and the way by which a host boots from an image.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::http;
use super::media::{self, CdDrive};
use super::wire::{Ask, Wire};
use crate::bmc::BootMethod;
use crate::error::{DriverError, NO_WAY_TO_BOOT};

const FINDING: &str = "finding a way to boot";
const SETTING: &str = "setting the boot target";
const RESTORING: &str = "restoring the boot target";
const CD: &str = "Cd";

/// How a host boots from an image.
#[derive(Debug)]
pub(super) enum Way {
    /// From the virtual CD drive.
    Cd(Box<CdDrive>),
    /// From an address.
    UefiHttp,
}

impl Way {
    pub(super) fn method(&self) -> BootMethod {
        match self {
            Self::Cd(_) => BootMethod::VirtualMedia,
            Self::UefiHttp => BootMethod::UefiHttp,
        }
    }

    fn target(&self) -> &'static str {
        match self {
            Self::Cd(_) => CD,
            Self::UefiHttp => http::TARGET,
        }
    }
}

/// Chooses from what the BMC says that it can. The drive comes first, for it needs nothing of the host's network. A BMC that has
/// a drive and does not list the CD as a boot target is asked for it only where there is no other way: lists are incomplete.
pub(super) async fn find_way(wire: &Wire, ends: Instant) -> Result<Way, DriverError> {
    let system = wire.read_system(FINDING, ends).await?;
    let by_http = http::is_offered(&system);
    match media::find(wire, &system, ends).await? {
        Some(cd) if !by_http || allows(&system, CD) != Some(false) => Ok(Way::Cd(Box::new(cd))),
        Some(_) | None if by_http => Ok(Way::UefiHttp),
        Some(_) | None => Err(DriverError::Unsupported { at: wire.at(FINDING), feature: NO_WAY_TO_BOOT }),
    }
}

/// Whether the BMC lists this boot target; none where it has no list.
pub(super) fn allows(system: &Value, target: &str) -> Option<bool> {
    let list = system.pointer("/Boot/BootSourceOverrideTarget@Redfish.AllowableValues")?.as_array()?;
    Some(list.iter().any(|value| value == target))
}

/// The change of the `Boot` object that has the next boot be from this target.
pub(super) fn override_to(system: &Value, target: &str) -> Value {
    let mut change = json!({ "BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": target });
    let mode = boot(system, "BootSourceOverrideMode");
    if target == http::TARGET && !matches!(mode, "" | "UEFI") {
        change["BootSourceOverrideMode"] = json!("UEFI");
    }
    change
}

/// See [`crate::Bmc::set_boot_once`].
pub(super) async fn set_once(wire: &Wire, way: &Way, ends: Instant) -> Result<bool, DriverError> {
    let system = wire.read_system(SETTING, ends).await?;
    // Some BMCs and the emulator say `Continuous` where `Once` was set.
    if boot(&system, "BootSourceOverrideTarget") == way.target()
        && matches!(boot(&system, "BootSourceOverrideEnabled"), "Once" | "Continuous")
    {
        return Ok(false);
    }
    let mut change = override_to(&system, way.target());
    if let (Way::UefiHttp, Some(image)) = (way, http::image_in(&system)) {
        change["HttpBootUri"] = json!(image);
    }
    wire.ask(SETTING, Ask::Patch(&json!({ "Boot": change })), wire.system(), ends).await?;
    Ok(true)
}

/// See [`crate::Bmc::restore_boot`].
pub(super) async fn restore(wire: &Wire) -> Result<bool, DriverError> {
    let ends = wire.operation_ends();
    let system = wire.read_system(RESTORING, ends).await?;
    if boot(&system, "BootSourceOverrideEnabled") == "Disabled"
        || matches!(boot(&system, "BootSourceOverrideTarget"), "" | "None" | "Hdd")
    {
        return Ok(false);
    }
    // Disabling is what counts. The emulator wants a target with it, and BMCs want one that they list.
    let mut change = json!({ "BootSourceOverrideEnabled": "Disabled" });
    if let Some(target) = ["None", "Hdd"].into_iter().find(|target| allows(&system, target) == Some(true)) {
        change["BootSourceOverrideTarget"] = json!(target);
    }
    let body = json!({ "Boot": change });
    wire.ask(RESTORING, Ask::Patch(&body), wire.system(), ends).await?;
    Ok(true)
}

fn boot<'a>(system: &'a Value, key: &str) -> &'a str {
    system.get("Boot").and_then(|boot| boot.get(key)).and_then(Value::as_str).unwrap_or("")
}
