//! A runner's callbacks about the roles that it applies: `POST /callbacks/configuration`.

use async_trait::async_trait;
use hostler_app::FollowedPolicies;
use hostler_core::{Actor, Decider, Failure, StreamId};
use hostler_domain::{HostDecider, HostInput};
use hostler_events::commands::ReportConfiguration;
use hostler_events::host::RunReport;
use hostler_runtime::register::{Accept, Accepted, Rejected};
use hostler_runtime::serving::body_fits;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::cause_of;
use hostler_runtime::serving::http::{Request, Response};
use hostler_runtime::state::shell::{Cause, Shell};

use crate::callbacks::{Address, report_of};

/// Who reports, on record.
const ACTOR: &str = "configuration-runner";

/// Reads a callback.
///
/// # Errors
/// The answer that says what is wrong with it.
pub(crate) fn read(request: &Request, shell: &Shell) -> Result<(Cause, ReportConfiguration), Response> {
    body_fits(request)?;
    let report: RunReport = serde_json::from_str(&request.body).map_err(|error| {
        let message =
            format!("the callback's body does not read: {error}; send {{\"state\":\"running\"}} or an end");
        Response::error(400, "malformed", message)
    })?;
    let Address { host, step, token } = Address::of(request)?;
    let cause = cause_of(request, shell, Actor(ACTOR.to_owned()))?;
    Ok((cause, ReportConfiguration { host, step, token, report }))
}

/// Runners that report how a role is applied.
pub(crate) struct Runs {
    pub(crate) callback_key: CallbackKey,
    pub(crate) policies: FollowedPolicies,
}

#[async_trait]
impl Accept<ReportConfiguration> for Runs {
    async fn accept(
        &self,
        shell: &Shell,
        cause: &Cause,
        report: ReportConfiguration,
    ) -> Result<Accepted, Rejected> {
        let ReportConfiguration { host, step, token, report } = report;
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        if !self.callback_key.verify(&stream, &step, &token) {
            let reason = format!(
                "the token is not the one of step {step} of host {host}: report with the token that came with the job"
            );
            return Err(Rejected::Refused { status: 403, code: "wrong-token", reason });
        }
        let policies = self.policies.now().await?;
        report_of(
            shell,
            cause,
            &stream,
            &host,
            &step,
            HostInput::ConfigurationReported { step: step.clone(), report, policies },
        )
        .await
    }
}
