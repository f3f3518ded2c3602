//! The state table's contents: entries as native attributes, writes under guards.
//!
//! An entry is an item with the key `pk`, `sk` (strings) and the attributes `version` (N), `epoch` (N), `expires_at`
//! (N, seconds since the epoch, where present: the table's time-to-live attribute) and `body` (the entity, as a map of
//! native types, so that it can be read in any console).

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Number, Value};

use super::Connection;
use super::errors::{odd_reply, port_error};
use crate::ports::{Entry, Guard, PortError, StateKey, StateStore};

/// Pages per listing. A partition of more than a gigabyte is none of ours.
const LISTING_PAGES: usize = 1_000;

/// The state table.
#[derive(Clone, Debug)]
pub struct AwsStateStore {
    reads: aws_sdk_dynamodb::Client,
    writes: aws_sdk_dynamodb::Client,
    table: String,
}

impl AwsStateStore {
    /// The contents of `table`, whose primary key is `pk`, `sk`, both strings.
    pub fn new(connection: &Connection, table: impl Into<String>) -> Self {
        Self { reads: connection.reads.clone(), writes: connection.writes.clone(), table: table.into() }
    }

    fn entry(&self, operation: &'static str, item: HashMap<String, AttributeValue>) -> Result<Entry, PortError> {
        entry_of(item).map_err(|reason| odd_reply(operation, &self.table, &reason))
    }
}

impl StateStore for AwsStateStore {
    async fn get(&self, key: &StateKey) -> Result<Option<Entry>, PortError> {
        const OPERATION: &str = "GetItem";
        let sent = self.reads.get_item().table_name(&self.table).consistent_read(true).set_key(Some(key_item(key)));
        let output = sent.send().await.map_err(|error| port_error(OPERATION, &self.table, &error))?;
        output.item.map(|item| self.entry(OPERATION, item)).transpose()
    }

    async fn list(&self, partition: &str, prefix: &str) -> Result<Vec<Entry>, PortError> {
        const OPERATION: &str = "Query";
        let mut query = self
            .reads
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_names("#p", "pk")
            .expression_attribute_values(":p", AttributeValue::S(partition.to_owned()));
        // The service takes no empty prefix.
        query = if prefix.is_empty() {
            query.key_condition_expression("#p = :p")
        } else {
            query
                .key_condition_expression("#p = :p AND begins_with(#s, :s)")
                .expression_attribute_names("#s", "sk")
                .expression_attribute_values(":s", AttributeValue::S(prefix.to_owned()))
        };
        let mut entries = Vec::new();
        let mut after = None;
        for _ in 0..LISTING_PAGES {
            let page = query.clone().set_exclusive_start_key(after).send().await;
            let page = page.map_err(|error| port_error(OPERATION, &self.table, &error))?;
            for item in page.items.unwrap_or_default() {
                entries.push(self.entry(OPERATION, item)?);
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(entries);
            }
        }
        Err(odd_reply(OPERATION, &self.table, &format!("{partition} did not end after {LISTING_PAGES} pages")))
    }

    async fn put(&self, entry: &Entry, guard: Guard) -> Result<(), PortError> {
        const OPERATION: &str = "PutItem";
        let item = item_of(entry).map_err(|reason| odd_reply(OPERATION, &self.table, &reason))?;
        let condition = Condition::for_put(guard);
        self.writes
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(condition.values)
            .send()
            .await
            .map_err(|error| port_error(OPERATION, &self.table, &error))?;
        Ok(())
    }

    async fn delete(&self, key: &StateKey, guard: Guard) -> Result<(), PortError> {
        let condition = Condition::for_delete(guard);
        self.writes
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key_item(key)))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(condition.values)
            .send()
            .await
            .map_err(|error| port_error("DeleteItem", &self.table, &error))?;
        Ok(())
    }
}

/// A guard in the service's words.
struct Condition {
    expression: &'static str,
    names: HashMap<String, String>,
    /// `None` rather than empty: the service refuses an empty map.
    values: Option<HashMap<String, AttributeValue>>,
}

impl Condition {
    fn for_put(guard: Guard) -> Self {
        let expression = match guard {
            Guard::Absent => "attribute_not_exists(#pk)",
            Guard::Unchanged { .. } => "#version = :version AND #epoch <= :epoch",
            Guard::Epoch(_) => "attribute_not_exists(#pk) OR #epoch <= :epoch",
        };
        Self::new(expression, guard)
    }

    /// Deleting what is not there is no error: an earlier reply may have been lost.
    fn for_delete(guard: Guard) -> Self {
        let expression = match guard {
            Guard::Absent => "attribute_not_exists(#pk)",
            Guard::Unchanged { .. } => "attribute_not_exists(#pk) OR (#version = :version AND #epoch <= :epoch)",
            Guard::Epoch(_) => "attribute_not_exists(#pk) OR #epoch <= :epoch",
        };
        Self::new(expression, guard)
    }

    /// Fills in the names and values that the expression uses; the service refuses others.
    fn new(expression: &'static str, guard: Guard) -> Self {
        let names = [("#pk", "pk"), ("#version", "version"), ("#epoch", "epoch")];
        let names = names.into_iter().filter(|(placeholder, _)| expression.contains(placeholder));
        let mut values = HashMap::new();
        if let Guard::Unchanged { version, .. } = guard {
            values.insert(":version".to_owned(), AttributeValue::N(version.to_string()));
        }
        if let Guard::Unchanged { epoch, .. } | Guard::Epoch(epoch) = guard {
            values.insert(":epoch".to_owned(), AttributeValue::N(epoch.to_string()));
        }
        Self {
            expression,
            names: names.map(|(placeholder, name)| (placeholder.to_owned(), name.to_owned())).collect(),
            values: (!values.is_empty()).then_some(values),
        }
    }
}

fn key_item(key: &StateKey) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key.partition.clone())),
        ("sk".to_owned(), AttributeValue::S(key.sort.clone())),
    ])
}

fn item_of(entry: &Entry) -> Result<HashMap<String, AttributeValue>, String> {
    let mut item = key_item(&entry.key);
    item.insert("version".to_owned(), AttributeValue::N(entry.version.to_string()));
    item.insert("epoch".to_owned(), AttributeValue::N(entry.epoch.to_string()));
    if let Some(expires) = entry.expires {
        item.insert("expires_at".to_owned(), AttributeValue::N(expires.to_string()));
    }
    if !entry.body.is_object() {
        return Err(format!("the body of {} is not an object", entry.key.sort));
    }
    item.insert("body".to_owned(), attribute_of(&entry.body));
    Ok(item)
}

fn entry_of(mut item: HashMap<String, AttributeValue>) -> Result<Entry, String> {
    let mut text = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(format!("an entry has no string {name:?}")),
    };
    let key = StateKey { partition: text("pk")?, sort: text("sk")? };
    let wrong = |name: &str| format!("entry {} has no readable {name:?}", key.sort);
    let number = |name: &str| match item.get(name) {
        Some(AttributeValue::N(text)) => text.parse().map_err(|_| wrong(name)),
        _ => Err(wrong(name)),
    };
    let (version, epoch) = (number("version")?, number("epoch")?);
    let expires = match item.get("expires_at") {
        Some(AttributeValue::N(text)) => Some(text.parse().map_err(|_| wrong("expires_at"))?),
        Some(_) => return Err(wrong("expires_at")),
        None => None,
    };
    let body = item.remove("body").and_then(value_of).ok_or_else(|| wrong("body"))?;
    Ok(Entry { key, version, epoch, expires, body })
}

fn attribute_of(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(values.iter().map(attribute_of).collect()),
        Value::Object(fields) => {
            AttributeValue::M(fields.iter().map(|(name, value)| (name.clone(), attribute_of(value))).collect())
        }
    }
}

/// `None` for a type or number that no entity of ours has.
fn value_of(attribute: AttributeValue) -> Option<Value> {
    Some(match attribute {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::N(text) => Value::Number(number_of(&text)?),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(value_of).collect::<Option<_>>()?),
        AttributeValue::M(fields) => Value::Object(
            fields.into_iter().map(|(name, value)| Some((name, value_of(value)?))).collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// Whole numbers stay whole; the service gives back 1 for 1.0, which any reader of a fraction takes as well.
fn number_of(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    Number::from_f64(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(body: Value) -> Entry {
        let key = StateKey { partition: "MIGRATION#m".into(), sort: "META".into() };
        Entry { key, version: 3, epoch: u64::MAX, expires: Some(1_700_000_000), body }
    }

    #[test]
    fn an_entry_survives_the_way_there_and_back() {
        let body = json!({
            "text": "", "whole": u64::MAX, "negative": i64::MIN, "fraction": 0.25, "flag": false, "nothing": null,
            "list": [1, "two", {}], "map": {"inner": []}
        });
        let entry = entry(body);
        assert_eq!(entry_of(item_of(&entry).unwrap()).unwrap(), entry);
        let lasting = Entry { expires: None, ..entry };
        let item = item_of(&lasting).unwrap();
        assert!(!item.contains_key("expires_at"));
        assert_eq!(entry_of(item).unwrap(), lasting);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        assert_eq!(item_of(&entry(json!([1]))).unwrap_err(), "the body of META is not an object");
    }

    #[test]
    fn a_foreign_item_is_an_error() {
        let good = item_of(&entry(json!({}))).unwrap();
        for name in ["pk", "sk", "version", "epoch", "body"] {
            let mut item = good.clone();
            item.insert(name.to_owned(), AttributeValue::Bs(vec![]));
            assert!(entry_of(item).unwrap_err().contains(name), "{name}");
        }
    }

    #[test]
    fn a_condition_names_only_what_it_uses() {
        let absent = Condition::for_put(Guard::Absent);
        assert_eq!((absent.names.len(), absent.values.is_none()), (1, true));
        let unchanged = Condition::for_put(Guard::Unchanged { version: 1, epoch: 2 });
        assert_eq!((unchanged.names.len(), unchanged.values.unwrap().len()), (2, 2));
        let deleted = Condition::for_delete(Guard::Unchanged { version: 1, epoch: 2 });
        assert_eq!((deleted.names.len(), deleted.values.unwrap().len()), (3, 2));
    }
}
