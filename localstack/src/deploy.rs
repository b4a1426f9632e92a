//! Deploying template.yaml itself through CloudFormation.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, Parameter};
use serde_json::Value;

use crate::account::Account;
use crate::endpoint::Cloud;
use crate::error::Error;
use crate::package;
use crate::progress::Progress;
use crate::stack::{self, Stack};
use crate::template::Template;
use crate::translate::translate;

/// The parameter that names what is deployed.
const RELEASE: &str = "Release";

/// A change of the template before it is deployed, as "take this permission away".
pub type Edit = Box<dyn Fn(&mut Value) + Send + Sync>;

/// What to deploy.
#[derive(Default)]
pub struct DeployOptions {
    /// The template file.
    pub template: PathBuf,
    /// The stack's name; "hostler" when empty.
    pub stack_name: String,
    /// The binary of each function, by the last folder of its CodeUri (`relay-outbox` for
    /// `target/lambda/relay-outbox/`).
    pub functions: BTreeMap<String, PathBuf>,
    /// Values of the template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// A change of the template, made on its JSON form with `Fn::` long forms.
    pub edit: Option<Edit>,
    /// Who is told about progress.
    pub progress: Progress,
}

impl fmt::Debug for DeployOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployOptions")
            .field("template", &self.template)
            .field("stack_name", &self.stack_name)
            .field("functions", &self.functions)
            .field("parameters", &self.parameters)
            .field("edited", &self.edit.is_some())
            .finish_non_exhaustive()
    }
}

impl Cloud {
    /// Deploys a template into an account and waits until it is complete. A stack of that name which is
    /// already there is updated; creating it again would wipe its tables.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::NoBinary`], [`Error::Aws`], and [`Error::Stack`] with the reasons of the
    /// resources that failed.
    pub async fn deploy(&self, account: &Account, options: DeployOptions) -> Result<Stack, Error> {
        let name = if options.stack_name.is_empty() { "hostler" } else { &options.stack_name };
        let mut template = Template::load(&options.template)?;
        if let Some(edit) = &options.edit {
            edit(&mut template.body);
        }
        options.progress.tell("uploading the functions");
        let here = self.runs_functions_here();
        let bucket = package::upload_code(account, &mut template, &options.functions, here).await?;
        let parameters = named(&template, options.parameters);
        translate(&mut template, &parameters, &options.progress).await?;
        let template_url = package::upload_template(account, &bucket, &template.body).await?;

        options.progress.tell("deploying the template");
        let client = Client::new(&account.sdk_config());
        let request = Request { client: &client, name, template_url, parameters: &parameters };
        match stack::status(&client, name).await? {
            None => request.create().await?,
            // What remains of a failed creation can only be deleted.
            Some(status) if status == "ROLLBACK_COMPLETE" || status == "ROLLBACK_FAILED" => {
                stack::delete(&client, name).await?;
                request.create().await?;
            }
            Some(_) => request.update().await?,
        }
        stack::wait_until_complete(&client, name).await?;
        Stack::read(&client, account, name).await
    }
}

/// The parameters with a name for what they make together: where functions work by an alias, new values of parameters reach it
/// with a new release only.
fn named(template: &Template, mut parameters: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if template.body["Parameters"].get(RELEASE).is_some() && !parameters.contains_key(RELEASE) {
        let mut hasher = DefaultHasher::new();
        parameters.hash(&mut hasher);
        parameters.insert(RELEASE.to_owned(), format!("{:016x}", hasher.finish()));
    }
    parameters
}

struct Request<'a> {
    client: &'a Client,
    name: &'a str,
    template_url: String,
    parameters: &'a BTreeMap<String, String>,
}

impl Request<'_> {
    async fn create(&self) -> Result<(), Error> {
        let sent = self
            .client
            .create_stack()
            .stack_name(self.name)
            .template_url(&self.template_url)
            .set_parameters(Some(self.parameters()))
            .set_capabilities(Some(capabilities()))
            .send()
            .await;
        sent.map(drop).map_err(Error::aws(format!("creating stack {}", self.name)))
    }

    async fn update(&self) -> Result<(), Error> {
        let sent = self
            .client
            .update_stack()
            .stack_name(self.name)
            .template_url(&self.template_url)
            .set_parameters(Some(self.parameters()))
            .set_capabilities(Some(capabilities()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            // CloudFormation's way to say that the stack already is as asked.
            Err(error) if stack::message(&error).contains("No updates are to be performed") => Ok(()),
            Err(error) => Err(Error::aws(format!("updating stack {}", self.name))(error)),
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        let parameter = |(key, value): (&String, &String)| {
            Parameter::builder().parameter_key(key).parameter_value(value).build()
        };
        self.parameters.iter().map(parameter).collect()
    }
}

fn capabilities() -> Vec<Capability> {
    vec![Capability::CapabilityIam, Capability::CapabilityNamedIam, Capability::CapabilityAutoExpand]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::path::Path;

    fn release(template: &str, parameters: &[(&str, &str)]) -> Option<String> {
        let template = Template::parse(template, Path::new("template.yaml")).unwrap();
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        named(&template, parameters.collect()).remove(RELEASE)
    }

    #[test]
    fn new_values_of_parameters_are_a_new_release() {
        let with = "Parameters: {Release: {Type: String}, Max: {Type: Number}}\nResources: {}\n";
        let once = release(with, &[("Max", "1")]);
        assert!(once.is_some());
        assert_eq!(once, release(with, &[("Max", "1")]));
        assert_ne!(once, release(with, &[("Max", "2")]));
        assert_eq!(release(with, &[("Max", "1"), ("Release", "mine")]).as_deref(), Some("mine"));
        assert_eq!(release("Parameters: {Max: {Type: Number}}\nResources: {}\n", &[("Max", "1")]), None);
    }
}
