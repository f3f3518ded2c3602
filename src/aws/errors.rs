//! From the SDK's errors to what they mean: the one classification.

use std::error::Error;
use std::fmt::{Display, Write};

use aws_credential_types::provider::error::{CredentialsError, TokenError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::ports::{Fault, PortError};

/// What `error` means. `operation` is the service's name of the operation, `resource` the table or stream meant.
///
/// Sources of the rules: the API reference's common errors, the errors modelled for each operation, and what
/// emulators and proxies answer. Any 5xx counts as given up, whatever its code: the request may have been done.
pub(super) fn port_error<E>(operation: &'static str, resource: &str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let (fault, message) = match error {
        // A body that makes no sense comes as an error of the operation, whatever the status.
        SdkError::ServiceError(context) if context.raw().status().is_success() => {
            (Fault::Abandoned, format!("the request succeeded, but the reply could not be read: {}", chain(error)))
        }
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let fault = fault_of(operation, status, context.err().code());
            let message = service_message(status, context.err());
            if fault == Fault::Throttled { throttled(message, context.raw()) } else { (fault, message) }
        }
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if is_about_credentials(error) => {
            (Fault::Credentials, chain(error))
        }
        // Some of these never left the machine, but which is not told reliably.
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => (Fault::Abandoned, chain(error)),
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            let fault = if status == 413 { Fault::Rejected } else { Fault::Abandoned };
            (fault, format!("HTTP {status}, but the reply could not be read: {}", chain(error)))
        }
        _ => (Fault::Unknown, chain(error)),
    };
    PortError { fault, operation, resource: resource.to_owned(), message }
}

/// A reply that lacks what the service promises, or an unknown type: nothing that this program may guess about.
pub(super) fn odd_reply(operation: &'static str, resource: &str, message: &dyn Display) -> PortError {
    PortError { fault: Fault::Unknown, operation, resource: resource.to_owned(), message: message.to_string() }
}

/// The endpoint does not offer the operation at all: an emulator. (Other emulators answer 500, which tells nothing.)
pub(super) fn is_not_offered<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let SdkError::ServiceError(context) = error else { return false };
    let code = context.err().code().unwrap_or_default();
    matches!(
        code,
        "UnknownOperationException" | "UnknownOperation" | "UnsupportedOperationException" | "NotImplemented"
    ) || context.raw().status().as_u16() == 501
}

/// What a reply with an error status means.
fn fault_of(operation: &str, status: u16, code: Option<&str>) -> Fault {
    if status >= 500 {
        return Fault::Abandoned;
    }
    let Some(code) = code else { return fault_of_status(status) };
    match code {
        "ThrottlingException"
        | "Throttling"
        | "ProvisionedThroughputExceededException"
        | "ProvisionedThroughputExceeded"
        | "RequestLimitExceeded"
        | "RequestLimitExceededException"
        | "TooManyRequestsException"
        | "SlowDown"
        // Systems Manager's word for two writes of one parameter at once.
        | "TooManyUpdates"
        // Someone else's transaction, or another region's write, holds the item for a moment: not done, and worth
        // trying again.
        | "TransactionConflictException"
        | "ReplicatedWriteConflictException"
        | "TransactionInProgressException" => Fault::Throttled,
        // The same word for two things: too many stream readers, or too many table operations at once.
        "LimitExceededException" => match operation {
            "DescribeStream" | "GetShardIterator" | "GetRecords" => Fault::Throttled,
            _ => Fault::Busy,
        },
        "ResourceInUseException"
        | "TableInUseException"
        | "TableAlreadyExistsException"
        | "ContinuousBackupsUnavailableException" => Fault::Busy,
        "ValidationException"
        | "ValidationError"
        | "ItemCollectionSizeLimitExceededException"
        | "SerializationException"
        | "RequestEntityTooLarge"
        | "RequestEntityTooLargeException"
        | "DuplicateItemException" => Fault::Rejected,
        "ConditionalCheckFailedException" => Fault::Conflict,
        "ResourceNotFoundException" | "TableNotFoundException" => Fault::Missing,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" | "OptInRequired" => {
            Fault::Denied
        }
        "UnrecognizedClientException"
        | "UnrecognizedClient"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "IncompleteSignature"
        | "IncompleteSignatureException" => Fault::Credentials,
        "ExpiredIteratorException" => Fault::IteratorExpired,
        "TrimmedDataAccessException" => Fault::Trimmed,
        "InternalServerError"
        | "InternalServerErrorException"
        | "InternalFailure"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => Fault::Abandoned,
        _ => fault_of_status(status),
    }
}

/// What an error status means where no code explains it: a proxy or a load balancer spoke.
fn fault_of_status(status: u16) -> Fault {
    match status {
        408 => Fault::Abandoned,
        413 => Fault::Rejected,
        429 => Fault::Throttled,
        _ => Fault::Unknown,
    }
}

/// The request was not sent, because nothing could sign it.
fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    links(error).any(|link| {
        if link.is::<CredentialsError>() || link.is::<TokenError>() {
            return true;
        }
        // The SDK keeps these two types to itself: a provider that is too slow, and no provider at all.
        let text = link.to_string();
        text.starts_with("identity resolver timed out") || text.starts_with("failed to select an auth scheme")
    })
}

/// The error and its causes.
fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&link| link.source())
}

/// The causes in one line, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for link in links(error) {
        let text = link.to_string();
        if !line.ends_with(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    line
}

/// The service's code and message.
fn service_message(status: u16, error: &impl ProvideErrorMetadata) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {}", without_values(message)),
        (Some(code), _) => format!("{code} (HTTP {status})"),
        (None, Some(message)) => format!("HTTP {status}: {}", without_values(message)),
        (None, None) => format!("HTTP {status} without an error code"),
    }
}

/// Cuts out what the service quotes from the request: item values never enter a message.
fn without_values(message: &str) -> String {
    const QUOTES: [(&str, &str); 3] =
        [("Value '", "' at '"), ("Input collection [", "] contains"), ("converted to a numeric value: ", "\n")];
    let mut rest = message;
    let mut kept = String::with_capacity(message.len());
    while let Some((at, before, after)) =
        QUOTES.iter().filter_map(|(before, after)| Some((rest.find(before)?, before, after))).min_by_key(|(at, ..)| *at)
    {
        let (head, tail) = rest.split_at(at + before.len());
        kept.push_str(head);
        kept.push('…');
        // The last match, since the quoted value may hold the closing words itself.
        rest = tail.rfind(after).map_or("", |end| tail.split_at(end).1);
    }
    kept + rest
}

/// Why the service throttles, as far as it says so (`ThrottlingReasons`): for the table, the account, or a partition only.
fn throttled(mut message: String, reply: &HttpResponse) -> (Fault, String) {
    let body = reply.body().bytes().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(bytes).ok());
    let reasons =
        body.as_ref().and_then(|body| body.get("ThrottlingReasons").or_else(|| body.get("throttlingReasons")));
    let mut partitions_only = None;
    for reason in reasons.and_then(|all| all.as_array()).into_iter().flatten() {
        let field = |name: &str| reason.get(name).and_then(|value| value.as_str()).unwrap_or("unnamed");
        // Such as TableWriteKeyRangeThroughputExceeded.
        let about_partition = field("reason").contains("KeyRange");
        partitions_only = Some(partitions_only.unwrap_or(true) && about_partition);
        // Writing to a string cannot fail.
        let _ = write!(message, " [{} on {}]", field("reason"), field("resource"));
    }
    (if partitions_only == Some(true) { Fault::PartitionThrottled } else { Fault::Throttled }, message)
}

#[cfg(test)]
mod tests;
