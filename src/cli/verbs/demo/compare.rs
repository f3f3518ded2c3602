//! Compares a table item by item with what it should hold. Tables are read whole, with consistent reads, while nobody writes.

use std::collections::HashMap;

use serde_json::Value;

use crate::engine::EngineError;
use crate::model::{Item, Key, KeySchema};
use crate::ports::{ScanRequest, TableReader};

/// Keys shown of each kind of difference.
const SHOWN: usize = 5;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Comparison {
    /// Items that are in both tables and the same.
    pub(super) same: u64,
    /// In the source, not in the shadow.
    pub(super) missing: Differences,
    /// In the shadow, not in the source.
    pub(super) extra: Differences,
    /// In both, with other attributes.
    pub(super) different: Differences,
}

/// Differences of one kind.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Differences {
    /// How many.
    pub(super) count: u64,
    /// The first few keys, in DynamoDB's JSON notation.
    pub(super) first: Vec<Value>,
}

impl Differences {
    fn add(&mut self, schema: &KeySchema, key: &Key) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(schema.to_json(key));
        }
    }
}

impl Comparison {
    /// Whether items were compared and no difference was found. Two empty tables prove nothing.
    pub(super) fn is_equal(&self) -> bool {
        self.same > 0 && [&self.missing, &self.extra, &self.different].iter().all(|kind| kind.count == 0)
    }
}

/// All items of a table.
pub(super) async fn read_all(table: &impl TableReader, schema: &KeySchema) -> Result<HashMap<Key, Item>, EngineError> {
    let mut items = HashMap::new();
    for_each(table, |item| {
        items.insert(item.key(schema)?, item);
        Ok(())
    })
    .await?;
    Ok(items)
}

/// Compares all items of the shadow with what it should hold.
pub(super) async fn compare(
    expected: HashMap<Key, Item>,
    shadow: &impl TableReader,
    schema: &KeySchema,
) -> Result<Comparison, EngineError> {
    let mut left = expected;
    let mut found = Comparison::default();
    for_each(shadow, |item| {
        let key = item.key(schema)?;
        match left.remove(&key) {
            Some(expected) if expected.same_as(&item) => found.same += 1,
            Some(_) => found.different.add(schema, &key),
            None => found.extra.add(schema, &key),
        }
        Ok(())
    })
    .await?;
    let mut missing: Vec<_> = left.into_keys().collect();
    missing.sort_unstable();
    for key in missing {
        found.missing.add(schema, &key);
    }
    Ok(found)
}

async fn for_each(
    table: &impl TableReader,
    mut each: impl FnMut(Item) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut request = ScanRequest { segment: 0, segments: 1, start: None, limit: None };
    loop {
        let page = table.scan(&request).await?;
        for item in page.items {
            // The walk that finds types which this version could not compare.
            item.measure()?;
            each(item)?;
        }
        request.start = page.next;
        if request.start.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use serde_json::json;

    use super::*;
    use crate::cli::verbs::demo::approvals::{ApprovalKey, approval, source_layout};
    use crate::model::AttributeValue;
    use crate::ports::{PortError, ScanPage};

    /// A table in memory, read in pages of three.
    struct Table(Vec<Item>);

    impl TableReader for Table {
        async fn scan(&self, request: &ScanRequest) -> Result<ScanPage, PortError> {
            let schema = source_layout().key_schema();
            let key = |item: &Item| item.key(&schema).unwrap();
            let begin =
                request.start.as_ref().map_or(0, |start| self.0.iter().position(|i| key(i) == *start).unwrap() + 1);
            let items: Vec<_> = self.0.iter().skip(begin).take(3).cloned().collect();
            let next = (begin + items.len() < self.0.len()).then(|| key(items.last().unwrap()));
            Ok(ScanPage { items, next, read_units: None })
        }

        async fn get(&self, _: &Key) -> Result<Option<Item>, PortError> {
            Ok(None)
        }
    }

    fn table(numbers: impl IntoIterator<Item = u32>) -> Table {
        Table(numbers.into_iter().map(|n| approval(&ApprovalKey::numbered(n), &mut Rng::with_seed(n.into()))).collect())
    }

    async fn compared(source: &Table, shadow: &Table) -> Comparison {
        let schema = source_layout().key_schema();
        compare(read_all(source, &schema).await.unwrap(), shadow, &schema).await.unwrap()
    }

    fn shown(number: u32) -> Value {
        let ApprovalKey { task_id, approval_id } = ApprovalKey::numbered(number);
        json!({ "task_id": { "S": task_id }, "approval_id": { "S": approval_id } })
    }

    #[tokio::test]
    async fn the_same_items_in_another_order_and_notation_are_equal() {
        let (source, mut shadow) = (table(0..10), table((0..10).rev()));
        shadow.0[4].set("revision", AttributeValue::N("1.0".into()));
        let found = compared(&source, &shadow).await;
        assert!(found.is_equal() && found.same == 10, "{found:?}");
    }

    #[tokio::test]
    async fn planted_differences_are_found_and_shown() {
        let (source, mut shadow) = (table(0..10), table((0..20).filter(|n| *n != 7 && *n < 10 || *n == 12)));
        shadow.0[3].set("status", AttributeValue::S("LOST".into()));
        let found = compared(&source, &shadow).await;
        assert!(!found.is_equal());
        assert_eq!(found.same, 8);
        assert_eq!(found.missing, Differences { count: 1, first: vec![shown(7)] });
        assert_eq!(found.extra, Differences { count: 1, first: vec![shown(12)] });
        assert_eq!(found.different, Differences { count: 1, first: vec![shown(3)] });
    }

    #[tokio::test]
    async fn one_difference_of_any_kind_is_enough() {
        assert!(!compared(&table(0..10), &table(1..10)).await.is_equal());
        assert!(!compared(&table(1..10), &table(0..10)).await.is_equal());
        let mut other = table(0..10);
        other.0[0].remove("note");
        assert!(!compared(&table(0..10), &other).await.is_equal());
    }

    #[tokio::test]
    async fn empty_tables_prove_nothing() {
        assert!(!compared(&table([]), &table([])).await.is_equal());
    }

    #[tokio::test]
    async fn all_differences_count_and_a_few_are_shown() {
        let found = compared(&table(0..10), &table([])).await;
        assert_eq!((found.missing.count, found.missing.first.len()), (10, SHOWN));
    }
}
