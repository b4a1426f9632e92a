//! What the commands talk to: the local cloud, or a stack on AWS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use clap::Args;
use hostler_localstack::{Account, HttpApi};
use hostler_runtime::messages::integrity::{Integrity, SigningKeys};

use crate::api::Api;
use crate::application::Application;
use crate::error::CliError;
use crate::output::Format;
use crate::state::{self, LocalState};

/// Options that all commands know.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// In which form to answer
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Global options"
    )]
    pub(crate) output: Format,
    /// The same as --output json
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// The application's folder [default: the nearest one with a template.yaml, from here upwards]
    #[arg(long, global = true, env = "HOSTLER_APP", value_name = "FOLDER", help_heading = "Global options")]
    pub(crate) app: Option<PathBuf>,
    /// Talk to the stack of this name on AWS instead of the local cloud
    #[arg(long, global = true, env = "HOSTLER_STACK", value_name = "NAME", help_heading = "Global options")]
    pub(crate) stack: Option<String>,
    /// The stack's AWS region, when not the one of the AWS profile
    #[arg(long, global = true, value_name = "REGION", help_heading = "Global options")]
    pub(crate) region: Option<String>,
    /// The deployment's SigningKeys, with which what is sent past the API is signed
    #[arg(
        long,
        global = true,
        env = "HOSTLER_SIGNING_KEYS",
        hide_env_values = true,
        value_name = "JSON",
        value_parser = signing_keys,
        help_heading = "Global options"
    )]
    pub(crate) signing_keys: Option<Arc<Integrity>>,
}

impl Global {
    /// In which form to answer.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }

    /// The application that is worked on.
    pub(crate) fn application(&self) -> Result<Application, CliError> {
        Application::find(self.app.as_deref())
    }
}

fn signing_keys(text: &str) -> Result<Arc<Integrity>, String> {
    let keys: SigningKeys = serde_json::from_str(text)
        .map_err(|_| "give the JSON object that the parameter SigningKeys has: keys, sign and require")?;
    Integrity::new(&keys).map(Arc::new).map_err(|error| error.to_string())
}

/// A deployed orchestrator, and how to reach it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its HTTP API.
    pub(crate) api: Api,
    /// For SDK clients.
    pub(crate) config: SdkConfig,
    /// What is sent past the API is signed by it.
    pub(crate) integrity: Arc<Integrity>,
    outputs: BTreeMap<String, String>,
    local: Option<LocalState>,
}

impl Target {
    /// Finds what the options name.
    ///
    /// # Errors
    /// [`CliError::NotRunning`] without a local cloud; those of AWS with a stack.
    pub(crate) async fn open(global: &Global) -> Result<Self, CliError> {
        let mut target = match &global.stack {
            Some(stack) => Self::open_aws(stack, global.region.clone()).await,
            None if global.region.is_some() => {
                Err(CliError::Usage("--region goes with --stack; the local cloud has but one".to_owned()))
            }
            None => Self::open_local(state::running(&global.application()?)?),
        }?;
        target.integrity = global.signing_keys.clone().unwrap_or_default();
        Ok(target)
    }

    /// The local cloud in a known state.
    pub(crate) fn open_local(state: LocalState) -> Result<Self, CliError> {
        let (Some(endpoint), Some(stack)) = (&state.endpoint, &state.stack) else {
            return Err(CliError::NotRunning { stale: " yet (one is just starting)".to_owned() });
        };
        let account = Account::at(endpoint, &stack.account);
        let config = account.sdk_config();
        let api = Self::api(&config, &stack.api_url, true)?;
        Ok(Self {
            api,
            config,
            integrity: Arc::default(),
            outputs: stack.outputs.clone(),
            local: Some(state),
        })
    }

    async fn open_aws(stack: &str, region: Option<String>) -> Result<Self, CliError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        let config = loader.load().await;
        let described = aws_sdk_cloudformation::Client::new(&config)
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .map_err(CliError::aws(format!(
                "stack {stack} cannot be read from CloudFormation: check its name, --region and the credentials"
            )))?;
        let outputs: BTreeMap<String, String> = described
            .stacks()
            .iter()
            .flat_map(|stack| stack.outputs())
            .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())))
            .collect();
        let url = wanted(&outputs, "ApiUrl")?;
        // With an endpoint that is not AWS's the API is not where the template believes it to be.
        let local = match (config.endpoint_url(), outputs.get("ApiId"), account_of(&outputs)) {
            (Some(endpoint), Some(api), Some(account)) => Some(HttpApi::new(endpoint, account, api).base_url),
            _ => None,
        };
        let api = Self::api(&config, local.as_deref().unwrap_or(url), local.is_some())?;
        Ok(Self { api, config, integrity: Arc::default(), outputs, local: None })
    }

    fn api(config: &SdkConfig, url: &str, local: bool) -> Result<Api, CliError> {
        let region = config.region().map(Region::as_ref).ok_or_else(|| {
            CliError::Usage("no AWS region is known: name it with --region or AWS_REGION".to_owned())
        })?;
        let credentials = config.credentials_provider().ok_or_else(|| {
            CliError::Usage(
                "no AWS credentials are configured: set AWS_PROFILE or AWS_ACCESS_KEY_ID".to_owned(),
            )
        })?;
        Api::new(url, region, credentials, local)
    }

    /// An output of the template.
    ///
    /// # Errors
    /// [`CliError::Usage`] when the deployed template is too old to have it.
    pub(crate) fn output(&self, name: &str) -> Result<&str, CliError> {
        wanted(&self.outputs, name)
    }

    /// All outputs of the template.
    pub(crate) fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// The queues' addresses by their logical names.
    ///
    /// # Errors
    /// [`CliError::Usage`] and [`CliError::Failed`] when the template does not tell.
    pub(crate) fn queues(&self) -> Result<BTreeMap<String, String>, CliError> {
        serde_json::from_str(self.output("QueueUrls")?).map_err(CliError::failed(
            "the stack's output QueueUrls is no JSON object: deploy the template again",
        ))
    }

    /// The local cloud, for commands that make sense there only.
    ///
    /// # Errors
    /// [`CliError::Usage`] on AWS.
    pub(crate) fn local(&self) -> Result<&LocalState, CliError> {
        self.local.as_ref().ok_or_else(|| {
            CliError::Usage("this works with the local cloud only: leave --stack away".to_owned())
        })
    }
}

fn wanted<'a>(outputs: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, CliError> {
    outputs.get(name).map(String::as_str).ok_or_else(|| {
        let has = outputs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        CliError::Usage(format!(
            "the stack has no output {name}, so it is not built on this runtime, or on an old one: deploy its template again (its outputs: {has})"
        ))
    })
}

/// The account in the address of a queue, `…/<account>/<name>`.
fn account_of(outputs: &BTreeMap<String, String>) -> Option<&str> {
    let queues = outputs.get("QueueUrls")?;
    let (_, after) = queues.split_once("://")?;
    after.split('/').nth(1)
}
