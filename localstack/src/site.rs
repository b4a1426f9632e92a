//! A whole site on a local cloud: an account of its own, the deployed template, a fleet, and monitoring if it is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;

use crate::account::Account;
use crate::balancer::{Balancer, BalancerOptions};
use crate::configuration::{ConfigurationOptions, ConfigurationRunner};
use crate::deploy::{DeployOptions, Edit};
use crate::endpoint::Cloud;
use crate::error::Error;
use crate::fleet::{Fleet, FleetOptions};
use crate::monitoring::{Monitoring, MonitoringOptions, Watched};
use crate::progress::Progress;
use crate::stack::Stack;
use crate::template::Template;

/// Where a site's parameters are, below the workspace's root.
const SITES: &str = "infra/sites";
/// The parameters with tokens by which programs of the site prove who they are, where a template has them.
const TOKENS: [&str; 3] = ["MonitoringToken", "SignalToken", "AgentToken"];

/// What site to start.
#[derive(Default)]
pub struct SiteOptions {
    /// The workspace's root, where template.yaml is.
    pub root: PathBuf,
    /// The site's name: its parameters are in `infra/sites/<name>.json`. `local` when empty.
    pub name: String,
    /// The binary of each function, as [`crate::build_functions`] gives them.
    pub functions: BTreeMap<String, PathBuf>,
    /// Parameters over those of the file.
    pub parameters: BTreeMap<String, String>,
    /// A change of the template before it is deployed.
    pub edit: Option<Edit>,
    /// The fleet; its callback route and its password are the site's.
    pub fleet: FleetOptions,
    /// Whether Prometheus and Alertmanager watch the hosts. Without them every host is taken for well.
    pub monitoring: bool,
    /// The backends of the HAProxy that sends requests to hosts. Without any there is no HAProxy.
    pub backends: Vec<String>,
    /// Whether roles are applied by Ansible, and from which folder when not from infra/roles. Without it they are only noted.
    pub configuration: Option<Configured>,
    /// Who is told about progress.
    pub progress: Progress,
}

/// By what hosts are configured.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// The folder of the roles; infra/roles without one.
    pub roles: Option<PathBuf>,
}

impl fmt::Debug for SiteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteOptions")
            .field("root", &self.root)
            .field("name", &self.name)
            .field("parameters", &self.parameters.keys())
            .field("hosts", &self.fleet.hosts)
            .field("monitoring", &self.monitoring)
            .field("backends", &self.backends)
            .field("configuration", &self.configuration)
            .finish_non_exhaustive()
    }
}

/// A site's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteFile {
    /// What the site is for; for readers.
    #[serde(default, rename = "description")]
    _description: String,
    /// The template's parameters. Those that are JSON documents may be written as such.
    parameters: BTreeMap<String, serde_json::Value>,
}

/// A running site. It ends when it is dropped.
pub struct Site {
    /// Its account.
    pub account: Account,
    /// What is deployed.
    pub stack: Stack,
    /// Its hosts.
    pub fleet: Fleet,
    /// What watches them, if anything does.
    pub monitoring: Option<Monitoring>,
    /// What sends them requests, if anything does.
    pub balancer: Option<Balancer>,
    /// What configures them, if not the plain driver.
    pub configuration: Option<ConfigurationRunner>,
    /// The template's parameters it was deployed with.
    pub parameters: BTreeMap<String, String>,
}

impl fmt::Debug for Site {
    /// Without the parameters' values: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("stack", &self.stack.name).finish_non_exhaustive()
    }
}

impl Site {
    /// Starts a site in a fresh account.
    ///
    /// # Errors
    /// Those of [`Cloud::deploy`] and [`Fleet::start`], and [`Error::File`] when the site's file cannot be read.
    pub async fn start(cloud: &Cloud, options: SiteOptions) -> Result<Self, Error> {
        let SiteOptions {
            root,
            name,
            functions,
            parameters,
            edit,
            mut fleet,
            monitoring,
            backends,
            configuration,
            progress,
        } = options;
        let account = cloud.new_account();
        fleet.callback = account.callback_route();
        fleet.progress = progress.clone();
        fleet.password = secret(1);
        let mut values = site_parameters(&root, if name.is_empty() { "local" } else { &name })?;
        values.insert("Architecture".to_owned(), architecture());
        values.insert("CallbackKey".to_owned(), secret(4));
        values.insert("BmcUsername".to_owned(), fleet.username.clone());
        values.insert("BmcPassword".to_owned(), fleet.password.clone());
        let template = Template::load(root.join("template.yaml"))?;
        for name in TOKENS.iter().filter(|name| template.body["Parameters"].get(**name).is_some()) {
            values.insert((*name).to_owned(), secret(2));
        }
        let monitoring = match monitoring {
            true => Some(start_monitoring(&root, &fleet, &progress).await?),
            false => None,
        };
        if let Some(monitoring) = &monitoring {
            values.insert("PrometheusUrl".to_owned(), monitoring.prometheus_url());
        }
        let balancer = match backends.is_empty() {
            true => None,
            false => Some(start_balancer(&root, backends, &fleet, &progress).await?),
        };
        if let Some(balancer) = &balancer {
            values.insert("HaproxyAddress".to_owned(), balancer.api());
        }
        let mut configuration = match configuration {
            Some(configured) => Some(start_runner(&root, configured, &fleet, &progress).await?),
            None => None,
        };
        if let Some(runner) = &configuration {
            values.insert("RunnerUrl".to_owned(), runner.url());
            values.insert("RunnerToken".to_owned(), runner.token().to_owned());
            fleet.roots = Some(runner.roots());
        }
        values.extend(parameters);
        if let Some(token) = values.get("AgentToken") {
            fleet.agent_token.clone_from(token);
        }
        if let Some(image) = values.get("CleaningImage") {
            fleet.cleaning_image.clone_from(image);
        }
        let deploy = DeployOptions {
            template: root.join("template.yaml"),
            stack_name: "hostler".to_owned(),
            functions,
            parameters: values.clone(),
            edit,
            progress,
        };
        let roots = fleet.roots.clone();
        let (stack, mut fleet) = tokio::try_join!(cloud.deploy(&account, deploy), Fleet::start(fleet))?;
        let token = |name: &str| values.get(name).map(String::as_str);
        if let Some(monitoring) = &monitoring {
            let api_url = stack.api_url()?;
            let (monitoring_token, signal_token) =
                (token("MonitoringToken").unwrap_or_default(), token("SignalToken"));
            monitoring.watch(&Watched { api_url: &api_url, monitoring_token, signal_token })?;
        }
        if let Some(runner) = &mut configuration {
            runner.report_to(&stack.api_url()?)?;
        }
        if let (Some(roots), Some(token)) = (roots, token("SignalToken")) {
            fleet.start_agents(roots, &stack.api_url()?, token);
        }
        Ok(Self { account, stack, fleet, monitoring, balancer, configuration, parameters: values })
    }

    /// Ends the fleet, and what watches, configures and sends requests to it. The stack goes with its endpoint.
    pub async fn stop(self) {
        drop((self.monitoring, self.balancer));
        drop(self.configuration);
        self.fleet.stop().await;
    }
}

async fn start_balancer(
    root: &Path,
    backends: Vec<String>,
    fleet: &FleetOptions,
    progress: &Progress,
) -> Result<Balancer, Error> {
    let (root, log_dir, progress) = (root.to_owned(), fleet.log_dir.clone(), progress.clone());
    Balancer::start(BalancerOptions { root, backends, log_dir, progress }).await
}

async fn start_runner(
    root: &Path,
    configured: Configured,
    fleet: &FleetOptions,
    progress: &Progress,
) -> Result<ConfigurationRunner, Error> {
    let (log_dir, progress) = (fleet.log_dir.clone(), progress.clone());
    let Configured { roles } = configured;
    ConfigurationRunner::start(ConfigurationOptions { root: root.to_owned(), roles, log_dir, progress }).await
}

async fn start_monitoring(
    root: &Path,
    fleet: &FleetOptions,
    progress: &Progress,
) -> Result<Monitoring, Error> {
    let (log_dir, progress) = (fleet.log_dir.clone(), progress.clone());
    Monitoring::start(MonitoringOptions { root: root.to_owned(), log_dir, progress }).await
}

/// The template's parameters of a site, from `infra/sites/<name>.json` below the workspace's root.
///
/// # Errors
/// [`Error::File`] when there is no such file, [`Error::Site`] when it does not read.
pub fn site_parameters(root: &Path, name: &str) -> Result<BTreeMap<String, String>, Error> {
    let path = root.join(SITES).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let file: SiteFile = serde_json::from_str(&text).map_err(|source| Error::Site { path, source })?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        document => document.to_string(),
    };
    Ok(file.parameters.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// This machine's architecture, as Lambda calls it.
pub(crate) fn architecture() -> String {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }.to_owned()
}

/// A secret of this run: 32 hexadecimal digits for each of `parts`, of which 18 or more are random.
pub(crate) fn secret(parts: usize) -> String {
    (0..parts).map(|_| Uuid::now_v7().simple().to_string()).collect()
}
