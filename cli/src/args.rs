//! The command line's grammar: a noun and a verb. Each noun's own arguments are in its folder.

use clap::{Parser, Subcommand};

use crate::commands::datacentre::{
    approvals, budgets, campaigns, faults, findings, hosts, incidents, inventory, load, policies, pools,
    provisionings, requests, roles, simulate, watch,
};
use crate::commands::runtime::{breakers, commands, events, failures, functions, sagas};
use crate::commands::tools::{bench, completions, cost, doctor, new, up};
use crate::error::EXIT_CODES;
use crate::target::Global;

const EXAMPLES: &str = "\
Examples:
  hostler up --demo                                        the whole system on this machine, with a demonstration
  hostler requests create --pool web --role web --count 3 --wait
  hostler provisionings show web-x7q2.1                    what happened to one of them, step by step
  hostler sagas list --status stuck -o json                sagas of every kind
  hostler --stack prod hosts list --phase quarantined      the same against a stack on AWS

Nouns of the data centre:  hosts, requests, provisionings, incidents, approvals, pools, policies, budgets,
                           findings, campaigns, roles, inventory, faults, load, simulate
Nouns of every application:  commands, sagas, failures, breakers, events, functions";

/// Runs event-driven applications, and a data centre with them: shows and changes what they have, and brings the whole
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
    /// Start the local cloud: endpoint, functions, and a fleet of hosts where the application has one
    Up(up::UpArgs),
    /// Stop the local cloud that runs in another terminal
    Down,
    /// Make a small application that runs, in a new folder
    New(new::NewArgs),
    /// Follow provisionings and hosts as they change
    Watch(watch::WatchArgs),
    /// Hosts, the physical machines: list, show, and what is done to one
    Hosts(hosts::HostsArgs),
    /// Requests for hosts: list, show, create, approve, reject
    Requests(requests::RequestsArgs),
    /// Provisionings, the sagas that bring hosts into service: list, show, cancel, resume, skip
    Provisionings(provisionings::ProvisioningsArgs),
    /// Incidents of hosts, racks and power domains: list, show, close
    Incidents(incidents::IncidentsArgs),
    /// Remediations that wait for a person's word: list, approve, reject
    Approvals(approvals::ApprovalsArgs),
    /// Policies of the site: list, show, check, diff, apply
    Policies(policies::PoliciesArgs),
    /// The disruption budget: list who disturbs which hosts
    Budgets(budgets::BudgetsArgs),
    /// Pools that grow and shrink: list, show, approve, reject
    Pools(pools::PoolsArgs),
    /// Campaigns that patch the fleet in waves: list, show, create, approve, reject, pause, resume
    Campaigns(campaigns::CampaignsArgs),
    /// Vulnerabilities, and the hosts that have them: list, advisories, show, except, rescan, refresh
    Findings(findings::FindingsArgs),
    /// What sources say of hosts beside what is expected: list, show, sources
    Inventory(inventory::InventoryArgs),
    /// Roles of hosts: list, show which hosts have which revision
    Roles(roles::RolesArgs),
    /// Faults of simulated hosts and their BMCs (local cloud only): list, set, clear
    Faults(faults::FaultsArgs),
    /// What the pools of simulated hosts have to do (local cloud only): show, set, clear
    Load(load::LoadArgs),
    /// Send a scenario into the running system, and report what it does about it
    Simulate(simulate::SimulateArgs),
    /// Count events and effects, and check that they agree
    Stats,
    /// Sagas of every kind: list, show, cancel, resume, skip, edit, approve, reject
    Sagas(sagas::SagasArgs),
    /// Commands of the running application: list, send
    Commands(commands::CommandsArgs),
    /// Messages that could not be handled: list, show, retry, edit, discard, redrive
    Failures(failures::FailuresArgs),
    /// Circuit breakers of dependencies: list, open, close, auto
    Breakers(breakers::BreakersArgs),
    /// Events: list, export, emit, replay, republish
    Events(events::EventsArgs),
    /// Functions: list, invoke
    Functions(functions::FunctionsArgs),
    /// Print the environment by which other tools, such as the AWS CLI, reach the local cloud
    #[command(after_help = "Example:\n  eval \"$(cargo hostler env)\" && aws dynamodb list-tables")]
    Env,
    /// Tell what is missing on this machine and how to get it
    Doctor(doctor::DoctorArgs),
    /// Show what a million steps cost, here and elsewhere
    Cost(cost::CostArgs),
    /// Run benchmarks; documents are changed only with --write-docs
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Explain the exit codes
    #[command(long_about = EXIT_CODES)]
    ExitCodes,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;
    use crate::output::Format;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn each(command: &clap::Command, check: &impl Fn(&clap::Command)) {
        check(command);
        command.get_subcommands().for_each(|below| each(below, check));
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        each(&Cli::command(), &|command| {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} of {}", arg.get_id(), command.get_name());
            }
        });
    }

    #[test]
    fn one_word_for_one_thing() {
        each(&Cli::command(), &|command| {
            for arg in command.get_arguments() {
                assert_ne!(arg.get_long(), Some("why"), "{} has --reason", command.get_name());
            }
            let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            if command.get_name().ends_with('s') && !verbs.is_empty() {
                assert!(verbs.contains(&"list"), "{} has a list", command.get_name());
            }
        });
    }

    #[test]
    fn every_list_can_be_filtered() {
        for noun in Cli::command().get_subcommands() {
            for list in noun.get_subcommands().filter(|verb| verb.get_name() == "list") {
                let options = list.get_opts().count();
                assert!(options > 0, "{} list has no filter", noun.get_name());
            }
        }
    }

    #[test]
    fn global_options_may_follow_the_command() {
        let cli = parse("hostler hosts list --pool web --json --stack prod --region eu-west-1").unwrap();
        assert_eq!(cli.global.format(), Format::Json);
        assert_eq!(cli.global.stack.as_deref(), Some("prod"));
        assert_eq!(parse("hostler -o ids hosts list").unwrap().global.format(), Format::Ids);
        assert!(parse("hostler hosts list -o yaml").is_err());
    }

    #[test]
    fn a_request_needs_a_pool_and_a_role() {
        let error = parse("hostler requests create --pool web").unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::MissingRequiredArgument, 2));
        assert!(
            parse("hostler requests create --pool web --role web --count 10 --wait --timeout 2m").is_ok()
        );
        assert!(parse("hostler requests create --pool web --role web --count 0").is_err());
        assert!(parse("hostler requests create --pool we%b --role web").is_err());
        assert!(parse("hostler requests create --pool web --role web --timeout soon").is_err());
    }

    #[test]
    fn labels_are_checked_before_anything_is_sent() {
        assert!(parse("hostler hosts label h-01 simulate.configure=fail rack-").is_ok());
        assert!(parse("hostler hosts label h-01").is_err());
        assert!(parse("hostler hosts label h-01 nonsense").is_err());
        assert!(parse("hostler hosts label h-01 simulate.configure=explode").is_err());
    }

    #[test]
    fn nothing_is_told_again_without_saying_what() {
        assert!(parse("hostler events replay").is_err());
        assert!(parse("hostler events republish").is_err());
        assert!(parse("hostler events replay --type host.enrolled --rate 0").is_err());
        assert!(parse("hostler events replay --type host.enrolled --dry-run").is_ok());
        assert!(parse("hostler events republish --since 2026-01-31T12:00:00Z --rate 20").is_ok());
        assert!(parse("hostler events republish --since 15m").is_ok());
    }

    #[test]
    fn what_an_operator_does_has_a_reason() {
        assert!(parse("hostler failures list").is_ok());
        assert!(parse("hostler failures").is_err());
        for line in [
            "failures retry f-1",
            "failures discard --everything",
            "failures edit f-1 --body-from x.json",
            "breakers open bmc --for 5m",
            "breakers auto bmc",
            "requests approve web-q3",
            "requests reject web-q3",
            "provisionings cancel web.1",
            "provisionings skip web.1 deregister-monitoring",
            "sagas cancel order/o-1",
            "sagas resume order/o-1",
            "sagas skip order/o-1 refund",
            "sagas approve order/o-1 charge",
            "sagas reject order/o-1 charge",
        ] {
            assert!(parse(&format!("hostler {line}")).is_err(), "{line}");
            assert!(parse(&format!("hostler {line} --reason known")).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_a_command_says_comes_from_one_place() {
        assert!(parse("hostler commands send place-order {}").is_ok());
        assert!(parse("hostler commands send place-order --from -").is_ok());
        assert!(parse("hostler commands send place-order").is_err());
        assert!(parse("hostler commands send place-order {} --from x.json").is_err());
    }

    #[test]
    fn sagas_are_named_by_kind_and_id() {
        assert!(parse("hostler sagas show provisioning/web.1").is_ok());
        assert!(parse("hostler sagas show provisioning#web.1").is_ok());
        let error = parse("hostler sagas show web.1").unwrap_err().to_string();
        assert!(error.contains("<kind>/<id>"), "{error}");
    }

    #[test]
    fn version_and_time_exclude_each_other() {
        assert!(parse("hostler hosts show h-01 --version 3").is_ok());
        assert!(parse("hostler provisionings show web.1 --at 2026-01-31T12:00:00Z --timeline").is_ok());
        assert!(parse("hostler provisionings show web.1 --at 2026-01-31T12:00:00Z --version 3").is_err());
    }
}
