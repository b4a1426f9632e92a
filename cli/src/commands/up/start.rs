//! Starting everything, step by step.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hostler_localstack::fleet::FleetHost;
use hostler_localstack::template::Template;
use hostler_localstack::{
    Cloud, CloudOptions, DeployOptions, EndpointKind, Fleet, FleetOptions, Progress, Stack,
};
use jiff::Timestamp;

use super::UpArgs;
use super::build;
use super::enrol::{self, Placed};
use super::site::{self, Site};
use crate::error::CliError;
use crate::state::{LocalStack, LocalState, Lock};
use crate::steps::Steps;
use crate::target::Target;
use crate::workspace::Workspace;

const STACK: &str = "hostler";
/// The pool of the fleet.
pub(crate) const POOL: &str = "web";
/// The pool of the demo's failing host.
pub(crate) const LAB: &str = "lab";

/// What runs. Dropping it ends everything.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where it is.
    pub(crate) state: LocalState,
    /// How it is reached.
    pub(crate) target: Target,
    fleet: Fleet,
    cloud: Cloud,
}

impl Running {
    /// Ends everything and waits for it.
    pub(crate) async fn stop(self) {
        self.fleet.stop().await;
        self.cloud.stop().await;
    }
}

/// Starts everything; afterwards all hosts are available.
pub(crate) async fn start(
    args: &UpArgs,
    workspace: &Workspace,
    lock: &Lock,
    steps: &Steps,
) -> Result<Running, CliError> {
    let mut state = LocalState {
        pid: std::process::id(),
        started_at: Timestamp::now(),
        endpoint: None,
        stack: None,
        fleet_admin_url: None,
        log_dir: workspace.log_dir().display().to_string(),
    };
    lock.publish(&state)?;
    let functions = build(workspace, steps).await?;
    let cloud = endpoint(args, workspace, steps).await?;
    state.endpoint = Some(cloud.url().to_owned());

    let password = site::secret(1);
    let stack = deploy(&cloud, workspace, functions, &password, steps).await?;
    let fleet = fleet(args, &stack, workspace, &password, steps).await?;
    state.fleet_admin_url = Some(fleet.admin_url());
    state.stack = Some(LocalStack {
        name: stack.name.clone(),
        account: stack.account.id().to_owned(),
        api_url: stack.api_url()?,
        outputs: stack.outputs.clone(),
    });
    lock.publish(&state)?;
    let target = Target::open_local(state.clone())?;
    enrol::enrol(&target.api, &place(fleet.hosts(), args.demo), steps).await?;
    Ok(Running { state, target, fleet, cloud })
}

/// Who goes where: all into one pool, but for the demo's last one.
fn place(hosts: &[FleetHost], demo: bool) -> Vec<Placed> {
    let last = hosts.len().saturating_sub(1);
    let placed = |(index, host): (usize, &FleetHost)| {
        if demo && index == last {
            let labels = [("simulate.configure".to_owned(), "fail".to_owned())];
            Placed { host: host.clone(), pool: LAB, labels: labels.into() }
        } else {
            Placed { host: host.clone(), pool: POOL, labels: BTreeMap::new() }
        }
    };
    hosts.iter().enumerate().map(placed).collect()
}

async fn build(workspace: &Workspace, steps: &Steps) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let step = steps.begin("building the functions");
    let template = Template::load(workspace.template())?;
    let names = build::names(&template);
    let functions = build::build(workspace, &names, steps).await?;
    step.done(&format!("built {} functions", functions.len()), "")?;
    Ok(functions)
}

async fn endpoint(args: &UpArgs, workspace: &Workspace, steps: &Steps) -> Result<Cloud, CliError> {
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
        log_dir: Some(workspace.log_dir()),
        progress: progress(steps),
        ..CloudOptions::default()
    })
    .await?;
    let iam = if args.iam { ", IAM policies enforced" } else { "" };
    step.done("started the AWS endpoint", &format!("{}{iam}", cloud.url()))?;
    Ok(cloud)
}

async fn deploy(
    cloud: &Cloud,
    workspace: &Workspace,
    functions: BTreeMap<String, PathBuf>,
    bmc_password: &str,
    steps: &Steps,
) -> Result<Stack, CliError> {
    let step = steps.begin("deploying template.yaml");
    let mut parameters = Site::load(workspace, "local")?.parameters();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    parameters.insert("Architecture".to_owned(), architecture.to_owned());
    parameters.insert("CallbackKey".to_owned(), site::secret(4));
    parameters.insert("BmcPassword".to_owned(), bmc_password.to_owned());
    let stack = cloud
        .deploy(
            &cloud.new_account(),
            DeployOptions {
                template: workspace.template(),
                stack_name: STACK.to_owned(),
                functions,
                parameters,
                edit: None,
                progress: progress(steps),
            },
        )
        .await?;
    let account = stack.account.id();
    step.done("deployed template.yaml", &format!("{} resources, account {account}", stack.resources.len()))?;
    Ok(stack)
}

async fn fleet(
    args: &UpArgs,
    stack: &Stack,
    workspace: &Workspace,
    password: &str,
    steps: &Steps,
) -> Result<Fleet, CliError> {
    let step = steps.begin("starting the fleet");
    let parameters = Site::load(workspace, "local")?.parameters();
    let username = parameters.get("BmcUsername").cloned().unwrap_or_else(|| "admin".to_owned());
    let fleet = Fleet::start(FleetOptions {
        // The demo's failing host comes on top.
        hosts: usize::from(args.hosts) + usize::from(args.demo),
        callback: stack.callback_route(),
        username,
        password: password.to_owned(),
        log_dir: Some(workspace.log_dir()),
        progress: progress(steps),
        ..FleetOptions::default()
    })
    .await?;
    step.done(&format!("started {} hosts with BMCs", fleet.hosts().len()), fleet.url())?;
    Ok(fleet)
}

fn progress(steps: &Steps) -> Progress {
    let steps = steps.clone();
    Progress::new(move |text| steps.show(text))
}
