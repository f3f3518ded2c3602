//! What an operator looks at before a switch and no gate can decide: how the shadow's surroundings differ from the source's.
//!
//! Nothing here refuses a cutover: a difference may be what the migration is for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Aspect, Billing, Place, TableDescription, Throughput};

/// One table and what surrounds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Surroundings {
    /// Where the table is.
    pub place: Place,
    /// What it says of itself.
    pub table: TableDescription,
    /// What was asked for besides: its value, if it is set, or why it is not known.
    pub aspects: BTreeMap<Aspect, Result<Option<String>, String>>,
}

/// What is to be thought of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The shadow has what the source has, and nothing else.
    Alike,
    /// The shadow has what the source has, and more.
    More,
    /// It may: an operator decides.
    Look,
    /// It could not be seen.
    Unknown,
}

/// One point of the checklist, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// What was seen at the source.
    pub source: String,
    /// What was seen at the shadow.
    pub shadow: String,
    /// What to do, unless the two are alike, or what was seen says it.
    pub remedy: String,
}

/// All points, in the order of what hurts most.
pub fn checklist(source: &Surroundings, shadow: &Surroundings) -> Vec<Point> {
    let mut points = vec![capacity(source, shadow)];
    points.extend(warm_throughput(source, shadow));
    points.push(indexes(&source.table, &shadow.table));
    points.push(stream(&source.table, &shadow.table));
    points.extend(Aspect::ALL.map(|which| aspect(which, source, shadow)));
    points.push(deletion_protection(source, shadow));
    let (here, there) = (&source.table.settings, &shadow.table.settings);
    let set_by = |option: &str| format!("if it shall be the same: `{} {option}`", shadow.place.command("update-table"));
    points.push(same("encryption", &here.encryption, &there.encryption, &set_by("--sse-specification …")));
    points.push(same("table class", &here.class, &there.class, &set_by("--table-class …")));
    points
}

/// `suffices`: the shadow does not fall short of the source.
fn point(name: impl Into<String>, suffices: bool, source: String, shadow: String, remedy: &str) -> Point {
    let verdict = match suffices {
        true if source == shadow => Verdict::Alike,
        true => Verdict::More,
        false => Verdict::Look,
    };
    let remedy = if suffices { String::new() } else { remedy.to_owned() };
    Point { name: name.into(), verdict, source, shadow, remedy }
}

fn same(name: &str, source: &str, shadow: &str, remedy: &str) -> Point {
    point(name, source == shadow, source.to_owned(), shadow.to_owned(), remedy)
}

fn capacity(source: &Surroundings, shadow: &Surroundings) -> Point {
    let words = |billing: Billing| match billing {
        Billing::OnDemand => "on demand".to_owned(),
        Billing::Provisioned(throughput) => format!("provisioned: {}", units(throughput)),
    };
    let (here, there) = (source.table.layout.billing, shadow.table.layout.billing);
    let alike = match (here, there) {
        (Billing::OnDemand, Billing::OnDemand) => true,
        (Billing::Provisioned(here), Billing::Provisioned(there)) => bears(there, here),
        _ => false,
    };
    let remedy =
        "see that it bears the application's traffic; scaling policies are the table's own and are not seen here";
    point("capacity", alike, words(here), words(there), remedy)
}

/// The table's, and that of each index that both have.
fn warm_throughput(source: &Surroundings, shadow: &Surroundings) -> Vec<Point> {
    const NAME: &str = "warm throughput";
    let (here, there) = (&source.table.settings, &shadow.table.settings);
    let warm = |name: String, here: Throughput, there: Throughput, index: Option<&str>| {
        let wanted = format!("ReadUnitsPerSecond={},WriteUnitsPerSecond={}", here.read_units, here.write_units);
        let option = match index {
            None => format!("--warm-throughput {wanted}"),
            Some(index) => {
                format!("--global-secondary-index-updates 'Update={{IndexName={index},WarmThroughput={{{wanted}}}}}'")
            }
        };
        let remedy = format!("warm it, which takes a while: `{} {option}`", shadow.place.command("update-table"));
        point(name, bears(there, here), units(here), units(there), &remedy)
    };
    let mut points = match (here.warm, there.warm) {
        (Some(here), Some(there)) => vec![warm(NAME.to_owned(), here, there, None)],
        (here, there) => {
            let words = |warm: Option<Throughput>| warm.map_or_else(|| "not told".to_owned(), units);
            let remedy =
                "the endpoint does not tell; a new on-demand table bears 4,000 writes and 12,000 reads a second";
            vec![Point { verdict: Verdict::Unknown, ..point(NAME, false, words(here), words(there), remedy) }]
        }
    };
    points.extend(here.warm_indexes.iter().filter_map(|(index, here)| {
        let there = there.warm_indexes.get(index)?;
        Some(warm(format!("{NAME} of {index}"), *here, *there, Some(index)))
    }));
    points
}

/// Whether the shadow has the source's indexes: what asks for one that is gone fails.
fn indexes(source: &TableDescription, shadow: &TableDescription) -> Point {
    let names = |table: &TableDescription| -> Vec<String> {
        let layout = &table.layout;
        layout.global_indexes.keys().chain(layout.local_indexes.keys()).cloned().collect()
    };
    let (here, there) = (names(source), names(shadow));
    let alike = here.iter().all(|index| there.contains(index));
    let words = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    point("indexes", alike, words(&here), words(&there), "let no reader ask for an index that the shadow lacks")
}

/// The source always has one: this program reads it. Whoever else does cannot be seen.
fn stream(source: &TableDescription, shadow: &TableDescription) -> Point {
    let words = |table: &TableDescription| {
        table.stream.as_ref().map_or_else(|| "off".to_owned(), |stream| stream.view.as_str().to_owned())
    };
    let remedy = "triggers and other consumers stay with the source: enable the shadow's stream after the switch, not before, \
                  and move them";
    same("stream", &words(source), &words(shadow), remedy)
}

fn aspect(which: Aspect, source: &Surroundings, shadow: &Surroundings) -> Point {
    let seen = |table: &Surroundings| {
        table.aspects.get(&which).cloned().unwrap_or_else(|| Err("it was not asked for".to_owned()))
    };
    let (here, there) = (seen(source), seen(shadow));
    let words = |seen: &Result<Option<String>, String>| match seen {
        Ok(Some(value)) => value.clone(),
        Ok(None) => "none".to_owned(),
        Err(reason) => format!("not known: {reason}"),
    };
    let by_name = |verb: &str| format!("`{} …`", shadow.place.command(verb));
    let by_arn = |verb: &str| {
        let verb = format!("dynamodb {verb} --resource-arn {}", shadow.table.arn);
        format!("`{} …`", shadow.place.aws(&verb))
    };
    let remedy = match which {
        Aspect::TimeToLive => format!("enable it last, at or after the switch: {}", by_name("update-time-to-live")),
        Aspect::PointInTimeRecovery => {
            format!("{}; backups of the source are not the shadow's", by_name("update-continuous-backups"))
        }
        Aspect::Tags => format!("costs and policies may go by them: {}", by_arn("tag-resource")),
        Aspect::ResourcePolicy => format!(
            "who reaches the source by its policy reaches the shadow by its own only: {}",
            by_arn("put-resource-policy")
        ),
        Aspect::KinesisDestinations => {
            format!("{}: its consumers see no change otherwise", by_name("enable-kinesis-streaming-destination"))
        }
    };
    let alike = here.is_ok() && here == there;
    let found = point(which.as_str(), alike, words(&here), words(&there), &remedy);
    if here.is_err() || there.is_err() {
        // Why it is not known says what to do.
        return Point { verdict: Verdict::Unknown, remedy: String::new(), ..found };
    }
    found
}

fn deletion_protection(source: &Surroundings, shadow: &Surroundings) -> Point {
    let words = |on: bool| if on { "on" } else { "off" }.to_owned();
    let (here, there) = (source.table.settings.deletion_protection, shadow.table.settings.deletion_protection);
    let remedy = format!("`{} --deletion-protection-enabled`", shadow.place.command("update-table"));
    point("deletion protection", there || !here, words(here), words(there), &remedy)
}

fn bears(there: Throughput, here: Throughput) -> bool {
    there.read_units >= here.read_units && there.write_units >= here.write_units
}

fn units(throughput: Throughput) -> String {
    format!("{} reads, {} writes a second", throughput.read_units, throughput.write_units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        IndexLayout, KeyType, Projection, StreamDescription, TableLayout, TableSettings, TableStatus, ViewType,
    };

    const UNITS: Throughput = Throughput { read_units: 12_000, write_units: 4_000 };

    fn table(name: &str) -> Surroundings {
        let index = IndexLayout {
            partition_keys: vec![("user".into(), KeyType::S)],
            sort_keys: Vec::new(),
            projection: Projection::All,
            throughput: None,
        };
        let stream = StreamDescription { arn: "stream".into(), view: ViewType::NewAndOldImages };
        Surroundings {
            place: Place { table: name.into(), ..Place::default() },
            table: TableDescription {
                table_id: name.into(),
                arn: format!("arn:{name}"),
                status: TableStatus::Active,
                layout: TableLayout {
                    partition_key: ("id".into(), KeyType::S),
                    sort_key: None,
                    global_indexes: [("by-user".to_owned(), index)].into(),
                    local_indexes: BTreeMap::new(),
                    billing: Billing::OnDemand,
                },
                index_status: BTreeMap::new(),
                stream: Some(stream),
                item_count: 0,
                size_bytes: 0,
                settings: TableSettings {
                    deletion_protection: true,
                    encryption: "owned by the service".into(),
                    class: "STANDARD".into(),
                    warm: Some(UNITS),
                    warm_indexes: [("by-user".to_owned(), UNITS)].into(),
                },
                replicas: Vec::new(),
            },
            aspects: Aspect::ALL.map(|aspect| (aspect, Ok(Some("set".to_owned())))).into(),
        }
    }

    fn verdicts(change: impl FnOnce(&mut Surroundings)) -> Vec<(String, Verdict)> {
        let mut shadow = table("orders-new");
        change(&mut shadow);
        let points = checklist(&table("orders"), &shadow);
        let open = points.into_iter().filter(|point| !matches!(point.verdict, Verdict::Alike | Verdict::More));
        open.map(|point| {
            let told = !point.remedy.is_empty() || point.shadow.starts_with("not known");
            assert!(told, "{point:?}");
            (point.name, point.verdict)
        })
        .collect()
    }

    #[test]
    fn tables_that_are_alike_need_no_look() {
        assert_eq!(verdicts(|_| {}), []);
        for point in checklist(&table("orders"), &table("orders-new")) {
            assert!(point.remedy.is_empty(), "{}", point.name);
        }
    }

    #[test]
    fn each_point_is_seen_alone() {
        let look = |name: &str| vec![(name.to_owned(), Verdict::Look)];
        let less = Throughput { write_units: UNITS.write_units - 1, ..UNITS };
        assert_eq!(verdicts(|shadow| shadow.table.layout.billing = Billing::Provisioned(UNITS)), look("capacity"));
        assert_eq!(verdicts(|shadow| shadow.table.settings.warm = Some(less)), look("warm throughput"));
        assert_eq!(
            verdicts(|shadow| *shadow.table.settings.warm_indexes.get_mut("by-user").unwrap() = less),
            look("warm throughput of by-user")
        );
        assert_eq!(verdicts(|shadow| shadow.table.layout.global_indexes.clear()), look("indexes"));
        assert_eq!(verdicts(|shadow| shadow.table.stream = None), look("stream"));
        assert_eq!(verdicts(|shadow| shadow.table.settings.deletion_protection = false), look("deletion protection"));
        assert_eq!(verdicts(|shadow| shadow.table.settings.encryption = "KMS".into()), look("encryption"));
        assert_eq!(verdicts(|shadow| shadow.table.settings.class = "INFREQUENT".into()), look("table class"));
        for aspect in Aspect::ALL {
            assert_eq!(verdicts(|shadow| drop(shadow.aspects.insert(aspect, Ok(None)))), look(aspect.as_str()));
        }
    }

    #[test]
    fn what_the_shadow_has_more_of_is_no_shortage() {
        let more = Throughput { read_units: 2 * UNITS.read_units, ..UNITS };
        assert_eq!(verdicts(|shadow| shadow.table.settings.warm = Some(more)), []);
    }

    #[test]
    fn what_differs_is_not_called_alike() {
        let source = table("orders");
        let mut shadow = table("orders-new");
        let index = shadow.table.layout.global_indexes["by-user"].clone();
        shadow.table.layout.global_indexes.insert("another".into(), index);
        let verdict = |point: &Point| (point.name.clone(), point.verdict);
        let points: Vec<_> = checklist(&source, &shadow).iter().map(verdict).collect();
        assert!(points.contains(&("indexes".to_owned(), Verdict::More)), "{points:?}");
    }

    #[test]
    fn what_is_not_seen_is_not_called_alike() {
        let unknown = |name: &str| vec![(name.to_owned(), Verdict::Unknown)];
        assert_eq!(verdicts(|shadow| shadow.table.settings.warm = None), unknown("warm throughput"));
        for aspect in Aspect::ALL {
            let denied = || Err("denied".to_owned());
            assert_eq!(verdicts(|shadow| drop(shadow.aspects.insert(aspect, denied()))), unknown(aspect.as_str()));
            assert_eq!(verdicts(|shadow| drop(shadow.aspects.remove(&aspect))), unknown(aspect.as_str()));
        }
    }
}
