//! Creates, describes and configures one table.

use aws_sdk_dynamodb::types::{
    PointInTimeRecoverySpecification, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::errors::{is_not_offered, odd_reply, port_error};
use super::layout::{TableRequest, describe};
use super::{Connection, aspects};
use crate::model::{Aspect, Place, TableDescription, TableLayout, ViewType};
use crate::ports::{CreateOptions, Fault, PortError, TableAdmin};

/// One table, seen as a whole.
#[derive(Clone, Debug)]
pub struct AwsTableAdmin {
    client: aws_sdk_dynamodb::Client,
    table: String,
    place: Place,
}

impl AwsTableAdmin {
    /// The table `table`, which need not exist yet.
    pub fn new(connection: &Connection, table: impl Into<String>) -> Self {
        let table = table.into();
        let place = connection.place(&table);
        Self { client: connection.reads.clone(), table, place }
    }

    /// The same, once the account is known.
    pub(super) fn know_account(&mut self, account: &str) {
        self.place.account = Some(account.to_owned());
    }

    /// `false` when the endpoint does not offer it.
    async fn set_time_to_live(&self, attribute: &str) -> Result<bool, PortError> {
        const OPERATION: &str = "UpdateTimeToLive";
        let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
        let specification = specification.map_err(|error| odd_reply(OPERATION, &self.table, &error))?;
        let sent = self
            .client
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(specification)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_not_offered(&error) => Ok(false),
            // The service's words when this very attribute is set already, as after a reply that was lost.
            Err(error) if error.message() == Some("TimeToLive is already enabled") => Ok(true),
            Err(error) => Err(port_error(OPERATION, &self.table, &error)),
        }
    }

    /// `false` when the endpoint does not offer it.
    async fn set_point_in_time_recovery(&self) -> Result<bool, PortError> {
        const OPERATION: &str = "UpdateContinuousBackups";
        let specification = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
        let specification = specification.map_err(|error| odd_reply(OPERATION, &self.table, &error))?;
        let sent = self
            .client
            .update_continuous_backups()
            .table_name(&self.table)
            .point_in_time_recovery_specification(specification)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_not_offered(&error) => Ok(false),
            Err(error) => Err(port_error(OPERATION, &self.table, &error)),
        }
    }
}

impl TableAdmin for AwsTableAdmin {
    fn place(&self) -> &Place {
        &self.place
    }

    async fn describe(&self) -> Result<Option<TableDescription>, PortError> {
        const OPERATION: &str = "DescribeTable";
        let reply = match self.client.describe_table().table_name(&self.table).send().await {
            Ok(output) => output.table,
            Err(error) => {
                let error = port_error(OPERATION, &self.table, &error);
                return if error.fault == Fault::Missing { Ok(None) } else { Err(error) };
            }
        };
        let table = reply.ok_or_else(|| odd_reply(OPERATION, &self.table, &"the reply describes no table"))?;
        describe(table).map(Some).map_err(|reason| odd_reply(OPERATION, &self.table, &reason))
    }

    async fn aspect(&self, arn: &str, aspect: Aspect) -> Result<Option<String>, PortError> {
        aspects::aspect(&self.client, &self.table, arn, aspect).await
    }

    async fn create(&self, layout: &TableLayout, options: &CreateOptions) -> Result<(), PortError> {
        const OPERATION: &str = "CreateTable";
        let request = TableRequest::new(layout).map_err(|reason| PortError {
            fault: Fault::Rejected,
            operation: OPERATION,
            resource: self.table.clone(),
            message: reason,
        })?;
        self.client
            .create_table()
            .table_name(&self.table)
            .set_attribute_definitions(Some(request.attributes))
            .set_key_schema(Some(request.key_schema))
            .billing_mode(request.billing_mode)
            .set_provisioned_throughput(request.throughput)
            .set_global_secondary_indexes(request.global_indexes)
            .set_local_secondary_indexes(request.local_indexes)
            .set_deletion_protection_enabled(options.deletion_protection.then_some(true))
            .send()
            .await
            .map_err(|error| port_error(OPERATION, &self.table, &error))?;
        Ok(())
    }

    async fn configure(&self, options: &CreateOptions) -> Result<Vec<&'static str>, PortError> {
        let mut not_offered = Vec::new();
        if let Some(attribute) = &options.ttl_attribute
            && !self.set_time_to_live(attribute).await?
        {
            not_offered.push("time to live");
        }
        if options.point_in_time_recovery && !self.set_point_in_time_recovery().await? {
            not_offered.push("point-in-time recovery");
        }
        Ok(not_offered)
    }

    async fn enable_stream(&self, view: ViewType) -> Result<(), PortError> {
        const OPERATION: &str = "UpdateTable";
        let specification =
            StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::from(view.as_str()));
        let specification = specification.build().map_err(|error| odd_reply(OPERATION, &self.table, &error))?;
        let sent = self.client.update_table().table_name(&self.table).stream_specification(specification).send().await;
        sent.map(drop).map_err(|error| {
            let already = error.message().is_some_and(|message| message.contains("already has an enabled stream"));
            let mut error = port_error(OPERATION, &self.table, &error);
            // A ValidationException today, ResourceInUseException in older texts: the same answer.
            if already && error.fault == Fault::Rejected {
                error.fault = Fault::Busy;
            }
            error
        })
    }

    async fn is_empty(&self) -> Result<bool, PortError> {
        const OPERATION: &str = "Scan";
        let reply = self.client.scan().table_name(&self.table).consistent_read(true).limit(1).send().await;
        let reply = reply.map_err(|error| port_error(OPERATION, &self.table, &error))?;
        // A page without items that names a next one tells nothing; a table that has one is not empty enough to trust.
        Ok(reply.items().is_empty() && reply.last_evaluated_key.is_none())
    }

    async fn delete(&self) -> Result<(), PortError> {
        let sent = self.client.delete_table().table_name(&self.table).send().await;
        sent.map(drop).map_err(|error| port_error("DeleteTable", &self.table, &error))
    }
}
