//! Reads a table: Scan and `GetItem`, always consistently.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::Connection;
use super::errors::{odd_reply, port_error};
use crate::model::{Item, Key, KeySchema};
use crate::ports::{PortError, ScanPage, ScanRequest, TableReader};

/// Reads one table, source or shadow.
///
/// Items are handed on without a walk over their values: the caller measures them, which finds types that this
/// version does not know.
#[derive(Clone, Debug)]
pub struct AwsTableReader {
    client: aws_sdk_dynamodb::Client,
    table: String,
    schema: KeySchema,
}

impl AwsTableReader {
    /// A reader of `table`, whose primary key is `schema`.
    pub fn new(connection: &Connection, table: impl Into<String>, schema: KeySchema) -> Self {
        Self { client: connection.reads.clone(), table: table.into(), schema }
    }
}

impl TableReader for AwsTableReader {
    async fn scan(&self, request: &ScanRequest) -> Result<ScanPage, PortError> {
        const OPERATION: &str = "Scan";
        let output = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .segment(wire_number(request.segment))
            .total_segments(wire_number(request.segments))
            .set_limit(request.limit.map(wire_number))
            .set_exclusive_start_key(request.start.as_ref().map(|key| self.schema.attributes_of(key)))
            .send()
            .await
            .map_err(|error| port_error(OPERATION, &self.table, &error))?;
        let next = match output.last_evaluated_key {
            Some(attributes) => {
                Some(self.schema.key_of(&attributes).map_err(|error| odd_reply(OPERATION, &self.table, &error))?)
            }
            None => None,
        };
        Ok(ScanPage {
            items: output.items.unwrap_or_default().into_iter().map(Item::new).collect(),
            next,
            read_units: output.consumed_capacity.and_then(|capacity| capacity.capacity_units),
        })
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, PortError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(self.schema.attributes_of(key)))
            .send()
            .await
            .map_err(|error| port_error("GetItem", &self.table, &error))?;
        Ok(output.item.map(Item::new))
    }
}

/// The SDK's integers are signed. What does not fit is far outside the service's ranges, which then refuses it.
fn wire_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
