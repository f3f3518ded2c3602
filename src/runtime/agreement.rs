//! Whether a process is configured as the migration was begun, and where not, in words.

use std::collections::BTreeMap;

use super::Job;
use crate::engine::entities::Meta;
use crate::engine::{CutoverSettings, Fence, Switch};
use crate::model::Place;
use crate::plan::differences;
use crate::protocol::transform::Rule;

/// What of a process's configuration is not as recorded, a line each. What was left to the source is not compared: the
/// recorded layout holds.
pub(super) fn disagreements(meta: &Meta, job: &Job, source: &Place, shadow: &Place) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compare = |what: &str, recorded: &str, configured: &str| {
        if recorded != configured {
            lines.push(format!("{what}: recorded {recorded}, configured {configured}"));
        }
    };
    compare("source.table", &meta.source_table, &source.table);
    compare("shadow.table", &meta.shadow_table, &shadow.table);
    for (role, recorded, place) in [("source", &meta.source, source), ("shadow", &meta.shadow, shadow)] {
        let Some(recorded) = recorded.as_ref().map(|identity| &identity.place) else { continue };
        let pairs = [("region", &recorded.region, &place.region), ("account", &recorded.account, &place.account)];
        for (name, recorded, configured) in pairs {
            if let (Some(recorded), Some(configured)) = (recorded, configured) {
                compare(&format!("{role} {name}"), recorded, configured);
            }
        }
    }
    if !(job.like_source && meta.like_source) {
        for difference in differences(&meta.target, &job.target).iter().filter(|difference| !difference.is_capacity()) {
            compare(&format!("target {}", difference.path()), difference.expected(), difference.found());
        }
    }
    let (recorded, configured) = (meta.rules.as_slice(), job.transform.rules());
    for number in 0..recorded.len().max(configured.len()) {
        let words = |rules: &[Rule]| rules.get(number).map_or_else(|| "none".to_owned(), |rule| format!("`{rule}`"));
        compare(&format!("transform rule {}", number + 1), &words(recorded), &words(configured));
    }
    lines
}

/// How a cutover would be done, by the configuration's keys.
pub(super) fn means(settings: &CutoverSettings) -> BTreeMap<String, String> {
    let mut means = BTreeMap::new();
    let mut tell = |key: &str, value: Option<String>| {
        means.insert(key.to_owned(), value.unwrap_or_else(|| "not set".to_owned()));
    };
    tell("cutover.fence", settings.fence.as_ref().map(|fence| fence.as_str().to_owned()));
    if let Some(Fence::Command { fence, unfence }) = &settings.fence {
        tell("cutover.fence_command", Some(fence.to_string()));
        tell("cutover.unfence_command", Some(unfence.to_string()));
    }
    tell("cutover.switch", settings.switch.as_ref().map(|switch| switch.as_str().to_owned()));
    if let Some(Switch::Command(program)) = &settings.switch {
        tell("cutover.switch_command", Some(program.to_string()));
    }
    means
}

/// Where a standby would do a cutover otherwise than the process that is active.
pub(super) fn other_means(active: &BTreeMap<String, String>, standby: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = active.keys().chain(standby.keys()).collect();
    let value = |means: &BTreeMap<String, String>, key: &String| {
        means.get(key).cloned().unwrap_or_else(|| "not set".to_owned())
    };
    let differing = keys.into_iter().filter(|key| value(active, key) != value(standby, key));
    differing
        .map(|key| format!("{key}: the active process has {}, this one {}", value(active, key), value(standby, key)))
        .collect()
}
