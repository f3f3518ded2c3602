//! What must be true when the faults are over.

use std::collections::BTreeSet;

use shadowtable::model::{Item, Key};
use shadowtable::protocol::transform::Target;

use crate::fakes::{SHADOW, SOURCE, State, World, Written, version_of};
use crate::harness::assert_exact;

/// The shadow is the transformed source, but for what is in quarantine; the application uses the source.
pub fn assert_end(world: &World) {
    assert_exact(world);
    let state = world.state();
    assert_eq!((state.pointer.as_str(), state.fenced), (SOURCE, false));
}

/// The application uses the shadow, which holds all that was written up to the switch; what came later is told.
pub fn assert_moved(world: &World) {
    let state = world.state();
    assert!(state.violations.is_empty(), "{:#?}", state.violations);
    assert_eq!((state.pointer.as_str(), state.fenced), (SHADOW, true));
    let told = differences(&state);
    assert!(told.is_empty(), "{told:#?}");
}

fn differences(state: &State) -> Vec<String> {
    let schema = state.setup.source.key_schema();
    let kept: Vec<_> = state.entries_at("QUARANTINE#").collect();
    let keys = kept.iter().filter(|entry| entry.body["reason"] == "late");
    let keys: BTreeSet<Key> = keys.map(|entry| schema.from_json(&entry.body["keys"]["source"]).unwrap()).collect();
    let late = |key: &Key| keys.contains(key);
    let owner = |item: &Item| schema.key_of(item.attributes()).unwrap();
    // Late, or expired since the fence: the shadow shows what was before.
    let expired = |write: &Written| write.expired && state.fenced_at().is_some_and(|fenced| write.at >= fenced);
    let is_before =
        |key: &Key| late(key) || state.history.iter().rev().find(|write| write.key == *key).is_some_and(expired);
    let mut told = Vec::new();
    for (key, item) in &state.source {
        if late(key) {
            continue;
        }
        match state.setup.transform.apply(item.clone()) {
            Ok(Target::Item { key: place, item: wanted }) if state.shadow.get(&place) != Some(&wanted) => {
                told.push(format!("version {} of the source is not in the shadow", version_of(item)));
            }
            Ok(_) => {}
            Err(error) => told.push(format!("version {} has no place: {error}", version_of(item))),
        }
    }
    for item in state.shadow.values() {
        let key = owner(item);
        let is_there = state.source.get(&key).is_some_and(|item| {
            matches!(state.setup.transform.apply(item.clone()), Ok(Target::Item { item: wanted, .. }) if version_of(&wanted) == version_of(item))
        });
        if !is_there && !is_before(&key) {
            told.push(format!("version {} is in the shadow, and not in the source", version_of(item)));
        }
    }
    let others = kept.iter().filter(|entry| entry.body["reason"] != "late");
    told.extend(others.map(|entry| format!("the application was moved over with this in quarantine: {}", entry.body)));
    told
}
