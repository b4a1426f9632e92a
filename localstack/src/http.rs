//! Calling a deployed HTTP API at the local endpoint.
//!
//! The endpoint serves an API under `/_aws/execute-api/{api id}` on its own address, so neither a Host header
//! nor name resolution is needed. Which account an API belongs to it knows by the id (our correction of
//! ministack), except for a ministack that is not ours: that one takes the account from the credential.

use serde::{Deserialize, Serialize};

use crate::account::REGION;

/// A deployed HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpApi {
    /// The address of its `$default` stage, without a slash at the end.
    pub base_url: String,
    /// The account it belongs to.
    pub account_id: String,
}

impl HttpApi {
    /// The API `api_id` of an account at an endpoint.
    #[must_use]
    pub fn new(endpoint: &str, account_id: &str, api_id: &str) -> Self {
        Self { base_url: local_base(endpoint, api_id), account_id: account_id.to_owned() }
    }

    /// The full address of a path, as `/hosts`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base_url, path.trim_start_matches('/'))
    }

    /// The `Authorization` header of a call by the account's root user. Local endpoints don't verify a root
    /// signature, so nothing is computed; on AWS sign for the service `execute-api` instead.
    #[must_use]
    pub fn authorization(&self) -> String {
        root_authorization(&self.account_id)
    }

    /// A request with the authorization of [`HttpApi::authorization`].
    pub fn request(
        &self,
        client: &reqwest::Client,
        method: reqwest::Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        client.request(method, self.url(path)).header("authorization", self.authorization())
    }
}

/// How a simulated host reaches the address that it is told to call back.
///
/// A template names its API by the address that it has on AWS. No such name resolves here, so the route sends
/// calls of `https://{api}.execute-api.…` to the local endpoint; other addresses are called as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackRoute {
    /// The local endpoint, or none to call every address as it is.
    pub endpoint: Option<String>,
    /// Headers to add to the calls that are rerouted, as name and value.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

impl CallbackRoute {
    /// The route to an endpoint that this crate started. Calls stay unsigned: a booting host has no credentials.
    #[must_use]
    pub fn to(endpoint: &str) -> Self {
        Self { endpoint: Some(endpoint.trim_end_matches('/').to_owned()), headers: Vec::new() }
    }

    /// The route to a ministack that lacks our correction and looks for an API in the caller's account only.
    /// Calls then carry the name of the account's root user, which also opens routes that ask for IAM.
    #[must_use]
    pub fn as_root(endpoint: &str, account_id: &str) -> Self {
        let headers = vec![("authorization".to_owned(), root_authorization(account_id))];
        Self { headers, ..Self::to(endpoint) }
    }

    /// The address to call for `url`, and the headers to send.
    #[must_use]
    pub fn resolve(&self, url: &str) -> (String, &[(String, String)]) {
        match (&self.endpoint, split_api_url(url)) {
            (Some(endpoint), Some((api_id, rest))) => {
                (format!("{}{rest}", local_base(endpoint, api_id)), &self.headers)
            }
            (Some(endpoint), None) if url.starts_with(&format!("{endpoint}/_aws/execute-api/")) => {
                (url.to_owned(), &self.headers)
            }
            _ => (url.to_owned(), &[]),
        }
    }
}

/// Splits `https://{api}.execute-api.{anything}/{rest}` into the API id and the rest with its slash.
fn split_api_url(url: &str) -> Option<(&str, &str)> {
    let (_, address) = url.split_once("://")?;
    let (host, rest) = match address.find(['/', '?']) {
        Some(end) => address.split_at(end),
        None => (address, ""),
    };
    let (api_id, after) = host.split_once('.')?;
    (after.starts_with("execute-api.") && !api_id.is_empty()).then_some((api_id, rest))
}

fn local_base(endpoint: &str, api_id: &str) -> String {
    format!("{}/_aws/execute-api/{api_id}", endpoint.trim_end_matches('/'))
}

fn root_authorization(account_id: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={account_id}/20240101/{REGION}/execute-api/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_on_aws_leads_to_the_local_endpoint() {
        let route = CallbackRoute::to("http://127.0.0.1:4566/");
        let (url, headers) =
            route.resolve("https://ab12cd34.execute-api.us-east-1.amazonaws.com/callbacks/t?x=1");
        assert_eq!(url, "http://127.0.0.1:4566/_aws/execute-api/ab12cd34/callbacks/t?x=1");
        assert!(headers.is_empty());
    }

    #[test]
    fn other_addresses_stay_and_get_no_credential() {
        let route = CallbackRoute::as_root("http://127.0.0.1:4566", "123456789012");
        let (url, headers) = route.resolve("http://127.0.0.1:9/callback");
        assert_eq!(url, "http://127.0.0.1:9/callback");
        assert!(headers.is_empty());
    }
}
