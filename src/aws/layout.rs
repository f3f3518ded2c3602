//! Table layouts between the service's words and the model's.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, GlobalSecondaryIndexDescription,
    IndexStatus as WireIndexStatus, KeySchemaElement, KeyType as KeyRole, LocalSecondaryIndex,
    LocalSecondaryIndexDescription, Projection as WireProjection, ProjectionType, ProvisionedThroughput,
    ProvisionedThroughputDescription, ScalarAttributeType, SseDescription, SseStatus, StreamViewType, TableClass,
    TableDescription as WireTable, TableStatus as WireStatus,
};

use aws_smithy_types::DateTime;

use crate::model::{
    Billing, IndexLayout, IndexStatus, KeyType, Projection, StreamDescription, TableDescription, TableLayout,
    TableSettings, TableStatus, Throughput, ViewType,
};

/// Key attributes with their types.
type Keys = Vec<(String, KeyType)>;

/// What `DescribeTable` answered, or what is wrong with it.
pub(super) fn describe(table: WireTable) -> Result<TableDescription, String> {
    let replicas = replicas(&table);
    let types = attribute_types(table.attribute_definitions.as_deref().unwrap_or_default())?;
    let (partition, sort) = split_keys(table.key_schema.as_deref().unwrap_or_default(), &types)?;
    let on_demand = table.billing_mode_summary.as_ref().and_then(|summary| summary.billing_mode.as_ref())
        == Some(&BillingMode::PayPerRequest);
    // Tables that were never on demand may lack the summary.
    let billing = if on_demand {
        Billing::OnDemand
    } else {
        Billing::Provisioned(throughput(table.provisioned_throughput.as_ref()).ok_or("it has no throughput")?)
    };
    let mut global_indexes = BTreeMap::new();
    let mut index_status = BTreeMap::new();
    let mut warm_indexes = BTreeMap::new();
    for index in table.global_secondary_indexes.unwrap_or_default() {
        let warm = index.warm_throughput.as_ref();
        let warm = warm.and_then(|warm| units(warm.read_units_per_second, warm.write_units_per_second));
        let (name, layout, status) = global_index(index, &types, on_demand)?;
        global_indexes.insert(name.clone(), layout);
        warm_indexes.extend(warm.map(|warm| (name.clone(), warm)));
        index_status.insert(name, status);
    }
    let mut local_indexes = BTreeMap::new();
    for index in table.local_secondary_indexes.unwrap_or_default() {
        let (name, layout) = local_index(index, &types)?;
        local_indexes.insert(name, layout);
    }
    let stream = match table.stream_specification.filter(|stream| stream.stream_enabled) {
        Some(enabled) => Some(StreamDescription {
            arn: table.latest_stream_arn.ok_or("its stream has no ARN")?,
            view: view_type(enabled.stream_view_type.as_ref().ok_or("its stream has no view type")?)?,
        }),
        None => None,
    };
    let (warm, class) =
        (table.warm_throughput.as_ref(), table.table_class_summary.and_then(|summary| summary.table_class));
    Ok(TableDescription {
        table_id: table_id(table.table_id, table.creation_date_time.as_ref()).ok_or("it has no id and no date")?,
        arn: table.table_arn.ok_or("it has no ARN")?,
        status: table_status(table.table_status.as_ref()),
        layout: TableLayout {
            partition_key: partition.into_iter().next().ok_or("it has no partition key")?,
            sort_key: sort.into_iter().next(),
            global_indexes,
            local_indexes,
            billing,
        },
        index_status,
        stream,
        item_count: table.item_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        size_bytes: table.table_size_bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        settings: TableSettings {
            deletion_protection: table.deletion_protection_enabled.unwrap_or(false),
            encryption: encryption(table.sse_description.as_ref()),
            class: class.map_or_else(|| TableClass::Standard.to_string(), |class| class.to_string()),
            warm: warm.and_then(|warm| units(warm.read_units_per_second, warm.write_units_per_second)),
            warm_indexes,
        },
        replicas,
    })
}

/// The regions of a global table's replicas. The first version of global tables tells that there are some, and not where.
fn replicas(table: &WireTable) -> Vec<String> {
    let named = table.replicas.iter().flatten().filter_map(|replica| replica.region_name.clone());
    let named: Vec<String> = named.collect();
    match &table.global_table_version {
        Some(version) if named.is_empty() => vec![format!("not named (global tables {version})")],
        _ => named,
    }
}

/// An own key is told apart by its ARN; without a word of the service the key is the service's own.
fn encryption(described: Option<&SseDescription>) -> String {
    let described = described.filter(|described| described.status != Some(SseStatus::Disabled));
    let Some(kind) = described.and_then(|described| described.sse_type.as_ref()) else {
        return "by the service's key".to_owned();
    };
    match described.and_then(|described| described.kms_master_key_arn.as_ref()) {
        Some(arn) => format!("{kind} {arn}"),
        None => kind.to_string(),
    }
}

/// What tells a table apart from its namesakes. DynamoDB Local gives no id; when it was created does as well, being set
/// anew when a table is recreated.
fn table_id(id: Option<String>, created: Option<&DateTime>) -> Option<String> {
    id.or_else(|| created.map(|created| format!("created-{}", created.as_secs_f64())))
}

fn attribute_types(definitions: &[AttributeDefinition]) -> Result<HashMap<&str, KeyType>, String> {
    let kind = |definition: &AttributeDefinition| match &definition.attribute_type {
        ScalarAttributeType::S => Ok(KeyType::S),
        ScalarAttributeType::N => Ok(KeyType::N),
        ScalarAttributeType::B => Ok(KeyType::B),
        other => Err(format!("attribute {:?} has the unknown type {other}", definition.attribute_name)),
    };
    definitions.iter().map(|definition| Ok((definition.attribute_name.as_str(), kind(definition)?))).collect()
}

/// Partition keys and sort keys, each in the schema's order.
fn split_keys(schema: &[KeySchemaElement], types: &HashMap<&str, KeyType>) -> Result<(Keys, Keys), String> {
    let (mut partition, mut sort) = (Vec::new(), Vec::new());
    for element in schema {
        let name = &element.attribute_name;
        let kind = *types.get(name.as_str()).ok_or_else(|| format!("key attribute {name:?} has no type"))?;
        match &element.key_type {
            KeyRole::Hash => partition.push((name.clone(), kind)),
            KeyRole::Range => sort.push((name.clone(), kind)),
            other => return Err(format!("key attribute {name:?} has the unknown role {other}")),
        }
    }
    Ok((partition, sort))
}

fn global_index(
    index: GlobalSecondaryIndexDescription,
    types: &HashMap<&str, KeyType>,
    on_demand: bool,
) -> Result<(String, IndexLayout, IndexStatus), String> {
    let name = index.index_name.ok_or("a global index has no name")?;
    let (partition_keys, sort_keys) = split_keys(index.key_schema.as_deref().unwrap_or_default(), types)?;
    let layout = IndexLayout {
        partition_keys,
        sort_keys,
        projection: projection(index.projection, &name)?,
        // An on-demand table's indexes report zeroes.
        throughput: if on_demand { None } else { throughput(index.provisioned_throughput.as_ref()) },
    };
    let status = match index.index_status {
        Some(WireIndexStatus::Active) => IndexStatus::Active,
        _ => IndexStatus::Changing,
    };
    Ok((name, layout, status))
}

fn local_index(
    index: LocalSecondaryIndexDescription,
    types: &HashMap<&str, KeyType>,
) -> Result<(String, IndexLayout), String> {
    let name = index.index_name.ok_or("a local index has no name")?;
    let (partition_keys, sort_keys) = split_keys(index.key_schema.as_deref().unwrap_or_default(), types)?;
    let projection = projection(index.projection, &name)?;
    Ok((name, IndexLayout { partition_keys, sort_keys, projection, throughput: None }))
}

fn projection(wire: Option<WireProjection>, index: &str) -> Result<Projection, String> {
    let wire = wire.ok_or_else(|| format!("index {index:?} has no projection"))?;
    match wire.projection_type {
        Some(ProjectionType::All) => Ok(Projection::All),
        Some(ProjectionType::KeysOnly) => Ok(Projection::KeysOnly),
        Some(ProjectionType::Include) => Ok(Projection::Include(wire.non_key_attributes.unwrap_or_default())),
        other => Err(format!("index {index:?} has the unknown projection {other:?}")),
    }
}

fn throughput(wire: Option<&ProvisionedThroughputDescription>) -> Option<Throughput> {
    let wire = wire?;
    units(wire.read_capacity_units, wire.write_capacity_units)
}

fn units(read: Option<i64>, write: Option<i64>) -> Option<Throughput> {
    Some(Throughput { read_units: read?, write_units: write? })
}

fn table_status(wire: Option<&WireStatus>) -> TableStatus {
    match wire {
        Some(WireStatus::Creating) => TableStatus::Creating,
        Some(WireStatus::Active) => TableStatus::Active,
        Some(WireStatus::Updating) => TableStatus::Updating,
        Some(WireStatus::Deleting) => TableStatus::Deleting,
        _ => TableStatus::Unusable,
    }
}

fn view_type(wire: &StreamViewType) -> Result<ViewType, String> {
    match wire {
        StreamViewType::KeysOnly => Ok(ViewType::KeysOnly),
        StreamViewType::NewImage => Ok(ViewType::NewImage),
        StreamViewType::OldImage => Ok(ViewType::OldImage),
        StreamViewType::NewAndOldImages => Ok(ViewType::NewAndOldImages),
        other => Err(format!("its stream has the unknown view type {other}")),
    }
}

/// A layout in the form in which `CreateTable` takes it.
pub(super) struct TableRequest {
    pub(super) attributes: Vec<AttributeDefinition>,
    pub(super) key_schema: Vec<KeySchemaElement>,
    pub(super) billing_mode: BillingMode,
    pub(super) throughput: Option<ProvisionedThroughput>,
    /// `None` rather than empty: the service refuses an empty list.
    pub(super) global_indexes: Option<Vec<GlobalSecondaryIndex>>,
    /// `None` rather than empty: the service refuses an empty list.
    pub(super) local_indexes: Option<Vec<LocalSecondaryIndex>>,
}

impl TableRequest {
    /// Fails when two keys use one attribute under different types, which a table cannot have.
    pub(super) fn new(layout: &TableLayout) -> Result<Self, String> {
        let (billing_mode, units) = match layout.billing {
            Billing::OnDemand => (BillingMode::PayPerRequest, None),
            Billing::Provisioned(units) => (BillingMode::Provisioned, Some(units)),
        };
        let global = layout.global_indexes.iter().map(|(name, index)| {
            GlobalSecondaryIndex::builder()
                .index_name(name)
                .set_key_schema(Some(key_schema(&index.partition_keys, &index.sort_keys)?))
                .projection(wire_projection(&index.projection))
                .set_provisioned_throughput(index.throughput.map(wire_throughput).transpose()?)
                .build()
                .map_err(|error| error.to_string())
        });
        let global: Vec<_> = global.collect::<Result<_, String>>()?;
        let local = layout.local_indexes.iter().map(|(name, index)| {
            LocalSecondaryIndex::builder()
                .index_name(name)
                .set_key_schema(Some(key_schema(&index.partition_keys, &index.sort_keys)?))
                .projection(wire_projection(&index.projection))
                .build()
                .map_err(|error| error.to_string())
        });
        let local: Vec<_> = local.collect::<Result<_, String>>()?;
        Ok(Self {
            attributes: attribute_definitions(layout)?,
            key_schema: key_schema(std::slice::from_ref(&layout.partition_key), layout.sort_key.as_slice())?,
            billing_mode,
            throughput: units.map(wire_throughput).transpose()?,
            global_indexes: (!global.is_empty()).then_some(global),
            local_indexes: (!local.is_empty()).then_some(local),
        })
    }
}

/// Every key attribute of the table and its indexes, once.
fn attribute_definitions(layout: &TableLayout) -> Result<Vec<AttributeDefinition>, String> {
    let indexes = layout.global_indexes.values().chain(layout.local_indexes.values());
    let of_indexes = indexes.flat_map(|index| index.partition_keys.iter().chain(&index.sort_keys));
    let mut types = BTreeMap::new();
    for (name, kind) in std::iter::once(&layout.partition_key).chain(&layout.sort_key).chain(of_indexes) {
        let known = *types.entry(name.as_str()).or_insert(*kind);
        if known != *kind {
            return Err(format!("key attribute {name:?} is {known:?} in one key and {kind:?} in another"));
        }
    }
    let definition = |(name, kind): (&str, KeyType)| {
        let kind = match kind {
            KeyType::S => ScalarAttributeType::S,
            KeyType::N => ScalarAttributeType::N,
            KeyType::B => ScalarAttributeType::B,
        };
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().map_err(|e| e.to_string())
    };
    types.into_iter().map(definition).collect()
}

fn key_schema(partition: &[(String, KeyType)], sort: &[(String, KeyType)]) -> Result<Vec<KeySchemaElement>, String> {
    let element = |name: &str, role| {
        KeySchemaElement::builder().attribute_name(name).key_type(role).build().map_err(|error| error.to_string())
    };
    let partition = partition.iter().map(|(name, _)| element(name, KeyRole::Hash));
    partition.chain(sort.iter().map(|(name, _)| element(name, KeyRole::Range))).collect()
}

fn wire_projection(projection: &Projection) -> WireProjection {
    let builder = WireProjection::builder();
    match projection {
        Projection::KeysOnly => builder.projection_type(ProjectionType::KeysOnly),
        Projection::All => builder.projection_type(ProjectionType::All),
        Projection::Include(names) => {
            builder.projection_type(ProjectionType::Include).set_non_key_attributes(Some(names.clone()))
        }
    }
    .build()
}

fn wire_throughput(units: Throughput) -> Result<ProvisionedThroughput, String> {
    ProvisionedThroughput::builder()
        .read_capacity_units(units.read_units)
        .write_capacity_units(units.write_units)
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{SseType, TableClassSummary, TableWarmThroughputDescription};

    use super::*;

    fn key(name: &str, kind: KeyType) -> (String, KeyType) {
        (name.to_owned(), kind)
    }

    fn layout() -> TableLayout {
        let index = IndexLayout {
            partition_keys: vec![key("tenant", KeyType::S), key("region", KeyType::S)],
            sort_keys: vec![key("at", KeyType::N), key("pk", KeyType::S)],
            projection: Projection::Include(vec!["total".into()]),
            throughput: None,
        };
        TableLayout {
            partition_key: key("pk", KeyType::S),
            sort_key: None,
            global_indexes: [("by-tenant".to_owned(), index)].into(),
            local_indexes: BTreeMap::new(),
            billing: Billing::OnDemand,
        }
    }

    #[test]
    fn attributes_are_defined_once_each() {
        let request = TableRequest::new(&layout()).unwrap();
        let names: Vec<_> = request.attributes.iter().map(|one| one.attribute_name.as_str()).collect();
        assert_eq!(names, ["at", "pk", "region", "tenant"]);
        assert!(request.local_indexes.is_none());
    }

    #[test]
    fn one_attribute_under_two_types_is_refused() {
        let mut layout = layout();
        layout.sort_key = Some(key("at", KeyType::S));
        assert_eq!(
            TableRequest::new(&layout).err().as_deref(),
            Some("key attribute \"at\" is S in one key and N in another")
        );
    }

    /// The reply that describes `layout()`.
    fn reply() -> aws_sdk_dynamodb::types::builders::TableDescriptionBuilder {
        let request = TableRequest::new(&layout()).unwrap();
        let wire = request.global_indexes.unwrap().remove(0);
        WireTable::builder()
            .table_id("id")
            .table_arn("arn")
            .set_attribute_definitions(Some(request.attributes))
            .set_key_schema(Some(request.key_schema))
            .global_secondary_indexes(
                GlobalSecondaryIndexDescription::builder()
                    .index_name(wire.index_name)
                    .set_key_schema(Some(wire.key_schema))
                    .set_projection(wire.projection)
                    .index_status(WireIndexStatus::Creating)
                    .build(),
            )
    }

    fn provisioned() -> ProvisionedThroughputDescription {
        ProvisionedThroughputDescription::builder().read_capacity_units(5).write_capacity_units(6).build()
    }

    #[test]
    fn a_table_without_a_billing_summary_is_provisioned() {
        let described = describe(reply().provisioned_throughput(provisioned()).build()).unwrap();
        let units = Throughput { read_units: 5, write_units: 6 };
        assert_eq!(described.layout, TableLayout { billing: Billing::Provisioned(units), ..layout() });
        assert_eq!(described.index_status["by-tenant"], IndexStatus::Changing);
        assert_eq!((described.status, described.stream), (TableStatus::Unusable, None));
    }

    #[test]
    fn a_disabled_stream_is_none_even_when_it_has_an_arn() {
        let table = reply().provisioned_throughput(provisioned()).latest_stream_arn("arn:old").build();
        assert_eq!(describe(table).unwrap().stream, None);
    }

    #[test]
    fn what_surrounds_a_table_is_told_where_the_service_tells_it() {
        let bare = describe(reply().provisioned_throughput(provisioned()).build()).unwrap().settings;
        let plain =
            TableSettings { encryption: "by the service's key".into(), class: "STANDARD".into(), ..bare.clone() };
        assert_eq!((&bare, bare.warm, bare.deletion_protection), (&plain, None, false));
        let warm = TableWarmThroughputDescription::builder().read_units_per_second(7).write_units_per_second(8).build();
        let key =
            SseDescription::builder().status(SseStatus::Enabled).sse_type(SseType::Kms).kms_master_key_arn("arn:key");
        let table = reply()
            .provisioned_throughput(provisioned())
            .deletion_protection_enabled(true)
            .sse_description(key.build())
            .table_class_summary(TableClassSummary::builder().table_class(TableClass::StandardInfrequentAccess).build())
            .warm_throughput(warm);
        let expected = TableSettings {
            deletion_protection: true,
            encryption: "KMS arn:key".into(),
            class: "STANDARD_INFREQUENT_ACCESS".into(),
            warm: Some(Throughput { read_units: 7, write_units: 8 }),
            warm_indexes: BTreeMap::new(),
        };
        assert_eq!(describe(table.build()).unwrap().settings, expected);
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        let odd = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::from("Q"));
        let table = reply().set_attribute_definitions(Some(vec![odd.build().unwrap()])).build();
        assert_eq!(describe(table).unwrap_err(), "attribute \"pk\" has the unknown type Q");
        assert_eq!(describe(reply().build()).unwrap_err(), "it has no throughput");
    }
}
