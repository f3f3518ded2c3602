//! Reads a table's stream.

use aws_sdk_dynamodbstreams::types::{
    Identity, OperationType, Record, Shard, ShardFilter, ShardFilterType, ShardIteratorType,
};

use super::Connection;
use super::errors::{odd_reply, port_error};
use super::values::from_stream;
use crate::model::{Change, ChangeKind, Image, Item, KeySchema, Position, Timestamp};
use crate::ports::{ChangeFeed, ListedShard, PortError, RecordsPage, ShardIterator, ShardsPage, StartAt};

/// Shards per `DescribeStream` page: the service's maximum.
const LISTING_PAGE_SHARDS: i32 = 100;
/// Records per `GetRecords`: the service's maximum.
const PAGE_RECORDS: i32 = 1_000;
/// Who deletes items whose time to live has passed.
const TTL_PRINCIPAL: (&str, &str) = ("Service", "dynamodb.amazonaws.com");

/// Reads the stream of one table.
#[derive(Clone, Debug)]
pub struct AwsChangeFeed {
    client: aws_sdk_dynamodbstreams::Client,
    table: String,
    schema: KeySchema,
}

impl AwsChangeFeed {
    /// The feed of `table`, whose primary key is `schema`.
    pub fn new(connection: &Connection, table: impl Into<String>, schema: KeySchema) -> Self {
        Self { client: connection.streams.clone(), table: table.into(), schema }
    }

    /// The stream that an iterator belongs to (it begins with the ARN and a bar), or the table.
    fn stream_of<'a>(&'a self, iterator: &'a ShardIterator) -> &'a str {
        match iterator.0.split_once('|') {
            Some((arn, _)) if arn.starts_with("arn:") => arn,
            _ => &self.table,
        }
    }
}

impl AwsChangeFeed {
    async fn describe(
        &self,
        stream_arn: &str,
        after: Option<&str>,
        filter: Option<ShardFilter>,
    ) -> Result<ShardsPage, PortError> {
        const OPERATION: &str = "DescribeStream";
        let output = self
            .client
            .describe_stream()
            .stream_arn(stream_arn)
            .limit(LISTING_PAGE_SHARDS)
            .set_exclusive_start_shard_id(after.map(str::to_owned))
            .set_shard_filter(filter)
            .send()
            .await
            .map_err(|error| port_error(OPERATION, stream_arn, &error))?;
        let Some(page) = output.stream_description else {
            return Err(odd_reply(OPERATION, stream_arn, &"the reply describes no stream"));
        };
        let shards = page.shards.unwrap_or_default().into_iter().map(listed_shard).collect::<Option<Vec<_>>>();
        let shards = shards.ok_or_else(|| odd_reply(OPERATION, stream_arn, &"a shard has no id"))?;
        Ok(ShardsPage { shards, next: page.last_evaluated_shard_id })
    }
}

impl ChangeFeed for AwsChangeFeed {
    async fn shards(&self, stream_arn: &str, after: Option<&str>) -> Result<ShardsPage, PortError> {
        self.describe(stream_arn, after, None).await
    }

    async fn children(&self, stream_arn: &str, parent: &str) -> Result<Vec<ListedShard>, PortError> {
        let filter = ShardFilter::builder().r#type(ShardFilterType::ChildShards).shard_id(parent).build();
        let page = self.describe(stream_arn, None, Some(filter)).await?;
        if page.next.is_some() {
            // A part of them would be taken for all.
            return Ok(Vec::new());
        }
        // Emulators that do not know the filter list others, too.
        Ok(page.shards.into_iter().filter(|shard| shard.parent.as_deref() == Some(parent)).collect())
    }

    async fn iterator(&self, stream_arn: &str, shard: &str, start: &StartAt) -> Result<ShardIterator, PortError> {
        const OPERATION: &str = "GetShardIterator";
        let (kind, after) = match start {
            StartAt::Beginning => (ShardIteratorType::TrimHorizon, None),
            StartAt::Latest => (ShardIteratorType::Latest, None),
            StartAt::After(position) => (ShardIteratorType::AfterSequenceNumber, Some(position.as_str().to_owned())),
        };
        let output = self
            .client
            .get_shard_iterator()
            .stream_arn(stream_arn)
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_sequence_number(after)
            .send()
            .await
            .map_err(|error| port_error(OPERATION, stream_arn, &error))?;
        let iterator =
            output.shard_iterator.ok_or_else(|| odd_reply(OPERATION, stream_arn, &"the reply has no iterator"))?;
        Ok(ShardIterator(iterator))
    }

    async fn records(&self, iterator: &ShardIterator, limit: usize) -> Result<RecordsPage, PortError> {
        const OPERATION: &str = "GetRecords";
        let limit = i32::try_from(limit).map_or(PAGE_RECORDS, |limit| limit.clamp(1, PAGE_RECORDS));
        let output = self
            .client
            .get_records()
            .shard_iterator(&iterator.0)
            .limit(limit)
            .send()
            .await
            .map_err(|error| port_error(OPERATION, self.stream_of(iterator), &error))?;
        let records = output.records.unwrap_or_default();
        let mut changes = Vec::with_capacity(records.len());
        for record in records {
            let change = change_of(record, &self.schema);
            changes.push(change.map_err(|reason| odd_reply(OPERATION, self.stream_of(iterator), &reason))?);
        }
        Ok(RecordsPage { changes, next: output.next_shard_iterator.map(ShardIterator) })
    }
}

/// `None` for a shard without an id.
fn listed_shard(shard: Shard) -> Option<ListedShard> {
    Some(ListedShard {
        id: shard.shard_id?,
        parent: shard.parent_shard_id,
        says_closed: shard.sequence_number_range.is_some_and(|range| range.ending_sequence_number.is_some()),
    })
}

/// What a record says, or what is wrong with it.
fn change_of(record: Record, schema: &KeySchema) -> Result<Change, String> {
    let expired = record.user_identity.as_ref().is_some_and(is_ttl);
    let kind = match record.event_name {
        Some(OperationType::Insert) => ChangeKind::Insert,
        Some(OperationType::Modify) => ChangeKind::Modify,
        Some(OperationType::Remove) if expired => ChangeKind::Expire,
        Some(OperationType::Remove) => ChangeKind::Remove,
        Some(other) => return Err(format!("a record is of the unknown kind {:?}", other.as_str())),
        None => return Err("a record has no kind".into()),
    };
    let body = record.dynamodb.ok_or("a record has no body")?;
    let position = Position::parse(&body.sequence_number.ok_or("a record has no sequence number")?)
        .map_err(|error| error.to_string())?;
    let at = |error: String| format!("record {position}: {error}");
    let keys = body.keys.ok_or_else(|| at("it has no keys".into()))?;
    let keys = from_stream(keys).map_err(|error| at(error.to_string()))?;
    let key = schema.key_of(&keys).map_err(|error| at(error.to_string()))?;
    let created = body.approximate_creation_date_time.ok_or_else(|| at("it has no creation time".into()))?;
    let created = created.to_millis().map_err(|error| at(error.to_string()))?;
    let image = |attributes| from_stream(attributes).map(Item::new).map_err(|error| at(error.to_string()));
    let new = match body.new_image {
        _ if kind.is_deletion() => Image::Deleted,
        Some(attributes) => Image::Item(image(attributes)?),
        None => Image::NotInStream,
    };
    let old = body.old_image.map(image).transpose()?;
    Ok(Change { kind, key, new, old, position, created: Timestamp::from_millis(created) })
}

fn is_ttl(identity: &Identity) -> bool {
    let (kind, principal) = TTL_PRINCIPAL;
    identity.r#type.as_deref() == Some(kind) && identity.principal_id.as_deref() == Some(principal)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodbstreams::types::{AttributeValue as StreamValue, StreamRecord};
    use aws_smithy_types::{Blob, DateTime};
    use proptest::prelude::*;

    use super::super::canned::Canned;
    use super::*;
    use crate::model::{KeyAttribute, KeyType};
    use crate::ports::Fault;

    fn schema() -> KeySchema {
        KeySchema { partition: KeyAttribute { name: "p".into(), kind: KeyType::S }, sort: None }
    }

    fn text(value: &str) -> StreamValue {
        StreamValue::S(value.into())
    }

    /// A record with keys only, as a `KEYS_ONLY` stream carries it.
    fn body() -> aws_sdk_dynamodbstreams::types::builders::StreamRecordBuilder {
        StreamRecord::builder()
            .keys("p", text("a"))
            .sequence_number("100000000000000000001")
            .approximate_creation_date_time(DateTime::from_secs(1_700_000_000))
    }

    fn record(kind: OperationType, body: StreamRecord) -> Record {
        Record::builder().event_name(kind).dynamodb(body).build()
    }

    #[test]
    fn a_deletion_by_ttl_is_told_apart_from_one_by_request() {
        let identity = |kind: &str| Identity::builder().r#type(kind).principal_id("dynamodb.amazonaws.com").build();
        let mut expired = record(OperationType::Remove, body().build());
        expired.user_identity = Some(identity("Service"));
        assert_eq!(change_of(expired.clone(), &schema()).unwrap().kind, ChangeKind::Expire);
        expired.user_identity = Some(identity("User"));
        assert_eq!(change_of(expired, &schema()).unwrap().kind, ChangeKind::Remove);
    }

    #[test]
    fn a_keys_only_stream_still_tells_deletions() {
        let modified = change_of(record(OperationType::Modify, body().build()), &schema()).unwrap();
        assert_eq!((modified.new, modified.old), (Image::NotInStream, None));
        let removed = change_of(record(OperationType::Remove, body().build()), &schema()).unwrap();
        assert_eq!(removed.new, Image::Deleted);
        assert_eq!(removed.created, Timestamp::from_seconds(1_700_000_000));
    }

    #[test]
    fn a_record_that_lacks_something_is_an_error_and_not_a_panic() {
        let mut kindless = record(OperationType::Insert, body().build());
        kindless.event_name = None;
        let mut bodiless = record(OperationType::Insert, body().build());
        bodiless.dynamodb = None;
        let insert = |body: StreamRecord| record(OperationType::Insert, body);
        let cases = [
            (kindless, "no kind"),
            (bodiless, "no body"),
            (insert(body().set_sequence_number(None).build()), "no sequence number"),
            (insert(body().sequence_number("12x").build()), "not made of digits"),
            (insert(body().set_keys(None).build()), "no keys"),
            (insert(body().set_keys(Some([("q".to_owned(), text("a"))].into())).build()), "missing"),
            (insert(body().set_approximate_creation_date_time(None).build()), "no creation time"),
            (record(OperationType::from("RENAME"), body().build()), "unknown kind \"RENAME\""),
        ];
        for (record, expected) in cases {
            let error = change_of(record, &schema()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_shard_without_an_id_is_an_error() {
        assert_eq!(listed_shard(Shard::builder().build()), None);
    }

    /// The SDK lets nobody make an unknown value, so it must come over the wire.
    #[tokio::test]
    async fn an_unknown_type_in_an_image_is_an_error_that_names_the_attribute() {
        let reply = r#"{"Records": [{"eventName": "INSERT", "dynamodb": {
            "Keys": {"p": {"S": "a"}}, "SequenceNumber": "1", "ApproximateCreationDateTime": 1700000000,
            "NewImage": {"p": {"S": "a"}, "odd": {"L": [{"M": {"deep": {"TUPLE": "secret"}}}]}}}}]}"#;
        let endpoint = Canned::replies(200, reply).await;
        let feed = AwsChangeFeed::new(&endpoint.connection(), "orders", schema());
        let error = feed.records(&ShardIterator("arn:aws:stream|1|x".into()), 1).await.unwrap_err();
        assert_eq!((error.fault, error.resource.as_str()), (Fault::Unknown, "arn:aws:stream"));
        assert_eq!(error.message, "record 1: attribute \"odd\" has a type that this version does not know");
    }

    #[tokio::test]
    async fn a_page_of_a_listing_says_where_the_next_one_begins() {
        let reply = r#"{"StreamDescription": {"Shards": [{"ShardId": "s"}], "LastEvaluatedShardId": "s"}}"#;
        let endpoint = Canned::replies(200, reply).await;
        let feed = AwsChangeFeed::new(&endpoint.connection(), "orders", schema());
        let page = feed.shards("arn:aws:stream-of-orders-with-a-long-name", None).await.unwrap();
        assert_eq!((page.shards.len(), page.next.as_deref()), (1, Some("s")));
    }

    fn any_value() -> impl Strategy<Value = StreamValue> {
        let leaf = prop_oneof![
            ".{0,4}".prop_map(StreamValue::S),
            "[-0-9.eE]{0,6}".prop_map(StreamValue::N),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| StreamValue::B(Blob::new(bytes))),
            any::<bool>().prop_map(StreamValue::Bool),
            Just(StreamValue::Null(true)),
            prop::collection::vec("[-0-9.eE]{0,6}", 0..3).prop_map(StreamValue::Ns),
            prop::collection::vec(".{0,4}", 0..3).prop_map(StreamValue::Ss),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(StreamValue::L),
                prop::collection::hash_map(".{0,3}", inner, 0..3).prop_map(StreamValue::M),
            ]
        })
    }

    fn any_image() -> impl Strategy<Value = Option<HashMap<String, StreamValue>>> {
        prop::option::of(prop::collection::hash_map("p|.{0,3}", any_value(), 0..4))
    }

    proptest! {
        /// What a record lacks, or has in excess, is told; nothing of it is guessed.
        #[test]
        fn a_record_of_any_shape_is_a_change_or_told(
            kind in prop::option::of("INSERT|MODIFY|REMOVE|.{0,6}"),
            (keys, new, old) in (any_image(), any_image(), any_image()),
            sequence in prop::option::of("[0-9]{0,40}|.{0,4}"),
            created in prop::option::of(any::<i64>()),
            bodiless in prop::bool::weighted(0.05),
        ) {
            let body = StreamRecord::builder()
                .set_keys(keys.clone())
                .set_new_image(new.clone())
                .set_old_image(old)
                .set_sequence_number(sequence.clone())
                .set_approximate_creation_date_time(created.map(DateTime::from_secs));
            let record = Record::builder()
                .set_event_name(kind.as_deref().map(OperationType::from))
                .set_dynamodb((!bodiless).then(|| body.build()));
            if let Ok(change) = change_of(record.build(), &schema()) {
                prop_assert!(matches!(keys.as_ref().and_then(|keys| keys.get("p")), Some(StreamValue::S(_))));
                prop_assert_eq!(change.kind.is_deletion(), kind.as_deref() == Some("REMOVE"));
                prop_assert_eq!(change.new == Image::Deleted, change.kind.is_deletion());
                prop_assert!(change.kind.is_deletion() || (change.new == Image::NotInStream) == new.is_none());
                prop_assert!(sequence.is_some() && created.is_some());
            }
        }
    }
}
