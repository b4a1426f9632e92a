//! The command line: the local cloud up and down, requests, tables, timelines.

mod api;
mod args;
mod audit;
mod commands;
mod error;
mod follow;
mod output;
mod render;
mod state;
mod steps;
mod target;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::output::Out;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out::new(cli.global.json);
    match run(cli, out).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

async fn run(cli: Cli, out: Out) -> Result<(), CliError> {
    let global = &cli.global;
    match cli.command {
        Command::Up(args) => commands::up::run(args, global, out).await,
        Command::Down => commands::down::run(out).await,
        Command::Env => commands::env::run(global, out).await,
        Command::Request(args) => commands::request::run(args, global, out).await,
        Command::Watch(args) => commands::watch::run(args, global, out).await,
        Command::Show(args) => commands::show::run(args, global, out).await,
        Command::Hosts(args) => commands::list::hosts(args, global, out).await,
        Command::Sagas(args) => commands::list::sagas(args, global, out).await,
        Command::Label(args) => commands::operate::label(args, global, out).await,
        Command::Requalify(args) => commands::operate::requalify(args, global, out).await,
        Command::Approve(args) => commands::operate::approve(args, global, out).await,
        Command::Reject(args) => commands::operate::reject(args, global, out).await,
        Command::Cancel(args) => commands::operate::cancel(args, global, out).await,
        Command::EditSaga(args) => commands::operate::edit_saga(args, global, out).await,
        Command::Resume(args) => commands::operate::resume(args, global, out).await,
        Command::Fault(args) => commands::fault::run(args, global, out).await,
        Command::Emit(args) => commands::emit::run(args, global, out).await,
        Command::Invoke(args) => commands::invoke::run(args, global, out).await,
        Command::Failures(args) => commands::failures::run(args, global, out).await,
        Command::Breakers(args) => commands::breakers::run(args, global, out).await,
        Command::Events(args) => commands::events::run(args, global, out).await,
        Command::Stats => commands::stats::run(global, out).await,
        Command::Doctor(args) => commands::doctor::run(args, out).await,
        Command::Cost(args) => commands::cost::run(args, out),
        Command::Bench(args) => commands::bench::run(args, out).await,
        Command::Completions(args) => commands::completions::run(args, out),
        Command::ExitCodes => out.line(error::EXIT_CODES),
    }
}
