//! The start of a process's log, for CloudWatch Logs.

use hostler_runtime::operations::telemetry::{LogSample, NoShare, subscriber};
use tracing_subscriber::filter::Targets;

use crate::tables::env;

/// What is logged when `RUST_LOG` does not say: all of ours from info on, the SDK's warnings.
const DEFAULT_FILTER: &str = "info,aws_config=warn,aws_smithy_runtime=warn,hyper=warn,lambda_runtime=warn";

/// Where Lambda says which version of a function this is.
const VERSION: &str = "AWS_LAMBDA_FUNCTION_VERSION";

/// Starts logging for this process. Levels come from `RUST_LOG`, the share of invocations that log everything from
/// [`env::LOG_SAMPLE`]. Says first what is deployed ([`env::RELEASE`]). A second start is ignored.
///
/// # Errors
/// [`NoShare`].
pub fn start() -> Result<LogSample, NoShare> {
    // What does not read is as good as absent: a function is not to stop for its log.
    let said = std::env::var("RUST_LOG").ok().and_then(|said| said.parse::<Targets>().ok());
    let filter = said.or_else(|| DEFAULT_FILTER.parse().ok()).unwrap_or_default();
    if tracing::subscriber::set_global_default(subscriber(filter, std::io::stdout)).is_err() {
        tracing::debug!("logging was started before");
    }
    let release = std::env::var(env::RELEASE).unwrap_or_default();
    let version = std::env::var(VERSION).unwrap_or_default();
    tracing::info!(release, version, "started");
    let share = std::env::var(env::LOG_SAMPLE).unwrap_or_default();
    if share.is_empty() { Ok(LogSample::default()) } else { share.parse() }
}

/// The span of one invocation; everything logged in it carries these fields. Fill `correlation_id` by
/// [`tracing::Span::record`] where the invocation belongs to a single request.
#[must_use]
pub fn invocation_span(function: &'static str, request_id: &str) -> tracing::Span {
    tracing::info_span!("invocation", function, request_id, correlation_id = tracing::field::Empty)
}
