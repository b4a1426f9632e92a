//! What AWS said, sorted by what the caller can do about it, with advice for the operator.

use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use hostler_core::failure::BoxError;
use hostler_runtime::ports::EntryFailure;

/// What a failed call says about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Too much at once: later works.
    Throttled,
    /// No answer: the call may have been carried out, and later works.
    Unreachable,
    /// The service failed: later works.
    Server,
    /// Not permitted. Retried all the same: messages come back while the policy is repaired.
    Denied,
    /// The table, queue or bus is not there. Retried all the same: messages come back while it is deployed.
    Missing,
    /// The request can never work.
    Invalid,
}

impl Class {
    /// Whether the same call may work later.
    #[must_use]
    pub fn retryable(self) -> bool {
        self != Self::Invalid
    }

    /// The static label for metrics and log fields.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Server => "server",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
        }
    }

    /// Sorts an error code, with the HTTP status where there is one.
    #[must_use]
    pub fn of(code: &str, status: Option<u16>) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
        if has(&["Throttl", "ThroughputExceeded", "LimitExceeded", "TooManyRequests", "SlowDown"]) {
            Self::Throttled
        } else if has(&[
            "AccessDenied",
            "NotAuthorized",
            "UnrecognizedClient",
            "ExpiredToken",
            "InvalidClientTokenId",
            "InvalidSignature",
            "MissingAuthentication",
            "SignatureDoesNotMatch",
        ]) {
            Self::Denied
        } else if has(&["ResourceNotFound", "QueueDoesNotExist", "NonExistentQueue"]) {
            Self::Missing
        } else if has(&["Internal", "ServiceUnavailable", "ServiceFailure", "RequestTimeout"])
            || status.is_some_and(|status| status >= 500)
        {
            Self::Server
        } else if has(&["ConcurrentModification", "TransactionConflict", "RequestTimeTooSkewed"]) {
            Self::Throttled
        } else {
            Self::Invalid
        }
    }
}

/// A call that AWS did not carry out, or did not answer.
#[derive(Debug)]
pub struct AwsError {
    action: &'static str,
    resource: String,
    code: String,
    message: String,
    class: Class,
    source: BoxError,
}

impl AwsError {
    /// Sorts what the SDK said of `action` (as policies call it, such as `dynamodb:PutItem`) on `resource`.
    pub(crate) fn new<E>(action: &'static str, resource: impl Into<String>, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (code, message, class) = match &error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("UnknownError").to_owned();
                let message = service.err().message().unwrap_or("no message").to_owned();
                let class = Class::of(&code, status);
                (code, message, class)
            }
            SdkError::TimeoutError(_) => {
                ("Timeout".to_owned(), "no answer in time".to_owned(), Class::Unreachable)
            }
            SdkError::DispatchFailure(_) => {
                ("NoConnection".to_owned(), root_cause(&error), Class::Unreachable)
            }
            SdkError::ConstructionFailure(_) => {
                ("InvalidRequest".to_owned(), root_cause(&error), Class::Invalid)
            }
            // The answer could not be read; also what a gateway in between says.
            _ => ("UnreadableAnswer".to_owned(), root_cause(&error), Class::Server),
        };
        Self { action, resource: resource.into(), code, message, class, source: Box::new(error) }
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The service's error code, or ours where no answer came.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    fn advice(&self) -> String {
        let Self { action, resource, .. } = self;
        match self.class {
            Class::Throttled => {
                "it is retried later; if this stays, raise the limit or slow the senders".into()
            }
            Class::Unreachable => {
                "it is retried later; if this stays, check AWS_ENDPOINT_URL, credentials and the network"
                    .into()
            }
            Class::Server => "it is retried later; if this stays, look at the AWS Health Dashboard".into(),
            Class::Denied => format!(
                "the function's policy lacks {action} on {resource} (or its credentials are not valid): add it in template.yaml and deploy; messages are tried again meanwhile, and are dead letters once they were received too often"
            ),
            Class::Missing => format!(
                "{resource} is not there: deploy the stack, or correct the function's environment; messages are tried again meanwhile, and are dead letters once they were received too often"
            ),
            Class::Invalid => "retrying the same request does not help".into(),
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, resource, code, message, .. } = self;
        write!(f, "{action} on {resource} failed with {code} ({message}): {}", self.advice())
    }
}

impl std::error::Error for AwsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl From<&AwsError> for EntryFailure {
    fn from(error: &AwsError) -> Self {
        Self { retryable: error.class.retryable(), code: error.code.clone(), message: error.to_string() }
    }
}

/// The innermost error: with connections, the one that tells.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_can_be_done() {
        let sorted = [
            ("ProvisionedThroughputExceededException", 400, Class::Throttled),
            ("ThrottlingException", 400, Class::Throttled),
            ("RequestLimitExceeded", 400, Class::Throttled),
            ("AccessDeniedException", 400, Class::Denied),
            ("KMS.AccessDeniedException", 400, Class::Denied),
            ("ResourceNotFoundException", 400, Class::Missing),
            ("AWS.SimpleQueueService.NonExistentQueue", 400, Class::Missing),
            ("TargetGroupNotFound", 400, Class::Invalid),
            ("InvalidTarget", 400, Class::Invalid),
            ("InternalServerError", 500, Class::Server),
            ("InternalFailure", 500, Class::Server),
            ("Whatever", 503, Class::Server),
            ("ValidationException", 400, Class::Invalid),
            ("ReceiptHandleIsInvalid", 400, Class::Invalid),
        ];
        for (code, status, class) in sorted {
            assert_eq!(Class::of(code, Some(status)), class, "{code}");
        }
    }

    #[test]
    fn only_an_invalid_request_is_not_worth_a_retry() {
        assert!(!Class::Invalid.retryable());
        assert!(Class::Denied.retryable() && Class::Missing.retryable());
    }
}
