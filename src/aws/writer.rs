//! Writes a table: batches, and single writes under the condition "absent, or mine".

use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use super::errors::{odd_reply, port_error};
use super::{Connection, body};
use crate::model::{AttributeValue, KeySchema};
use crate::ports::{BatchReply, Fault, OwnedReply, PortError, TableWriter, Write};

/// Writes one table.
#[derive(Clone, Debug)]
pub struct AwsTableWriter {
    client: aws_sdk_dynamodb::Client,
    table: String,
    schema: KeySchema,
}

impl AwsTableWriter {
    /// A writer of `table`, whose primary key is `schema`.
    pub fn new(connection: &Connection, table: impl Into<String>, schema: KeySchema) -> Self {
        Self { client: connection.writes.clone(), table: table.into(), schema }
    }

    fn odd_batch(&self, message: &dyn Display) -> PortError {
        odd_reply("BatchWriteItem", &self.table, message)
    }
}

impl TableWriter for AwsTableWriter {
    async fn write_batch(&self, writes: &[Arc<Write>]) -> Result<BatchReply, PortError> {
        if writes.is_empty() {
            return Ok(BatchReply::default());
        }
        let body = body::batch(&self.table, &self.schema, writes).map_err(|error| self.odd_batch(&error))?;
        let (length, body) = (body.len(), Bytes::from(body));
        let output = self
            .client
            .batch_write_item()
            // The SDK looks at the table to find out where to send the request.
            .request_items(&self.table, Vec::new())
            .customize()
            .mutate_request(move |request| {
                *request.body_mut() = SdkBody::from(body.clone());
                request.headers_mut().insert("content-length", length.to_string());
            })
            .send()
            .await
            .map_err(|error| port_error("BatchWriteItem", &self.table, &error))?;
        let mut unprocessed = Vec::new();
        for request in output.unprocessed_items.unwrap_or_default().into_values().flatten() {
            let attributes = match (&request.put_request, &request.delete_request) {
                (Some(put), _) => &put.item,
                (None, Some(delete)) => &delete.key,
                (None, None) => return Err(self.odd_batch(&"an unprocessed request is neither a put nor a deletion")),
            };
            unprocessed.push(self.schema.key_of(attributes).map_err(|error| self.odd_batch(&error))?);
        }
        Ok(BatchReply {
            unprocessed,
            write_units: write_units(output.consumed_capacity.as_deref().unwrap_or_default()),
        })
    }

    async fn write_owned(&self, write: &Write) -> Result<OwnedReply, PortError> {
        let operation = if write.image.is_some() { "PutItem" } else { "DeleteItem" };
        let Some(owner) = write.owner.as_deref().filter(|owner| !owner.is_empty()) else {
            return Err(odd_reply(operation, &self.table, &"an owned write names no owner"));
        };
        let Claim { condition, names, values } = Claim::new(&self.schema.partition.name, owner);
        let outcome = match &write.image {
            Some(image) => self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(image.attributes().clone()))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map(|output| output.consumed_capacity)
                .map_err(|error| port_error(operation, &self.table, &error)),
            None => self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(self.schema.attributes_of(&write.key)))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map(|output| output.consumed_capacity)
                .map_err(|error| port_error(operation, &self.table, &error)),
        };
        match outcome {
            Ok(capacity) => Ok(OwnedReply { done: true, write_units: write_units(capacity.as_slice()) }),
            // Another source item's: an answer, not an error.
            Err(error) if error.fault == Fault::Conflict => Ok(OwnedReply { done: false, write_units: None }),
            Err(error) => Err(error),
        }
    }
}

/// The condition "absent, or mine", with names and values out of the way of reserved words.
struct Claim {
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Claim {
    fn new(partition: &str, owner: &HashMap<String, AttributeValue>) -> Self {
        let mut condition = String::from("attribute_not_exists(#k) OR (");
        let mut names = HashMap::with_capacity(owner.len() + 1);
        let mut values = HashMap::with_capacity(owner.len());
        names.insert("#k".to_owned(), partition.to_owned());
        for (index, (name, value)) in owner.iter().enumerate() {
            let and = if index == 0 { "" } else { " AND " };
            // Writing to a string cannot fail.
            let _ = write!(condition, "{and}#o{index} = :o{index}");
            names.insert(format!("#o{index}"), name.clone());
            values.insert(format!(":o{index}"), value.clone());
        }
        condition.push(')');
        Self { condition, names, values }
    }
}

/// The capacity consumed, where the service says.
fn write_units(consumed: &[ConsumedCapacity]) -> Option<f64> {
    consumed.iter().filter_map(|one| one.capacity_units).reduce(|total, units| total + units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_demands_every_owner_attribute() {
        let owner =
            [("id".to_owned(), AttributeValue::S("a".into())), ("name".to_owned(), AttributeValue::N("1".into()))];
        let claim = Claim::new("pk", &owner.into());
        assert_eq!(claim.condition, "attribute_not_exists(#k) OR (#o0 = :o0 AND #o1 = :o1)");
        assert_eq!((claim.names.len(), claim.values.len()), (3, 2));
        let first = &claim.names["#o0"];
        let expected = if first == "id" { AttributeValue::S("a".into()) } else { AttributeValue::N("1".into()) };
        assert_eq!(claim.values[":o0"], expected);
    }

    #[test]
    fn units_are_unknown_unless_said() {
        let units = |count| ConsumedCapacity::builder().capacity_units(count).build();
        assert_eq!(write_units(&[]), None);
        assert_eq!(write_units(&[units(1.5), units(2.0)]), Some(3.5));
    }
}
