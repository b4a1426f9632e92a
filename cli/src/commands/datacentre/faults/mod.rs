//! `faults`: simulated hosts and BMCs that misbehave. There are some on the local cloud only.

mod args;
mod set;

use hostler_localstack::fleet::{Behaviour, Condition, Fault, FleetAdmin, HostStatus};

pub(crate) use args::FaultsArgs;
use args::{FaultsVerb, ListArgs};

use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: FaultsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let admin = super::fleet(&target)?;
    match args.verb {
        FaultsVerb::List(args) => list(&args, &admin, out).await,
        FaultsVerb::Set(args) => {
            status(&admin, args.host.as_str()).await?;
            set::run(&args, &admin).await?;
            tell(&admin, args.host.as_str(), out).await
        }
        FaultsVerb::Clear(args) => {
            let host = args.host.as_str();
            status(&admin, host).await?;
            admin.clear_faults(host).await?;
            admin.set_behaviour(host, &Behaviour::Succeeds).await?;
            admin.set_condition(host, Condition::Works).await?;
            tell(&admin, host, out).await
        }
    }
}

async fn list(args: &ListArgs, admin: &FleetAdmin, out: Out) -> Result<(), CliError> {
    let rows = match &args.host {
        Some(host) => vec![status(admin, host.as_str()).await?],
        None => {
            let mut rows = admin.hosts().await?;
            rows.retain(|row| {
                !row.faults.is_empty()
                    || row.behaviour != Behaviour::Succeeds
                    || row.condition != Condition::Works
            });
            rows
        }
    };
    let text = |rows: &[HostStatus]| rows.iter().map(describe).collect::<Vec<_>>().join("\n");
    out.list(&rows, |row| &row.host.host_id, "No faults are set.", text, |_| String::new())
}

/// How a host stands; an error with the nearest id where the fleet does not have it.
async fn status(admin: &FleetAdmin, host: &str) -> Result<HostStatus, CliError> {
    let all = admin.hosts().await?;
    require("simulated host", host, all.iter().map(|status| status.host.host_id.as_str()))?;
    let found = all.into_iter().find(|status| status.host.host_id == host);
    found.ok_or_else(|| CliError::Usage(format!("the fleet lost {host}: start it again with `hostler up`")))
}

async fn tell(admin: &FleetAdmin, host: &str, out: Out) -> Result<(), CliError> {
    let status = status(admin, host).await?;
    if out.json { out.document(&status) } else { out.line(describe(&status)) }
}

fn describe(status: &HostStatus) -> String {
    let faults: Vec<String> = status.faults.iter().map(fault_text).collect();
    let faults = if faults.is_empty() { "its BMC works".to_owned() } else { faults.join("; ") };
    let behaviour = match &status.behaviour {
        Behaviour::Succeeds => "it boots and calls back".to_owned(),
        Behaviour::NeverAnswers => "it boots and never calls back".to_owned(),
        Behaviour::Fails { reason } => format!("it boots and reports {reason:?}"),
        Behaviour::Slow { ms } => format!("it boots {ms} ms slower"),
    };
    let condition = match status.condition {
        Condition::Works => "",
        Condition::Hangs => "; its system hangs",
        Condition::ServiceDown => "; its service has failed",
        Condition::DiskFails => "; its disk is about to fail",
        Condition::Dead => "; it is dead",
    };
    let power = if status.boots.powered { "on" } else { "off" };
    format!("{}: {faults}; {behaviour}{condition}; power is {power}", status.host.host_id)
}

fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Busy503 { times } => format!("its BMC answers 503 to the next {times} requests"),
        Fault::Timeout { times, seconds } => {
            format!("its BMC ignores the next {times} requests for {seconds} s each")
        }
        Fault::LostAnswer { times, seconds } => {
            format!("its BMC's next {times} answers to changes are lost for {seconds} s each")
        }
        Fault::LiePower { times } => format!("its BMC lies about power at the next {times} reads"),
        Fault::Latency { ms } => format!("its BMC is {ms} ms slower"),
    }
}
