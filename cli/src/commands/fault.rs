//! `fault`: makes a simulated host or its BMC misbehave.

use clap::{Args, ValueEnum};
use hostler_localstack::fleet::{Behaviour, Fault, FleetAdmin, HostStatus};

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

const EXAMPLES: &str = "\
Examples:
  hostler fault h-03                               what is set
  hostler fault h-03 busy --times 3                its BMC answers 503 three times
  hostler fault h-03 lie-power --times 1           its BMC reports the wrong power state once
  hostler fault h-03 never-answers                 it boots and is never heard of again
  hostler fault h-03 slow --ms 5000                it takes 5 s longer to boot
  hostler fault h-03 clear";

/// What `fault` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FaultArgs {
    /// The host
    host: String,
    /// What goes wrong; without it what is set is shown
    kind: Option<Kind>,
    /// For how many requests (busy, timeout, lost-answer, lie-power)
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// For how long there is no answer (timeout, lost-answer)
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// How much slower (latency, slow)
    #[arg(long, default_value_t = 2_000)]
    ms: u64,
    /// What the host says of it (fail-boot)
    #[arg(long, default_value = "the disk is broken")]
    reason: String,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The BMC answers 503
    Busy,
    /// The BMC does nothing and does not answer
    Timeout,
    /// The BMC does what it is asked, and its answer is lost
    LostAnswer,
    /// The BMC reports the opposite power state
    LiePower,
    /// The BMC is slow, until cleared
    Latency,
    /// The host boots and never calls back, until cleared
    NeverAnswers,
    /// The host boots and reports a failure, until cleared
    FailBoot,
    /// The host boots slowly, until cleared
    Slow,
    /// Everything is well again
    Clear,
}

/// What to change.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Fault(Fault),
    Behaviour(Behaviour),
    Clear,
}

impl FaultArgs {
    fn change(&self, kind: Kind) -> Change {
        let (times, seconds, ms) = (self.times, self.seconds, self.ms);
        match kind {
            Kind::Busy => Change::Fault(Fault::Busy503 { times }),
            Kind::Timeout => Change::Fault(Fault::Timeout { times, seconds }),
            Kind::LostAnswer => Change::Fault(Fault::LostAnswer { times, seconds }),
            Kind::LiePower => Change::Fault(Fault::LiePower { times }),
            Kind::Latency => Change::Fault(Fault::Latency { ms }),
            Kind::NeverAnswers => Change::Behaviour(Behaviour::NeverAnswers),
            Kind::FailBoot => Change::Behaviour(Behaviour::Fails { reason: self.reason.clone() }),
            Kind::Slow => Change::Behaviour(Behaviour::Slow { ms }),
            Kind::Clear => Change::Clear,
        }
    }
}

/// Sets or shows faults.
pub(crate) async fn run(args: FaultArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let url = target.local()?.fleet_admin_url.as_deref().ok_or_else(|| CliError::NotRunning {
        stale: " with a fleet of its own yet (one is just starting)".to_owned(),
    })?;
    let admin = FleetAdmin::new(url)?;
    let host = &args.host;
    match args.kind.map(|kind| args.change(kind)) {
        None => {}
        Some(Change::Fault(fault)) => admin.set_fault(host, &fault).await?,
        Some(Change::Behaviour(behaviour)) => admin.set_behaviour(host, &behaviour).await?,
        Some(Change::Clear) => {
            admin.clear_faults(host).await?;
            admin.set_behaviour(host, &Behaviour::Succeeds).await?;
        }
    }
    let all = admin.hosts().await?;
    let status = all.iter().find(|status| status.host.host_id == *host).ok_or_else(|| {
        CliError::Usage(format!("the fleet has no host {host}: list its hosts with `cargo hostler hosts`"))
    })?;
    if out.json { out.document(status) } else { out.line(describe(status)) }
}

fn describe(status: &HostStatus) -> String {
    let faults: Vec<String> = status.faults.iter().map(fault_text).collect();
    let faults = if faults.is_empty() { "its BMC works".to_owned() } else { faults.join("; ") };
    let behaviour = match &status.behaviour {
        Behaviour::Succeeds => "it boots and calls back".to_owned(),
        Behaviour::NeverAnswers => "it boots and is never heard of".to_owned(),
        Behaviour::Fails { reason } => format!("it boots and reports {reason:?}"),
        Behaviour::Slow { ms } => format!("it boots {ms} ms slower"),
    };
    let power = if status.boots.powered { "on" } else { "off" };
    format!("{}: {faults}; {behaviour}; power is {power}", status.host.host_id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_become_faults_or_behaviours() {
        let args = FaultArgs {
            host: "h-01".to_owned(),
            kind: None,
            times: 3,
            seconds: 7,
            ms: 9,
            reason: "no disk".to_owned(),
        };
        assert_eq!(args.change(Kind::Busy), Change::Fault(Fault::Busy503 { times: 3 }));
        assert_eq!(args.change(Kind::Timeout), Change::Fault(Fault::Timeout { times: 3, seconds: 7 }));
        assert_eq!(args.change(Kind::Slow), Change::Behaviour(Behaviour::Slow { ms: 9 }));
        let fails = Behaviour::Fails { reason: "no disk".to_owned() };
        assert_eq!(args.change(Kind::FailBoot), Change::Behaviour(fails));
    }
}
