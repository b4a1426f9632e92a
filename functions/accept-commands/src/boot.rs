//! Booting hosts' callbacks: `POST /callbacks/boot`.

use async_trait::async_trait;
use hostler_app::Hosts;
use hostler_core::mutants;
use hostler_core::{Actor, Commit, Decider, Failure, StreamId, StreamVersion};
use hostler_domain::{HostDecider, HostInput};
use hostler_events::commands::{BootOutcome, ReportBoot};
use hostler_events::{HostId, StepId};
use hostler_runtime::register::{Accept, Accepted, Rejected};
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{Request, Response};
use hostler_runtime::serving::{body_fits, cause_of};
use hostler_runtime::state::shell::{Cause, Shell};
use serde::Deserialize;

/// How far back on a host's stream the commits of a step that calls back are looked for.
const COMMITS_OF_STEP_MAX: usize = 32;

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
    let invalid = |error: hostler_core::InvalidId| Response::error(400, "invalid", error.to_string());
    let query = |name: &str| {
        request.query.get(name).cloned().ok_or_else(|| {
            let message =
                format!("the callback's URL has no {name}: call back with the URL that came with the image");
            Response::error(400, "invalid", message)
        })
    };
    let report = ReportBoot {
        host: HostId::new(query("host")?).map_err(invalid)?,
        step: StepId::new(query("step")?).map_err(invalid)?,
        token: query("token")?,
        outcome: call.outcome,
        reason: call.reason,
    };
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
        let fold = shell.load::<HostDecider>(&stream).await.map_err(Failure::from)?;
        let cause = of_step(shell, cause, &stream, fold.version, &step).await?;
        let input = HostInput::BootReported { step, outcome, reason };
        let done = shell.execute_from(&stream, fold, &cause, &input).await;
        let details = [("host".to_owned(), host.as_str().into())].into_iter().collect();
        Accepted::of::<Hosts>(stream, done, details)
    }
}

/// A callback knows its step, and not the request that the step belongs to. The commits around the step do, so
/// that one request keeps one correlation, one trace and one count of hops.
async fn of_step(
    shell: &Shell,
    cause: &Cause,
    stream: &StreamId,
    newest: StreamVersion,
    step: &StepId,
) -> Result<Cause, Rejected> {
    let after = StreamVersion(newest.0.saturating_sub(COMMITS_OF_STEP_MAX as u64));
    let commits = shell.store().read(stream, after, COMMITS_OF_STEP_MAX).await;
    let commits = commits.map_err(Failure::from)?;
    let of_step =
        |commit: &&Commit| commit.events.iter().any(|event| event.data.to_value()["step"] == step.as_str());
    Ok(match commits.iter().rev().find(of_step) {
        Some(commit) => Cause {
            correlation_id: commit.correlation_id,
            trace_context: commit.trace_context.clone(),
            hops: commit.hops,
            ..cause.clone()
        },
        None => cause.clone(),
    })
}
