//! Whether a process is configured as the migration was begun, and where not, in words.

use std::collections::{BTreeMap, BTreeSet};

use super::Job;
use crate::engine::entities::Meta;
use crate::engine::{CutoverSettings, Fence, Switch};
use crate::model::Place;
use crate::plan::differences;
use crate::protocol::transform::Rule;

const NOT_SET: &str = "not set";

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
    let fence = settings.fence.as_ref().map_or(NOT_SET, Fence::as_str);
    let switch = settings.switch.as_ref().map_or(NOT_SET, Switch::as_str);
    let words = [("cutover.fence", fence.to_owned()), ("cutover.switch", switch.to_owned())];
    let programs = settings.programs().into_iter().map(|(key, program)| (key, program.to_string()));
    words.into_iter().chain(programs).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Where a standby would do a cutover otherwise than the process that is active.
pub(super) fn other_means(active: &BTreeMap<String, String>, standby: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = active.keys().chain(standby.keys()).collect();
    let value =
        |means: &BTreeMap<String, String>, key: &String| means.get(key).cloned().unwrap_or_else(|| NOT_SET.to_owned());
    let differing = keys.into_iter().filter(|key| value(active, key) != value(standby, key));
    differing
        .map(|key| format!("{key}: the active process has {}, this one {}", value(active, key), value(standby, key)))
        .collect()
}
