//! The command line: the local cloud up and down, hosts, sagas, failures, events, and what else an application has.

mod api;
mod application;
mod args;
mod audit;
mod commands;
mod entity;
mod error;
mod follow;
mod near;
mod output;
mod render;
mod state;
mod steps;
mod stop;
mod target;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::commands::{datacentre, runtime, tools};
use crate::error::CliError;
use crate::output::{Format, Out};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (cli, verb) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return misspelt(&error, &arguments),
    };
    let format = cli.global.format();
    let out = Out::new(format);
    let ran = if out.ids && verb.as_deref() != Some("list") {
        Err(CliError::Usage("--output ids goes with list only".to_owned()))
    } else {
        run(cli, out).await
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(format == Format::Json),
    }
}

/// The command line, and its last verb.
fn parse(arguments: &[OsString]) -> Result<(Cli, Option<String>), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let mut last: (Option<&str>, &ArgMatches) = (None, &matches);
    while let Some((name, below)) = last.1.subcommand() {
        last = (Some(name), below);
    }
    Ok((cli, last.0.map(str::to_owned)))
}

/// Tells what is wrong with the command line.
fn misspelt(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if error.use_stderr() && wants_json(arguments) {
        eprintln!("{}", error::document("usage", &in_one_line(error), code));
    } else {
        // Nothing can be done about a terminal that does not take it.
        let _ = error.print();
    }
    ExitCode::from(code)
}

/// Whether programs read the answer; the command line could not be read, so it is looked at word by word.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let pairs = words.windows(2).any(|pair| ["-o", "--output"].contains(&pair[0]) && pair[1] == "json");
    pairs || words.iter().any(|word| ["--json", "--output=json", "-ojson", "-o=json"].contains(word))
}

/// What is wrong, without the usage that follows it.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let mut line = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(near) = error.get(ContextKind::SuggestedSubcommand).or(error.get(ContextKind::SuggestedArg)) {
        line.push_str(&format!("; did you mean {near}?"));
    }
    line
}

async fn run(cli: Cli, out: Out) -> Result<(), CliError> {
    let global = &cli.global;
    match cli.command {
        Command::Up(args) => tools::up::run(args, global, out).await,
        Command::Down => tools::down::run(global, out).await,
        Command::New(args) => tools::new::run(&args, out),
        Command::Watch(args) => datacentre::watch::run(args, global, out).await,
        Command::Hosts(args) => datacentre::hosts::run(args, global, out).await,
        Command::Requests(args) => datacentre::requests::run(args, global, out).await,
        Command::Provisionings(args) => datacentre::provisionings::run(args, global, out).await,
        Command::Incidents(args) => datacentre::incidents::run(args, global, out).await,
        Command::Approvals(args) => datacentre::approvals::run(args, global, out).await,
        Command::Policies(args) => datacentre::policies::run(args, global, out).await,
        Command::Budgets(args) => datacentre::budgets::run(args, global, out).await,
        Command::Campaigns(args) => datacentre::campaigns::run(args, global, out).await,
        Command::Pools(args) => datacentre::pools::run(args, global, out).await,
        Command::Findings(args) => datacentre::findings::run(args, global, out).await,
        Command::Inventory(args) => datacentre::inventory::run(args, global, out).await,
        Command::Roles(args) => datacentre::roles::run(args, global, out).await,
        Command::Faults(args) => datacentre::faults::run(args, global, out).await,
        Command::Load(args) => datacentre::load::run(args, global, out).await,
        Command::Simulate(args) => datacentre::simulate::run(args, global, out).await,
        Command::Stats => datacentre::stats::run(global, out).await,
        Command::Sagas(args) => runtime::sagas::run(args, global, out).await,
        Command::Commands(args) => runtime::commands::run(args, global, out).await,
        Command::Failures(args) => runtime::failures::run(args, global, out).await,
        Command::Breakers(args) => runtime::breakers::run(args, global, out).await,
        Command::Events(args) => runtime::events::run(args, global, out).await,
        Command::Functions(args) => runtime::functions::run(args, global, out).await,
        Command::Env => tools::env::run(global, out).await,
        Command::Doctor(args) => tools::doctor::run(args, global, out).await,
        Command::Cost(args) => tools::cost::run(args, out),
        Command::Bench(args) => tools::bench::run(args, global, out).await,
        Command::Completions(args) => tools::completions::run(args, out),
        Command::ExitCodes => out.line(error::EXIT_CODES),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_last_verb_is_known() {
        let verb = |line: &str| parse(&words(line)).unwrap().1;
        assert_eq!(verb("hostler hosts list -o ids").as_deref(), Some("list"));
        assert_eq!(verb("hostler doctor").as_deref(), Some("doctor"));
    }

    #[test]
    fn programs_are_told_of_a_wrong_command_line_in_one_line() {
        let line = words("hostler hosts lst --json");
        let error = parse(&line).unwrap_err();
        let said = in_one_line(&error);
        assert!(said.contains("lst") && said.contains("did you mean list"), "{said}");
        assert!(!said.contains('\n') && !said.contains("Usage"), "{said}");
        assert!(
            wants_json(&line) && wants_json(&words("hostler x -o json")) && !wants_json(&words("hostler x"))
        );
    }

    #[test]
    fn no_number_is_refused_in_a_parsers_words() {
        for line in [
            "hostler requests create --pool web --role web --count many",
            "hostler faults set h-01 busy --times 0",
            "hostler events replay --since yesterday",
            "hostler hosts show h-01 --version one",
            "hostler failures retry f-1 --rate x --reason y",
            "hostler load set web much",
            "hostler up --hosts none",
            "hostler up --port high",
        ] {
            let said = in_one_line(&parse(&words(line)).unwrap_err());
            assert!(said.contains("give "), "{line}: {said}");
            assert!(!said.contains("digit") && !said.contains("pars"), "{line}: {said}");
        }
    }
}
