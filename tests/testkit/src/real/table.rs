//! A handle on one table, for the test's own thread: each call waits for its reply and fails the test on an error.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction, DeleteGlobalSecondaryIndexAction,
    GlobalSecondaryIndexUpdate, IndexStatus, ProvisionedThroughput, PutRequest, StreamSpecification, StreamViewType,
    TableDescription, TableStatus, TimeToLiveSpecification, UpdateGlobalSecondaryIndexAction, WriteRequest,
};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use tokio::runtime::Handle;

use super::clock;
use super::endpoint::Place;
use super::items;
use super::layout::Layout;

pub type Item = HashMap<String, AttributeValue>;

#[derive(Clone)]
pub struct Table {
    pub name: String,
    pub place: Place,
    pub layout: Layout,
    pub client: Client,
    handle: Handle,
}

impl Table {
    pub fn new(name: String, place: Place, client: Client, layout: Layout, handle: Handle) -> Self {
        assert!(name.len() >= 11, "{name} is too short for some endpoints");
        Self { name, place, layout, client, handle }
    }

    /// Creates the table, without a stream, and waits until it can be used.
    pub fn create(&self) {
        let request = self
            .client
            .create_table()
            .table_name(&self.name)
            .set_attribute_definitions(Some(self.layout.sdk_definitions()))
            .set_key_schema(Some(self.layout.sdk_keys()))
            .set_global_secondary_indexes(self.layout.sdk_global_indexes())
            .set_local_secondary_indexes(self.layout.sdk_local_indexes())
            .billing_mode(BillingMode::PayPerRequest);
        self.wait(request.send(), "CreateTable");
        self.wait_active();
    }

    /// Puts the items in, then enables the stream, in this order: nobody needs a record of each.
    pub fn create_with(&self, items: &[Item], view: StreamViewType) {
        self.create();
        self.load(items);
        self.enable_stream(view);
    }

    pub fn load(&self, items: &[Item]) {
        const BATCH_BYTES: usize = 8 * 1024 * 1024;
        let mut batch = Vec::new();
        let mut bytes = 0;
        for item in items {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
            batch.push(WriteRequest::builder().put_request(put).build());
            bytes += item.values().map(rough_bytes).sum::<usize>();
            if batch.len() == 25 || bytes > BATCH_BYTES {
                self.write_batch(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
        self.write_batch(batch);
    }

    fn write_batch(&self, mut batch: Vec<WriteRequest>) {
        while !batch.is_empty() {
            let request = self.client.batch_write_item().request_items(&self.name, batch);
            let reply = self.wait(request.send(), "BatchWriteItem");
            batch = reply.unprocessed_items.unwrap_or_default().remove(&self.name).unwrap_or_default();
        }
    }

    pub fn put(&self, item: &Item) {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(item.clone()));
        self.wait(request.send(), "PutItem");
    }

    /// The same table, as somebody else reaches it.
    pub fn reached_by(&self, place: Place) -> Self {
        Self { client: place.client(), place, ..self.clone() }
    }

    /// Whether it was done; `false` when a policy denies it.
    pub fn put_if_allowed(&self, item: &Item) -> bool {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(item.clone()));
        match self.handle.block_on(request.send()) {
            Ok(_) => true,
            Err(error) if error.code() == Some("AccessDeniedException") => false,
            Err(error) => panic!("PutItem on {}: {}", self.name, DisplayErrorContext(error)),
        }
    }

    /// Sets one attribute of an item.
    pub fn set(&self, key: &Item, attribute: &str, value: AttributeValue) {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.clone()))
            .update_expression("SET #a = :v")
            .expression_attribute_names("#a", attribute)
            .expression_attribute_values(":v", value);
        self.wait(request.send(), "UpdateItem");
    }

    pub fn delete(&self, key: &Item) {
        let request = self.client.delete_item().table_name(&self.name).set_key(Some(key.clone()));
        self.wait(request.send(), "DeleteItem");
    }

    pub fn get(&self, key: &Item) -> Option<Item> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key.clone())).consistent_read(true);
        self.wait(request.send(), "GetItem").item
    }

    /// Every item, by consistent reads.
    pub fn scan(&self) -> Vec<Item> {
        let request = self.client.scan().table_name(&self.name).consistent_read(true);
        self.wait(request.into_paginator().items().send().try_collect(), "Scan")
    }

    /// Every item of a global index, which cannot be read consistently.
    pub fn scan_index(&self, index: &str) -> Vec<Item> {
        let request = self.client.scan().table_name(&self.name).index_name(index);
        self.wait(request.into_paginator().items().send().try_collect(), "Scan")
    }

    pub fn key_of(&self, item: &Item) -> Item {
        self.layout.keys.iter().map(|&(name, _)| (name.to_owned(), item[name].clone())).collect()
    }

    /// Lets items expire by this attribute.
    pub fn set_expiry(&self, attribute: &str) {
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build().unwrap();
        let request = self.client.update_time_to_live().table_name(&self.name).time_to_live_specification(expiry);
        self.wait(request.send(), "UpdateTimeToLive");
    }

    /// Enables the stream and makes two records in it, which leave nothing behind. On DynamoDB Local, an iterator that
    /// was taken from an empty shard ends in `TrimmedDataAccessException` at the first record, if anything was written
    /// to any table of the namespace in between.
    pub fn enable_stream(&self, view: StreamViewType) {
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().unwrap();
        let request = self.client.update_table().table_name(&self.name).stream_specification(stream);
        self.wait(request.send(), "UpdateTable");
        self.wait_active();
        let marker = items::smallest(self.layout.keys, 999_999);
        self.put(&marker);
        self.delete(&marker);
    }

    pub fn disable_stream(&self) {
        let stream = StreamSpecification::builder().stream_enabled(false).build().unwrap();
        let request = self.client.update_table().table_name(&self.name).stream_specification(stream);
        self.wait(request.send(), "UpdateTable");
        self.wait_active();
    }

    /// Reads the stream to its end: its only shard, and the sequence number of its last record.
    pub fn end_of_stream(&self) -> (String, String) {
        let (client, arn) = (self.place.streams(), self.describe().unwrap().latest_stream_arn.unwrap());
        let stream = self.wait(client.describe_stream().stream_arn(&arn).send(), "DescribeStream");
        let shard = stream.stream_description.unwrap().shards.unwrap()[0].shard_id.clone().unwrap();
        let iterator = client.get_shard_iterator().stream_arn(&arn).shard_id(&shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send();
        let mut next = self.wait(iterator, "GetShardIterator").shard_iterator;
        let mut last = None;
        loop {
            let page = self.wait(client.get_records().set_shard_iterator(next).send(), "GetRecords");
            match page.records().last() {
                Some(record) => last.clone_from(&record.dynamodb().unwrap().sequence_number),
                None => return (shard, last.expect("something was written")),
            }
            next = page.next_shard_iterator;
        }
    }

    pub fn drop_index(&self, index: &str) {
        let delete = DeleteGlobalSecondaryIndexAction::builder().index_name(index).build().unwrap();
        let update = GlobalSecondaryIndexUpdate::builder().delete(delete).build();
        let request = self.client.update_table().table_name(&self.name).global_secondary_index_updates(update);
        self.wait(request.send(), "UpdateTable");
        self.wait_active();
    }

    /// Adds the global index that `layout` has first.
    pub fn add_index(&self, layout: &Layout) {
        let index = layout.sdk_global_indexes().unwrap().remove(0);
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(index.index_name)
            .set_key_schema(Some(index.key_schema))
            .set_projection(index.projection)
            .build()
            .unwrap();
        let update = GlobalSecondaryIndexUpdate::builder().create(create).build();
        let request = self
            .client
            .update_table()
            .table_name(&self.name)
            .set_attribute_definitions(Some(layout.sdk_definitions()))
            .global_secondary_index_updates(update);
        self.wait(request.send(), "UpdateTable");
        self.wait_active();
    }

    /// To provisioned capacity, which each index then needs as well, or back to on-demand.
    pub fn set_provisioned(&self, provisioned: bool) {
        let units = || ProvisionedThroughput::builder().read_capacity_units(5).write_capacity_units(5).build().unwrap();
        let mut request = self.client.update_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        if provisioned {
            request = request.billing_mode(BillingMode::Provisioned).provisioned_throughput(units());
            for index in self.layout.sdk_global_indexes().unwrap_or_default() {
                let update = UpdateGlobalSecondaryIndexAction::builder()
                    .index_name(index.index_name)
                    .provisioned_throughput(units())
                    .build()
                    .unwrap();
                request = request
                    .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().update(update).build());
            }
        }
        self.wait(request.send(), "UpdateTable");
        self.wait_active();
    }

    /// Deletes the table and waits until it is gone.
    pub fn remove(&self) {
        self.wait(self.client.delete_table().table_name(&self.name).send(), "DeleteTable");
        clock::wait_for("the table to be gone", || match self.describe() {
            None => Ok(()),
            Some(table) => Err(format!("it is {:?}", table.table_status)),
        });
    }

    /// `None` when there is no such table.
    pub fn describe(&self) -> Option<TableDescription> {
        let reply = self.handle.block_on(self.client.describe_table().table_name(&self.name).send());
        match reply {
            Ok(reply) => reply.table,
            Err(error) if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) => {
                None
            }
            Err(error) => panic!("DescribeTable {}: {}", self.name, DisplayErrorContext(error)),
        }
    }

    fn wait_active(&self) {
        clock::wait_for("the table and its indexes to be active", || {
            let table = self.describe().ok_or("it is not there")?;
            let indexes = table.global_secondary_indexes();
            let active = table.table_status == Some(TableStatus::Active)
                && indexes.iter().all(|index| matches!(index.index_status, None | Some(IndexStatus::Active)));
            if active { Ok(()) } else { Err(format!("{:?}, indexes {indexes:?}", table.table_status)) }
        });
    }

    fn wait<T, E: std::error::Error>(&self, reply: impl Future<Output = Result<T, E>>, operation: &str) -> T {
        self.handle
            .block_on(reply)
            .unwrap_or_else(|error| panic!("{operation} on {}: {}", self.name, DisplayErrorContext(error)))
    }
}

/// Enough to keep a batch under the service's 16 MB.
fn rough_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(blob) => blob.as_ref().len(),
        _ => 1024,
    }
}
