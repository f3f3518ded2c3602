//! The application's side of a cutover: its pointer is an item, its programs are processes.

use std::collections::HashMap;
use std::time::Duration;

use super::Connection;
use super::errors::{odd_reply, port_error};
use crate::model::AttributeValue;
use crate::ports::{Application, PortError, Program, ProgramFailure};
use crate::programs;

/// The attribute that names the table which the application uses.
#[derive(Clone, Debug, PartialEq)]
pub struct PointerSettings {
    /// The table that holds the item. Reached like the source.
    pub table: String,
    /// The item's primary key.
    pub key: HashMap<String, AttributeValue>,
    /// The attribute: a string, and no part of the key.
    pub attribute: String,
}

/// The application, as far as a cutover touches it.
#[derive(Clone, Debug)]
pub struct AwsApplication {
    client: aws_sdk_dynamodb::Client,
    pointer: Option<PointerSettings>,
}

impl AwsApplication {
    /// With the pointer that is configured, if any.
    pub fn new(connection: &Connection, pointer: Option<PointerSettings>) -> Self {
        Self { client: connection.writes.clone(), pointer }
    }

    fn settings(&self) -> Result<&PointerSettings, PortError> {
        self.pointer.as_ref().ok_or_else(|| odd_reply("UpdateItem", "the pointer", &"no pointer is configured"))
    }
}

impl Application for AwsApplication {
    async fn run(
        &self,
        program: &Program,
        environment: &[(&'static str, String)],
        limit: Duration,
    ) -> Result<String, ProgramFailure> {
        programs::run(program, environment, limit).await
    }

    async fn pointer(&self) -> Result<Option<String>, PortError> {
        let PointerSettings { table, key, attribute } = self.settings()?;
        let request = self.client.get_item().table_name(table).set_key(Some(key.clone())).consistent_read(true);
        let output = request.send().await.map_err(|error| port_error("GetItem", table, &error))?;
        match output.item.and_then(|mut item| item.remove(attribute)) {
            None => Ok(None),
            Some(AttributeValue::S(named)) => Ok(Some(named)),
            Some(_) => Err(odd_reply("GetItem", table, &"the pointer is not a string")),
        }
    }

    async fn point(&self, from: &str, to: &str) -> Result<(), PortError> {
        let PointerSettings { table, key, attribute } = self.settings()?;
        let request = self
            .client
            .update_item()
            .table_name(table)
            .set_key(Some(key.clone()))
            .update_expression("SET #pointer = :to")
            .condition_expression("#pointer = :from")
            .expression_attribute_names("#pointer", attribute)
            .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
            .expression_attribute_values(":from", AttributeValue::S(from.to_owned()));
        request.send().await.map(|_| ()).map_err(|error| port_error("UpdateItem", table, &error))
    }
}
