//! Who may call the fleet: programs of this machine, but no page in a browser; and its own API only who was told a secret.
//!
//! A page in the developer's browser can send requests to loopback. The rules that keep it out are those of the AWS
//! endpoint (python/guard.py): the Host header names this machine, and there is no Origin header. BMCs ask for their
//! password by themselves. The fleet's own API has no users, so it asks for a secret of this run, in a header that no
//! page can send without a preflight, which carries an Origin.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::fleet::Shared;

/// The header that carries the secret.
pub(crate) const SECRET_HEADER: &str = "x-hostler-fleet-secret";

/// How another process reaches the fleet's own API.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetAccess {
    /// Its address.
    pub url: String,
    /// What it asks for; new in every run.
    pub secret: String,
}

impl fmt::Debug for FleetAccess {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetAccess").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Refuses requests that a page in a browser may have sent.
pub(crate) async fn refuse_pages(request: Request, next: Next) -> Response {
    match from_page(request.headers()) {
        Some(reason) => refusal(reason),
        None => next.run(request).await,
    }
}

/// Refuses requests without the secret.
pub(crate) async fn require_secret(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(SECRET_HEADER);
    if given.is_some_and(|given| given.as_bytes() == shared.secret.as_bytes()) {
        return next.run(request).await;
    }
    refusal(format!("the fleet's own API wants the secret of this run in the header {SECRET_HEADER}"))
}

fn from_page(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = text(header::HOST).unwrap_or_default();
    if !is_here(&host) {
        return Some(format!(
            "the Host {host:?} is not this machine: call the fleet by 127.0.0.1 or localhost"
        ));
    }
    let origin = text(header::ORIGIN)?;
    Some(format!("a page of {origin:?} may not call the fleet: requests with an Origin header are refused"))
}

/// Whether a Host header names this machine: a loopback address or `localhost`, with or without a port.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let loopback = |name: &str| name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    name.eq_ignore_ascii_case("localhost") || loopback(name.trim_start_matches('[').trim_end_matches(']'))
}

fn refusal(reason: String) -> Response {
    (StatusCode::FORBIDDEN, reason).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken() {
        for host in ["127.0.0.1", "127.0.0.1:8000", "localhost:80", "LOCALHOST", "[::1]:80", "127.3.2.1"] {
            assert!(is_here(host), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "10.0.0.1", "[::2]"]
        {
            assert!(!is_here(host), "{host}");
        }
    }
}
