//! Who the credentials belong to: asked once at the start, so that wrong ones are refused before anything begins.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;

use super::Connection;
use super::errors::port_error;
use crate::ports::{Fault, PortError};

/// How long STS may take to begin its reply. What it tells is worth a moment, not a delayed start.
const REPLY_LIMIT: Duration = Duration::from_secs(3);

/// The principal behind a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's twelve digits.
    pub account: String,
    /// The principal's ARN.
    pub arn: String,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityCheck {
    /// The credentials are good.
    Confirmed(Identity),
    /// Nobody could tell, and why: an emulator, a private network, a reply that makes no sense. Worth a warning; the
    /// next request will show.
    Unreachable(String),
    /// There are no credentials, or they are wrong or expired.
    Refused(PortError),
}

/// The limits of the STS client. Finding credentials is not bounded by them, since a credential process or a sign-in
/// may take its time; it has the SDK's own bound.
pub(super) fn limits(connect: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(connect.min(REPLY_LIMIT)).read_timeout(REPLY_LIMIT).build()
}

/// Asks STS who we are.
///
/// Where DynamoDB has an endpoint of its own, only that endpoint's STS is asked, never the real one: the credentials
/// may be dummies. And there only missing credentials are a refusal, since emulators that know no STS answer anything.
pub async fn check_identity(connection: &Connection) -> IdentityCheck {
    if let (Some(endpoint), None) = (&connection.endpoint, &connection.sts_endpoint) {
        return IdentityCheck::Unreachable(format!("DynamoDB is at {endpoint}, and no endpoint is given for STS"));
    }
    let resource = connection.sts_endpoint.as_deref().unwrap_or("the caller");
    let output = match connection.sts.get_caller_identity().send().await {
        Ok(output) => output,
        Err(error) => {
            let answered = error.raw_response().is_some();
            let error = port_error("GetCallerIdentity", resource, &error);
            let refused = error.fault == Fault::Credentials && !(answered && connection.sts_endpoint.is_some());
            return if refused { IdentityCheck::Refused(error) } else { IdentityCheck::Unreachable(error.message) };
        }
    };
    match (output.account, output.arn) {
        (Some(account), Some(arn)) => IdentityCheck::Confirmed(Identity { account, arn }),
        _ => IdentityCheck::Unreachable("the reply names no account".into()),
    }
}
