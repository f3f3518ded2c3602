//! The `[cutover]` and `[hooks]` sections.

use std::collections::HashMap;

use super::names::{TABLE_NAME, table_name};
use super::program::program;
use super::reader::Reader;
use crate::aws::{PointerItem, PointerSettings};
use crate::engine::{CutoverSettings, Fence, Hooks, Switch};
use crate::model::AttributeValue;

const FENCE: &str = "cutover.fence";
const FENCE_COMMAND: &str = "cutover.fence_command";
const UNFENCE_COMMAND: &str = "cutover.unfence_command";
const SWITCH: &str = "cutover.switch";
const SWITCH_COMMAND: &str = "cutover.switch_command";
const SSM_PARAMETER: &str = "cutover.ssm_parameter";
pub(super) const POINTER_TABLE: &str = "cutover.pointer_table";
const POINTER_KEY: &str = "cutover.pointer_key";
const POINTER_ATTRIBUTE: &str = "cutover.pointer_attribute";

/// How writes to the source are stopped, in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FenceWord {
    Manual,
    Command,
}

/// How the application is pointed at the shadow, in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SwitchWord {
    Command,
    Pointer,
    SsmParameter,
}

/// Asks for every key of both sections.
pub(super) fn read(reader: &mut Reader) -> (CutoverSettings, Option<PointerSettings>) {
    let default = CutoverSettings::default();
    let fence = fence(reader);
    let (switch, pointer) = switch(reader);
    let hooks = Hooks {
        on_ready: program(reader, "hooks.on_ready"),
        before_fence: program(reader, "hooks.before_fence"),
        after_switch: program(reader, "hooks.after_switch"),
        on_failure: program(reader, "hooks.on_failure"),
    };
    let settings = CutoverSettings {
        max_lag: reader.seconds("cutover.max_lag_seconds", 0.0..=3_600.0).unwrap_or(default.max_lag),
        min_headroom: reader.seconds("cutover.min_headroom_seconds", 0.0..=86_400.0).unwrap_or(default.min_headroom),
        quiet: reader.seconds("cutover.quiet_seconds", 0.1..=600.0).unwrap_or(default.quiet),
        drain_timeout: reader.seconds("cutover.drain_timeout_seconds", 1.0..=3_600.0).unwrap_or(default.drain_timeout),
        program_timeout: reader
            .seconds("cutover.program_timeout_seconds", 0.1..=3_600.0)
            .unwrap_or(default.program_timeout),
        fenced_limit: reader.seconds("cutover.fenced_limit_seconds", 1.0..=86_400.0).unwrap_or(default.fenced_limit),
        fence,
        switch,
        hooks,
    };
    (settings, pointer)
}

fn fence(reader: &mut Reader) -> Option<Fence> {
    let word = reader.text(FENCE, "manual or command", |text| match text {
        "manual" => Some(FenceWord::Manual),
        "command" => Some(FenceWord::Command),
        _ => None,
    });
    let (fence, unfence) = (program(reader, FENCE_COMMAND), program(reader, UNFENCE_COMMAND));
    match (word?, fence, unfence) {
        (FenceWord::Manual, ..) => Some(Fence::Manual),
        (FenceWord::Command, Some(fence), Some(unfence)) => Some(Fence::Command { fence, unfence }),
        (FenceWord::Command, fence, unfence) => {
            for (key, missing) in [(FENCE_COMMAND, fence.is_none()), (UNFENCE_COMMAND, unfence.is_none())] {
                lacks(reader, FENCE, key, missing);
            }
            None
        }
    }
}

fn switch(reader: &mut Reader) -> (Option<Switch>, Option<PointerSettings>) {
    let word = reader.text(SWITCH, "pointer, ssm-parameter or command", |text| match text {
        "command" => Some(SwitchWord::Command),
        "pointer" => Some(SwitchWord::Pointer),
        "ssm-parameter" => Some(SwitchWord::SsmParameter),
        _ => None,
    });
    let program = program(reader, SWITCH_COMMAND);
    let table = reader.text(POINTER_TABLE, TABLE_NAME, table_name);
    let key =
        reader.text(POINTER_KEY, "a primary key in DynamoDB's JSON, such as {\"name\": {\"S\": \"orders\"}}", key);
    let attribute =
        reader.text(POINTER_ATTRIBUTE, "the name of an attribute", |text| (!text.is_empty()).then(|| text.to_owned()));
    let parameter = reader.text(SSM_PARAMETER, "the name of a parameter, such as /orders/table", parameter_name);
    match word {
        None => (None, None),
        Some(SwitchWord::SsmParameter) => {
            lacks(reader, SWITCH, SSM_PARAMETER, parameter.is_none());
            let Some(parameter) = parameter else { return (None, None) };
            (Some(Switch::SsmParameter), Some(PointerSettings::Parameter(parameter)))
        }
        Some(SwitchWord::Command) => {
            lacks(reader, SWITCH, SWITCH_COMMAND, program.is_none());
            (program.map(Switch::Command), None)
        }
        Some(SwitchWord::Pointer) => {
            for (name, missing) in [
                (POINTER_TABLE, table.is_none()),
                (POINTER_KEY, key.is_none()),
                (POINTER_ATTRIBUTE, attribute.is_none()),
            ] {
                lacks(reader, SWITCH, name, missing);
            }
            let (Some(table), Some(key), Some(attribute)) = (table, key, attribute) else { return (None, None) };
            if key.contains_key(&attribute) {
                let what = format!("{attribute:?} is part of the item's key, which nobody can change");
                reader.refuse(POINTER_ATTRIBUTE, what, "name another attribute of the item");
                return (None, None);
            }
            (Some(Switch::Pointer), Some(PointerSettings::Item(PointerItem { table, key, attribute })))
        }
    }
}

/// A key that the value of another one demands.
fn lacks(reader: &mut Reader, because: &'static str, key: &'static str, missing: bool) {
    if missing && !reader.is_wrong(key) {
        reader.conflict(&[because], format!("{because} needs {key}"), "set it too");
    }
}

/// Systems Manager's rule for names: 1 to 1,011 of these characters. `PutParameter` takes no ARN.
fn parameter_name(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    ((1..=1_011).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

/// A primary key in `DynamoDB`'s JSON: one or two attributes of type S, N or B.
fn key(text: &str) -> Option<HashMap<String, AttributeValue>> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let attributes = json.as_object().filter(|attributes| matches!(attributes.len(), 1 | 2))?;
    attributes.iter().map(|(name, value)| Some((name.clone(), crate::model::key_value_from_json(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_keys() {
        let one = key(r#"{"name": {"S": "orders"}}"#).unwrap();
        assert_eq!(one["name"], AttributeValue::S("orders".into()));
        assert_eq!(key(r#"{"a": {"S": "x"}, "b": {"N": "1"}}"#).unwrap().len(), 2);
        for bad in [
            "",
            "{}",
            "name",
            r#"{"a": "x"}"#,
            r#"{"a": {"BOOL": true}}"#,
            r#"{"a":{"S":"1"},"b":{"S":"1"},"c":{"S":"1"}}"#,
        ] {
            assert!(key(bad).is_none(), "{bad}");
        }
    }
}
