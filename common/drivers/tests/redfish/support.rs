//! A BMC in this process that behaves like the Redfish emulator, and misbehaves like real ones, as told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hostler_drivers::{BmcEndpoint, Patience, RedfishBmc, RedfishBmcs, RedfishLimits, TlsTrust};
use serde_json::{Value, json};
use tokio::sync::Notify;

pub(crate) const PASSWORD: &str = "s3cret-Pa55";
/// `operator:s3cret-Pa55`
const AUTHORIZATION: &str = "Basic b3BlcmF0b3I6czNjcmV0LVBhNTU=";
const SYSTEM: &str = "/redfish/v1/Systems/u-1";

/// At which point the caller is cut off, counted in requests since then.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The request never arrives.
    BeforeRequest(u32),
    /// The request is carried out, but its answer never arrives.
    AfterRequest(u32),
    /// The order to switch to this state is carried out, but its answer never arrives.
    AfterOrder(&'static str),
}

/// What the host and its BMC are in, what was done to them, and how they are to misbehave.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) power: String,
    pending: Option<(String, u32)>,
    /// After how many reads of the system an order takes effect.
    pub(crate) reads_until_applied: u32,
    pub(crate) image: String,
    pub(crate) boot_target: String,
    pub(crate) boot_enabled: String,
    /// Under the manager (older) instead of under the system.
    pub(crate) media_under_manager: bool,
    pub(crate) no_media: bool,
    /// It boots its host by UEFI HTTP; the image is its address.
    pub(crate) by_http: bool,
    /// Keeps the address, whatever it is told.
    pub(crate) keeps_address: bool,

    pub(crate) requests: u32,
    pub(crate) resets: Vec<String>,
    pub(crate) inserts: u32,
    pub(crate) ejects: u32,
    pub(crate) patches: Vec<Value>,
    /// How often the host went on with an image in the drive and the CD as its boot target, or the like by UEFI HTTP.
    pub(crate) boots_from_cd: u32,
    pub(crate) boots_otherwise: u32,

    pub(crate) lies: u32,
    pub(crate) nonsense_power: Option<Value>,
    pub(crate) busy: u32,
    pub(crate) retry_after: Option<String>,
    pub(crate) hangs: u32,
    pub(crate) cut_short: u32,
    pub(crate) lost_resets: u32,
    /// Refuses orders for the state that is already there, as many BMCs do.
    pub(crate) strict_resets: bool,
    pub(crate) post_answer: Option<(u16, String)>,
    pub(crate) foreign_links: bool,
    pub(crate) hang_posts_after_doing: u32,
    /// How often somebody else switches the host on while an image is inserted.
    pub(crate) switched_on_meanwhile: u32,
    pub(crate) cut: Option<Cut>,
}

#[derive(Clone)]
struct Shared {
    inner: Arc<Mutex<Inner>>,
    cut_reached: Arc<Notify>,
}

pub(crate) struct FakeBmc {
    shared: Shared,
    origin: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for FakeBmc {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeBmc {
    pub(crate) async fn start() -> Self {
        let shared = Shared {
            inner: Arc::new(Mutex::new(Inner {
                power: "Off".to_owned(),
                pending: None,
                reads_until_applied: 2,
                image: String::new(),
                boot_target: "Hdd".to_owned(),
                boot_enabled: "Continuous".to_owned(),
                media_under_manager: false,
                no_media: false,
                by_http: false,
                keeps_address: false,
                requests: 0,
                resets: Vec::new(),
                inserts: 0,
                ejects: 0,
                patches: Vec::new(),
                boots_from_cd: 0,
                boots_otherwise: 0,
                lies: 0,
                nonsense_power: None,
                busy: 0,
                retry_after: None,
                hangs: 0,
                cut_short: 0,
                lost_resets: 0,
                strict_resets: false,
                post_answer: None,
                foreign_links: false,
                hang_posts_after_doing: 0,
                switched_on_meanwhile: 0,
                cut: None,
            })),
            cut_reached: Arc::new(Notify::new()),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, origin, server }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Inner> {
        locked(&self.shared.inner)
    }

    /// Resolves when the caller is cut off.
    pub(crate) async fn cut_reached(&self) {
        self.shared.cut_reached.notified().await;
    }

    pub(crate) fn endpoint(&self) -> BmcEndpoint {
        BmcEndpoint {
            system_url: format!("{}{SYSTEM}", self.origin),
            username: "operator".to_owned(),
            password: PASSWORD.to_owned(),
            trust: TlsTrust::System,
        }
    }

    /// The same without a drive, which boots its host by UEFI HTTP.
    pub(crate) async fn start_by_http() -> Self {
        let fake = Self::start().await;
        {
            let mut state = fake.state();
            (state.no_media, state.by_http) = (true, true);
        }
        fake
    }

    pub(crate) fn driver(&self) -> RedfishBmc {
        driver(&self.endpoint())
    }
}

pub(crate) fn driver(endpoint: &BmcEndpoint) -> RedfishBmc {
    RedfishBmcs::new(limits()).redfish(endpoint).unwrap()
}

pub(crate) fn limits() -> RedfishLimits {
    RedfishLimits {
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_millis(250),
        operation_timeout: Duration::from_secs(10),
        attempts_max: 3,
        backoff_first: Duration::from_millis(2),
        backoff_max: Duration::from_millis(8),
        retry_after_max: Duration::from_secs(2),
        answer_bytes_max: 64 * 1024,
    }
}

/// Short, but long enough for a busy machine.
pub(crate) fn patience() -> Patience {
    Patience { deadline: Duration::from_secs(10), poll_interval: Duration::from_millis(2) }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn used_up(times: &mut u32) -> bool {
    let some = *times > 0;
    *times = times.saturating_sub(1);
    some
}

async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = locked(&shared.inner).handle(&shared.cut_reached, &parts, &body);
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

fn error(status: u16, message: &str) -> Response {
    let body = json!({ "error": { "code": "Base.1.0.GeneralError", "message": message,
        "@Message.ExtendedInfo": [{ "MessageId": "Base.1.0.GeneralError" }] } });
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn ok(body: Value) -> Response {
    axum::Json(body).into_response()
}

impl Inner {
    /// Handles a request, or misbehaves; `None` is an answer that never comes.
    fn handle(&mut self, cut_reached: &Notify, parts: &Parts, body: &Value) -> Option<Response> {
        self.requests += 1;
        let mut answers = true;
        match &mut self.cut {
            Some(Cut::BeforeRequest(0)) => {
                cut_reached.notify_one();
                return None;
            }
            Some(Cut::AfterRequest(0)) => {
                cut_reached.notify_one();
                answers = false;
            }
            Some(Cut::BeforeRequest(left) | Cut::AfterRequest(left)) => *left -= 1,
            Some(Cut::AfterOrder(order)) if body["ResetType"] == *order => {
                cut_reached.notify_one();
                answers = false;
            }
            Some(Cut::AfterOrder(_)) | None => {}
        }
        if used_up(&mut self.hangs) {
            return None;
        }
        if parts.method == Method::POST && used_up(&mut self.hang_posts_after_doing) {
            answers = false;
        }
        let authorization = parts.headers.get("authorization");
        let authorized = authorization.is_some_and(|sent| sent == AUTHORIZATION);
        let answer = if !authorized {
            error(401, "Incorrect username or password")
        } else if used_up(&mut self.busy) {
            let mut busy = error(503, "busy");
            if let Some(value) = &self.retry_after {
                busy.headers_mut().insert("retry-after", value.parse().unwrap());
            }
            busy
        } else if used_up(&mut self.cut_short) {
            Response::new(Body::from("{\"PowerState\": \"O"))
        } else {
            self.answer(&parts.method, parts.uri.path(), body)
        };
        answers.then_some(answer)
    }

    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> Response {
        let media = if self.media_under_manager {
            "/redfish/v1/Managers/m-1/VirtualMedia"
        } else {
            "/redfish/v1/Systems/u-1/VirtualMedia"
        };
        let post = *method == Method::POST;
        if post && let Some((status, message)) = &self.post_answer {
            return error(*status, message);
        }
        match path.strip_prefix(media) {
            Some("") if !self.no_media => {
                return ok(json!({ "Members": [
                    { "@odata.id": format!("{media}/Floppy") }, { "@odata.id": format!("{media}/Cd") },
                ]}));
            }
            Some("/Floppy") => return ok(json!({ "MediaTypes": ["Floppy", "USBStick"] })),
            Some("/Cd") => return self.drive(media),
            Some("/Cd/Actions/VirtualMedia.InsertMedia") if post => {
                if used_up(&mut self.switched_on_meanwhile) {
                    self.switch("On");
                }
                self.inserts += 1;
                body["Image"].as_str().unwrap().clone_into(&mut self.image);
                return StatusCode::NO_CONTENT.into_response();
            }
            Some("/Cd/Actions/VirtualMedia.EjectMedia") if post => {
                self.ejects += 1;
                self.image.clear();
                return StatusCode::NO_CONTENT.into_response();
            }
            _ => {}
        }
        match (method.as_str(), path) {
            ("GET", SYSTEM) => self.system(media),
            ("PATCH", SYSTEM) => {
                self.patches.push(body.clone());
                let boot = &body["Boot"];
                if let Some(image) = boot.get("HttpBootUri").filter(|_| self.by_http) {
                    let image = image.as_str().unwrap_or_default();
                    if image.is_empty() && self.keeps_address {
                        return error(400, "The value null for HttpBootUri is not of a type that it accepts");
                    }
                    self.inserts += u32::from(!image.is_empty() && self.image != image);
                    self.ejects += u32::from(image.is_empty() && !self.image.is_empty());
                    image.clone_into(&mut self.image);
                    if boot.get("BootSourceOverrideTarget").is_none() {
                        return StatusCode::NO_CONTENT.into_response();
                    }
                }
                let Some(target) = boot["BootSourceOverrideTarget"].as_str() else {
                    return error(400, "Missing the BootSourceOverrideTarget element");
                };
                target.clone_into(&mut self.boot_target);
                StatusCode::NO_CONTENT.into_response()
            }
            ("POST", "/redfish/v1/Systems/u-1/Actions/ComputerSystem.Reset") => {
                self.reset(body["ResetType"].as_str().unwrap())
            }
            ("GET", "/redfish/v1/Managers/m-1") => ok(json!({ "VirtualMedia": { "@odata.id": media } })),
            ("GET", "/redfish/v1/Systems/u-1/EthernetInterfaces") => ok(json!({ "Members": [
                { "@odata.id": "/redfish/v1/Systems/u-1/EthernetInterfaces/1" },
                { "@odata.id": "/redfish/v1/Systems/u-1/EthernetInterfaces/gone" },
                { "no link": true },
            ]})),
            ("GET", "/redfish/v1/Systems/u-1/EthernetInterfaces/1") => {
                ok(json!({ "Id": "1", "MACAddress": "00:5C:52:31:3A:9C" }))
            }
            _ => error(404, "Not found"),
        }
    }

    fn reset(&mut self, kind: &str) -> Response {
        self.resets.push(kind.to_owned());
        let target = if kind == "On" { "On" } else { "Off" };
        if self.strict_resets && self.power == target {
            return error(409, "InvalidOperationForSystemState");
        }
        if !used_up(&mut self.lost_resets) && self.power != target {
            self.pending = Some((target.to_owned(), self.reads_until_applied));
        }
        StatusCode::NO_CONTENT.into_response()
    }

    /// Something that is not us switches the host.
    pub(crate) fn switch(&mut self, power: &str) {
        if power == "On" && self.power == "Off" {
            let target = if self.by_http { "UefiHttp" } else { "Cd" };
            if self.boot_target == target && !self.image.is_empty() {
                self.boots_from_cd += 1;
            } else {
                self.boots_otherwise += 1;
            }
        }
        power.clone_into(&mut self.power);
    }

    fn system(&mut self, media: &str) -> Response {
        if let Some((target, reads_left)) = self.pending.take() {
            if reads_left == 0 {
                self.switch(&target);
            } else {
                self.pending = Some((target, reads_left - 1));
            }
        }
        let mut power = json!(self.power);
        if used_up(&mut self.lies) {
            power = json!(if self.power == "On" { "Off" } else { "On" });
        }
        if let Some(nonsense) = &self.nonsense_power {
            power = nonsense.clone();
        }
        let mut system = json!({
            "Id": "u-1", "UUID": "u-1", "Manufacturer": "Fake", "Model": null, "SerialNumber": " ",
            "PowerState": power,
            "Boot": {
                "BootSourceOverrideEnabled": self.boot_enabled,
                "BootSourceOverrideTarget": self.boot_target,
                "BootSourceOverrideTarget@Redfish.AllowableValues": ["Pxe", "Cd", "Hdd"],
            },
            "ProcessorSummary": { "Count": 2 },
            "MemorySummary": "odd",
            "EthernetInterfaces": { "@odata.id": "/redfish/v1/Systems/u-1/EthernetInterfaces" },
            "Links": { "ManagedBy": [{ "@odata.id": "/redfish/v1/Managers/m-1" }] },
            "Actions": { "#ComputerSystem.Reset":
                { "target": "/redfish/v1/Systems/u-1/Actions/ComputerSystem.Reset" } },
            "Oem": { "unknown": [1, 2, 3] },
        });
        if self.by_http {
            let boot = &mut system["Boot"];
            boot["BootSourceOverrideTarget@Redfish.AllowableValues"] = json!(["Pxe", "UefiHttp", "Hdd"]);
            boot["BootSourceOverrideMode"] = json!("Legacy");
            boot["HttpBootUri"] = if self.image.is_empty() { Value::Null } else { json!(self.image) };
        }
        if !self.media_under_manager {
            system["VirtualMedia"] = json!({ "@odata.id": media });
        }
        if self.foreign_links {
            system["Actions"]["#ComputerSystem.Reset"]["target"] = json!("http://127.0.0.2:1/steal");
            system["VirtualMedia"] = json!({ "@odata.id": "//127.0.0.2:1/steal" });
        }
        ok(system)
    }

    fn drive(&self, media: &str) -> Response {
        ok(json!({
            "MediaTypes": ["CD", "DVD"],
            "Image": self.image,
            "Inserted": !self.image.is_empty(),
            "Actions": {
                "#VirtualMedia.InsertMedia":
                    { "target": format!("{media}/Cd/Actions/VirtualMedia.InsertMedia") },
                "#VirtualMedia.EjectMedia":
                    { "target": format!("{media}/Cd/Actions/VirtualMedia.EjectMedia") },
            },
        }))
    }
}
