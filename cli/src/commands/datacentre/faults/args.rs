//! The verbs of `faults`, and their arguments.

use clap::{Args, Subcommand, ValueEnum};
use hostler_events::HostId;

use crate::values::count;

/// What `faults` takes.
#[derive(Debug, Args)]
pub(crate) struct FaultsArgs {
    #[command(subcommand)]
    pub(super) verb: FaultsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum FaultsVerb {
    /// List the faults that are set
    List(ListArgs),
    /// Make a simulated host or its BMC misbehave
    #[command(after_help = "Examples:\n  \
        hostler faults set h-03 busy --times 3        its BMC answers 503 three times\n  \
        hostler faults set h-03 lie-power             its BMC reports the wrong power state once\n  \
        hostler faults set h-03 never-answers         it boots and never calls back\n  \
        hostler faults set h-03 slow --ms 5000        it takes 5 s longer to boot\n  \
        hostler faults set h-03 hang                  its system hangs until its power is cycled")]
    Set(SetArgs),
    /// Have a simulated host and its BMC work again
    Clear(ClearArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those of this host, also when it has none
    #[arg(long)]
    pub(super) host: Option<HostId>,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The host
    pub(super) host: HostId,
    /// What goes wrong
    pub(super) fault: Kind,
    /// For how many requests (busy, timeout, lost-answer, lie-power)
    #[arg(long, default_value_t = 1, value_parser = count(1..=1_000_000_u32))]
    pub(super) times: u32,
    /// For how long there is no answer (timeout, lost-answer)
    #[arg(long, default_value_t = 15, value_parser = count(1..=3_600_u64))]
    pub(super) seconds: u64,
    /// How much slower (latency, slow)
    #[arg(long, default_value_t = 2_000, value_parser = count(1..=600_000_u64))]
    pub(super) ms: u64,
    /// What the host says of it (fail-boot)
    #[arg(long, default_value = "the disk is broken", value_name = "TEXT")]
    pub(super) reason: String,
}

#[derive(Debug, Args)]
pub(super) struct ClearArgs {
    /// The host
    pub(super) host: HostId,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
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
    /// The host's system takes connections and never answers, until its power is cycled
    Hang,
    /// The host's service has failed, until it is restarted or the host's power is cycled
    ServiceDown,
    /// The host's disk is about to fail, until the host is installed anew
    Disk,
    /// The host's system does not run, whatever is done, until cleared
    Dead,
}
