use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::model::{Blob, KeyAttribute, KeyType};

fn schema(attributes: &[(&str, KeyType)]) -> KeySchema {
    let attribute = |(name, kind): &(&str, KeyType)| KeyAttribute { name: (*name).into(), kind: *kind };
    KeySchema { partition: attribute(&attributes[0]), sort: attributes.get(1).map(attribute) }
}

fn item(values: &[(&str, AttributeValue)]) -> Item {
    Item::new(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(text: &str) -> AttributeValue {
    AttributeValue::N(text.into())
}

fn always(action: Action) -> Rule {
    Rule { action, when: None }
}

fn set(attribute: &str, template: &str) -> Rule {
    always(Action::Set { attribute: attribute.into(), template: template.into() })
}

fn rename(from: &str, to: &str) -> Rule {
    always(Action::Rename { from: from.into(), to: to.into() })
}

fn copy(from: &str, to: &str) -> Rule {
    always(Action::Copy { from: from.into(), to: to.into() })
}

fn remove(attribute: &str) -> Rule {
    always(Action::Remove { attribute: attribute.into() })
}

fn when(condition: Condition, rule: Rule) -> Rule {
    Rule { when: Some(condition), ..rule }
}

fn exists(attribute: &str) -> Condition {
    Condition::Exists { attribute: attribute.into() }
}

fn one_of(attribute: &str, values: &[&str]) -> Condition {
    Condition::OneOf {
        attribute: attribute.into(),
        values: values.iter().map(|&value| Scalar::Text(value.to_owned())).collect(),
    }
}

const P: (&str, KeyType) = ("p", KeyType::S);
const Q: (&str, KeyType) = ("q", KeyType::N);

fn compiled(rules: &[Rule], source: &[(&str, KeyType)], shadow: &[(&str, KeyType)]) -> Transform {
    Transform::compile(rules, &schema(source), &schema(shadow)).unwrap()
}

fn mistakes(rules: &[Rule], source: &[(&str, KeyType)], shadow: &[(&str, KeyType)]) -> Vec<String> {
    Transform::compile(rules, &schema(source), &schema(shadow)).unwrap_err().iter().map(ToString::to_string).collect()
}

fn shadow_item(transform: &Transform, source: Item) -> Item {
    match transform.apply(source).unwrap() {
        Target::Item { item, .. } => item,
        Target::Nothing => panic!("dropped"),
    }
}

#[test]
fn no_rules_leave_the_item_and_the_key_alone() {
    let transform = compiled(&[], &[P, Q], &[P, Q]);
    let source = item(&[("p", s("a")), ("q", n("1.0")), ("x", AttributeValue::Bool(true))]);
    let key = source.key(&schema(&[P, Q])).unwrap();
    assert_eq!(transform.shadow_key_of_source_key(&key), Some(key.clone()));
    assert_eq!(transform.apply(source.clone()), Ok(Target::Item { key, item: source }));
    assert_eq!(
        *transform.properties(),
        Properties {
            key_preserving: true,
            injective: true,
            ambiguous: vec![],
            needs_old_images: false,
            undo: Undo::Undoable
        }
    );
}

#[test]
fn renaming_the_key_preserves_it() {
    let transform = compiled(&[rename("p", "id")], &[P], &[("id", KeyType::S)]);
    assert!(transform.properties().key_preserving && transform.properties().injective);
    assert_eq!(
        transform.properties().undo,
        Undo::UndoableAssuming(vec!["no source item already has the attribute id".into()])
    );
    assert!(shadow_item(&transform, item(&[("p", s("a"))])).same_as(&item(&[("id", s("a"))])));
}

#[test]
fn a_key_renamed_away_and_set_again_is_judged_by_what_it_holds_in_the_end() {
    let transform = compiled(&[rename("p", "id"), set("p", "USER#{id}")], &[P], &[P]);
    let properties = transform.properties();
    assert!(!properties.key_preserving && properties.injective && !properties.needs_old_images);
    let source = item(&[("p", s("a"))]);
    let source_key = source.key(&schema(&[P])).unwrap();
    let shadow = shadow_item(&transform, source);
    assert!(shadow.same_as(&item(&[("p", s("USER#a")), ("id", s("a"))])));
    assert_eq!(transform.shadow_key_of_source_key(&source_key), Some(shadow.key(&schema(&[P])).unwrap()));

    assert_eq!(mistakes(&[rename("p", "id"), set("p", "USER#{name}")], &[P], &[P]).len(), 1, "its owner is lost");
}

#[test]
fn a_key_made_of_other_attributes_needs_old_images_and_an_owner() {
    let transform = compiled(&[set("k", "{tenant}#{p}")], &[P], &[("k", KeyType::S)]);
    let properties = transform.properties();
    assert!(!properties.injective && properties.needs_old_images);
    assert_eq!(properties.ambiguous, ["p"]);
    let key = item(&[("p", s("a"))]).key(&schema(&[P])).unwrap();
    assert_eq!(transform.shadow_key_of_source_key(&key), None);
    assert_eq!(
        mistakes(&[set("k", "{tenant}#{p}"), when(exists("x"), remove("p"))], &[P], &[("k", KeyType::S)]),
        ["rule 2: two items may claim one shadow key, and \"p\" of the source key does not reach the shadow item \
             unchanged, so that nobody could tell whose it is; leave \"p\" alone, or have all of [\"p\"] enter the \
             shadow key unconditionally and unambiguously"]
    );
}

#[test]
fn a_key_that_holds_the_source_key_beside_others_is_injective_though_it_needs_old_images() {
    let transform = compiled(&[], &[P], &[("tenant", KeyType::S), P]);
    assert!(transform.properties().injective && transform.properties().needs_old_images);
}

#[test]
fn numbers_beside_one_string_can_be_read_back_where_text_parts_them() {
    let k = [("k", KeyType::S)];
    let injective =
        |template: &str, source: &[(&str, KeyType)]| compiled(&[set("k", template)], source, &k).properties().injective;
    assert!(injective("{p}#{q}", &[P, Q]));
    assert!(injective("5{q}5#5{p}", &[P, Q]));
    assert!(injective("{q}/{q}/{p}", &[P, Q]), "a repeated number does no harm");
    assert!(!injective("{p}{q}", &[P, Q]), "a1 and 2, or a and 12");
    assert!(!injective("{p}-{q}", &[P, Q]), "the minus may be the number's");
    assert!(!injective("{p}E{q}", &[P, Q]), "the E may be a number's");
    assert!(!injective("{p}#{r}", &[P, ("r", KeyType::S)]), "a#b and c, or a and b#c");
    assert!(!injective("{p}#{p}#{q}", &[P, Q]), "not shown");
    assert!(!injective("{p}", &[P, Q]), "the sort key is not in it");
    assert!(injective("{q}", &[Q]));
}

#[test]
fn key_attributes_are_judged_separately() {
    let r = ("r", KeyType::S);
    let transform = compiled(&[set("k", "A#{p}"), set("l", "{r}#B")], &[P, r], &[("k", KeyType::S), ("l", KeyType::S)]);
    assert!(transform.properties().injective && !transform.properties().needs_old_images);
    let swapped = compiled(&[], &[P, r], &[r, P]);
    assert!(swapped.properties().injective && !swapped.properties().key_preserving);
}

#[test]
fn a_condition_on_the_key_rule_makes_it_not_injective() {
    let transform = compiled(&[when(exists("x"), set("k", "{p}"))], &[P], &[("k", KeyType::S)]);
    assert!(!transform.properties().injective && transform.properties().needs_old_images);
}

#[test]
fn conditions_look_at_the_source_item_and_actions_at_the_item_so_far() {
    let rules = [
        set("status", "closed"),
        when(one_of("status", &["open"]), set("was_open", "{status}")),
        when(exists("note"), Rule { action: Action::Drop, when: None }),
        set("note", "made by a rule"),
    ];
    let transform = compiled(&rules, &[P], &[P]);
    let shadow = shadow_item(&transform, item(&[("p", s("a")), ("status", s("open"))]));
    assert_eq!(shadow.get("was_open"), Some(&s("closed")));
    assert_eq!(shadow.get("note"), Some(&s("made by a rule")));
    assert_eq!(transform.apply(item(&[("p", s("a")), ("note", s("x"))])), Ok(Target::Nothing));
}

#[test]
fn a_value_is_compared_within_its_type() {
    let bool = AttributeValue::Bool;
    let values = [
        (Scalar::Text("1".into()), vec![s("1")]),
        (Scalar::Text("true".into()), vec![s("true")]),
        (Scalar::Number("1".into()), vec![n("1"), n("1.0"), n("10E-1")]),
        (Scalar::Number("1.50".into()), vec![n("1.5")]),
        (Scalar::Boolean(true), vec![bool(true)]),
        (Scalar::Boolean(false), vec![bool(false)]),
    ];
    let mut all: Vec<AttributeValue> = values.iter().flat_map(|(_, equal)| equal.clone()).collect();
    all.extend([s("1.0"), s("1.50"), s("false"), AttributeValue::Null(true), AttributeValue::Ss(vec!["1".into()])]);
    for (value, equal) in values {
        let condition = Condition::OneOf { attribute: "x".into(), values: vec![value.clone()] };
        let transform = compiled(&[when(condition, always(Action::Drop))], &[P], &[P]);
        for other in &all {
            let holds = transform.apply(item(&[("p", s("a")), ("x", other.clone())])) == Ok(Target::Nothing);
            assert_eq!(holds, equal.contains(other), "{value:?} and {other:?}");
        }
    }
}

#[test]
fn a_rule_whose_input_is_missing_does_nothing() {
    let rules = [set("a", "{gone}"), copy("gone", "b"), rename("gone", "c")];
    let source = item(&[("p", s("x")), ("a", s("1")), ("b", s("2")), ("c", s("3"))]);
    assert!(shadow_item(&compiled(&rules, &[P], &[P]), source.clone()).same_as(&source));
}

#[test]
fn what_has_no_text_or_no_key_is_refused_with_its_reason() {
    let transform = compiled(&[set("k", "{x}"), set("other", "{y}")], &[P], &[("k", KeyType::S)]);
    let refusal = |values: &[(&str, AttributeValue)]| {
        let mut source = item(values);
        source.set("p", s("a"));
        transform.apply(source).unwrap_err().to_string()
    };
    assert_eq!(refusal(&[]), "no key in the new layout: key attribute \"k\" is missing");
    assert_eq!(refusal(&[("x", s(""))]), "no key in the new layout: key attribute \"k\" is empty");
    assert_eq!(
        refusal(&[("k", n("1"))]),
        "no key in the new layout: key attribute \"k\" is not of type S",
        "a rule that does nothing leaves what was there"
    );
    assert_eq!(
        refusal(&[("x", s("1")), ("y", AttributeValue::B(Blob::new([1])))]),
        "rule 2 cannot be applied: attribute \"y\" is binary, which has no text form; only strings and numbers do"
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_rules() {
    let rules = [
        set("a", "{"),
        always(Action::Drop),
        when(one_of("x", &[]), remove("")),
        rename("b", "b"),
        remove("c"),
        copy("c", "d"),
        set("e", "{bin}"),
        set("num", "1"),
        remove("p"),
        when(exists(""), set("p", "")),
    ];
    let source = [P, ("bin", KeyType::B)];
    let told = mistakes(&rules, &source, &[P, ("num", KeyType::N)]);
    let expected = [
        "rule 1: at character 1",
        "rule 2: this would drop every item",
        "rule 3: the condition on \"x\" lists no values",
        "rule 3: an attribute's name is empty",
        "rule 4: \"b\" is renamed or copied to itself",
        "rule 6: \"c\" is always gone",
        "rule 7: \"bin\" is binary",
        "rule 8: a template makes a string, but the shadow's key attribute \"num\" has type N",
        "rule 10: an attribute's name is empty",
        "rule 10: an empty template cannot make the key attribute \"p\"",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_shadow_key_that_no_item_can_have_is_refused() {
    assert!(mistakes(&[remove("p")], &[P], &[P])[0].starts_with("rule 1: the shadow's key attribute \"p\" is always"));
    assert!(mistakes(&[rename("p", "x")], &[P], &[P])[0].starts_with("rule 1: the shadow's key attribute \"p\""));
    let told = mistakes(&[], &[Q], &[("q", KeyType::S)]);
    assert!(told[0].starts_with("the shadow's key attribute \"q\" has type S, but always gets"), "{told:?}");
}

#[test]
fn what_can_be_undone_is_told_with_its_assumptions() {
    let undo = |rules: &[Rule]| compiled(rules, &[P], &[P]).properties().undo.clone();
    let assuming = |names: &[&str]| {
        Undo::UndoableAssuming(
            names.iter().map(|name| format!("no source item already has the attribute {name}")).collect(),
        )
    };
    assert_eq!(undo(&[set("gsi", "A#{x}")]), assuming(&["gsi"]));
    assert_eq!(undo(&[rename("a", "tmp"), rename("b", "a"), rename("tmp", "b")]), assuming(&["tmp"]));
    assert_eq!(undo(&[copy("a", "b"), remove("a")]), assuming(&["b"]));
    assert_eq!(undo(&[remove("a")]), Undo::NotUndoable(vec!["rule 1 removes a".into()]));
    assert_eq!(
        undo(&[when(exists("x"), remove("a"))]),
        Undo::NotUndoable(vec!["rule 1 removes a, depending on a condition".into()])
    );
    assert_eq!(undo(&[set("a", "{a}!")]), Undo::NotUndoable(vec!["rule 1 overwrites a".into()]));
    let missing = Condition::Missing { attribute: "a".into() };
    assert_eq!(
        undo(&[when(missing, set("a", "none"))]),
        Undo::NotUndoable(vec!["rule 1 overwrites a, depending on a condition".into()])
    );
    assert!(matches!(undo(&[when(exists("x"), always(Action::Drop))]), Undo::UndoableAssuming(_)));
    let template = compiled(&[set("k", "A#{p}"), remove("p")], &[P], &[("k", KeyType::S)]);
    assert_eq!(template.properties().undo, assuming(&["k"]), "the key is read back from the template");
}

#[test]
fn the_judgement_reads_well() {
    let transform = compiled(&[set("k", "{tenant}"), remove("x")], &[P, Q], &[("k", KeyType::S)]);
    insta::assert_snapshot!(transform.properties(), @r"
    keys: changed, not injective: two items may claim one shadow key, since p, q do not enter it unambiguously; each write is one conditional request
    old images: needed, since the shadow key depends on more than the source key: the source's stream must be NEW_AND_OLD_IMAGES
    undo: cannot be undone: rule 2 removes x
    ");
    insta::assert_snapshot!(compiled(&[set("g", "{p}")], &[P], &[P]).properties(), @r"
    keys: preserved
    old images: not needed
    undo: can be undone, if no source item already has the attribute g
    ");
}

#[test]
fn rules_that_double_a_text_compile_quickly_and_are_judged_cautiously() {
    let rules: Vec<Rule> = (0..60).map(|_| set("p", "{p}{p}")).collect();
    let told = mistakes(&rules, &[P], &[P]);
    assert!(told[0].contains("two items may claim one shadow key"), "{told:?}");
}

/// Names and values are few, so that rules meet each other and keys nearly collide.
fn any_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["p", "q", "x", "y"]).prop_map(str::to_owned)
}

fn any_template() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["{p}", "{q}", "{p}", "{q}", "{x}", "#", "1", "-", ".", "E", "-#1", "#0"]);
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        4 => (any_name(), any_template()).prop_map(|(attribute, template)| Action::Set { attribute, template }),
        2 => (any_name(), any_name()).prop_map(|(from, to)| Action::Rename { from, to }),
        2 => (any_name(), any_name()).prop_map(|(from, to)| Action::Copy { from, to }),
        1 => any_name().prop_map(|attribute| Action::Remove { attribute }),
    ];
    let condition = prop_oneof![
        8 => Just(None),
        1 => any_name().prop_map(|attribute| Some(Condition::Exists { attribute })),
        1 => any_name().prop_map(|attribute| Some(Condition::Missing { attribute })),
        1 => any_name().prop_map(|attribute| Some(Condition::OneOf { attribute, values: vec![Scalar::Number("1".into())] })),
    ];
    (action, condition).prop_map(|(action, when)| Rule { action, when })
}

fn any_number() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["1", "-1", "11", "0", "1.1", "0.1", "-11", "10", "1E3", "1E-140", "1E140", "100.0"])
        .prop_map(str::to_owned)
}

fn any_value(kind: KeyType) -> BoxedStrategy<AttributeValue> {
    match kind {
        KeyType::N => any_number().prop_map(AttributeValue::N).boxed(),
        _ => prop_oneof!["[1#.-]{1,3}", "[1#E]{1,4}"].prop_map(AttributeValue::S).boxed(),
    }
}

fn any_kind() -> impl Strategy<Value = KeyType> {
    prop::sample::select(vec![KeyType::S, KeyType::N])
}

type Case = (Vec<Rule>, KeySchema, KeySchema, Vec<Item>);

/// Rules, two key schemas, and items with all sorts of keys; some have the attributes `x` and `y`.
fn any_case() -> impl Strategy<Value = Case> {
    let shadow_names = prop::sample::select(vec![
        ("p", None),
        ("q", None),
        ("x", None),
        ("p", Some("q")),
        ("q", Some("p")),
        ("x", Some("p")),
        ("x", Some("y")),
    ]);
    (any_kind(), any_kind(), any::<bool>(), shadow_names).prop_flat_map(|(p, q, sorted, (partition, sort))| {
        let source = if sorted { schema(&[("p", p), ("q", q)]) } else { schema(&[("p", p)]) };
        let rules = prop::collection::vec(any_rule(), 0..5);
        // Items draw from few values each, so that many of them differ in one attribute only.
        let few = |kind| prop::collection::vec(any_value(kind), 2);
        let picks = prop::collection::vec((0..2usize, 0..2usize, 0..3usize, 0..3usize), 24);
        let others = || any_kind().prop_flat_map(few);
        let items = (few(p), few(q), others(), others(), picks).prop_map(|(p, q, x, y, picks)| {
            let item_of = |(i, j, k, l): (usize, usize, usize, usize)| {
                let values = [("p", p.get(i)), ("q", q.get(j)), ("x", x.get(k)), ("y", y.get(l))];
                Item::new(values.into_iter().filter_map(|(name, value)| Some((name.into(), value?.clone()))).collect())
            };
            picks.into_iter().map(item_of).collect()
        });
        (rules, Just(source), any_kind(), any_kind(), items).prop_map(move |(rules, source, first, second, items)| {
            let mut attributes = vec![(partition, first)];
            attributes.extend(sort.map(|sort| (sort, second)));
            (rules, source, schema(&attributes), items)
        })
    })
}

fn results(transform: &Transform, items: &[Item]) -> Vec<(Key, Key, Item, Item)> {
    let mut all = Vec::new();
    for source in items {
        if let Ok(Target::Item { key, item }) = transform.apply(source.clone()) {
            all.push((source.key(&transform.source).unwrap(), key, source.clone(), item));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_judgement_holds_for_every_item((rules, source, shadow, items) in any_case()) {
        let Ok(transform) = Transform::compile(&rules, &source, &shadow) else { return Ok(()) };
        let properties = transform.properties();
        let results = results(&transform, &items);
        let mut claimed: HashMap<&Key, &Key> = HashMap::new();
        for (source_key, shadow_key, before, after) in &results {
            let again = transform.apply(before.clone());
            prop_assert_eq!(again, Ok(Target::Item { key: shadow_key.clone(), item: after.clone() }));
            if properties.key_preserving {
                prop_assert_eq!(source_key, shadow_key);
            }
            if properties.injective {
                let owner = claimed.entry(shadow_key).or_insert(source_key);
                prop_assert_eq!(*owner, source_key, "two source keys, one shadow key");
            } else {
                prop_assert_eq!(&after.key(&source).unwrap(), source_key, "the owner is lost");
            }
            match transform.shadow_key_of_source_key(source_key) {
                Some(key) => prop_assert_eq!(&key, shadow_key),
                None => prop_assert!(properties.needs_old_images),
            }
        }
    }

    #[test]
    fn what_can_be_undone_loses_nothing((rules, source, shadow, items) in any_case()) {
        let Ok(transform) = Transform::compile(&rules, &source, &shadow) else { return Ok(()) };
        let assumptions = match &transform.properties().undo {
            Undo::Undoable => vec![],
            Undo::UndoableAssuming(assumptions) => assumptions.clone(),
            Undo::NotUndoable(_) => return Ok(()),
        };
        let mut results = results(&transform, &items);
        results.retain(|(_, _, before, _)| {
            before.names().all(|name| !assumptions.iter().any(|text| text.ends_with(&format!(" {name}"))))
        });
        for (_, _, before, after) in &results {
            for (_, _, other_before, other_after) in &results {
                prop_assert!(!after.same_as(other_after) || before.same_as(other_before));
            }
        }
    }

    #[test]
    fn a_template_judged_injective_keeps_all_keys_apart(
        template in any_template(),
        strings in prop::collection::vec("[1#.E-]{1,3}", 20).prop_map(|all| all.into_iter().collect::<HashSet<_>>()),
        kinds in (any_kind(), any_kind()),
    ) {
        let numbers = ["1", "-1", "11", "0", "1.1", "0.1", "-11", "10", "111", "-0.1", "1E-140", "1E-141"];
        let values = |kind| match kind {
            KeyType::N => numbers.iter().map(|text| n(text)).collect::<Vec<_>>(),
            _ => strings.iter().map(|text| s(text)).collect(),
        };
        let (source, shadow) = (schema(&[("p", kinds.0), ("q", kinds.1)]), schema(&[("k", KeyType::S)]));
        let Ok(transform) = Transform::compile(&[set("k", &template)], &source, &shadow) else { return Ok(()) };
        if !transform.properties().injective {
            return Ok(());
        }
        let mut claimed = HashMap::new();
        for (p, q) in values(kinds.0).iter().flat_map(|p| values(kinds.1).into_iter().map(move |q| (p.clone(), q))) {
            let source_key = item(&[("p", p), ("q", q)]).key(&source).unwrap();
            let shadow_key = transform.shadow_key_of_source_key(&source_key).unwrap();
            prop_assert_eq!(claimed.insert(shadow_key, source_key), None);
        }
    }

    #[test]
    fn any_template_text_is_compiled_or_refused(text in ".*", key in "[{}pq#]{0,8}") {
        let _ = Transform::compile(&[set("a", &text), set("k", &key)], &schema(&[P]), &schema(&[("k", KeyType::S)]));
    }
}
