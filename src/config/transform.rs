//! `[[transform]]`: the declared rules, in their order.
//!
//! Only the file has them: their order and structure do not fit into variables and flags. What a rule means for keys
//! and indexes is judged later, against the tables; here it is judged by itself.

use crate::document::{At, Entry, Node, Problems, Value};
use crate::protocol::transform::{Action, Condition, Rule, Scalar, check_template};

const ACTIONS: [&str; 5] = ["set", "rename", "remove", "copy", "drop"];
const ONE_ACTION: &str = "give exactly one of set, rename, remove, copy and drop";
const ONE_CONDITION: &str = "give { exists = \"a\" }, { missing = \"a\" }, { attribute = \"a\", equals = \"x\" } or \
                             { attribute = \"a\", one_of = [\"x\", \"y\"] }";
const LIST: &str = "give a list such as [\"OPEN\", \"HELD\"]";
const ATTRIBUTE: &str = "give an attribute's name, 1 to 65,535 bytes";

/// The rules; what is wrong with them is added to `problems`.
pub(super) fn rules(at: &At, content: &Value, problems: &mut Problems) -> Vec<Rule> {
    let Value::List(elements) = content else {
        problems.refuse(at, "is not a list of rules", "write each rule under [[transform]]");
        return Vec::new();
    };
    let rule = |element: &Node| rule(&At { place: element.place, ..at.clone() }, element, problems);
    elements.iter().filter_map(rule).collect()
}

fn rule(at: &At, element: &Node, problems: &mut Problems) -> Option<Rule> {
    let mut known = ACTIONS.to_vec();
    known.push("when");
    let Value::Map(_) = element.value else {
        problems.refuse(at, "is not a rule", "write each rule under [[transform]]");
        return None;
    };
    let table = problems.properties(at, element, &known, &|_| None);
    let given: Vec<&Entry> = ACTIONS.into_iter().filter_map(|action| table.entry(action)).collect();
    let action = match given.as_slice() {
        [one] => action(&at_key(at, one), one, problems),
        [] => {
            problems.refuse(at, "the rule does nothing", ONE_ACTION);
            None
        }
        several => {
            let names: Vec<&str> = several.iter().map(|entry| entry.name.as_str()).collect();
            let what = format!("the rule has {} actions: {}", names.len(), names.join(", "));
            problems.refuse(at, what, ONE_ACTION);
            None
        }
    };
    let when = match table.entry("when") {
        Some(entry) => Some(condition(&at_key(at, entry), &entry.node, problems)?),
        None => None,
    };
    Some(Rule { action: action?, when })
}

/// A key of what is at `at`.
fn at_key(at: &At, entry: &Entry) -> At {
    at.property(&entry.name, entry.place)
}

fn action(at: &At, entry: &Entry, problems: &mut Problems) -> Option<Action> {
    match entry.name.as_str() {
        "set" => {
            let [attribute, template] = pair(at, &entry.node, ["attribute", "template"], problems)?;
            if let Err(error) = check_template(&template) {
                let at = at.property("template", entry.node.place);
                problems.refuse(
                    &at,
                    error.to_string(),
                    "write {attribute} for an attribute's value, {{ and }} for braces",
                );
                return None;
            }
            Some(Action::Set { attribute, template })
        }
        "rename" => two_names(at, &entry.node, problems).map(|[from, to]| Action::Rename { from, to }),
        "copy" => two_names(at, &entry.node, problems).map(|[from, to]| Action::Copy { from, to }),
        "remove" => attribute(at, &entry.node, problems).map(|attribute| Action::Remove { attribute }),
        _ if entry.node.value == Value::Boolean(true) => Some(Action::Drop),
        _ => {
            problems.refuse(at, "is not true", "write drop = true, or remove the rule");
            None
        }
    }
}

fn two_names(at: &At, node: &Node, problems: &mut Problems) -> Option<[String; 2]> {
    let [from, to] = pair(at, node, ["from", "to"], problems)?;
    if from == to {
        problems.refuse(at, format!("from and to are both {from:?}"), "give two names");
        return None;
    }
    Some([from, to])
}

/// Two strings of an inline table; the first is an attribute's name.
fn pair(at: &At, node: &Node, names: [&str; 2], problems: &mut Problems) -> Option<[String; 2]> {
    let Value::Map(_) = node.value else {
        let [first, second] = names;
        refuse_value(at, node, format!("give {{ {first} = \"…\", {second} = \"…\" }}"), problems);
        return None;
    };
    let table = problems.properties(at, node, &names, &|_| None);
    let [first, second] = names.map(|name| {
        let Some(entry) = table.entry(name) else {
            problems.refuse(&at.property(name, None), "is missing", "add it");
            return None;
        };
        let at = at_key(at, entry);
        if name == "template" { string(&at, &entry.node, problems) } else { attribute(&at, &entry.node, problems) }
    });
    Some([first?, second?])
}

fn string(at: &At, node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.value.text().filter(|text| !text.is_empty());
    if text.is_none() {
        refuse_value(at, node, "give a string that is not empty", problems);
    }
    text.map(str::to_owned)
}

fn attribute(at: &At, node: &Node, problems: &mut Problems) -> Option<String> {
    let name = node.value.text().filter(|name| (1..=65_535).contains(&name.len()));
    if name.is_none() {
        refuse_value(at, node, ATTRIBUTE, problems);
    }
    name.map(str::to_owned)
}

fn refuse_value(at: &At, node: &Node, remedy: impl Into<String>, problems: &mut Problems) {
    problems.refuse(at, format!("{} is not allowed", node.value), remedy);
}

fn condition(at: &At, node: &Node, problems: &mut Problems) -> Option<Condition> {
    let Value::Map(_) = node.value else {
        problems.refuse(at, format!("{} is not a condition", node.value), ONE_CONDITION);
        return None;
    };
    let table = problems.properties(at, node, &["exists", "missing", "attribute", "equals", "one_of"], &|_| None);
    let entry = |name| table.entry(name);
    let mut name = |entry: &Entry| attribute(&at_key(at, entry), &entry.node, problems);
    match (entry("exists"), entry("missing"), entry("attribute"), entry("equals"), entry("one_of")) {
        (Some(exists), None, None, None, None) => name(exists).map(|attribute| Condition::Exists { attribute }),
        (None, Some(missing), None, None, None) => name(missing).map(|attribute| Condition::Missing { attribute }),
        (None, None, Some(of), Some(value), None) => {
            let attribute = name(of);
            let at = At { place: value.node.place, ..at_key(at, value) };
            let value = scalar(&at, &value.node, problems);
            Some(Condition::OneOf { attribute: attribute?, values: vec![value?] })
        }
        (None, None, Some(of), None, Some(list)) => {
            let attribute = name(of);
            let values = scalars(&at_key(at, list), &list.node, problems);
            Some(Condition::OneOf { attribute: attribute?, values: values? })
        }
        _ => {
            problems.refuse(at, "is not one condition", ONE_CONDITION);
            None
        }
    }
}

fn scalars(at: &At, node: &Node, problems: &mut Problems) -> Option<Vec<Scalar>> {
    let list = match &node.value {
        Value::List(list) if !list.is_empty() => list,
        _ => {
            problems.refuse(at, "is not a list with values", LIST);
            return None;
        }
    };
    // Every element is looked at before the first wrong one ends it.
    let at = |node: &Node| At { place: node.place, ..at.clone() };
    let values: Vec<Option<Scalar>> = list.iter().map(|node| scalar(&at(node), node, problems)).collect();
    values.into_iter().collect()
}

/// TOML's types are DynamoDB's.
fn scalar(at: &At, node: &Node, problems: &mut Problems) -> Option<Scalar> {
    let scalar = match &node.value {
        Value::Boolean(flag) => Some(Scalar::Boolean(*flag)),
        Value::Text(text) => Some(Scalar::Text(text.clone())),
        Value::Whole(number) => Some(Scalar::Number(number.to_string())),
        Value::Fraction(written) if written.parse().is_ok_and(f64::is_finite) => Some(Scalar::Number(written.clone())),
        _ => None,
    };
    if scalar.is_none() {
        refuse_value(at, node, "give a string, a number or a boolean", problems);
    }
    scalar
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
