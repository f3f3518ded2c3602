use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_smithy_runtime_api::client::result::{ConnectorError, CreateUnhandledError};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;

use super::super::canned::{Canned, TIMEOUTS, config, dummy};
use super::super::{AwsStateStore, AwsTableAdmin, Connection, IdentityCheck, check_identity};
use super::*;
use crate::ports::{CreateOptions, Entry, Guard, StateKey, StateStore, TableAdmin};

type Failure = SdkError<PutItemError, HttpResponse>;

fn reply(status: u16, body: &'static str) -> HttpResponse {
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

fn answered(status: u16, code: &str, message: &str) -> Failure {
    let meta = ErrorMetadata::builder().code(code).message(message).build();
    SdkError::service_error(PutItemError::create_unhandled_error("".into(), Some(meta)), reply(status, ""))
}

fn fault(operation: &'static str, error: &Failure) -> Fault {
    port_error(operation, "orders", error).fault
}

#[test]
fn every_code_has_its_meaning() {
    let meanings = [
        ("ThrottlingException", Fault::Throttled),
        ("ProvisionedThroughputExceededException", Fault::Throttled),
        ("RequestLimitExceeded", Fault::Throttled),
        ("TransactionConflictException", Fault::Throttled),
        ("ReplicatedWriteConflictException", Fault::Throttled),
        ("LimitExceededException", Fault::Busy),
        ("ResourceInUseException", Fault::Busy),
        ("ContinuousBackupsUnavailableException", Fault::Busy),
        ("ValidationException", Fault::Rejected),
        ("ItemCollectionSizeLimitExceededException", Fault::Rejected),
        ("SerializationException", Fault::Rejected),
        ("ConditionalCheckFailedException", Fault::Conflict),
        ("ResourceNotFoundException", Fault::Missing),
        ("TableNotFoundException", Fault::Missing),
        ("AccessDeniedException", Fault::Denied),
        ("UnrecognizedClientException", Fault::Credentials),
        ("InvalidSignatureException", Fault::Credentials),
        ("ExpiredTokenException", Fault::Credentials),
        ("ExpiredToken", Fault::Credentials),
        ("MissingAuthenticationTokenException", Fault::Credentials),
        ("InvalidClientTokenId", Fault::Credentials),
        ("IncompleteSignature", Fault::Credentials),
        ("ExpiredIteratorException", Fault::IteratorExpired),
        ("TrimmedDataAccessException", Fault::Trimmed),
        ("InternalServerError", Fault::Abandoned),
        ("SomethingNewException", Fault::Unknown),
    ];
    for (code, meaning) in meanings {
        assert_eq!(fault("PutItem", &answered(400, code, "…")), meaning, "{code}");
    }
}

#[test]
fn too_many_stream_readers_are_throttled_and_too_many_table_operations_busy() {
    let error = answered(400, "LimitExceededException", "…");
    for operation in ["DescribeStream", "GetShardIterator", "GetRecords"] {
        assert_eq!(fault(operation, &error), Fault::Throttled);
    }
    assert_eq!(fault("CreateTable", &error), Fault::Busy);
}

#[test]
fn a_5xx_may_have_been_done_whatever_it_says() {
    for code in ["InternalServerError", "ServiceUnavailable", "ValidationException", "AccessDeniedException"] {
        assert_eq!(fault("PutItem", &answered(503, code, "…")), Fault::Abandoned, "{code}");
    }
}

#[test]
fn a_proxy_that_speaks_by_status_alone_is_understood() {
    let bare = |status| {
        SdkError::service_error(PutItemError::create_unhandled_error("html".into(), None), reply(status, "<html>"))
    };
    for (status, meaning) in
        [(413, Fault::Rejected), (429, Fault::Throttled), (408, Fault::Abandoned), (502, Fault::Abandoned)]
    {
        assert_eq!(fault("BatchWriteItem", &bare(status)), meaning, "{status}");
    }
    let error = port_error("PutItem", "orders", &bare(403));
    assert_eq!((error.fault, error.message.as_str()), (Fault::Unknown, "HTTP 403 without an error code"));
}

#[test]
fn what_may_have_been_sent_is_abandoned() {
    let io = || -> Box<dyn Error + Send + Sync> { "connection reset".into() };
    let abandoned: [Failure; 5] = [
        SdkError::timeout_error("operation timeout"),
        SdkError::dispatch_failure(ConnectorError::io(io())),
        SdkError::dispatch_failure(ConnectorError::timeout(io())),
        SdkError::dispatch_failure(ConnectorError::other(io(), None)),
        SdkError::response_error("unexpected end of file", reply(200, "{")),
    ];
    for error in &abandoned {
        assert_eq!(fault("PutItem", error), Fault::Abandoned, "{error}");
    }
    assert_eq!(fault("PutItem", &SdkError::response_error("cut", reply(413, ""))), Fault::Rejected);
    assert_eq!(fault("PutItem", &SdkError::construction_failure("no table name")), Fault::Unknown);
}

#[test]
fn credentials_that_could_not_be_had_are_told_apart() {
    let causes: [CredentialsError; 3] = [
        CredentialsError::not_loaded("nothing in the chain"),
        CredentialsError::provider_error("the SSO session has expired"),
        CredentialsError::invalid_configuration("no such profile"),
    ];
    for cause in causes {
        let error: Failure = SdkError::dispatch_failure(ConnectorError::other(cause.into(), None));
        assert_eq!(fault("PutItem", &error), Fault::Credentials);
    }
    let error: Failure = SdkError::construction_failure(CredentialsError::not_loaded_no_source());
    assert_eq!(fault("PutItem", &error), Fault::Credentials);
}

#[test]
fn the_message_is_the_services_and_quotes_no_values() {
    let message = |text| port_error("PutItem", "orders", &answered(400, "ValidationException", text)).message;
    assert_eq!(message("Type mismatch for Index Key k"), "ValidationException: Type mismatch for Index Key k");
    assert_eq!(
        message("1 validation error detected: Value '{t=[it's \"secret\"' at 'x]}' at 'requestItems' failed"),
        "ValidationException: 1 validation error detected: Value '…' at 'requestItems' failed"
    );
    assert_eq!(
        message("Input collection [secret, secret] contains duplicates."),
        "ValidationException: Input collection […] contains duplicates."
    );
    assert_eq!(
        message("The parameter cannot be converted to a numeric value: secret"),
        "ValidationException: The parameter cannot be converted to a numeric value: …"
    );
    assert_eq!(message(""), "ValidationException (HTTP 400)");
}

#[test]
fn causes_are_said_once() {
    let inner = ConnectorError::io(ConnectorError::io("connection refused".into()).into());
    let error: Failure = SdkError::dispatch_failure(inner);
    assert_eq!(port_error("PutItem", "orders", &error).message, "dispatch failure: io error: connection refused");
}

/// What one state write meets at `endpoint`.
async fn write_to(endpoint: &Canned) -> PortError {
    let key = StateKey { partition: "p".into(), sort: "s".into() };
    let entry = Entry { key, version: 1, epoch: 1, expires: None, body: serde_json::json!({}) };
    let store = AwsStateStore::new(&endpoint.connection(), "state");
    store.put(&entry, Guard::Absent).await.unwrap_err()
}

#[tokio::test]
async fn a_failed_request_is_sent_once() {
    let endpoint = Canned::replies(500, r#"{"__type": "InternalServerError", "message": "try again"}"#).await;
    let error = write_to(&endpoint).await;
    assert_eq!((error.fault, error.message.as_str()), (Fault::Abandoned, "InternalServerError: try again"));
    assert_eq!(endpoint.requests(), 1);

    let endpoint = Canned::replies(400, r#"{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#).await;
    assert_eq!(write_to(&endpoint).await.fault, Fault::Throttled);
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn the_reason_for_throttling_is_told() {
    let body = r#"{"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "too fast",
        "ThrottlingReasons": [{"reason": "IndexWriteKeyRangeThroughputExceeded", "resource": "arn:index"}]}"#;
    let error = write_to(&Canned::replies(400, body).await).await;
    assert_eq!(
        error.message,
        "ProvisionedThroughputExceededException: too fast [IndexWriteKeyRangeThroughputExceeded on arn:index]"
    );
}

#[tokio::test]
async fn a_hot_partition_is_told_apart_from_a_table_that_lacks_capacity() {
    let fault = async |reasons: &str| {
        let body = format!(
            r#"{{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "ThrottlingReasons": [{reasons}]}}"#
        );
        write_to(&Canned::replies(400, Box::leak(body.into_boxed_str())).await).await.fault
    };
    let hot = r#"{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": "arn:table"}"#;
    let short = r#"{"reason": "TableWriteProvisionedThroughputExceeded", "resource": "arn:table"}"#;
    assert_eq!(fault(hot).await, Fault::PartitionThrottled);
    assert_eq!(fault(short).await, Fault::Throttled);
    assert_eq!(fault(&format!("{hot}, {short}")).await, Fault::Throttled, "what lacks for all counts");
    assert_eq!(fault("").await, Fault::Throttled, "nothing is said: it may be all of the table");
}

#[tokio::test]
async fn a_reply_that_does_not_come_is_abandoned_within_the_limit() {
    let endpoint = Canned::closes_after(Duration::from_mins(1)).await;
    let error = tokio::time::timeout(TIMEOUTS.write * 10, write_to(&endpoint)).await.unwrap();
    assert_eq!(error.fault, Fault::Abandoned);
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_connection_closed_without_a_reply_is_abandoned() {
    let endpoint = Canned::closes_after(Duration::ZERO).await;
    let error = write_to(&endpoint).await;
    assert_eq!(error.fault, Fault::Abandoned, "{error}");
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_abandoned() {
    let mut endpoint = Canned::closes_after(Duration::ZERO).await;
    endpoint.url = "http://127.0.0.1:1".into();
    let error = write_to(&endpoint).await;
    assert_eq!(error.fault, Fault::Abandoned);
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_is_abandoned() {
    assert_eq!(write_to(&Canned::replies(200, "<html>").await).await.fault, Fault::Abandoned);
}

#[tokio::test]
async fn error_replies_tell_the_services_time_too() {
    let endpoint = Canned::replies(400, r#"{"__type": "ValidationException"}"#).await;
    write_to(&endpoint).await;
    assert!(endpoint.skew.millis() > 3_600_000);
}

/// Credentials that never come.
#[derive(Debug)]
struct Never;

impl ProvideCredentials for Never {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(std::future::pending::<Result<Credentials, CredentialsError>>())
    }
}

/// Credentials that cannot be had.
#[derive(Debug)]
struct Expired;

impl ProvideCredentials for Expired {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::provider_error("the SSO session has expired")))
    }
}

#[tokio::test]
async fn a_request_that_nothing_can_sign_is_about_credentials_and_is_not_sent() {
    for provider in [None, Some(SharedCredentialsProvider::new(Expired))] {
        let endpoint = Canned::replies(200, "{}").await;
        let connection = Connection::from_config(&config(&endpoint.url, provider), &TIMEOUTS, Arc::default());
        let error = AwsTableAdmin::new(&connection, "orders").describe().await.unwrap_err();
        assert_eq!(error.fault, Fault::Credentials, "{error}");
        assert!(matches!(check_identity(&connection).await, IdentityCheck::Refused(_)));
        assert_eq!(endpoint.requests(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_never_come_are_about_credentials() {
    let provider = SharedCredentialsProvider::new(Never);
    let connection = Connection::from_config(&config("http://127.0.0.1:1", Some(provider)), &TIMEOUTS, Arc::default());
    assert!(matches!(check_identity(&connection).await, IdentityCheck::Refused(_)));
}

#[tokio::test]
async fn an_emulator_that_knows_no_sts_refuses_nobody() {
    for (status, body) in [(200, "{}"), (400, r#"{"__type": "UnrecognizedClientException"}"#), (500, "")] {
        let endpoint = Canned::replies(status, body).await;
        let outcome = check_identity(&endpoint.connection()).await;
        assert!(matches!(outcome, IdentityCheck::Unreachable(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_identity_is_confirmed() {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/me</Arn><UserId>me</UserId>\
        <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let endpoint = Canned::replies(200, body).await;
    let IdentityCheck::Confirmed(identity) = check_identity(&endpoint.connection()).await else { panic!() };
    assert_eq!(identity.account, "123456789012");
}

#[tokio::test]
async fn the_real_sts_is_not_asked_on_behalf_of_another_endpoint() {
    let mut connection =
        Connection::from_config(&config("http://127.0.0.1:1", Some(dummy())), &TIMEOUTS, Arc::default());
    connection.sts_endpoint = None;
    assert!(matches!(check_identity(&connection).await, IdentityCheck::Unreachable(_)));
}

#[tokio::test]
async fn what_an_endpoint_does_not_offer_is_reported_and_not_an_error() {
    let options =
        CreateOptions { ttl_attribute: Some("until".into()), point_in_time_recovery: true, deletion_protection: false };
    for (status, body) in [
        (400, r#"{"__type": "com.amazon.coral.service#UnknownOperationException"}"#),
        (501, r#"{"__type": "NotImplemented"}"#),
    ] {
        let endpoint = Canned::replies(status, body).await;
        let admin = AwsTableAdmin::new(&endpoint.connection(), "orders");
        assert_eq!(admin.configure(&options).await, Ok(vec!["time to live", "point-in-time recovery"]));
    }
}

#[tokio::test]
async fn a_time_to_live_set_before_is_fine_and_another_one_is_not() {
    let options = CreateOptions { ttl_attribute: Some("until".into()), ..CreateOptions::default() };
    let configure = async |body| {
        let endpoint = Canned::replies(400, body).await;
        AwsTableAdmin::new(&endpoint.connection(), "orders").configure(&options).await.map_err(|error| error.fault)
    };
    let same = r#"{"__type": "ValidationException", "message": "TimeToLive is already enabled"}"#;
    let other = r#"{"__type": "ValidationException",
        "message": "TimeToLive is active on a different AttributeName: current AttributeName is then"}"#;
    assert_eq!(configure(same).await, Ok(vec![]));
    assert_eq!(configure(other).await, Err(Fault::Rejected));
}

#[tokio::test]
async fn a_stream_that_is_enabled_already_is_busy() {
    let body = r#"{"__type": "ValidationException", "message": "Table already has an enabled stream: TableName: t"}"#;
    let endpoint = Canned::replies(400, body).await;
    let admin = AwsTableAdmin::new(&endpoint.connection(), "orders");
    let error = admin.enable_stream(crate::model::ViewType::NewImage).await.unwrap_err();
    assert_eq!(error.fault, Fault::Busy);
}
