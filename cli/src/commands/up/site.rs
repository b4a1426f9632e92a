//! A site's settings: values of the template's parameters.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::CliError;
use crate::workspace::Workspace;

/// A file of `infra/sites`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    /// For people.
    #[serde(default, rename = "description")]
    _description: String,
    /// Values by the parameters' names; those that are no text are passed as JSON.
    parameters: BTreeMap<String, Value>,
}

impl Site {
    /// Reads a site's file.
    ///
    /// # Errors
    /// [`CliError::File`], and [`CliError::Failed`] when it is no site.
    pub(crate) fn load(workspace: &Workspace, name: &str) -> Result<Self, CliError> {
        let path = workspace.site(name);
        let text = fs::read_to_string(&path).map_err(CliError::file("read", &path))?;
        serde_json::from_str(&text).map_err(CliError::failed(format!(
            "{} is no site: it needs an object `parameters`",
            path.display()
        )))
    }

    /// The parameters as CloudFormation takes them.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.parameters.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

/// A secret for this run: 32 hexadecimal digits for each of `parts`, of which 18 or more are random.
pub(crate) fn secret(parts: usize) -> String {
    (0..parts).map(|_| Uuid::now_v7().simple().to_string()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use hostler_events::{HostPolicy, ProvisioningPolicy};
    use hostler_localstack::template::Template;

    use super::*;

    #[test]
    fn the_local_site_fits_the_template_and_the_policies() {
        let workspace = Workspace::find().unwrap();
        let parameters = Site::load(&workspace, "local").unwrap().parameters();
        let template = Template::load(workspace.template()).unwrap();
        for name in parameters.keys() {
            assert!(template.body["Parameters"][name].is_object(), "{name} is no parameter of the template");
        }
        serde_json::from_str::<ProvisioningPolicy>(&parameters["ProvisioningPolicy"]).unwrap();
        serde_json::from_str::<HostPolicy>(&parameters["HostPolicy"]).unwrap();
    }

    #[test]
    fn secrets_are_long_and_differ() {
        assert_eq!(secret(4).len(), 128);
        assert_ne!(secret(2), secret(2));
    }
}
