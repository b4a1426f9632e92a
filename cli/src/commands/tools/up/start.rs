//! Starting everything, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hostler_localstack::fleet::FleetHost;
use hostler_localstack::{
    ApplicationOptions, Balancer, Build, Capability, Cloud, CloudOptions, ConfigurationRunner, Configured,
    EndpointKind, Fleet, FleetOptions, Monitoring, Progress, Site, SiteOptions, Stack, build_functions,
};
use jiff::Timestamp;

use super::UpArgs;
use super::enrol::{self, Placed};
use crate::application::Application;
use crate::commands::datacentre::policies::apply;
use crate::commands::datacentre::policies::file::read;
use crate::error::CliError;
use crate::state::{LocalMonitoring, LocalStack, LocalState, Lock};
use crate::steps::Steps;
use crate::target::Target;

/// The policies of the local cloud's site.
const POLICIES: &str = "infra/sites/local.yaml";
/// The pool of the fleet.
pub(crate) const POOL: &str = "web";
/// The pool of the host that is there to be broken.
pub(crate) const LAB: &str = "lab";

/// What runs. Dropping it ends everything.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where it is.
    pub(crate) state: LocalState,
    /// How it is reached.
    pub(crate) target: Target,
    fleet: Option<Fleet>,
    monitoring: Option<Monitoring>,
    balancer: Option<Balancer>,
    configuration: Option<ConfigurationRunner>,
    cloud: Cloud,
}

impl Running {
    /// Ends everything and waits for it.
    pub(crate) async fn stop(self) {
        drop((self.monitoring, self.balancer));
        drop(self.configuration);
        if let Some(fleet) = self.fleet {
            fleet.stop().await;
        }
        self.cloud.stop().await;
    }
}

/// Starts everything; afterwards all hosts, if there are any, are available.
pub(crate) async fn start(
    args: &UpArgs,
    application: &Application,
    lock: &Lock,
    steps: &Steps,
) -> Result<Running, CliError> {
    let mut state = LocalState {
        pid: std::process::id(),
        started_at: Timestamp::now(),
        endpoint: None,
        stack: None,
        fleet: None,
        monitoring: None,
        traffic: None,
        signal_token: None,
        disks: None,
        log_dir: application.log_dir().display().to_string(),
    };
    lock.publish(&state)?;
    let functions = build(application, steps).await?;
    let cloud = endpoint(args, application, steps).await?;
    state.endpoint = Some(cloud.url().to_owned());

    let (stack, fleet, monitoring, balancer, configuration) = match application.has_fleet()? {
        true => {
            let Site { stack, fleet, monitoring, balancer, configuration, mut parameters, .. } =
                site(args, &cloud, application, functions, steps).await?;
            state.signal_token = parameters.remove("SignalToken");
            (stack, Some(fleet), monitoring, balancer, configuration)
        }
        false => (deploy(&cloud, application, functions, steps).await?, None, None, None, None),
    };
    state.disks = configuration.as_ref().map(|runner| runner.roots().folder().display().to_string());
    state.monitoring = monitoring.as_ref().map(|monitoring| LocalMonitoring {
        prometheus: monitoring.prometheus_url(),
        alertmanager: monitoring.alertmanager_url(),
    });
    state.traffic = balancer.as_ref().map(Balancer::url);
    state.fleet = fleet.as_ref().map(Fleet::access);
    state.stack = Some(LocalStack {
        name: stack.name.clone(),
        account: stack.account.id().to_owned(),
        api_url: stack.api_url()?,
        outputs: stack.outputs.clone(),
    });
    lock.publish(&state)?;
    let target = Target::open_local(state.clone())?;
    if let Some(fleet) = &fleet {
        policies(&target, application, steps).await?;
        enrol::enrol(&target.api, &place(fleet.hosts(), args.demo), steps).await?;
    }
    Ok(Running { state, target, fleet, monitoring, balancer, configuration, cloud })
}

/// Has the site follow its file, where it has one.
async fn policies(target: &Target, application: &Application, steps: &Steps) -> Result<(), CliError> {
    let file = application.root().join(POLICIES);
    if !file.exists() {
        return Ok(());
    }
    let step = steps.begin("applying the site's policies");
    apply(&target.api, &file, "the local cloud was started", None).await?;
    step.done("applied the site's policies", POLICIES)
}

/// Deploys an application that has no hosts.
async fn deploy(
    cloud: &Cloud,
    application: &Application,
    functions: BTreeMap<String, PathBuf>,
    steps: &Steps,
) -> Result<Stack, CliError> {
    let step = steps.begin("deploying template.yaml");
    let account = cloud.new_account();
    let options = ApplicationOptions {
        root: application.root().to_owned(),
        functions,
        parameters: BTreeMap::new(),
        progress: progress(steps),
    };
    let stack = cloud.deploy_application(&account, options).await?;
    let resources = stack.resources.len();
    step.done("deployed template.yaml", &format!("{resources} resources, account {}", account.id()))?;
    Ok(stack)
}

/// Who goes where: all into one pool, but for the last one, which is there to be broken. The demo breaks it.
fn place(hosts: &[FleetHost], demo: bool) -> Vec<Placed> {
    let last = hosts.len().saturating_sub(1);
    let placed = |(index, host): (usize, &FleetHost)| {
        if index == last {
            let broken = demo.then(|| ("simulate.configure".to_owned(), "fail".to_owned()));
            Placed { host: host.clone(), pool: LAB, labels: broken.into_iter().collect() }
        } else {
            Placed { host: host.clone(), pool: POOL, labels: BTreeMap::new() }
        }
    };
    hosts.iter().enumerate().map(placed).collect()
}

async fn build(application: &Application, steps: &Steps) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let step = steps.begin("building the functions");
    let functions = build_functions(application.root(), Build::Dev, &progress(steps)).await?;
    step.done(&format!("built {} functions", functions.len()), "")?;
    Ok(functions)
}

async fn endpoint(args: &UpArgs, application: &Application, steps: &Steps) -> Result<Cloud, CliError> {
    let step = steps.begin("starting the AWS endpoint");
    if let Some(port) = args.port {
        // Bound and let go at once, to say early and plainly when somebody else has it.
        std::net::TcpListener::bind(("127.0.0.1", port)).map_err(CliError::failed(format!(
            "port {port} cannot be used: choose another with --port, or leave it away for a free one"
        )))?;
    }
    let cloud = Cloud::start(CloudOptions {
        kind: EndpointKind::from_env()?,
        enforce_iam: args.iam,
        port: args.port,
        log_dir: Some(application.log_dir()),
        progress: progress(steps),
        ..CloudOptions::default()
    })
    .await?;
    let iam = if args.iam { ", IAM policies enforced" } else { "" };
    step.done("started the AWS endpoint", &format!("{}{iam}", cloud.url()))?;
    Ok(cloud)
}

async fn site(
    args: &UpArgs,
    cloud: &Cloud,
    application: &Application,
    functions: BTreeMap<String, PathBuf>,
    steps: &Steps,
) -> Result<Site, CliError> {
    let kind = EndpointKind::from_env()?;
    let (lacking, no_balancer) = (no_monitoring(&kind), lacks(&kind, Balancer::missing_here));
    let backends = backends(application)?;
    let plain = no_runner(&kind, args);
    let step = steps.begin("deploying template.yaml");
    let fleet = FleetOptions {
        // The lab's host comes on top.
        hosts: usize::from(args.hosts) + 1,
        log_dir: Some(application.log_dir()),
        ..FleetOptions::default()
    };
    let options = SiteOptions {
        root: application.root().to_owned(),
        functions,
        fleet,
        monitoring: lacking.is_none(),
        backends: if no_balancer.is_none() { backends } else { Vec::new() },
        configuration: plain.is_none().then(Configured::default),
        progress: progress(steps),
        ..SiteOptions::default()
    };
    let site = Site::start(cloud, options).await?;
    let (resources, account) = (site.stack.resources.len(), site.account.id());
    step.done("deployed template.yaml", &format!("{resources} resources, account {account}"))?;
    let hosts = site.fleet.hosts().len();
    steps.begin("starting the fleet").done(&format!("started {hosts} hosts with BMCs"), site.fleet.url())?;
    let step = steps.begin("starting the configuration runner");
    match (&site.configuration, plain) {
        (Some(runner), _) => step.done("started the configuration runner", &runner.url())?,
        (None, plain) => step.done("no Ansible: roles are only noted", &plain.unwrap_or_default())?,
    }
    let step = steps.begin("starting Prometheus and Alertmanager");
    match (&site.monitoring, lacking) {
        (Some(monitoring), _) => {
            step.done("started Prometheus and Alertmanager", &monitoring.prometheus_url())?;
        }
        (None, lacking) => {
            step.done("no monitoring: hosts are taken for well", &lacking.unwrap_or_default())?;
        }
    }
    let step = steps.begin("starting HAProxy");
    match (&site.balancer, no_balancer) {
        (Some(balancer), _) => step.done("started HAProxy", &format!("{}/web/", balancer.url()))?,
        (None, lacking) => {
            step.done("no load balancer: hosts get no requests", &lacking.unwrap_or_default())?;
        }
    }
    Ok(site)
}

/// The backends that the site's policies name.
fn backends(application: &Application) -> Result<Vec<String>, CliError> {
    let file = application.root().join(POLICIES);
    if !file.exists() {
        return Ok(Vec::new());
    }
    let pools = read(&file)?.pools;
    let named: BTreeSet<String> =
        pools.values().filter_map(|pool| Some(pool.traffic.as_ref()?.backend.to_string())).collect();
    Ok(named.into_iter().collect())
}

/// Why nothing watches the hosts: none where Prometheus can.
fn no_monitoring(kind: &EndpointKind) -> Option<String> {
    lacks(kind, Monitoring::missing_here)
}

/// What keeps a program of this machine from being used: none where it can be.
fn lacks(kind: &EndpointKind, missing_here: fn() -> Option<String>) -> Option<String> {
    match kind.can(Capability::Processes) {
        true => missing_here(),
        false => Some(format!("functions on {kind} do not reach what runs on this machine")),
    }
}

/// Why roles are only noted: none where Ansible can apply them.
fn no_runner(kind: &EndpointKind, args: &UpArgs) -> Option<String> {
    match (args.plain, kind.can(Capability::Processes)) {
        (true, _) => Some("as --plain asks".to_owned()),
        (false, true) => ConfigurationRunner::missing_here(),
        (false, false) => Some(format!("functions on {kind} do not reach what runs on this machine")),
    }
}

fn progress(steps: &Steps) -> Progress {
    let steps = steps.clone();
    Progress::new(move |text| steps.show(text))
}
