//! Deploying an application by its folder: its template, its functions, and what its site says of the template's parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::account::Account;
use crate::deploy::DeployOptions;
use crate::endpoint::Cloud;
use crate::error::Error;
use crate::progress::Progress;
use crate::site::{architecture, site_parameters};
use crate::stack::Stack;
use crate::template::Template;

/// An application, and how to deploy it.
#[derive(Debug, Clone, Default)]
pub struct ApplicationOptions {
    /// Its folder, where template.yaml is.
    pub root: PathBuf,
    /// The binary of each function, as [`crate::build_functions`] gives them.
    pub functions: BTreeMap<String, PathBuf>,
    /// Parameters over those of its site.
    pub parameters: BTreeMap<String, String>,
    /// Who is told about progress.
    pub progress: Progress,
}

impl Cloud {
    /// Deploys an application that needs nothing beside its stack, which is named after its folder. The template's
    /// parameters are those of `infra/sites/local.json`, where there is such a file, and the architecture of this machine,
    /// where the template asks for it.
    ///
    /// # Errors
    /// Those of [`Cloud::deploy`], and [`Error::File`] and [`Error::Site`] when the site's file does not read.
    pub async fn deploy_application(
        &self,
        account: &Account,
        options: ApplicationOptions,
    ) -> Result<Stack, Error> {
        let ApplicationOptions { root, functions, parameters, progress } = options;
        let template = root.join("template.yaml");
        let mut values = match root.join("infra/sites/local.json").is_file() {
            true => site_parameters(&root, "local")?,
            false => BTreeMap::new(),
        };
        if Template::load(&template)?.body["Parameters"].get("Architecture").is_some() {
            values.insert("Architecture".to_owned(), architecture());
        }
        values.extend(parameters);
        let stack_name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let deploy =
            DeployOptions { template, stack_name, functions, parameters: values, progress, edit: None };
        self.deploy(account, deploy).await
    }
}
