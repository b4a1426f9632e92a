//! The boot target over Redfish.

use serde_json::{Value, json};

use super::wire::{Ask, Wire};
use crate::error::DriverError;

const SETTING: &str = "setting the boot target";
const RESTORING: &str = "restoring the boot target";

/// See [`crate::Bmc::set_boot_once_cd`].
pub(super) async fn set_once_cd(wire: &Wire) -> Result<bool, DriverError> {
    let ends = wire.operation_ends();
    let system = wire.read_system(SETTING, ends).await?;
    // Some BMCs and the emulator say `Continuous` where `Once` was set.
    if boot(&system, "BootSourceOverrideTarget") == "Cd"
        && matches!(boot(&system, "BootSourceOverrideEnabled"), "Once" | "Continuous")
    {
        return Ok(false);
    }
    let body = json!({ "Boot": {
        "BootSourceOverrideEnabled": "Once",
        "BootSourceOverrideTarget": "Cd",
    }});
    wire.ask(SETTING, Ask::Patch(&body), wire.system(), ends).await?;
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
    let allowed =
        system.pointer("/Boot/BootSourceOverrideTarget@Redfish.AllowableValues").and_then(Value::as_array);
    if let Some(target) = ["None", "Hdd"]
        .into_iter()
        .find(|target| allowed.is_some_and(|allowed| allowed.iter().any(|value| value == target)))
    {
        change["BootSourceOverrideTarget"] = json!(target);
    }
    let body = json!({ "Boot": change });
    wire.ask(RESTORING, Ask::Patch(&body), wire.system(), ends).await?;
    Ok(true)
}

fn boot<'a>(system: &'a Value, key: &str) -> &'a str {
    system.get("Boot").and_then(|boot| boot.get(key)).and_then(Value::as_str).unwrap_or("")
}
