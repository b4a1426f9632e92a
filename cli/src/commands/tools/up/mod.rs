//! `up`: the local cloud — endpoint, functions, a fleet of hosts — until it is told to stop.

mod demo;
mod enrol;
mod script;
mod start;

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::api::HostRow;
use crate::application::Application;
use crate::error::CliError;
use crate::output::Out;
use crate::render::{table, time};
use crate::state::Lock;
use crate::steps::Steps;
use crate::stop::Stop;
use crate::target::Global;
use crate::values::count;

use script::Script;
use start::Running;

const EXAMPLES: &str = "\
Examples:
  cargo hostler up                  24 hosts, until Ctrl-C
  cargo hostler up --demo           shows the system at work first
  cargo hostler up --iam            every function with its own role and nothing more
  cargo hostler up --hosts 100 --port 4566
  cargo hostler up --example orders --demo   another application, from the folder examples/";
/// How often the status line is renewed.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// What `up` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    /// How many hosts the fleet has
    #[arg(long, default_value_t = 24, value_parser = count(1..=200_u16))]
    pub(crate) hosts: u16,
    /// Show the system at work first: ten hosts into service, and one that fails and is taken back; or what another
    /// application describes in infra/demo.json
    #[arg(long)]
    pub(crate) demo: bool,
    /// Enforce IAM policies, as AWS does
    #[arg(long)]
    pub(crate) iam: bool,
    /// Only note which role a host has, instead of having Ansible apply it
    #[arg(long)]
    pub(crate) plain: bool,
    /// Stop after the demo also on a terminal
    #[arg(long, requires = "demo")]
    pub(crate) stop_after_demo: bool,
    /// The endpoint's port [default: a free one]
    #[arg(long, value_parser = count(1..=u16::MAX))]
    pub(crate) port: Option<u16>,
    /// Run the application in examples/<NAME> instead
    #[arg(long, value_name = "NAME", conflicts_with = "app")]
    pub(crate) example: Option<String>,
}

/// Brings it up and stays.
pub(crate) async fn run(args: UpArgs, global: &Global, out: Out) -> Result<(), CliError> {
    if global.stack.is_some() {
        return Err(CliError::Usage("up starts the local cloud: leave --stack away".to_owned()));
    }
    let mut application = global.application()?;
    if let Some(example) = &args.example {
        application = self::example(&application, example)?;
    }
    let demo = if args.demo { Some(Demo::of(&application)?) } else { None };
    let lock = Lock::take(&application)?;
    let mut stop = Stop::listen()?;
    let steps = Steps::new(out);
    let mut staying = false;
    let ended = tokio::select! {
        // Dropping the work half-way ends what it started.
        ended = work(&args, (&application, demo.as_ref()), &lock, &steps, out, &mut staying) => ended,
        () = stop.asked() => Ok(Ended::Asked),
    };
    steps.clear();
    drop(lock);
    match ended? {
        Ended::Asked if staying => out.say("\nThe local cloud is stopped."),
        Ended::Asked => Err(CliError::Outcome("stopped before it was up".to_owned())),
        Ended::Done => Ok(()),
    }
}

/// An application among the examples.
fn example(application: &Application, name: &str) -> Result<Application, CliError> {
    let examples = application.root().join("examples");
    let found = Application::find(Some(&examples.join(name)));
    found.map_err(|_| {
        let entries = std::fs::read_dir(&examples).into_iter().flatten().filter_map(Result::ok);
        let names: Vec<String> = entries
            .filter(|entry| entry.path().join("template.yaml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let hint = crate::near::hint(name, names.iter().map(String::as_str));
        CliError::NotFound { what: "example".into(), name: name.to_owned(), hint, list: None }
    })
}

/// What there is to be seen.
enum Demo {
    /// Hosts into service, and one that is taken back.
    DataCentre,
    /// What the application describes.
    Told(Script),
}

impl Demo {
    fn of(application: &Application) -> Result<Self, CliError> {
        match Script::of(application.root())? {
            Some(script) => Ok(Self::Told(script)),
            None if application.has_fleet()? => Ok(Self::DataCentre),
            None => Err(CliError::Usage(format!(
                "the application in {} describes no demo: write one to {}, or leave --demo away",
                application.root().display(),
                script::FILE
            ))),
        }
    }
}

/// Why it ended.
enum Ended {
    Asked,
    Done,
}

async fn work(
    args: &UpArgs,
    (application, demo): (&Application, Option<&Demo>),
    lock: &Lock,
    steps: &Steps,
    out: Out,
    staying: &mut bool,
) -> Result<Ended, CliError> {
    let started = Instant::now();
    let running = start::start(args, application, lock, steps).await?;
    steps.clear();
    tell(&running, started.elapsed(), out)?;
    if let Some(demo) = demo {
        match demo {
            Demo::DataCentre => demo::run(&running, args, steps, out, started).await?,
            Demo::Told(script) => script.play(&running, steps, out, started).await?,
        }
        if args.stop_after_demo || !out.terminal {
            let step = steps.begin("stopping");
            running.stop().await;
            step.done("stopped everything", "")?;
            return Ok(Ended::Done);
        }
        match demo {
            Demo::DataCentre => out.say(demo::HINTS)?,
            Demo::Told(script) => out.say(script.hints())?,
        }
    }
    *staying = true;
    stay(&running, steps, out, started).await
}

/// Says where everything is.
fn tell(running: &Running, took: Duration, out: Out) -> Result<(), CliError> {
    let state = &running.state;
    if out.json {
        return out.json_line(&json!({ "up": state, "seconds": took.as_secs_f64() }));
    }
    let stack = state.stack.as_ref();
    let rows = [
        ("endpoint", state.endpoint.clone()),
        ("account", stack.map(|stack| stack.account.clone())),
        ("API", stack.map(|stack| stack.api_url.clone())),
        ("fleet", Some(state.fleet.as_ref().map_or("none".to_owned(), |fleet| fleet.url.clone()))),
        ("metrics", state.monitoring.as_ref().map(|monitoring| monitoring.prometheus.clone())),
        ("alerts", state.monitoring.as_ref().map(|monitoring| monitoring.alertmanager.clone())),
        ("traffic", state.traffic.clone()),
        ("disks", state.disks.clone()),
        ("logs", Some(state.log_dir.clone())),
        ("aws CLI", Some("eval \"$(cargo hostler env)\" && aws dynamodb list-tables".to_owned())),
    ];
    out.line(format!("\n{}", out.bold(format!("The local cloud is up after {}.", time::span(took)))))?;
    for (name, value) in rows {
        let Some(value) = value else { continue };
        out.line(format!("  {}  {value}", out.faint(format!("{name:<8}"))))?;
    }
    out.line("")
}

/// Stays until somebody stops us, with a line that tells how things stand.
async fn stay(running: &Running, steps: &Steps, out: Out, started: Instant) -> Result<Ended, CliError> {
    if !out.terminal {
        out.say("It runs until SIGINT or SIGTERM; `cargo hostler down` stops it.")?;
        // The signals are listened for by whoever called; nothing is left to do here.
        return std::future::pending().await;
    }
    let _step = steps.begin("");
    loop {
        steps.show(status(running, started).await);
        tokio::time::sleep(STATUS_PAUSE).await;
    }
}

async fn status(running: &Running, started: Instant) -> String {
    let api = &running.target.api;
    let up = time::span(started.elapsed());
    let sagas = match api.sagas(None).await {
        Ok(sagas) => sagas,
        Err(error) => return format!("{error}   up {up}, Ctrl-C stops"),
    };
    let sagas = table::tally(sagas.iter().map(|row| row.state.status.as_str()));
    // Only the data centre has hosts.
    let hosts = match api.rows::<HostRow>(None).await {
        Ok(hosts) if !hosts.is_empty() => {
            format!("hosts: {}   ", table::tally(hosts.iter().map(|row| row.phase.as_str())))
        }
        _ => String::new(),
    };
    format!("{hosts}sagas: {sagas}   up {up}, Ctrl-C stops")
}
