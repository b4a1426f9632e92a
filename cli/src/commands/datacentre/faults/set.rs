//! `faults set`.

use hostler_localstack::fleet::{Behaviour, Condition, Fault, FleetAdmin};

use super::args::{Kind, SetArgs};
use crate::error::CliError;

/// What to change.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Fault(Fault),
    Behaviour(Behaviour),
    Condition(Condition),
}

/// Sets a fault.
pub(super) async fn run(args: &SetArgs, admin: &FleetAdmin) -> Result<(), CliError> {
    match change(args) {
        Change::Fault(fault) => admin.set_fault(args.host.as_str(), &fault).await?,
        Change::Behaviour(behaviour) => admin.set_behaviour(args.host.as_str(), &behaviour).await?,
        Change::Condition(condition) => admin.set_condition(args.host.as_str(), condition).await?,
    }
    Ok(())
}

fn change(args: &SetArgs) -> Change {
    let (times, seconds, ms) = (args.times, args.seconds, args.ms);
    match args.fault {
        Kind::Busy => Change::Fault(Fault::Busy503 { times }),
        Kind::Timeout => Change::Fault(Fault::Timeout { times, seconds }),
        Kind::LostAnswer => Change::Fault(Fault::LostAnswer { times, seconds }),
        Kind::LiePower => Change::Fault(Fault::LiePower { times }),
        Kind::Latency => Change::Fault(Fault::Latency { ms }),
        Kind::NeverAnswers => Change::Behaviour(Behaviour::NeverAnswers),
        Kind::FailBoot => Change::Behaviour(Behaviour::Fails { reason: args.reason.clone() }),
        Kind::Slow => Change::Behaviour(Behaviour::Slow { ms }),
        Kind::Hang => Change::Condition(Condition::Hangs),
        Kind::ServiceDown => Change::Condition(Condition::ServiceDown),
        Kind::Disk => Change::Condition(Condition::DiskFails),
        Kind::Dead => Change::Condition(Condition::Dead),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn kinds_become_faults_or_behaviours() {
        let set = |fault| {
            let (host, reason) = ("h-01".parse().unwrap(), "no disk".to_owned());
            change(&SetArgs { host, fault, times: 3, seconds: 7, ms: 9, reason })
        };
        assert_eq!(set(Kind::Busy), Change::Fault(Fault::Busy503 { times: 3 }));
        assert_eq!(set(Kind::Timeout), Change::Fault(Fault::Timeout { times: 3, seconds: 7 }));
        assert_eq!(set(Kind::Slow), Change::Behaviour(Behaviour::Slow { ms: 9 }));
        let fails = Behaviour::Fails { reason: "no disk".to_owned() };
        assert_eq!(set(Kind::FailBoot), Change::Behaviour(fails));
        assert_eq!(set(Kind::Disk), Change::Condition(Condition::DiskFails));
    }
}
