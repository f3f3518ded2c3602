//! `[[transform]]`: the declared rules, in their order.
//!
//! Only the file has them: their order and structure do not fit into variables and flags. What a rule means for keys
//! and indexes is judged later, against the tables; here it is judged by itself.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Origin};
use super::place::Source;
use super::value::Value;
use crate::document::nearest;
use crate::protocol::transform::{Action, Condition, Rule, Scalar, check_template};

const ACTIONS: [&str; 5] = ["set", "rename", "remove", "copy", "drop"];
const ONE_ACTION: &str = "give exactly one of set, rename, remove, copy and drop";
const ONE_CONDITION: &str = "give { exists = \"a\" }, { missing = \"a\" }, { attribute = \"a\", equals = \"x\" } or \
                             { attribute = \"a\", one_of = [\"x\", \"y\"] }";
const ATTRIBUTE: &str = "give an attribute's name, 1 to 65,535 bytes";

/// The rules; what is wrong with them is added to `mistakes`.
pub(super) fn rules(
    source: &Source<'_>,
    origin: &Origin,
    content: &DeValue<'_>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Rule> {
    let mut reading = Reading { source, mistakes };
    let DeValue::Array(elements) = content else {
        reading.refuse(origin.clone(), "transform", "is not a list of rules", "write each rule under [[transform]]");
        return Vec::new();
    };
    elements.iter().filter_map(|element| reading.rule(element)).collect()
}

/// The reading of rules.
struct Reading<'a, 's> {
    source: &'a Source<'s>,
    mistakes: &'a mut Vec<Mistake>,
}

type Entry<'a, 'i> = (&'a Spanned<toml::de::DeString<'i>>, &'a Spanned<DeValue<'i>>);

impl Reading<'_, '_> {
    fn refuse(&mut self, origin: Origin, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.mistakes.push(Mistake::about(origin, key, what, remedy));
    }

    fn rule(&mut self, element: &Spanned<DeValue<'_>>) -> Option<Rule> {
        let origin = self.source.place(&element.span());
        let Some(table) = element.get_ref().as_table() else {
            self.refuse(origin, "transform", "is not a rule", "write each rule under [[transform]]");
            return None;
        };
        let mut known = ACTIONS.to_vec();
        known.push("when");
        self.refuse_unknown("transform", table, &known);
        let given: Vec<&str> = ACTIONS.into_iter().filter(|action| table.contains_key(*action)).collect();
        let action = match given.as_slice() {
            [one] => self.action(one, table),
            [] => {
                self.refuse(origin, "transform", "the rule does nothing", ONE_ACTION);
                None
            }
            several => {
                let what = format!("the rule has {} actions: {}", several.len(), several.join(", "));
                self.refuse(origin, "transform", what, ONE_ACTION);
                None
            }
        };
        let when = match table.get_key_value("when") {
            Some(entry) => Some(self.condition(entry)?),
            None => None,
        };
        Some(Rule { action: action?, when })
    }

    fn action(&mut self, name: &str, table: &DeTable<'_>) -> Option<Action> {
        let entry = table.get_key_value(name)?;
        match name {
            "set" => {
                let [attribute, template] = self.pair("transform.set", entry, ["attribute", "template"])?;
                if let Err(error) = check_template(&template) {
                    let origin = self.source.place(&entry.1.span());
                    let remedy = "write {attribute} for an attribute's value, {{ and }} for braces";
                    self.refuse(origin, "transform.set.template", error.to_string(), remedy);
                    return None;
                }
                Some(Action::Set { attribute, template })
            }
            "rename" => self.two_names("transform.rename", entry).map(|[from, to]| Action::Rename { from, to }),
            "copy" => self.two_names("transform.copy", entry).map(|[from, to]| Action::Copy { from, to }),
            "remove" => self.attribute("transform.remove", entry).map(|attribute| Action::Remove { attribute }),
            _ => {
                if matches!(entry.1.get_ref(), DeValue::Boolean(true)) {
                    return Some(Action::Drop);
                }
                let origin = self.source.place(&entry.0.span());
                self.refuse(origin, "transform.drop", "is not true", "write drop = true, or remove the rule");
                None
            }
        }
    }

    fn two_names(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<[String; 2]> {
        let [from, to] = self.pair(key, entry, ["from", "to"])?;
        if from == to {
            let origin = self.source.place(&entry.0.span());
            self.refuse(origin, key, format!("from and to are both {from:?}"), "give two names");
            return None;
        }
        Some([from, to])
    }

    /// Two strings of an inline table; the first is an attribute's name.
    fn pair(&mut self, key: &str, entry: Entry<'_, '_>, names: [&str; 2]) -> Option<[String; 2]> {
        let origin = self.source.place(&entry.0.span());
        let [first, second] = names;
        let Some(table) = entry.1.get_ref().as_table() else {
            let what = format!("{} is not allowed", Value::from_toml(entry.1.get_ref()));
            self.refuse(origin, key, what, format!("give {{ {first} = \"…\", {second} = \"…\" }}"));
            return None;
        };
        self.refuse_unknown(key, table, &names);
        let [first, second] = names.map(|name| {
            let key = format!("{key}.{name}");
            let Some(entry) = table.get_key_value(name) else {
                self.refuse(origin.clone(), &key, "is missing", "add it");
                return None;
            };
            if name == "template" { self.string(&key, entry) } else { self.attribute(&key, entry) }
        });
        Some([first?, second?])
    }

    fn string(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
        let text = entry.1.get_ref().as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            let what = format!("{} is not allowed", Value::from_toml(entry.1.get_ref()));
            self.refuse(self.source.place(&entry.0.span()), key, what, "give a string that is not empty");
        }
        text.map(str::to_owned)
    }

    fn attribute(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
        let name = entry.1.get_ref().as_str().filter(|name| (1..=65_535).contains(&name.len()));
        if name.is_none() {
            let what = format!("{} is not allowed", Value::from_toml(entry.1.get_ref()));
            self.refuse(self.source.place(&entry.0.span()), key, what, ATTRIBUTE);
        }
        name.map(str::to_owned)
    }

    fn condition(&mut self, entry: Entry<'_, '_>) -> Option<Condition> {
        const KEY: &str = "transform.when";
        let origin = self.source.place(&entry.0.span());
        let Some(table) = entry.1.get_ref().as_table() else {
            let what = format!("{} is not a condition", Value::from_toml(entry.1.get_ref()));
            self.refuse(origin, KEY, what, ONE_CONDITION);
            return None;
        };
        self.refuse_unknown(KEY, table, &["exists", "missing", "attribute", "equals", "one_of"]);
        let entry = |name| table.get_key_value(name);
        match (entry("exists"), entry("missing"), entry("attribute"), entry("equals"), entry("one_of")) {
            (Some(name), None, None, None, None) => {
                self.attribute("transform.when.exists", name).map(|attribute| Condition::Exists { attribute })
            }
            (None, Some(name), None, None, None) => {
                self.attribute("transform.when.missing", name).map(|attribute| Condition::Missing { attribute })
            }
            (None, None, Some(name), Some(value), None) => {
                let attribute = self.attribute("transform.when.attribute", name);
                let value = self.scalar("transform.when.equals", value.1);
                Some(Condition::OneOf { attribute: attribute?, values: vec![value?] })
            }
            (None, None, Some(name), None, Some(list)) => {
                let attribute = self.attribute("transform.when.attribute", name);
                let values = self.scalars("transform.when.one_of", list);
                Some(Condition::OneOf { attribute: attribute?, values: values? })
            }
            _ => {
                self.refuse(origin, KEY, "is not one condition", ONE_CONDITION);
                None
            }
        }
    }

    fn scalars(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Vec<Scalar>> {
        let list = entry.1.get_ref().as_array().filter(|list| !list.is_empty());
        let Some(list) = list else {
            let origin = self.source.place(&entry.0.span());
            self.refuse(origin, key, "is not a list with values", "give a list such as [\"OPEN\", \"HELD\"]");
            return None;
        };
        // Every element is looked at before the first wrong one ends it.
        let values: Vec<Option<Scalar>> = list.iter().map(|value| self.scalar(key, value)).collect();
        values.into_iter().collect()
    }

    /// TOML's types are DynamoDB's.
    fn scalar(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Scalar> {
        let scalar = match (value.get_ref(), Value::from_toml(value.get_ref())) {
            (DeValue::Boolean(flag), _) => Some(Scalar::Boolean(*flag)),
            (_, Value::Text(text)) => Some(Scalar::Text(text)),
            (_, Value::Whole(number)) => Some(Scalar::Number(number.to_string())),
            (DeValue::Float(written), Value::Fraction(number)) if number.is_finite() => {
                Some(Scalar::Number(written.to_string()))
            }
            _ => None,
        };
        if scalar.is_none() {
            let what = format!("{} is not allowed", Value::from_toml(value.get_ref()));
            self.refuse(self.source.place(&value.span()), key, what, "give a string, a number or a boolean");
        }
        scalar
    }

    fn refuse_unknown(&mut self, key: &str, table: &DeTable<'_>, known: &[&str]) {
        for name in table.keys().filter(|name| !known.contains(&name.get_ref().as_ref())) {
            let remedy = nearest(name.get_ref(), known.iter().copied()).map_or_else(
                || format!("remove it; there are {}", known.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            let origin = self.source.place(&name.span());
            self.refuse(origin, &format!("{key}.{}", name.get_ref()), "there is no such key", remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;

    fn read(text: &str) -> (Vec<Rule>, Vec<String>) {
        let mut mistakes = Vec::new();
        let file = File::parse("f".into(), std::path::PathBuf::new(), text.as_bytes(), &mut mistakes);
        (file.transform, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_action_and_condition_is_read_in_order() {
        let (rules, mistakes) = read(
            r#"
            [[transform]]
            set = { attribute = "k", template = "S#{status}" }
            when = { exists = "status" }
            [[transform]]
            rename = { from = "a", to = "b" }
            when = { missing = "b" }
            [[transform]]
            remove = "x"
            when = { attribute = "n", equals = 5 }
            [[transform]]
            copy = { from = "a", to = "b" }
            when = { attribute = "n", one_of = ["OPEN", 1.50, true] }
            [[transform]]
            drop = true
        "#,
        );
        assert_eq!(mistakes, Vec::<String>::new());
        let name = String::from;
        let one_of = |values: &[Scalar]| Some(Condition::OneOf { attribute: name("n"), values: values.to_vec() });
        assert_eq!(
            rules,
            [
                Rule {
                    action: Action::Set { attribute: name("k"), template: name("S#{status}") },
                    when: Some(Condition::Exists { attribute: name("status") }),
                },
                Rule {
                    action: Action::Rename { from: name("a"), to: name("b") },
                    when: Some(Condition::Missing { attribute: name("b") }),
                },
                Rule { action: Action::Remove { attribute: name("x") }, when: one_of(&[Scalar::Number(name("5"))]) },
                Rule {
                    action: Action::Copy { from: name("a"), to: name("b") },
                    when: one_of(&[Scalar::Text(name("OPEN")), Scalar::Number(name("1.50")), Scalar::Boolean(true),]),
                },
                Rule { action: Action::Drop, when: None },
            ]
        );
    }

    #[test]
    fn each_wrong_rule_says_its_line_and_what_to_do() {
        for (rule, expected) in [
            ("", "f:1:1: transform: the rule does nothing; give exactly one of"),
            ("drop = true\nremove = \"x\"", "f:1:1: transform: the rule has 2 actions: remove, drop; give exactly one"),
            ("drop = false", "f:2:1: transform.drop: is not true; write drop = true"),
            ("remove = \"\"", "f:2:1: transform.remove: the string \"\" is not allowed; give an attribute's name"),
            ("rename = { from = \"a\" }", "f:2:1: transform.rename.to: is missing; add it"),
            (
                "copy = { from = \"a\", to = \"a\" }",
                "f:2:1: transform.copy: from and to are both \"a\"; give two names",
            ),
            (
                "set = { attribute = \"a\", template = \"{b\" }",
                "f:2:7: transform.set.template: at character 1 of the template: this { is never",
            ),
            ("renam = { from = \"a\", to = \"b\" }", "transform.renam: there is no such key; did you mean rename?"),
            (
                "drop = true\nwhen = { exist = \"a\" }",
                "f:3:10: transform.when.exist: there is no such key; did you mean",
            ),
            ("drop = true\nwhen = {}", "f:3:1: transform.when: is not one condition; give { exists"),
            (
                "drop = true\nwhen = { attribute = \"a\", one_of = [] }",
                "one_of: is not a list with values; give a list",
            ),
            ("drop = true\nwhen = { attribute = \"a\", equals = [] }", "f:3:36: transform.when.equals: a list is not"),
        ] {
            let (rules, mistakes) = read(&format!("[[transform]]\n{rule}"));
            assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{rule}: {mistakes:#?}");
            assert!(rules.is_empty(), "{rule}");
        }
    }

    #[test]
    fn rules_are_a_list() {
        assert!(read("transform = 3").1[0].starts_with("f:1:1: transform: is not a list of rules; write each rule"));
        assert!(read("transform = [3]").1[0].contains("is not a rule"));
        assert!(read("[transform]\ndrop = true").1[0].contains("is not a list of rules"));
    }
}
