//! The virtual CD drive over Redfish: found by links, because BMCs keep it in different places.

use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::wire::{Ask, Wire, in_doubt};
use crate::error::DriverError;

const FINDING: &str = "finding the virtual CD drive";
const LOOKING: &str = "reading the virtual CD drive";
const INSERTING: &str = "inserting an image";
const EJECTING: &str = "ejecting an image";
const MANAGERS_MAX: usize = 4;
const DRIVES_MAX: usize = 16;

/// Where the virtual CD drive is, and where orders for it go.
#[derive(Debug)]
pub(super) struct CdDrive {
    drive: Url,
    insert: Url,
    eject: Url,
}

/// Looks for the drive: below the system (as newer BMCs have it), then below the system's managers.
pub(super) async fn find(wire: &Wire, system: &Value, ends: Instant) -> Result<Option<CdDrive>, DriverError> {
    if let Some(link) = link(system, "/VirtualMedia")
        && let Some(found) = in_collection(wire, link, ends).await?
    {
        return Ok(Some(found));
    }
    for manager in links(system, "/Links/ManagedBy").take(MANAGERS_MAX) {
        let Some(manager) = read_if_there(wire, manager, ends).await? else {
            continue;
        };
        if let Some(link) = link(&manager, "/VirtualMedia")
            && let Some(found) = in_collection(wire, link, ends).await?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn in_collection(wire: &Wire, collection: &str, ends: Instant) -> Result<Option<CdDrive>, DriverError> {
    let Some(collection) = read_if_there(wire, collection, ends).await? else {
        return Ok(None);
    };
    for member in links(&collection, "/Members").take(DRIVES_MAX) {
        let Some(drive) = read_if_there(wire, member, ends).await? else {
            continue;
        };
        if takes_cds(&drive) {
            let url = wire.follow(member, FINDING)?;
            let target = |action: &str| match drive
                .pointer(&format!("/Actions/#VirtualMedia.{action}/target"))
                .and_then(Value::as_str)
            {
                Some(link) => wire.follow(link, FINDING),
                None => Ok(wire.below(&url, &format!("Actions/VirtualMedia.{action}"))),
            };
            return Ok(Some(CdDrive {
                insert: target("InsertMedia")?,
                eject: target("EjectMedia")?,
                drive: url,
            }));
        }
    }
    Ok(None)
}

fn takes_cds(drive: &Value) -> bool {
    drive.get("MediaTypes").and_then(Value::as_array).is_some_and(|types| {
        types
            .iter()
            .filter_map(Value::as_str)
            .any(|kind| kind.eq_ignore_ascii_case("CD") || kind.eq_ignore_ascii_case("DVD"))
    })
}

/// Reads a resource; one that is not there, or not to be read, is none.
pub(super) async fn read_if_there(
    wire: &Wire,
    link: &str,
    ends: Instant,
) -> Result<Option<Value>, DriverError> {
    let url = wire.follow(link, FINDING)?;
    match wire.ask(FINDING, Ask::Get, &url, ends).await {
        Ok(found) => Ok(Some(found)),
        Err(DriverError::NotFound { .. } | DriverError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The link at a place in a resource.
pub(super) fn link<'a>(resource: &'a Value, place: &str) -> Option<&'a str> {
    resource.pointer(place)?.get("@odata.id")?.as_str()
}

/// The links in a list at a place in a resource.
pub(super) fn links<'a>(resource: &'a Value, place: &str) -> impl Iterator<Item = &'a str> {
    resource
        .pointer(place)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|member| member.get("@odata.id")?.as_str())
}

/// See [`crate::Bmc::inserted_media`].
pub(super) async fn inserted(
    wire: &Wire,
    cd: &CdDrive,
    ends: Instant,
) -> Result<Option<String>, DriverError> {
    let drive = wire.ask(LOOKING, Ask::Get, &cd.drive, ends).await?;
    let image = drive.get("Image").and_then(Value::as_str).unwrap_or("");
    let inserted = drive.get("Inserted").and_then(Value::as_bool).unwrap_or(!image.is_empty());
    Ok(inserted.then(|| image.to_owned()))
}

/// See [`crate::Bmc::insert_media`].
pub(super) async fn insert(
    wire: &Wire,
    cd: &CdDrive,
    image_url: &str,
    ends: Instant,
) -> Result<bool, DriverError> {
    match inserted(wire, cd, ends).await? {
        Some(present) if present == image_url => return Ok(false),
        Some(_) => {
            eject(wire, cd, ends).await?;
        }
        None => {}
    }
    let body = json!({ "Image": image_url, "Inserted": true, "WriteProtected": true });
    order(wire, cd, INSERTING, &cd.insert, &body, Some(image_url), ends).await?;
    Ok(true)
}

/// See [`crate::Bmc::eject_media`].
pub(super) async fn eject(wire: &Wire, cd: &CdDrive, ends: Instant) -> Result<bool, DriverError> {
    if inserted(wire, cd, ends).await?.is_none() {
        return Ok(false);
    }
    order(wire, cd, EJECTING, &cd.eject, &json!({}), None, ends).await?;
    Ok(true)
}

/// Gives an order and waits until the drive shows it: BMCs fetch images behind the answer, and answers get lost.
async fn order(
    wire: &Wire,
    cd: &CdDrive,
    doing: &'static str,
    target: &Url,
    body: &Value,
    wanted: Option<&str>,
    ends: Instant,
) -> Result<(), DriverError> {
    let started = Instant::now();
    let outcome = wire.ask(doing, Ask::Post(body), target, ends).await;
    let failure = match outcome {
        Ok(_) => None,
        Err(error) if in_doubt(&error) => None,
        // Carried out nevertheless, or already so? Worth one look before it counts as a failure.
        Err(error @ (DriverError::Failed { .. } | DriverError::Refused { .. })) => Some(error),
        Err(error) => return Err(error),
    };
    loop {
        if inserted(wire, cd, ends).await?.as_deref() == wanted {
            return Ok(());
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let pause = wire.limits().backoff_first;
        if Instant::now() + pause >= ends {
            return Err(DriverError::MediaNotChanged {
                at: wire.at(doing),
                seconds: started.elapsed().as_secs_f64(),
            });
        }
        sleep(pause).await;
    }
}
