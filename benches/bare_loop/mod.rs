//! What the typed SDK costs by itself: Scan, `BatchWriteItem`, and nothing in between.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest, ScalarAttributeType,
    StreamSpecification, StreamViewType, WriteRequest,
};
use tokio::task::JoinSet;

use crate::null_endpoint::NullEndpoint;

const SOURCE: &str = "bench-source";
const SHADOW: &str = "bench-shadow";
/// Scan requests in flight: as many as a migration has by default.
const SEGMENTS: i32 = 4;
/// `BatchWriteItem` requests in flight for each segment.
const WRITES_IN_FLIGHT: usize = 8;
/// What one `BatchWriteItem` takes.
const BATCH: usize = 25;

/// Copies the whole source, and says how many items that were.
pub(crate) async fn run(endpoint: &NullEndpoint) -> u64 {
    let client = client(endpoint.url());
    create_source(&client, SOURCE).await;
    let mut segments = JoinSet::new();
    for segment in 0..SEGMENTS {
        segments.spawn(copy_segment(client.clone(), segment));
    }
    segments.join_all().await.into_iter().sum()
}

async fn copy_segment(client: Client, segment: i32) -> u64 {
    let mut items = 0;
    let mut start = None;
    let mut writes = JoinSet::new();
    loop {
        let page = client
            .scan()
            .table_name(SOURCE)
            .segment(segment)
            .total_segments(SEGMENTS)
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .expect("a page");
        let mut left = page.items.unwrap_or_default().into_iter().peekable();
        while left.peek().is_some() {
            let batch: Vec<_> = left.by_ref().take(BATCH).collect();
            items += batch.len() as u64;
            if writes.len() == WRITES_IN_FLIGHT {
                writes.join_next().await.expect("writes are in flight").expect("a write");
            }
            writes.spawn(write(client.clone(), batch));
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    writes.join_all().await;
    items
}

async fn write(client: Client, batch: Vec<HashMap<String, AttributeValue>>) {
    let put = |item| {
        let put = PutRequest::builder().set_item(Some(item)).build().expect("an item");
        WriteRequest::builder().put_request(put).build()
    };
    let requests = batch.into_iter().map(put).collect();
    let reply = client.batch_write_item().request_items(SHADOW, requests).send().await.expect("a reply");
    assert!(reply.unprocessed_items.is_none_or(|left| left.is_empty()));
}

pub(crate) fn client(url: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("bench", "secret", None, None, "bench"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// The table with a stream is the source.
pub(crate) async fn create_source(client: &Client, table: &str) {
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    let definition = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let stream =
        StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages).build();
    client
        .create_table()
        .table_name(table)
        .key_schema(key.expect("a key"))
        .attribute_definitions(definition.expect("a definition"))
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream.expect("a stream"))
        .send()
        .await
        .expect("the source is created");
}
