//! One tenant of the endpoint. Accounts don't see each other, so every test takes its own.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::http::CallbackRoute;

/// The region of the local cloud.
pub(crate) const REGION: &str = "us-east-1";
/// The secret that belongs to every account's access key at the local endpoints.
pub(crate) const SECRET: &str = "test";

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

    /// How simulated hosts, which have no credentials, reach HTTP APIs at this account's endpoint.
    #[must_use]
    pub fn callback_route(&self) -> CallbackRoute {
        CallbackRoute::to(&self.endpoint)
    }
}
