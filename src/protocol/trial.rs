//! Tries a transform and a layout on some items before anything is written: a misspelt attribute shows there, not as a
//! thousand items in quarantine.

use std::collections::BTreeMap;

use super::transform::{Target, Transform};
use crate::model::{AttributeValue, IndexLayout, Item, KeyType, TableLayout};

/// What is seen of the items so far.
#[derive(Debug)]
pub struct Trial<'a> {
    transform: &'a Transform,
    target: &'a TableLayout,
    items: usize,
    /// Items that the shadow would take.
    taken: usize,
    /// Why others would be refused, and how many for each reason.
    refused: BTreeMap<String, usize>,
    /// Items that have what a rule reads, by rule (from 1) and attribute.
    read: BTreeMap<(usize, String), usize>,
    /// Shadow items that an index would hold.
    indexed: BTreeMap<&'a str, usize>,
}

/// What to think of the items that were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Most of them would be refused.
    Refused(String),
    /// The transform fits; what is odd nevertheless, a line each.
    Fits(Vec<String>),
}

impl<'a> Trial<'a> {
    /// Of this transform, into a table of this layout.
    pub fn new(transform: &'a Transform, target: &'a TableLayout) -> Self {
        let read = transform.reads().into_iter().map(|read| (read, 0)).collect();
        let names = target.global_indexes.keys().chain(target.local_indexes.keys());
        let indexed = names.map(|name| (name.as_str(), 0)).collect();
        Self { transform, target, items: 0, taken: 0, refused: BTreeMap::new(), read, indexed }
    }

    /// An item of the source.
    pub fn see(&mut self, item: Item) {
        self.items += 1;
        for ((_, attribute), count) in &mut self.read {
            *count += usize::from(item.get(attribute).is_some());
        }
        let refused = match self.transform.apply(item) {
            Err(refusal) => Some(refusal.to_string()),
            Ok(Target::Nothing) => None,
            Ok(Target::Item { item, .. }) => self.place(&item),
        };
        match refused {
            Some(reason) => *self.refused.entry(reason).or_default() += 1,
            None => self.taken += 1,
        }
    }

    /// Looks at the indexes' keys of a shadow item. One of a wrong type, or an empty one, is refused with the whole item.
    fn place(&mut self, item: &Item) -> Option<String> {
        for (name, index) in self.target.global_indexes.iter().chain(&self.target.local_indexes) {
            let problem = keys(index).find_map(|(attribute, kind)| misfit(attribute, *kind, item.get(attribute)?));
            if let Some(problem) = problem {
                return Some(format!("the index {name} cannot hold it: {problem}"));
            }
            if keys(index).all(|(attribute, _)| item.get(attribute).is_some())
                && let Some(count) = self.indexed.get_mut(name.as_str())
            {
                *count += 1;
            }
        }
        None
    }

    /// What is to be thought of it.
    pub fn outcome(&self) -> Outcome {
        let refused: usize = self.refused.values().sum();
        let reasons = self.refused.iter().map(|(reason, count)| format!("{count} × {reason}"));
        let mut odd: Vec<String> =
            self.read.iter().filter(|(_, count)| **count == 0).map(|(read, _)| self.unread(read)).collect();
        if self.items == 0 {
            return Outcome::Fits(Vec::new());
        }
        // Whoever changes a layout may mean to leave a tenth behind; nobody means to leave most.
        if refused * 2 > self.items {
            let lines: Vec<String> = reasons.chain(odd).map(|line| format!("\n  {line}")).collect();
            let (items, lines) = (self.items, lines.concat());
            return Outcome::Refused(format!(
                "the shadow would refuse {refused} of {items} items that were looked at:{lines}"
            ));
        }
        odd.extend(reasons.map(|reason| format!("the shadow would refuse, of {} items: {reason}", self.items)));
        let empty = self.indexed.iter().filter(|(_, count)| **count == 0 && self.taken > 0);
        odd.extend(empty.map(|(index, _)| format!("the index {index} would hold none of {} items", self.items)));
        Outcome::Fits(odd)
    }

    fn unread(&self, (rule, attribute): &(usize, String)) -> String {
        let rules = self.transform.rules();
        let text = rule.checked_sub(1).and_then(|index| rules.get(index)).map(ToString::to_string).unwrap_or_default();
        format!("none of {} items has {attribute:?}, which rule {rule} reads: `{text}`", self.items)
    }
}

fn keys(index: &IndexLayout) -> impl Iterator<Item = &(String, KeyType)> {
    index.partition_keys.iter().chain(&index.sort_keys)
}

/// What keeps a value from being an index key, without naming it.
fn misfit(attribute: &str, kind: KeyType, value: &AttributeValue) -> Option<String> {
    let fits = match (kind, value) {
        (KeyType::S, AttributeValue::S(text)) => !text.is_empty(),
        (KeyType::B, AttributeValue::B(bytes)) => !bytes.as_ref().is_empty(),
        (KeyType::N, AttributeValue::N(_)) => true,
        _ => false,
    };
    (!fits).then(|| format!("its key attribute {attribute:?} is empty, or not of type {kind:?}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::{Billing, Projection};
    use crate::protocol::transform::{Action, Rule};

    fn layout(partition: &str, index: &str) -> TableLayout {
        let index = IndexLayout {
            partition_keys: vec![(index.to_owned(), KeyType::S)],
            sort_keys: Vec::new(),
            projection: Projection::All,
            throughput: None,
        };
        TableLayout {
            partition_key: (partition.to_owned(), KeyType::S),
            sort_key: None,
            global_indexes: [("by-status".to_owned(), index)].into(),
            local_indexes: BTreeMap::new(),
            billing: Billing::OnDemand,
        }
    }

    fn outcome(template: &str, target: &TableLayout, items: &[&[(&str, AttributeValue)]]) -> Outcome {
        let action = Action::Set { attribute: "place".into(), template: template.into() };
        let (source, rules) = (layout("id", "status").key_schema(), [Rule { action, when: None }]);
        let transform = Transform::compile(&rules, &source, &target.key_schema()).unwrap();
        let mut trial = Trial::new(&transform, target);
        for attributes in items {
            let id = ("id".to_owned(), AttributeValue::S("1".into()));
            let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            trial.see(Item::new(attributes.chain([id]).collect::<HashMap<_, _>>()));
        }
        trial.outcome()
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn a_misspelt_attribute_is_named_with_its_rule() {
        let target = layout("place", "status");
        let good: &[_] = &[("status", s("open")), ("town", s("x"))];
        assert_eq!(outcome("{town}#{id}", &target, &[good, good]), Outcome::Fits(Vec::new()));
        let Outcome::Refused(told) = outcome("{twon}#{id}", &target, &[good, good]) else { panic!("it fits") };
        assert!(told.starts_with("the shadow would refuse 2 of 2 items"), "{told}");
        assert!(
            told.contains("none of 2 items has \"twon\", which rule 1 reads: `set place = \"{twon}#{id}\"`"),
            "{told}"
        );
    }

    #[test]
    fn few_that_are_refused_are_told_and_refuse_nothing() {
        let target = layout("id", "status");
        let (good, bad): (&[_], &[_]) =
            (&[("status", s("open")), ("town", s("x"))], &[("status", AttributeValue::N("1".into()))]);
        let Outcome::Fits(odd) = outcome("{town}", &target, &[good, good, bad]) else { panic!("refused") };
        assert_eq!(odd.len(), 1, "{odd:?}");
        assert!(odd[0].contains("1 × the index by-status cannot hold it: its key attribute \"status\""), "{odd:?}");
        assert!(matches!(outcome("{town}", &target, &[bad, bad, good]), Outcome::Refused(_)));
    }

    #[test]
    fn an_index_that_would_stay_empty_is_told() {
        let Outcome::Fits(odd) = outcome("{town}", &layout("id", "stauts"), &[&[("town", s("x"))]]) else { panic!() };
        assert_eq!(odd, ["the index by-status would hold none of 1 items"]);
        assert_eq!(outcome("{town}", &layout("id", "status"), &[]), Outcome::Fits(Vec::new()));
    }
}
