//! What is the same for all who call back about a step on a host: the address that they were given, and the cause of their word.

use hostler_app::{Hosts, host_steps};
use hostler_core::{Failure, StreamId};
use hostler_domain::{HostDecider, HostInput};
use hostler_events::{HostId, StepId};
use hostler_runtime::register::{Accepted, Rejected};
use hostler_runtime::serving::http::{Request, Response};
use hostler_runtime::state::shell::{Cause, Shell};

/// What the URL of a callback says.
pub(crate) struct Address {
    pub(crate) host: HostId,
    pub(crate) step: StepId,
    pub(crate) token: String,
}

impl Address {
    /// # Errors
    /// The answer that says what is missing.
    pub(crate) fn of(request: &Request) -> Result<Self, Response> {
        let invalid = |error: hostler_core::InvalidId| Response::error(400, "invalid", error.to_string());
        let query = |name: &str| {
            request.query.get(name).cloned().ok_or_else(|| {
                let message = format!(
                    "the callback's URL has no {name}: call back with the URL that came with the order"
                );
                Response::error(400, "invalid", message)
            })
        };
        Ok(Self {
            host: HostId::new(query("host")?).map_err(invalid)?,
            step: StepId::new(query("step")?).map_err(invalid)?,
            token: query("token")?,
        })
    }
}

/// Tells the host what was reported of a step on it.
pub(crate) async fn report_of(
    shell: &Shell,
    cause: &Cause,
    stream: &StreamId,
    host: &HostId,
    step: &StepId,
    input: HostInput,
) -> Result<Accepted, Rejected> {
    let fold = shell.load::<HostDecider>(stream).await.map_err(Failure::from)?;
    let cause = host_steps::cause_of(shell, cause, stream, fold.version, step).await?;
    let done = shell.execute_from(stream, fold, &cause, &input).await;
    let details = [("host".to_owned(), host.as_str().into())].into_iter().collect();
    Accepted::of::<Hosts>(stream.clone(), done, details)
}
