//! What a BMC knows of its host, read with tolerance: a missing or odd field is no fact, not an error.

use hostler_core::failure::printable;
use serde_json::Value;

use super::media::{link, links, read_if_there};
use super::power;
use super::wire::Wire;
use crate::bmc::{Nic, SystemFacts};
use crate::error::DriverError;

const INSPECTING: &str = "inspecting the system";
const NICS_MAX: usize = 32;

/// See [`crate::Bmc::inspect`].
pub(super) async fn inspect(wire: &Wire) -> Result<SystemFacts, DriverError> {
    let ends = wire.operation_ends();
    let system = wire.read_system(INSPECTING, ends).await?;
    let mut nics = Vec::new();
    if let Some(link) = link(&system, "/EthernetInterfaces")
        && let Some(collection) = read_if_there(wire, link, ends).await?
    {
        for member in links(&collection, "/Members").take(NICS_MAX) {
            if let Some(nic) = read_if_there(wire, member, ends).await? {
                nics.extend(nic_in(&nic));
            }
        }
    }
    Ok(SystemFacts {
        power_state: power::in_system(&system),
        uuid: text(&system, "/UUID"),
        manufacturer: text(&system, "/Manufacturer"),
        model: text(&system, "/Model"),
        serial: text(&system, "/SerialNumber"),
        health: text(&system, "/Status/Health"),
        processors: system
            .pointer("/ProcessorSummary/Count")
            .and_then(Value::as_u64)
            .and_then(|count| u32::try_from(count).ok()),
        memory_gib: system.pointer("/MemorySummary/TotalSystemMemoryGiB").and_then(Value::as_f64),
        nics,
    })
}

fn nic_in(nic: &Value) -> Option<Nic> {
    let mac = text(nic, "/MACAddress").or_else(|| text(nic, "/PermanentMACAddress"));
    Some(Nic { id: text(nic, "/Id")?, mac: mac.map(|mac| mac.to_ascii_lowercase()) })
}

fn text(resource: &Value, place: &str) -> Option<String> {
    let said = resource.pointer(place)?.as_str()?.trim();
    (!said.is_empty()).then(|| printable(said))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_bmc_says_does_not_steer_a_terminal() {
        let system = json!({ "Model": " R7\u{1b}[2J\u{9b}1m\u{7f} ", "Serial": "\u{1b}" });
        assert_eq!(text(&system, "/Model").as_deref(), Some("R7\u{fffd}[2J\u{fffd}1m\u{fffd}"));
        assert_eq!(text(&system, "/Serial").as_deref(), Some("\u{fffd}"));
    }
}
