//! Whether a process is configured as the migration was begun, and where not, in words.

use std::collections::{BTreeMap, BTreeSet};

use super::Job;
use crate::engine::state::entities::Meta;
use crate::engine::{CutoverSettings, Fence, Switch};
use crate::layout::differences;
use crate::model::{Place, Side, Sides};
use crate::protocol::transform::Rule;

const NOT_SET: &str = "not set";

/// What of a process's configuration is not as recorded, a line each. What was left to the source is not compared: the
/// recorded layout holds.
pub(super) fn disagreements(meta: &Meta, job: &Job, places: Sides<&Place>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compare = |what: &str, recorded: &str, configured: &str| {
        if recorded != configured {
            lines.push(format!("{what}: recorded {recorded}, configured {configured}"));
        }
    };
    for side in Side::BOTH {
        compare(&format!("{side}.table"), meta.name(side), &places[side].table);
    }
    for side in Side::BOTH {
        let (recorded, place) = (&meta.tables[side].place, places[side]);
        let pairs = [("region", &recorded.region, &place.region), ("account", &recorded.account, &place.account)];
        for (name, recorded, configured) in pairs {
            if let (Some(recorded), Some(configured)) = (recorded, configured) {
                compare(&format!("{side} {name}"), recorded, configured);
            }
        }
    }
    if !(job.like_source && meta.like_source) {
        for difference in differences(&meta.target, &job.target).iter().filter(|difference| !difference.is_capacity()) {
            compare(&format!("target {}", difference.path()), difference.expected(), difference.found());
        }
    }
    let (recorded, configured) = (&meta.rules, job.transform.rules());
    for index in 0..recorded.len().max(configured.len()) {
        let (recorded, configured) = (recorded.get(index), configured.get(index));
        if recorded != configured {
            let words = |rule: Option<&Rule>| rule.map_or_else(|| "none".to_owned(), |rule| format!("`{rule}`"));
            let number = index + 1;
            lines.push(format!(
                "transform rule {number}: recorded {}, configured {}",
                words(recorded),
                words(configured)
            ));
        }
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
        .map(|key| format!("{key}: the migration has {}, this process {}", value(active, key), value(standby, key)))
        .collect()
}

/// How the fence that may stand was put up, where this process would put up another one: what undoes its own proves nothing
/// then. A corrected unfence is no other fence.
pub(super) fn other_fence(recorded: &BTreeMap<String, String>, own: &BTreeMap<String, String>) -> Option<String> {
    let other = other_means(recorded, own)
        .into_iter()
        .find(|line| ["cutover.fence:", "cutover.fence_command:"].iter().any(|key| line.starts_with(key)))?;
    Some(format!("the fence is another process's, and this one is configured otherwise: {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineSettings;
    use crate::protocol::transform::Transform;
    use crate::runtime::Allowed;

    /// Where a process that is configured for these places disagrees with [`Meta::example`].
    fn of(source: &Place, shadow: &Place) -> Vec<String> {
        let mut meta = Meta::example();
        for side in Side::BOTH {
            meta.tables[side].place.account = Some("111111111111".into());
        }
        let keys = meta.target.key_schema();
        let job = Job {
            migration: meta.migration.clone(),
            target: meta.target.clone(),
            like_source: false,
            transform: Transform::compile(&[], &keys, &keys).unwrap(),
            source_key: keys,
            engine: EngineSettings::default(),
            allowed: Allowed::default(),
            host: String::new(),
            who: String::new(),
        };
        disagreements(&meta, &job, Sides { source, shadow })
    }

    #[test]
    fn another_region_or_account_is_another_table() {
        let Sides { source, shadow } = Meta::example().tables;
        let (source, shadow) = (source.place, shadow.place);
        assert_eq!(of(&source, &shadow), [""; 0], "an account that is not known is no difference");
        let elsewhere = Place { region: Some("us-east-1".into()), ..source.clone() };
        assert_eq!(of(&elsewhere, &shadow), ["source region: recorded eu-central-1, configured us-east-1"]);
        let theirs = Place { account: Some("222222222222".into()), ..shadow.clone() };
        assert_eq!(of(&source, &theirs), ["shadow account: recorded 111111111111, configured 222222222222"]);
        let renamed = Place { table: "orders-3".into(), ..shadow };
        assert_eq!(of(&source, &renamed), ["shadow.table: recorded orders-new, configured orders-3"]);
    }

    #[test]
    fn a_corrected_unfence_is_no_other_fence() {
        let means = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let recorded = means(&[
            ("cutover.fence", "command"),
            ("cutover.fence_command", "stop"),
            ("cutover.unfence_command", "strat"),
        ]);
        let corrected = means(&[
            ("cutover.fence", "command"),
            ("cutover.fence_command", "stop"),
            ("cutover.unfence_command", "start"),
        ]);
        assert_eq!(other_fence(&recorded, &corrected), None);
        for (key, value) in [("cutover.fence", "manual"), ("cutover.fence_command", "halt")] {
            let mut other = corrected.clone();
            other.insert(key.to_owned(), value.to_owned());
            assert!(other_fence(&recorded, &other).is_some_and(|told| told.contains(key)), "{key}");
        }
    }
}
