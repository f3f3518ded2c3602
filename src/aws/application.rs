//! What an application does with its table, for the demo, which brings an application along.
//!
//! No port: nothing of a migration goes through it. It lives here since only this folder calls the SDK.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};

use super::Connection;
use super::errors::{odd_reply, port_error};
use crate::model::{AttributeValue, Item};
use crate::ports::PortError;

/// A table as an application uses it.
#[derive(Clone, Debug)]
pub struct ApplicationTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// An `UpdateItem` expression with its names (`#name`) and values (`:value`).
#[derive(Clone, Debug)]
pub struct Update<const NAMES: usize, const VALUES: usize> {
    /// The expression.
    pub expression: &'static str,
    /// What its names stand for.
    pub names: [(&'static str, &'static str); NAMES],
    /// What its values stand for.
    pub values: [(&'static str, AttributeValue); VALUES],
}

impl ApplicationTable {
    /// The table `table`.
    pub fn new(connection: &Connection, table: impl Into<String>) -> Self {
        Self { client: connection.reads.clone(), table: table.into() }
    }

    /// Puts up to 25 items of distinct keys, asking again for what was left undone.
    pub async fn put_all(&self, items: Vec<Item>) -> Result<(), PortError> {
        const OPERATION: &str = "BatchWriteItem";
        let put = |item: Item| {
            let put = PutRequest::builder().set_item(Some(item.into_attributes())).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let requests: Result<Vec<_>, aws_smithy_types::error::operation::BuildError> =
            items.into_iter().map(put).collect();
        let mut left = requests.map_err(|error| odd_reply(OPERATION, &self.table, &error))?;
        while !left.is_empty() {
            let sent = self.client.batch_write_item().request_items(&self.table, left).send().await;
            let reply = sent.map_err(|error| port_error(OPERATION, &self.table, &error))?;
            left = reply.unprocessed_items.and_then(|mut tables| tables.remove(&self.table)).unwrap_or_default();
        }
        Ok(())
    }

    /// One item, read consistently.
    pub async fn get(&self, key: HashMap<String, AttributeValue>) -> Result<Option<Item>, PortError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        let reply = get.send().await.map_err(|error| port_error("GetItem", &self.table, &error))?;
        Ok(reply.item.map(Item::new))
    }

    /// Puts one item.
    pub async fn put(&self, item: Item) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item.into_attributes()));
        put.send().await.map(drop).map_err(|error| port_error("PutItem", &self.table, &error))
    }

    /// Changes one item.
    pub async fn update<const NAMES: usize, const VALUES: usize>(
        &self,
        key: HashMap<String, AttributeValue>,
        update: Update<NAMES, VALUES>,
    ) -> Result<(), PortError> {
        let names = update.names.map(|(name, attribute)| (name.to_owned(), attribute.to_owned()));
        let values = update.values.map(|(name, value)| (name.to_owned(), value));
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .update_expression(update.expression)
            .set_expression_attribute_names(Some(names.into()))
            .set_expression_attribute_values(Some(values.into()));
        request.send().await.map(drop).map_err(|error| port_error("UpdateItem", &self.table, &error))
    }

    /// Deletes one item.
    pub async fn delete(&self, key: HashMap<String, AttributeValue>) -> Result<(), PortError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(drop).map_err(|error| port_error("DeleteItem", &self.table, &error))
    }

    /// The first page of an index's entries whose partition key attribute has this value.
    pub async fn query(&self, index: &str, attribute: &str, value: &str) -> Result<Vec<Item>, PortError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .key_condition_expression("#partition = :value")
            .expression_attribute_names("#partition", attribute)
            .expression_attribute_values(":value", AttributeValue::S(value.to_owned()));
        let reply = query.send().await.map_err(|error| port_error("Query", &self.table, &error))?;
        Ok(reply.items.unwrap_or_default().into_iter().map(Item::new).collect())
    }
}
