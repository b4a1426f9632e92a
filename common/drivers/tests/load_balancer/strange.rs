//! What the driver of HAProxy says over TCP and over a Unix socket, and what it makes of answers that are none.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_drivers::{DriverError, HaproxyAddress, HaproxyLoadBalancer, LoadBalancer, TrafficServer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

const PATIENCE: Duration = Duration::from_millis(500);

fn server() -> TrafficServer {
    let (backend, host, address) = ("web".to_owned(), "h-1".to_owned(), "10.0.0.1:80".to_owned());
    TrafficServer { backend, host, address }
}

/// What each connection said.
type Asked = Arc<Mutex<Vec<String>>>;

/// One that gives each connection this answer; with none it says nothing, and keeps the connection.
#[derive(Clone)]
struct Scripted {
    answer: Option<&'static str>,
    asked: Asked,
}

impl Scripted {
    fn new(answer: Option<&'static str>) -> Self {
        Self { answer, asked: Asked::default() }
    }

    async fn answer<C: AsyncRead + AsyncWrite + Unpin>(&self, mut connection: C) {
        let mut bytes = [0; 512];
        let length = connection.read(&mut bytes).await.unwrap_or_default();
        self.asked.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        match self.answer {
            Some(answer) => drop(connection.write_all(answer.as_bytes()).await),
            None => std::future::pending().await,
        }
    }

    async fn over_tcp(&self) -> HaproxyLoadBalancer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scripted = self.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let scripted = scripted.clone();
                tokio::spawn(async move { scripted.answer(connection).await });
            }
        });
        HaproxyLoadBalancer::new(address.parse().unwrap(), PATIENCE)
    }

    /// The socket's file goes once it listens no more.
    fn over_a_unix_socket(&self) -> (HaproxyLoadBalancer, SocketFile) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("hostler-scripted-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let file = SocketFile(std::env::temp_dir().join(name));
        let listener = UnixListener::bind(&file.0).unwrap();
        let scripted = self.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let scripted = scripted.clone();
                tokio::spawn(async move { scripted.answer(connection).await });
            }
        });
        (HaproxyLoadBalancer::new(file.address(), PATIENCE), file)
    }
}

struct SocketFile(PathBuf);

impl SocketFile {
    fn address(&self) -> HaproxyAddress {
        format!("unix:{}", self.0.display()).parse().unwrap()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn all_errors(driver: &HaproxyLoadBalancer) -> Vec<DriverError> {
    vec![
        driver.join(&server()).await.unwrap_err(),
        driver.drain(&server()).await.unwrap_err(),
        driver.sessions(&server()).await.unwrap_err(),
        driver.leave(&server()).await.unwrap_err(),
    ]
}

/// What it makes of this answer, over TCP and over a Unix socket.
async fn errors(answer: Option<&'static str>) -> Vec<DriverError> {
    let scripted = Scripted::new(answer);
    let mut errors = all_errors(&scripted.over_tcp().await).await;
    let (driver, _file) = scripted.over_a_unix_socket();
    errors.extend(all_errors(&driver).await);
    errors
}

#[tokio::test]
async fn each_command_is_one_line_on_a_connection_of_its_own() {
    let (scripted, said) = (Scripted::new(Some("\n")), "set server web/h-1 state drain\n".to_owned());
    scripted.over_tcp().await.drain(&server()).await.unwrap();
    let (driver, _file) = scripted.over_a_unix_socket();
    driver.drain(&server()).await.unwrap();
    assert_eq!(*scripted.asked.lock().unwrap(), [said.clone(), said]);
}

#[tokio::test]
async fn one_that_is_silent_or_lets_nobody_do_anything_is_an_outage() {
    let expected = [
        (None, "none came within 500ms"),
        (Some("Permission denied\n\n"), "level admin"),
        (Some("Unknown command: 'add'\n\n"), "2.6 or newer"),
    ];
    for (answer, reason) in expected {
        for error in errors(answer).await {
            assert!(error.is_transient() && error.is_outage(), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}

#[tokio::test]
async fn nobody_at_its_address_is_an_outage() {
    for (address, advice) in
        [("127.0.0.1:1", "the network"), ("unix:/nowhere/haproxy.sock", "on this machine")]
    {
        let driver = HaproxyLoadBalancer::new(address.parse().unwrap(), Duration::from_secs(1));
        let error = driver.drain(&server()).await.unwrap_err();
        assert!(error.is_transient() && error.is_outage(), "{error}");
        assert!(error.to_string().contains(address) && error.to_string().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn what_it_says_beside_its_sentences_is_told_on() {
    for error in errors(Some("Invalid address format.\n")).await {
        assert!(error.to_string().contains("Invalid address format."), "{error}");
    }
    let driver = Scripted::new(Some("No such backend.\n")).over_tcp().await;
    let error = driver.join(&server()).await.unwrap_err();
    assert!(!error.is_transient() && !error.is_outage());
    assert!(error.to_string().contains("traffic.backend"), "{error}");
}
