//! What the running application consists of, as it tells itself: nothing here is known of it beforehand.

use serde::Deserialize;

use super::Api;
use crate::error::CliError;
use crate::near::require;

/// What an application consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registered {
    /// Its kinds of sagas.
    pub(crate) sagas: Vec<SagaKind>,
    /// Its views.
    pub(crate) views: Vec<Viewed>,
    /// The queue by which views are told of changes, if there is one.
    pub(crate) views_queue: Option<String>,
    /// The queue for what the relay could not publish.
    pub(crate) relay_failures: String,
    /// What operators may ask of it, beside what every application is asked.
    pub(crate) commands: Vec<String>,
    /// What it depends on.
    pub(crate) dependencies: Vec<String>,
}

/// A kind of saga.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SagaKind {
    /// The kind, such as `order`.
    pub(crate) kind: String,
    /// Where its sagas are listed, such as `orders`.
    pub(crate) view: String,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Viewed {
    /// The category of the streams that it shows.
    pub(crate) category: String,
}

impl Registered {
    /// A kind of saga by its name.
    ///
    /// # Errors
    /// [`CliError::NotFound`] with the nearest kind, or with all there are.
    pub(crate) fn kind(&self, kind: &str) -> Result<&SagaKind, CliError> {
        require("kind of saga", kind, self.sagas.iter().map(|of| of.kind.as_str()))?;
        self.sagas.iter().find(|of| of.kind == kind).ok_or_else(|| CliError::NotFound {
            what: "kind of saga".into(),
            name: kind.to_owned(),
            hint: String::new(),
            list: None,
        })
    }
}

impl Api {
    /// What the application consists of; it is asked once.
    ///
    /// # Errors
    /// Those of reaching the API, and [`CliError::NotServed`] where the application is too old to tell.
    pub(crate) async fn register(&self) -> Result<&Registered, CliError> {
        let asked = || self.get("asking the application what it consists of", &["register"], &[]);
        self.register.get_or_try_init(asked).await
    }
}
