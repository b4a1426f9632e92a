//! `campaigns create`, and what a person says of a campaign: `approve`, `reject`, `pause`, `resume`.

use serde_json::{Value, json};

use super::args::{CreateArgs, ReasonArgs};
use crate::api::{Said, View};
use crate::commands::datacentre::{Word, decide, recorded};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Asks for a campaign.
pub(super) async fn create(args: &CreateArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let campaign = args.campaign.as_str();
    // Of an advisory that nobody knows no host has anything: a campaign would look for some for an hour.
    let _known: Value = target.api.document(View::Advisory, args.advisory.as_str(), &[]).await?;
    let mut body = json!({
        "campaign": campaign, "advisory": args.advisory, "emergency": args.emergency, "reason": args.reason.reason,
    });
    if let Some(deadline) = args.deadline {
        body["deadline"] = json!(deadline);
    }
    let accepted = target.api.command(Said("campaigns create"), "create-campaign", &body).await?;
    let what =
        format!("campaign {campaign}; its hosts are counted in a minute: hostler campaigns show {campaign}");
    recorded(&accepted, &what, out)
}

/// Has it recorded what a person says of a campaign.
pub(super) async fn say(verb: &str, args: &ReasonArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let campaign = args.campaign.as_str();
    let (said, command) = (format!("campaigns {verb}"), format!("{verb}-campaign"));
    let body = json!({ "campaign": campaign, "reason": args.reason.reason });
    let (said, command, on) = (said.as_str(), command.as_str(), (View::Campaign, campaign));
    let what = format!("`{verb}` of campaign {campaign}");
    decide(Word { said, command, on, body, what }, target, out).await
}
