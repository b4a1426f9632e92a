//! Booting hosts' callbacks: `POST /callbacks/boot`.

use async_trait::async_trait;
use hostler_core::mutants;
use hostler_core::{Actor, Decider, Failure, StreamId};
use hostler_domain::{HostDecider, HostInput};
use hostler_events::commands::{BootOutcome, ReportBoot};
use hostler_runtime::register::{Accept, Accepted, Rejected};
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{Request, Response};
use hostler_runtime::serving::{body_fits, cause_of};
use hostler_runtime::state::shell::{Cause, Shell};
use serde::Deserialize;

use crate::callbacks::{Address, report_of};

/// What a booted host sends. Its identity and its token are in the URL that it was given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BootCall {
    outcome: BootOutcome,
    #[serde(default)]
    reason: Option<String>,
}

/// Reads a callback.
///
/// # Errors
/// The answer that says what is wrong with it.
pub(crate) fn read(request: &Request, shell: &Shell) -> Result<(Cause, ReportBoot), Response> {
    body_fits(request)?;
    let call: BootCall = serde_json::from_str(&request.body).map_err(|error| {
        let message =
            format!("the callback's body does not read: {error}; send {{\"outcome\":\"succeeded\"}}");
        Response::error(400, "malformed", message)
    })?;
    let Address { host, step, token } = Address::of(request)?;
    let report = ReportBoot { host, step, token, outcome: call.outcome, reason: call.reason };
    let actor = Actor(format!("host:{}", report.host));
    Ok((cause_of(request, shell, actor)?, report))
}

/// Hosts that report how their boot ended.
pub(crate) struct Boots {
    pub(crate) callback_key: CallbackKey,
}

#[async_trait]
impl Accept<ReportBoot> for Boots {
    async fn accept(&self, shell: &Shell, cause: &Cause, report: ReportBoot) -> Result<Accepted, Rejected> {
        let ReportBoot { host, step, token, outcome, reason } = report;
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let is_right = self.callback_key.verify(&stream, &step, &token);
        if !is_right && !mutants::on("accept-commands.believes-every-boot") {
            return Err(Rejected::Refused {
                status: 403,
                code: "wrong-token",
                reason: format!(
                    "the token is not the one of step {step} of host {host}: call back with the URL that came with the image"
                ),
            });
        }
        let input = HostInput::BootReported { step: step.clone(), outcome, reason };
        report_of(shell, cause, &stream, &host, &step, input).await
    }
}
