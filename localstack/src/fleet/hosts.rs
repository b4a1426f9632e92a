//! The simulated hosts: when their BMC powers them on with virtual media in the drive, or with an address for UEFI HTTP boot,
//! they boot it, and the system on it calls the address that its own address carries. Without either they boot what is on
//! their disk.
//!
//! The media's address is `…?callback=<url-encoded address>&name=value…`. The host posts
//! `{"host": "h-01", "outcome": "succeeded"}` there, with the other names and values of the query beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::fleet::inventory::FleetHost;
use crate::fleet::roots::HostRoots;
use crate::fleet::system::{Condition, Metrics, Restart, System};
use crate::http::CallbackRoute;

const CALL_SECONDS_MAX: u64 = 30;
const CALLS_MAX: u32 = 30;
const PAUSE_MS_FIRST: u64 = 100;
const PAUSE_MS_MAX: u64 = 2_000;

/// How a host behaves when it boots from media. As JSON: `{"behaviour": "slow", "ms": 5000}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "behaviour", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Behaviour {
    /// Installs and says so.
    #[default]
    Succeeds,
    /// Hangs: it never calls back.
    NeverAnswers,
    /// Says that it failed.
    Fails {
        /// Why.
        reason: String,
    },
    /// Installs, but takes longer.
    Slow {
        /// By how much.
        ms: u64,
    },
}

/// What a host did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boots {
    /// Whether its power is on.
    pub powered: bool,
    /// How often its power went on.
    pub power_ons: u64,
    /// How often it booted from media.
    pub from_media: u64,
    /// How many callbacks were taken (2xx).
    pub callbacks_taken: u64,
    /// How many callbacks were given up, after retries or because they were refused.
    pub callbacks_lost: u64,
    /// What the last callback came to.
    pub last: Option<String>,
}

/// All simulated hosts.
#[derive(Debug, Clone)]
pub struct Hosts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    by_host: Mutex<BTreeMap<String, Host>>,
    route: Mutex<CallbackRoute>,
    boot_ms: u64,
    cleaning_image: String,
    client: reqwest::Client,
    roots: Option<HostRoots>,
}

#[derive(Debug, Default)]
struct Host {
    behaviour: Behaviour,
    boots: Boots,
    booting: Option<AbortHandle>,
    system: System,
}

/// The emulator's notification: a system's whole state, at each change of it.
#[derive(Debug, Deserialize)]
pub(crate) struct SystemState {
    name: String,
    power_state: String,
    #[serde(default)]
    boot_device: Option<String>,
    /// The address for UEFI HTTP boot, at a BMC without virtual media.
    #[serde(default)]
    http_boot_uri: Option<String>,
    /// Per device: the image, whether it is write-protected, whether it is inserted.
    #[serde(default)]
    boot_image: BTreeMap<String, (Option<String>, bool, bool)>,
}

impl SystemState {
    /// The media it boots from, if it does.
    fn media(&self) -> Option<&str> {
        match self.boot_device.as_deref()? {
            "UefiHttp" => self.http_boot_uri.as_deref(),
            device @ "Cd" => match self.boot_image.get(device) {
                Some((Some(image), _, true)) => Some(image),
                Some(_) | None => None,
            },
            _ => None,
        }
    }
}

impl Hosts {
    pub(crate) fn new(
        inventory: &[FleetHost],
        boot_ms: u64,
        cleaning_image: String,
        route: CallbackRoute,
        roots: Option<HostRoots>,
    ) -> reqwest::Result<Self> {
        let by_host = inventory.iter().map(|host| (host.host_id.clone(), Host::default())).collect();
        let timeout = Duration::from_secs(CALL_SECONDS_MAX);
        let client = reqwest::Client::builder().no_proxy().timeout(timeout).build()?;
        let (by_host, route) = (Mutex::new(by_host), Mutex::new(route));
        Ok(Self(Arc::new(Inner { by_host, route, boot_ms, cleaning_image, client, roots })))
    }

    /// Changes how a host behaves from its next boot on.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`].
    pub fn set_behaviour(&self, host_id: &str, behaviour: Behaviour) -> Result<(), Error> {
        self.change(host_id, |host| host.behaviour = behaviour)
    }

    /// Breaks or mends a host's own system.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`].
    pub fn set_condition(&self, host_id: &str, condition: Condition) -> Result<(), Error> {
        self.change(host_id, |host| host.system.set_condition(condition))
    }

    fn change(&self, host_id: &str, change: impl FnOnce(&mut Host)) -> Result<(), Error> {
        let mut hosts = self.0.hosts();
        let known = hosts.keys().next().zip(hosts.keys().next_back());
        let known = known.map(|(first, last)| format!("{first} to {last}")).unwrap_or_default();
        match hosts.get_mut(host_id) {
            Some(host) => {
                change(host);
                Ok(())
            }
            None => Err(Error::NoSuchHost { host: host_id.to_owned(), known }),
        }
    }

    /// What is wrong with a host's own system.
    #[must_use]
    pub fn condition(&self, host_id: &str) -> Condition {
        self.0.hosts().get(host_id).map(|host| host.system.condition()).unwrap_or_default()
    }

    /// Whether a host's system does what it is there for.
    pub(crate) fn answers(&self, host_id: &str) -> bool {
        self.0.hosts().get(host_id).is_some_and(|host| host.system.answers())
    }

    /// What a host's system answers to whoever asks for its metrics, with this load; none for a host that is not there.
    pub(crate) fn metrics(&self, host_id: &str, load: f64) -> Option<Metrics> {
        let has_what_fails = self.0.roots.as_ref().is_some_and(|roots| roots.has_what_fails(host_id));
        self.0.hosts().get(host_id).map(|host| host.system.metrics(load, has_what_fails))
    }

    /// Has a host's agent restart a service; none for a host that is not there.
    pub(crate) fn restart(&self, host_id: &str, service: &str, order: &str) -> Option<Restart> {
        self.0.hosts().get_mut(host_id).map(|host| host.system.restart(service, order))
    }

    /// How often a host's service was restarted by its agent.
    #[must_use]
    pub fn restarts(&self, host_id: &str) -> usize {
        self.0.hosts().get(host_id).map_or(0, |host| host.system.restarts())
    }

    /// How a host behaves.
    #[must_use]
    pub fn behaviour(&self, host_id: &str) -> Behaviour {
        self.0.hosts().get(host_id).map(|host| host.behaviour.clone()).unwrap_or_default()
    }

    /// What a host did.
    #[must_use]
    pub fn boots(&self, host_id: &str) -> Boots {
        self.0.hosts().get(host_id).map(|host| host.boots.clone()).unwrap_or_default()
    }

    pub(crate) fn set_route(&self, route: CallbackRoute) {
        *self.0.route.lock().unwrap_or_else(PoisonError::into_inner) = route;
    }

    /// Ends what is booting.
    pub(crate) fn power_off_all(&self) {
        for host in self.0.hosts().values_mut() {
            host.power_off();
        }
    }

    /// Takes in the state of a system: a rising edge of its power is a boot, a falling one its end.
    pub(crate) fn notify(&self, system: &SystemState) {
        let mut hosts = self.0.hosts();
        let Some(host) = hosts.get_mut(&system.name) else { return };
        match (host.boots.powered, system.power_state == "On") {
            (false, true) => {
                host.boots.powered = true;
                host.boots.power_ons += 1;
                host.system.power_on();
                let (inner, id) = (Arc::clone(&self.0), system.name.clone());
                if let Some(media) = system.media() {
                    host.boots.from_media += 1;
                    let boot = boot(inner, id, media.to_owned(), host.behaviour.clone());
                    host.booting = Some(tokio::spawn(boot).abort_handle());
                } else {
                    host.booting = Some(tokio::spawn(boot_from_disk(inner, id)).abort_handle());
                }
            }
            (true, false) => host.power_off(),
            (true, true) | (false, false) => {}
        }
    }
}

impl Host {
    fn power_off(&mut self) {
        self.boots.powered = false;
        self.system.power_off();
        if let Some(booting) = self.booting.take() {
            booting.abort();
        }
    }
}

impl Inner {
    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an image does to a host that boots from it to the end: the cleaning image wipes it, any other is installed.
    fn apply(&self, host_id: &str, media: &str) {
        let wipes = image_of(media) == self.cleaning_image;
        if let Some(host) = self.hosts().get_mut(host_id) {
            match wipes {
                true => host.system.wipe(),
                false => host.system.install(SystemTime::now()),
            }
        }
        let Some(roots) = &self.roots else { return };
        let done = if wipes { roots.wipe(host_id) } else { roots.install(host_id) };
        if let Err(error) = done {
            // Whoever configures the host finds no system there, and says so.
            tracing::error!(host = host_id, %error, "a host's disk could not be written");
        }
    }

    fn is_dead(&self, host_id: &str) -> bool {
        self.hosts().get(host_id).is_some_and(|host| host.system.condition() == Condition::Dead)
    }

    fn note(&self, host_id: &str, taken: bool, what: String) {
        if let Some(host) = self.hosts().get_mut(host_id) {
            *(if taken { &mut host.boots.callbacks_taken } else { &mut host.boots.callbacks_lost }) += 1;
            host.boots.last = Some(what);
        }
    }
}

/// The name of an image: the last part of its address.
fn image_of(media: &str) -> &str {
    let path = media.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// One boot of what is on the disk.
async fn boot_from_disk(inner: Arc<Inner>, host_id: String) {
    tokio::time::sleep(Duration::from_millis(inner.boot_ms)).await;
    if let Some(roots) = &inner.roots {
        roots.booted(&host_id);
    }
    if let Some(host) = inner.hosts().get_mut(&host_id) {
        host.system.start(SystemTime::now());
    }
}

/// One boot from media, to its callback.
async fn boot(inner: Arc<Inner>, host_id: String, media: String, behaviour: Behaviour) {
    let (extra_ms, outcome) = match behaviour {
        Behaviour::NeverAnswers => return,
        Behaviour::Succeeds => (0, json!({"outcome": "succeeded"})),
        Behaviour::Slow { ms } => (ms, json!({"outcome": "succeeded"})),
        Behaviour::Fails { reason } => (0, json!({"outcome": "failed", "reason": reason})),
    };
    tokio::time::sleep(Duration::from_millis(inner.boot_ms.saturating_add(extra_ms))).await;
    if inner.is_dead(&host_id) {
        return;
    }
    if outcome["outcome"] == "succeeded" {
        inner.apply(&host_id, &media);
    }
    let Some((address, mut message)) = read_media(&media) else {
        // Media without a callback: an installer that tells nobody.
        return;
    };
    message.insert("host".to_owned(), json!(host_id));
    if let Value::Object(outcome) = outcome {
        message.extend(outcome);
    }
    let route = inner.route.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (url, headers) = route.resolve(&address);
    match call(&inner.client, &url, headers, &Value::Object(message)).await {
        Ok(status) => inner.note(&host_id, true, status),
        Err(reason) => {
            // Not its query, which holds the token.
            let address = url.split('?').next().unwrap_or_default();
            tracing::warn!(host = host_id, address, reason, "a host's callback was lost");
            inner.note(&host_id, false, reason);
        }
    }
}

/// The callback's address, and the other fields of the media's address.
fn read_media(media: &str) -> Option<(String, Map<String, Value>)> {
    let url = reqwest::Url::parse(media).ok()?;
    let mut callback = None;
    let mut others = Map::new();
    for (name, value) in url.query_pairs() {
        if name == "callback" {
            callback = Some(value.into_owned());
        } else {
            others.insert(name.into_owned(), json!(value));
        }
    }
    Some((callback?, others))
}

/// Posts a message until it is taken or refused. No answer, 429 and 5xx are tried again, so many times.
async fn call(
    client: &reqwest::Client,
    url: &str,
    headers: &[(String, String)],
    message: &Value,
) -> Result<String, String> {
    let mut pause_ms = PAUSE_MS_FIRST;
    let mut last = String::new();
    for _ in 0..CALLS_MAX {
        let mut request = client.post(url).json(message);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(answer.status().to_string()),
            Ok(answer) if answer.status() == 429 || answer.status().is_server_error() => {
                last = answer.status().to_string();
            }
            Ok(answer) => {
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                return Err(format!("{status}: {}", text.chars().take(200).collect::<String>()));
            }
            Err(error) => last = format!("{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX);
    }
    Err(format!("no success in {CALLS_MAX} calls; the last one: {last}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_media_carries_the_callback_and_other_fields() {
        let media = "http://images/boot.iso?callback=https%3A%2F%2Fa.example%2Fc%3Ft%3D1&token=abc";
        let (address, others) = read_media(media).unwrap();
        assert_eq!(address, "https://a.example/c?t=1");
        assert_eq!(others["token"], "abc");
        assert!(read_media("http://images/boot.iso").is_none());
    }

    #[test]
    fn the_last_part_of_its_address_names_an_image() {
        assert_eq!(image_of("http://images/debian-12?callback=http%3A%2F%2Fa%2Fcleaner"), "debian-12");
        assert_eq!(image_of("http://images/a/cleaner"), "cleaner");
        assert_eq!(image_of(""), "");
    }

    #[test]
    fn only_inserted_media_in_the_chosen_drive_is_booted() {
        let system = |text: &str| serde_json::from_str::<SystemState>(text).unwrap();
        let on = system(
            r#"{"name":"h-01","power_state":"On","boot_device":"Cd","boot_image":{"Cd":["http://i",true,true]}}"#,
        );
        assert_eq!(on.media(), Some("http://i"));
        let ejected = system(
            r#"{"name":"h-01","power_state":"On","boot_device":"Cd","boot_image":{"Cd":[null,true,false]}}"#,
        );
        assert_eq!(ejected.media(), None);
        let disk = system(r#"{"name":"h-01","power_state":"On","boot_image":{"Cd":["http://i",true,true]}}"#);
        assert_eq!(disk.media(), None);
        let by_http = system(
            r#"{"name":"h-03","power_state":"On","boot_device":"UefiHttp","http_boot_uri":"http://i"}"#,
        );
        assert_eq!(by_http.media(), Some("http://i"));
        let left =
            system(r#"{"name":"h-03","power_state":"On","boot_device":"Hdd","http_boot_uri":"http://i"}"#);
        assert_eq!(left.media(), None);
    }
}
