//! The command line's grammar; each command's own arguments are in its file.

use clap::{Parser, Subcommand};

use crate::commands::{
    bench, breakers, completions, cost, doctor, emit, events, failures, fault, invoke, list, operate,
    request, show, up, watch,
};
use crate::error::EXIT_CODES;
use crate::target::Global;

const EXAMPLES: &str = "\
Examples:
  cargo hostler up --demo                                  the whole story in half a minute
  cargo hostler up                                         a local cloud with 24 hosts, until Ctrl-C
  cargo hostler request --pool web --role web --count 3 --wait
  cargo hostler show saga web-x7q2.1                       what happened to one of them, step by step
  cargo hostler --stack prod hosts --phase quarantined     the same against a stack on AWS";

/// Runs a data centre by events: requests hosts, follows their sagas, shows what happened, and brings the whole
/// system up on this machine.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, max_term_width = 110, after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the local cloud up: endpoint, functions, a fleet of hosts; stays until Ctrl-C
    Up(up::UpArgs),
    /// Stop the local cloud that runs in another terminal
    Down,
    /// Print the environment by which other tools, such as the aws CLI, reach the local cloud
    #[command(after_help = "Example:\n  eval \"$(cargo hostler env)\" && aws dynamodb list-tables")]
    Env,
    /// Ask for hosts
    Request(request::RequestArgs),
    /// Follow sagas and hosts as they change
    Watch(watch::WatchArgs),
    /// Show a host, a saga or a request: its state and its timeline
    Show(show::ShowArgs),
    /// List hosts
    Hosts(list::HostsArgs),
    /// List provisioning sagas
    Sagas(list::SagasArgs),
    /// Set or remove labels of a host
    Label(operate::LabelArgs),
    /// Have a request carried out that waits for approval
    Approve(operate::ApprovalArgs),
    /// Have a request not carried out that waits for approval
    Reject(operate::ApprovalArgs),
    /// Undo a provisioning that is not done yet
    Cancel(operate::CancelArgs),
    /// Have a stuck saga try its compensation again
    Resume(operate::ResumeArgs),
    /// Have a stuck saga go on without the compensation that it is stuck at
    EditSaga(operate::EditSagaArgs),
    /// Send a quarantined host through checks and cleaning again
    Requalify(operate::RequalifyArgs),
    /// Make a simulated host or its BMC misbehave (local cloud only)
    Fault(fault::FaultArgs),
    /// Check an event or a command from a file against its schema, and send it
    Emit(emit::EmitArgs),
    /// Invoke one function with a sample or a file
    Invoke(invoke::InvokeArgs),
    /// List, retry, edit or discard messages that could not be handled
    Failures(failures::FailuresArgs),
    /// Show and override which dependencies are left alone
    Breakers(breakers::BreakersArgs),
    /// Tell again what happened: to one consumer's read models, or to everybody after an outage
    Events(events::EventsArgs),
    /// Count events and effects, and check that they add up
    Stats,
    /// Tell what is missing on this machine and how to get it
    Doctor(doctor::DoctorArgs),
    /// Show what a million steps cost, here and elsewhere
    Cost(cost::CostArgs),
    /// Measure, and write docs/performance.md anew
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Explain the exit codes
    #[command(long_about = EXIT_CODES)]
    ExitCodes,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} of {}", arg.get_id(), command.get_name());
            }
        }
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = parse("hostler hosts --pool web --json --stack prod --region eu-west-1").unwrap();
        assert!(cli.global.json);
        assert_eq!(cli.global.stack.as_deref(), Some("prod"));
    }

    #[test]
    fn a_request_needs_a_pool_and_a_role() {
        let error = parse("hostler request --pool web").unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::MissingRequiredArgument, 2));
        let cli = parse("hostler request --pool web --role web --count 10 --wait --timeout 2m").unwrap();
        let Command::Request(args) = cli.command else { panic!("{cli:?}") };
        assert_eq!((args.count, args.image.as_str(), args.wait), (10, "debian-12", true));
        assert_eq!(args.timeout.as_secs(), 120);
        assert!(parse("hostler request --pool web --role web --count 0").is_err());
        assert!(parse("hostler request --pool web --role web --timeout soon").is_err());
    }

    #[test]
    fn labels_end_with_a_dash_to_go() {
        let cli = parse("hostler label h-01 simulate.configure=fail rack-").unwrap();
        let Command::Label(args) = cli.command else { panic!("{cli:?}") };
        assert_eq!(args.changes.len(), 2);
        assert!(parse("hostler label h-01").is_err());
        assert!(parse("hostler label h-01 nonsense").is_err());
    }

    #[test]
    fn nothing_is_told_again_without_saying_what() {
        assert!(parse("hostler events replay").is_err());
        assert!(parse("hostler events republish").is_err());
        assert!(parse("hostler events replay --type host.enrolled --rate 0").is_err());
        assert!(parse("hostler events replay --type host.enrolled --dry-run").is_ok());
        assert!(parse("hostler events republish --since 2026-01-31T12:00:00Z --rate 20").is_ok());
    }

    #[test]
    fn what_is_done_to_failures_and_breakers_has_a_reason() {
        assert!(parse("hostler failures").is_ok());
        assert!(parse("hostler failures retry f-1").is_err());
        assert!(parse("hostler failures retry f-1 f-2 --why known --rate 5").is_ok());
        assert!(parse("hostler failures discard --everything --why known").is_ok());
        assert!(parse("hostler failures edit f-1 --why known").is_err());
        assert!(parse("hostler breakers").is_ok());
        assert!(parse("hostler breakers open bmc").is_err());
        assert!(parse("hostler breakers close bmc --for 5m --why back").is_ok());
        assert!(parse("hostler approve web-q3").is_err());
    }

    #[test]
    fn version_and_time_exclude_each_other() {
        assert!(parse("hostler show host h-01 --version 3").is_ok());
        assert!(parse("hostler show saga web.1 --at 2026-01-31T12:00:00Z --timeline").is_ok());
        assert!(parse("hostler show saga web.1 --at 2026-01-31T12:00:00Z --version 3").is_err());
        assert!(parse("hostler show rack r-01").is_err());
    }
}
