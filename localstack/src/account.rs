//! One tenant of the endpoint. Accounts don't see each other, so every test takes its own.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::endpoint::client_for;
use crate::error::Error;
use crate::http::CallbackRoute;

/// The region of the local cloud.
pub(crate) const REGION: &str = "us-east-1";
/// The secret that belongs to every account's access key at the local endpoints.
pub(crate) const SECRET: &str = "test";

/// How often a function was called in one chain of invocations through queues, at most.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Chain {
    /// The account of the function.
    pub account: String,
    /// Its name.
    pub function: String,
    /// Its calls in the longest chain. AWS stops the call after 16 of them, unless the function allows loops.
    pub longest: u32,
    /// Messages whose call was stopped.
    pub stopped: u32,
}

/// An account of the local cloud. Its access key is its id, which makes the caller its root user: allowed to do
/// everything, also where IAM policies are enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    id: String,
    endpoint: String,
}

impl Account {
    /// The account `id` (12 digits) at `endpoint`, for those who already know both, as the CLI does.
    #[must_use]
    pub fn at(endpoint: &str, id: &str) -> Self {
        Self { id: id.to_owned(), endpoint: endpoint.trim_end_matches('/').to_owned() }
    }

    /// A new account that nobody used before.
    pub(crate) fn unused(endpoint: &str) -> Self {
        // 12 digits without a leading zero, from the random bits of a UUID.
        let number = 100_000_000_000 + uuid::Uuid::now_v7().as_u128() % 900_000_000_000;
        Self::at(endpoint, &number.to_string())
    }

    /// The account number: 12 digits. It is also the access key id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret access key.
    #[must_use]
    pub fn secret(&self) -> &'static str {
        SECRET
    }

    /// The region, "us-east-1".
    #[must_use]
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The endpoint's address without a slash at its end.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Credentials for signing.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(&self.id, SECRET, None, None, "hostler-localstack")
    }

    /// Configuration for SDK clients of this account.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials()))
            .endpoint_url(&self.endpoint)
            .build()
    }

    /// An S3 client. Local endpoints want the bucket in the path, which the plain configuration doesn't say.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk_config()).force_path_style(true).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// The chains of invocations that ran through its queues, one for each function that was called from one.
    ///
    /// # Errors
    /// [`Error::Http`] when the endpoint does not answer, or does not count them: see
    /// [`Capability::LoopDetection`](crate::Capability::LoopDetection).
    pub async fn chains(&self) -> Result<Vec<Chain>, Error> {
        let url = format!("{}/_hostler/chains", self.endpoint);
        let failed = |source| Error::Http { url: url.clone(), source };
        let answer = client_for(&url).map_err(failed)?.get(&url).send().await.map_err(failed)?;
        let answer = answer.error_for_status().map_err(failed)?;
        let chains: Vec<Chain> = answer.json().await.map_err(failed)?;
        Ok(chains.into_iter().filter(|chain| chain.account == self.id).collect())
    }

    /// How simulated hosts, which have no credentials, reach HTTP APIs at this account's endpoint.
    #[must_use]
    pub fn callback_route(&self) -> CallbackRoute {
        CallbackRoute::to(&self.endpoint)
    }
}
