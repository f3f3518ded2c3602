//! Tables by name: a description is the request that created it, and the rest that a table says of itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Refusal;

#[derive(Default)]
pub(super) struct Tables {
    by_name: BTreeMap<String, Value>,
    created: u32,
}

impl Tables {
    pub(super) fn create(&mut self, request: &Value) -> Result<Value, Refusal> {
        let name = name_of(request)?;
        if self.by_name.contains_key(name) {
            return Err(Refusal("ResourceInUseException"));
        }
        self.created += 1;
        let arn = format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}");
        let mut table = json!({
            "TableName": name,
            "TableArn": arn,
            "TableId": format!("00000000-0000-4000-8000-{:012}", self.created),
            "TableStatus": "ACTIVE",
            "CreationDateTime": 1_700_000_000,
            "ItemCount": 0,
            "TableSizeBytes": 0,
            "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
            "KeySchema": request["KeySchema"],
            "AttributeDefinitions": request["AttributeDefinitions"],
        });
        for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            let mut described = request[indexes].clone();
            for index in described.as_array_mut().into_iter().flatten() {
                index["IndexStatus"] = "ACTIVE".into();
            }
            if !described.is_null() {
                table[indexes] = described;
            }
        }
        if request["StreamSpecification"]["StreamEnabled"] == true {
            table["StreamSpecification"] = request["StreamSpecification"].clone();
            table["LatestStreamLabel"] = "2026-01-01T00:00:00.000".into();
            table["LatestStreamArn"] = format!("{arn}/stream/2026-01-01T00:00:00.000").into();
        }
        self.by_name.insert(name.to_owned(), table.clone());
        Ok(json!({ "TableDescription": table }))
    }

    /// The source is the table with a stream.
    pub(super) fn is_source(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|table| table.get("LatestStreamArn").is_some())
    }

    /// Good for `UpdateTable` too, which changes nothing here.
    pub(super) fn describe(&self, request: &Value) -> Result<Value, Refusal> {
        let table = self.by_name.get(name_of(request)?).ok_or(Refusal("ResourceNotFoundException"))?;
        Ok(json!({ "Table": table, "TableDescription": table }))
    }

    pub(super) fn delete(&mut self, request: &Value) -> Result<Value, Refusal> {
        let table = self.by_name.remove(name_of(request)?).ok_or(Refusal("ResourceNotFoundException"))?;
        Ok(json!({ "TableDescription": table }))
    }
}

/// A page of so many open shards.
pub(super) fn describe_stream(request: &Value, shards: u64) -> Value {
    let first = request["ExclusiveStartShardId"].as_str().and_then(shard_of).map_or(0, |shard| shard + 1);
    let filtered = !request["ShardFilter"].is_null();
    let end = if filtered { first } else { shards.min(first + request["Limit"].as_u64().unwrap_or(100)) };
    let described = |shard: u64| {
        json!({
            "ShardId": shard_id(shard),
            "SequenceNumberRange": { "StartingSequenceNumber": "100000000000000000000" },
        })
    };
    let mut stream = json!({
        "StreamArn": request["StreamArn"],
        "StreamLabel": "2026-01-01T00:00:00.000",
        "StreamStatus": "ENABLED",
        "Shards": (first..end).map(described).collect::<Vec<_>>(),
    });
    if !filtered && end < shards {
        stream["LastEvaluatedShardId"] = shard_id(end - 1).into();
    }
    json!({ "StreamDescription": stream })
}

const SHARD: &str = "shardId-00000001700000000000-";

fn shard_id(shard: u64) -> String {
    format!("{SHARD}{shard:08}")
}

/// The number of the shard with this id.
pub(super) fn shard_of(id: &str) -> Option<u64> {
    id.strip_prefix(SHARD)?.parse().ok()
}

fn name_of(request: &Value) -> Result<&str, Refusal> {
    request["TableName"].as_str().ok_or(Refusal("ValidationException"))
}
