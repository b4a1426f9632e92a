//! `incidents`: what is wrong with hosts, racks and power domains, and what is done about it.

mod args;
mod list;
mod story;

pub(crate) use args::IncidentsArgs;
use args::{CloseArgs, IncidentsVerb, ShowArgs};
use hostler_domain::views::IncidentView;
use serde_json::json;

use crate::api::{Said, View};
use crate::commands::datacentre::recorded;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: IncidentsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        IncidentsVerb::List(args) => list::run(&args, &target, out).await,
        IncidentsVerb::Show(args) => told(&args, &target, out).await,
        IncidentsVerb::Close(args) => close(&args, &target, out).await,
    }
}

/// The story as it is now, and then what happened to the host's health, event by event. A past one is shown field by field.
async fn told(args: &ShowArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let thing = Thing::Of(View::Incident, args.host.as_str());
    if out.json || !args.shown.is_plain() {
        return show(thing, &args.shown, target, out).await;
    }
    let incident: IncidentView = target.api.document(View::Incident, args.host.as_str(), &[]).await?;
    out.line(story::of(&incident))?;
    out.line("")?;
    show(thing, &args.shown.clone().only_timeline(), target, out).await
}

async fn close(args: &CloseArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let host = args.host.as_str();
    let body = json!({ "host": host, "reason": args.reason.reason });
    let said = Said("incidents close");
    let accepted = target.api.command_on(said, (View::Incident, host), "close-incident", &body).await?;
    recorded(&accepted, &format!("the incident of {host} is closed"), out)
}
