//! What the driver of HAProxy makes of answers that are none.

use std::time::Duration;

use hostler_drivers::{DriverError, HaproxyLoadBalancer, LoadBalancer, TrafficServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn server() -> TrafficServer {
    let (backend, host, address) = ("web".to_owned(), "h-1".to_owned(), "10.0.0.1:80".to_owned());
    TrafficServer { backend, host, address }
}

/// A server that gives each connection this answer; with none it says nothing, and keeps the connection.
async fn driver(answer: Option<&'static str>) -> HaproxyLoadBalancer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut asked = [0; 512];
            let _ = connection.read(&mut asked).await;
            match answer {
                Some(answer) => drop(connection.write_all(answer.as_bytes()).await),
                None => kept.push(connection),
            }
        }
    });
    HaproxyLoadBalancer::new(&address, Duration::from_millis(500))
}

async fn errors(answer: Option<&'static str>) -> Vec<DriverError> {
    let driver = driver(answer).await;
    vec![
        driver.join(&server()).await.unwrap_err(),
        driver.drain(&server()).await.unwrap_err(),
        driver.sessions(&server()).await.unwrap_err(),
        driver.leave(&server()).await.unwrap_err(),
    ]
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
    let driver = HaproxyLoadBalancer::new("127.0.0.1:1", Duration::from_secs(1));
    let error = driver.drain(&server()).await.unwrap_err();
    assert!(error.is_transient() && error.is_outage(), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn what_it_says_beside_its_sentences_is_told_on() {
    for error in errors(Some("Invalid address format.\n")).await {
        assert!(error.to_string().contains("Invalid address format."), "{error}");
    }
    let error = driver(Some("No such backend.\n")).await.join(&server()).await.unwrap_err();
    assert!(!error.is_transient() && !error.is_outage());
    assert!(error.to_string().contains("traffic.backend"), "{error}");
}
