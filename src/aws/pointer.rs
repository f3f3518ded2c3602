//! The application's side of a cutover: its pointer is an item or a parameter, its programs are processes.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::types::ParameterType;

use super::Connection;
use super::errors::{odd_reply, port_error};
use crate::model::AttributeValue;
use crate::ports::{Application, Fault, PortError, Program, ProgramFailure};
use crate::programs;

/// What names the table that the application uses. It is reached like the source.
#[derive(Clone, Debug, PartialEq)]
pub enum PointerSettings {
    /// An attribute of an item.
    Item(PointerItem),
    /// A parameter of Systems Manager, by its name: of type `String`.
    Parameter(String),
}

/// An attribute of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct PointerItem {
    /// The table that holds the item.
    pub table: String,
    /// The item's primary key.
    pub key: HashMap<String, AttributeValue>,
    /// The attribute: a string, and no part of the key.
    pub attribute: String,
}

/// The application, as far as a cutover touches it.
#[derive(Clone, Debug)]
pub struct AwsApplication {
    items: aws_sdk_dynamodb::Client,
    parameters: aws_sdk_ssm::Client,
    pointer: Option<PointerSettings>,
}

impl AwsApplication {
    /// With the pointer that is configured, if any.
    pub fn new(connection: &Connection, pointer: Option<PointerSettings>) -> Self {
        Self { items: connection.writes.clone(), parameters: connection.ssm.clone(), pointer }
    }

    fn settings(&self) -> Result<&PointerSettings, PortError> {
        self.pointer.as_ref().ok_or_else(|| odd_reply("UpdateItem", "the pointer", &"no pointer is configured"))
    }

    async fn item(&self, PointerItem { table, key, attribute }: &PointerItem) -> Result<Option<String>, PortError> {
        let request = self.items.get_item().table_name(table).set_key(Some(key.clone())).consistent_read(true);
        let output = request.send().await.map_err(|error| port_error("GetItem", table, &error))?;
        match output.item.and_then(|mut item| item.remove(attribute)) {
            None => Ok(None),
            Some(AttributeValue::S(named)) => Ok(Some(named)),
            Some(_) => Err(odd_reply("GetItem", table, &"the pointer is not a string")),
        }
    }

    async fn point_item(&self, item: &PointerItem, from: &str, to: &str) -> Result<(), PortError> {
        let PointerItem { table, key, attribute } = item;
        let request = self
            .items
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

    /// Its condition contradicts itself: who may write is told that it does not hold.
    async fn may_point_item(&self, item: &PointerItem) -> Result<(), PortError> {
        const OPERATION: &str = "UpdateItem";
        let PointerItem { table, key, attribute } = item;
        let Some(name) = key.keys().next() else { return Ok(()) };
        let request = self
            .items
            .update_item()
            .table_name(table)
            .set_key(Some(key.clone()))
            .update_expression("SET #pointer = :never")
            .condition_expression("attribute_exists(#key) AND attribute_not_exists(#key)")
            .expression_attribute_names("#pointer", attribute)
            .expression_attribute_names("#key", name)
            .expression_attribute_values(":never", AttributeValue::S("never".to_owned()));
        match request.send().await.map_err(|error| port_error(OPERATION, table, &error)) {
            Err(error) if error.fault == Fault::Conflict => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(odd_reply(OPERATION, table, &"a condition that contradicts itself was taken for true")),
        }
    }

    async fn parameter(&self, name: &str) -> Result<Option<String>, PortError> {
        const OPERATION: &str = "GetParameter";
        match self.parameters.get_parameter().name(name).send().await {
            Ok(output) => {
                let parameter = output.parameter;
                match parameter.as_ref().and_then(|parameter| parameter.r#type()) {
                    Some(kind) if *kind != ParameterType::String => {
                        let told = format!(
                            "the parameter is a {kind}, not a String: it would be written as one, in plain text"
                        );
                        Err(odd_reply(OPERATION, name, &told))
                    }
                    _ => Ok(parameter.and_then(|parameter| parameter.value)),
                }
            }
            Err(error) if error.as_service_error().is_some_and(GetParameterError::is_parameter_not_found) => Ok(None),
            Err(error) => Err(port_error(OPERATION, name, &error)),
        }
    }

    /// The service knows no condition for a parameter: it is read, and written if it names `from`. Whoever else moves it
    /// in between is overwritten.
    async fn point_parameter(&self, name: &str, from: &str, to: &str) -> Result<(), PortError> {
        const OPERATION: &str = "PutParameter";
        if self.parameter(name).await?.as_deref() != Some(from) {
            return Err(PortError {
                fault: Fault::Conflict,
                operation: OPERATION,
                resource: name.to_owned(),
                message: format!("the parameter does not name {from}"),
            });
        }
        let request = self.parameters.put_parameter().name(name).value(to).overwrite(true);
        request.send().await.map(|_| ()).map_err(|error| port_error(OPERATION, name, &error))
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

    async fn check(&self, program: &Program) -> Result<(), String> {
        programs::check(program)
    }

    async fn may_point(&self) -> Result<(), PortError> {
        match self.settings()? {
            PointerSettings::Item(item) => self.may_point_item(item).await,
            // The service takes no condition, so there is no write that changes nothing.
            PointerSettings::Parameter(_) => Ok(()),
        }
    }

    async fn pointer(&self) -> Result<Option<String>, PortError> {
        match self.settings()? {
            PointerSettings::Item(item) => self.item(item).await,
            PointerSettings::Parameter(name) => self.parameter(name).await,
        }
    }

    async fn point(&self, from: &str, to: &str) -> Result<(), PortError> {
        match self.settings()? {
            PointerSettings::Item(item) => self.point_item(item, from, to).await,
            PointerSettings::Parameter(name) => self.point_parameter(name, from, to).await,
        }
    }
}
