//! What surrounds a table, asked for one by one.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_resource_policy::GetResourcePolicyError;
use aws_sdk_dynamodb::types::{DestinationStatus, PointInTimeRecoveryStatus, TimeToLiveStatus};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::errors::{is_not_offered, port_error};
use crate::model::Aspect;
use crate::ports::{Fault, PortError};

/// The value of one aspect of a table, if it is set.
pub(super) async fn aspect(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    arn: &str,
    aspect: Aspect,
) -> Result<Option<String>, PortError> {
    match aspect {
        Aspect::TimeToLive => time_to_live(client, table).await,
        Aspect::PointInTimeRecovery => point_in_time_recovery(client, table).await,
        Aspect::Tags => tags(client, table, arn).await,
        Aspect::ResourcePolicy => resource_policy(client, table, arn).await,
        Aspect::KinesisDestinations => kinesis_destinations(client, table).await,
    }
}

fn refused<E>(operation: &'static str, table: &str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if is_not_offered(error) {
        let message = "the endpoint does not offer it".to_owned();
        return PortError { fault: Fault::Rejected, operation, resource: table.to_owned(), message };
    }
    port_error(operation, table, error)
}

async fn time_to_live(client: &aws_sdk_dynamodb::Client, table: &str) -> Result<Option<String>, PortError> {
    let sent = client.describe_time_to_live().table_name(table).send().await;
    let described = sent.map_err(|error| refused("DescribeTimeToLive", table, &error))?.time_to_live_description;
    let on = |status: Option<&TimeToLiveStatus>| {
        matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
    };
    Ok(described.filter(|described| on(described.time_to_live_status())).and_then(|described| described.attribute_name))
}

async fn point_in_time_recovery(client: &aws_sdk_dynamodb::Client, table: &str) -> Result<Option<String>, PortError> {
    let sent = client.describe_continuous_backups().table_name(table).send().await;
    let described = sent.map_err(|error| refused("DescribeContinuousBackups", table, &error))?;
    let recovery = described
        .continuous_backups_description
        .and_then(|backups| backups.point_in_time_recovery_description)
        .filter(|recovery| recovery.point_in_time_recovery_status == Some(PointInTimeRecoveryStatus::Enabled));
    Ok(recovery.map(|recovery| match recovery.recovery_period_in_days {
        Some(days) => format!("{days} days"),
        None => "on".to_owned(),
    }))
}

/// Tags whose names begin with `aws:` are the service's own.
async fn tags(client: &aws_sdk_dynamodb::Client, table: &str, arn: &str) -> Result<Option<String>, PortError> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let sent = client.list_tags_of_resource().resource_arn(arn).set_next_token(next).send().await;
        let page = sent.map_err(|error| refused("ListTagsOfResource", table, &error))?;
        let own = page.tags().iter().filter(|tag| !tag.key().starts_with("aws:"));
        found.extend(own.map(|tag| format!("{}={}", tag.key(), tag.value())));
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    found.sort_unstable();
    Ok(Some(found.join(", ")).filter(|tags| !tags.is_empty()))
}

/// Two tables' policies name the tables, so that only their presence is told.
async fn resource_policy(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    arn: &str,
) -> Result<Option<String>, PortError> {
    match client.get_resource_policy().resource_arn(arn).send().await {
        Ok(output) => Ok(output.policy.map(|_| "there is one".to_owned())),
        Err(error) if error.as_service_error().is_some_and(GetResourcePolicyError::is_policy_not_found_exception) => {
            Ok(None)
        }
        Err(error) => Err(refused("GetResourcePolicy", table, &error)),
    }
}

async fn kinesis_destinations(client: &aws_sdk_dynamodb::Client, table: &str) -> Result<Option<String>, PortError> {
    let sent = client.describe_kinesis_streaming_destination().table_name(table).send().await;
    let described = sent.map_err(|error| refused("DescribeKinesisStreamingDestination", table, &error))?;
    let live = |status: Option<&DestinationStatus>| {
        !matches!(status, None | Some(DestinationStatus::Disabled | DestinationStatus::EnableFailed))
    };
    let destinations = described.kinesis_data_stream_destinations.unwrap_or_default();
    let live = destinations.into_iter().filter(|destination| live(destination.destination_status()));
    let mut streams: Vec<_> = live.filter_map(|destination| destination.stream_arn).collect();
    streams.sort_unstable();
    Ok(Some(streams.join(", ")).filter(|streams| !streams.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::super::canned::Canned;
    use super::*;

    /// What is made of this reply.
    async fn seen(which: Aspect, status: u16, body: &'static str) -> Result<Option<String>, PortError> {
        let endpoint = Canned::replies(status, body).await;
        aspect(&endpoint.connection().reads, "orders", "arn:orders", which).await
    }

    #[tokio::test]
    async fn what_is_set_is_told() {
        for (which, body, wanted) in [
            (
                Aspect::TimeToLive,
                r#"{"TimeToLiveDescription":{"AttributeName":"expires","TimeToLiveStatus":"ENABLED"}}"#,
                "expires",
            ),
            (
                Aspect::PointInTimeRecovery,
                r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":
                    {"PointInTimeRecoveryStatus":"ENABLED","RecoveryPeriodInDays":35}}}"#,
                "35 days",
            ),
            (
                Aspect::Tags,
                r#"{"Tags":[{"Key":"team","Value":"b"},{"Key":"aws:stack","Value":"x"},{"Key":"cost","Value":"a"}]}"#,
                "cost=a, team=b",
            ),
            (Aspect::ResourcePolicy, r#"{"Policy":"{}","RevisionId":"1"}"#, "there is one"),
            (
                Aspect::KinesisDestinations,
                r#"{"TableName":"orders","KinesisDataStreamDestinations":[
                    {"StreamArn":"arn:b","DestinationStatus":"ACTIVE"},{"StreamArn":"arn:a","DestinationStatus":"DISABLED"}]}"#,
                "arn:b",
            ),
        ] {
            assert_eq!(seen(which, 200, body).await.unwrap().as_deref(), Some(wanted), "{which}");
        }
    }

    #[tokio::test]
    async fn what_is_not_set_is_none() {
        const NO_POLICY: &str =
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#PolicyNotFoundException","message":"none"}"#;
        for (which, status, body) in [
            (
                Aspect::TimeToLive,
                200,
                r#"{"TimeToLiveDescription":{"AttributeName":"expires","TimeToLiveStatus":"DISABLED"}}"#,
            ),
            (
                Aspect::PointInTimeRecovery,
                200,
                r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":
                    {"PointInTimeRecoveryStatus":"DISABLED"}}}"#,
            ),
            (Aspect::Tags, 200, r#"{"Tags":[]}"#),
            (Aspect::ResourcePolicy, 400, NO_POLICY),
            (Aspect::KinesisDestinations, 200, r#"{"TableName":"orders","KinesisDataStreamDestinations":[]}"#),
        ] {
            assert_eq!(seen(which, status, body).await.unwrap(), None, "{which}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_no_answer() {
        const UNKNOWN: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#UnknownOperationException"}"#;
        const DENIED: &str =
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","message":"not allowed"}"#;
        for which in Aspect::ALL {
            let error = seen(which, 400, UNKNOWN).await.unwrap_err();
            assert_eq!(
                (error.fault, error.message.as_str()),
                (Fault::Rejected, "the endpoint does not offer it"),
                "{which}"
            );
            let denied = seen(which, 400, DENIED).await.unwrap_err();
            assert_eq!(denied.fault, Fault::Denied, "{which}");
        }
    }
}
