//! A load balancer that is HAProxy, told by its runtime API (*HAProxy Management Guide 2.6: Unix Socket commands*) over TCP or
//! over a Unix socket.
//!
//! Servers are added and removed while it runs, which takes HAProxy 2.6 or newer and a backend whose balance algorithm is dynamic
//! (`roundrobin`, `leastconn`). The API knows no status codes: success is an empty answer, or one of a few sentences, and
//! whatever else it says is told on. Who reaches its port has it in hand, for it asks for no password: it belongs on a network
//! of its own. The mode of a Unix socket says who may speak to it.

mod address;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use self::address::Place;
use crate::error::{At, BoxError, DriverError};
use crate::load_balancer::{LoadBalancer, TrafficServer, at};

pub use self::address::{HaproxyAddress, HaproxyAddressError};

/// A backend of 10,000 servers is some 700 kB in the longest answer.
const ANSWER_BYTES_MAX: u64 = 4_000_000;
/// What of an answer's text is told on.
const MESSAGE_CHARS_MAX: usize = 300;
const SERVICE: &str = "HAProxy";
/// How often HAProxy tries a server's port by itself: one that does not answer gets no requests whatever we said.
const CHECK: &str = "check inter 2s";
const NO_SERVER: &str = "No such server.";
const NO_BACKEND: [&str; 2] = ["No such backend.", "Can't find backend."];
/// Servers of its own configuration are never deleted, and need not be.
const CONFIGURED: [&str; 2] = [
    "This server cannot be removed at runtime due to other configuration elements pointing to it.",
    "Only servers added at runtime via <add server> CLI cmd can be deleted.",
];

/// A [`LoadBalancer`] that tells HAProxy.
#[derive(Clone)]
pub struct HaproxyLoadBalancer {
    address: HaproxyAddress,
    timeout: Duration,
}

impl fmt::Debug for HaproxyLoadBalancer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HaproxyLoadBalancer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl HaproxyLoadBalancer {
    /// How long a command may take, unless there is a reason for another time: the longest takes some milliseconds.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Speaks to the stats socket of level `admin` at this address.
    #[must_use]
    pub fn new(address: HaproxyAddress, timeout: Duration) -> Self {
        Self { address, timeout }
    }

    /// Sends one command, and gives the answer without the empty lines around it.
    async fn say(&self, command: &str, at: &At) -> Result<String, DriverError> {
        let spoken = async {
            match self.address.place() {
                Place::Tcp(address) => exchange(TcpStream::connect(address).await?, command).await,
                Place::Unix(path) => exchange(UnixStream::connect(path).await?, command).await,
            }
        };
        let answer = match tokio::time::timeout(self.timeout, spoken).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let reason = match self.address.place() {
                    Place::Tcp(_) => {
                        "the connection failed; check its address, and that the network lets this function through"
                    }
                    Place::Unix(_) => {
                        "the connection failed; see that HAProxy runs on this machine, and that its socket is ours to use"
                    }
                };
                return Err(self.failed(at, reason.to_owned(), Some(error.into())));
            }
            Err(_elapsed) => {
                let reason = format!("none came within {:?}; see that it is not overloaded", self.timeout);
                return Err(self.failed(at, reason, None));
            }
        };
        let answer = answer.trim();
        if answer.starts_with("Permission denied") {
            let reason = "it lets nobody change servers here; give its stats socket the level admin";
            return Err(self.failed(at, reason.to_owned(), None));
        }
        if answer.starts_with("Unknown command") {
            let reason = format!("it does not know `{command}`; it must be version 2.6 or newer");
            return Err(self.failed(at, reason, None));
        }
        Ok(answer.to_owned())
    }

    fn failed(&self, at: &At, reason: String, source: Option<BoxError>) -> DriverError {
        let reason = format!("{} ({reason})", self.address);
        DriverError::ServiceFailed { at: at.clone(), service: SERVICE, reason, source }
    }

    /// A command that is answered by nothing, or that a server is not there, which it is not without its backend. Says
    /// whether it is.
    async fn change(&self, command: &str, at: &At) -> Result<bool, DriverError> {
        match self.say(command, at).await?.as_str() {
            "" => Ok(true),
            NO_SERVER => Ok(false),
            gone if NO_BACKEND.contains(&gone) => Ok(false),
            other => Err(refused(at, format!("HAProxy answers `{command}` with: {}", shortened(other)))),
        }
    }

    /// The numbers by which the statistics know a server: of its backend, and its own.
    async fn numbers(&self, names: &Names<'_>, at: &At) -> Result<Option<(u32, u32)>, DriverError> {
        let answer = self.say(&format!("show servers conn {}", names.backend), at).await?;
        if NO_BACKEND.contains(&answer.as_str()) {
            return Ok(None);
        }
        let mut lines = answer.lines();
        if !lines.next().unwrap_or_default().starts_with("# bkname/svname bkid/svid ") {
            return Err(self.failed(at, format!("an answer of another form: {}", shortened(&answer)), None));
        }
        let name = names.to_string();
        for line in lines {
            let mut fields = line.split(' ');
            if fields.next() == Some(name.as_str()) {
                let numbers = fields.next().and_then(|field| field.split_once('/'));
                let numbers =
                    numbers.and_then(|(backend, own)| Some((backend.parse().ok()?, own.parse().ok()?)));
                return match numbers {
                    Some(numbers) => Ok(Some(numbers)),
                    None => {
                        Err(self.failed(at, format!("a line of another form: {}", shortened(line)), None))
                    }
                };
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl LoadBalancer for HaproxyLoadBalancer {
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let at = at(server, "joining traffic");
        let names = Names::of(server, &at)?;
        let address = resolved(&server.address, &at).await?;
        let added = self.say(&format!("add server {names} {address} {CHECK}"), &at).await?;
        match added.as_str() {
            "New server registered." => {}
            "Already exists a server with the same name in backend." => {
                let (ip, port) = (address.ip(), address.port());
                let moved = self.say(&format!("set server {names} addr {ip} port {port}"), &at).await?;
                if !(moved.contains("IP changed")
                    || moved.contains("port changed")
                    || moved.contains("no need to change"))
                {
                    return Err(refused(
                        &at,
                        format!("HAProxy does not move the server: {}", shortened(&moved)),
                    ));
                }
            }
            gone if NO_BACKEND.contains(&gone) => {
                let reason = "HAProxy has no such backend: add it to its configuration, or correct traffic.backend of the pool \
                              in the site's policies";
                return Err(refused(&at, reason.to_owned()));
            }
            other => {
                return Err(refused(&at, format!("HAProxy does not add the server: {}", shortened(other))));
            }
        }
        // A server that was added does nothing before it is told to. Its checks end a state that another life of it has left.
        for command in [format!("enable health {names}"), format!("set server {names} state ready")] {
            if !self.change(&command, &at).await? {
                let reason = "somebody else removed the server meanwhile".to_owned();
                return Err(DriverError::StepFailed { at, reason, transient: true });
            }
        }
        Ok(())
    }

    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let at = at(server, "draining");
        let names = Names::of(server, &at)?;
        self.change(&format!("set server {names} state drain"), &at).await.map(drop)
    }

    /// Those that it works on and those that wait for it.
    async fn sessions(&self, server: &TrafficServer) -> Result<Option<u64>, DriverError> {
        let at = at(server, "counting its sessions");
        let names = Names::of(server, &at)?;
        let Some((backend, own)) = self.numbers(&names, &at).await? else { return Ok(Some(0)) };
        // 4 stands for servers.
        let answer = self.say(&format!("show stat {backend} 4 {own}"), &at).await?;
        match sessions_in(&answer, &names) {
            Some(sessions) => Ok(Some(sessions)),
            None => {
                Err(self.failed(&at, format!("statistics of another form: {}", shortened(&answer)), None))
            }
        }
    }

    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let at = at(server, "leaving traffic");
        let names = Names::of(server, &at)?;
        if !self.change(&format!("set server {names} state maint"), &at).await? {
            return Ok(());
        }
        self.change(&format!("shutdown sessions server {names}"), &at).await?;
        let deleted = self.say(&format!("del server {names}"), &at).await?;
        match deleted.as_str() {
            "Server deleted." | NO_SERVER => Ok(()),
            configured if CONFIGURED.contains(&configured) => Ok(()),
            // What was cut off takes a moment to be gone.
            other => {
                let reason = format!("HAProxy does not delete the server yet: {}", shortened(other));
                Err(DriverError::StepFailed { at, reason, transient: true })
            }
        }
    }
}

/// One command on a connection of its own, which HAProxy ends after its answer.
async fn exchange<C>(mut connection: C, command: &str) -> std::io::Result<String>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    connection.write_all(format!("{command}\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A server as the API names it, of names that cannot be taken for anything else.
struct Names<'a> {
    backend: &'a str,
    host: &'a str,
}

impl<'a> Names<'a> {
    fn of(server: &'a TrafficServer, at: &At) -> Result<Self, DriverError> {
        let is_name = |text: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
            !text.is_empty() && text.bytes().all(is_part)
        };
        match (is_name(&server.backend), is_name(&server.host)) {
            (true, true) => Ok(Self { backend: &server.backend, host: &server.host }),
            (false, _) => {
                Err(refused(at, "HAProxy's backends have letters, digits and . _ : - only".to_owned()))
            }
            (_, false) => {
                Err(refused(at, "HAProxy's servers have letters, digits and . _ : - only".to_owned()))
            }
        }
    }
}

impl fmt::Display for Names<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.backend, self.host)
    }
}

/// An address with a name is looked up here: HAProxy would take an unknown one, and send nothing there.
async fn resolved(address: &str, at: &At) -> Result<SocketAddr, DriverError> {
    if let Ok(address) = address.parse() {
        return Ok(address);
    }
    let unknown = |error: &str| {
        let reason =
            format!("the address {address:?} of the host cannot be looked up ({error}): correct its label");
        DriverError::StepFailed { at: at.clone(), reason, transient: true }
    };
    match tokio::net::lookup_host(address).await {
        Ok(mut found) => found.next().ok_or_else(|| unknown("there is none")),
        Err(error) => Err(unknown(&error.to_string())),
    }
}

/// Of the statistics, which begin with the names of their columns. A server that is not among them has none.
fn sessions_in(answer: &str, names: &Names<'_>) -> Option<u64> {
    let mut lines = answer.lines();
    let columns: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(',').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name);
    let (server, current, queued) = (column("svname")?, column("scur")?, column("qcur")?);
    for line in lines.filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.get(server) == Some(&names.host) {
            let count = |column: usize| fields.get(column)?.parse::<u64>().ok();
            return Some(count(current)?.saturating_add(count(queued)?));
        }
    }
    Some(0)
}

fn refused(at: &At, reason: String) -> DriverError {
    DriverError::StepFailed { at: at.clone(), reason, transient: false }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_by_the_names_of_the_columns() {
        let names = Names { backend: "web", host: "h-1" };
        let of = |text| sessions_in(text, &names);
        assert_eq!(of("# pxname,svname,qcur,qmax,scur,smax\nweb,h-1,2,9,3,9\n"), Some(5));
        assert_eq!(of("# svname,scur,qcur\nh-2,7,7\n"), Some(0));
        assert_eq!(of("# svname,scur,qcur\nh-1,x,0\n"), None, "a count that is none is no zero");
        for wrong in ["", "nothing", "# svname,scur\nh-1,3\n"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_name_can_be_another_command() {
        let server = |host: &str| TrafficServer {
            backend: "web".to_owned(),
            host: host.to_owned(),
            address: "10.0.0.1:80".to_owned(),
        };
        let names = |host: &str| {
            Names::of(&server(host), &at(&server(host), "testing")).map(|names| names.to_string())
        };
        assert!(names("h-1.rack_2:b").is_ok_and(|name| name == "web/h-1.rack_2:b"));
        for wrong in ["", "a b", "a;shutdown frontend web", "a\nb", "a/b"] {
            assert!(names(wrong).is_err_and(|error| !error.is_transient()), "{wrong}");
        }
    }
}
