//! Logs as JSON lines, one object each, for CloudWatch Logs.

use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` does not say: all of ours from info on, the SDK's warnings.
const DEFAULT_FILTER: &str = "info,aws_config=warn,aws_smithy_runtime=warn,hyper=warn,lambda_runtime=warn";

/// Starts logging for this process. Levels come from `RUST_LOG`. Fields of the event stand at the top of each
/// line, those of the spans it happened in under `spans`, outermost first. A second start is ignored.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_env_filter(filter)
        .with_ansi(false)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// The span of one invocation; everything logged in it carries these fields. Fill `correlation_id` by
/// [`tracing::Span::record`] where the invocation belongs to a single request.
#[must_use]
pub fn invocation_span(function: &'static str, request_id: &str) -> tracing::Span {
    tracing::info_span!("invocation", function, request_id, correlation_id = tracing::field::Empty)
}
