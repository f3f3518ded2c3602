//! The one place where the process's environment is read.

use std::collections::BTreeMap;

use super::mistake::{Origin, PREFIX};
use super::reader::{Given, Layer};
use super::value::Value;

/// The variable that names the configuration file.
pub const FILE_VARIABLE: &str = "SHADOWTABLE_CONFIG";

/// The variables that begin with [`PREFIX`], by name. A value that is not UTF-8 carries replacement characters; it is
/// then refused like any other unreadable value.
#[expect(clippy::disallowed_methods, reason = "this is the function through which the environment is read")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// Whether the user asks for output without colour (<https://no-color.org>: the variable is there and not empty).
#[expect(clippy::disallowed_methods, reason = "the environment is read in this file")]
pub fn no_color() -> bool {
    std::env::vars_os().any(|(name, value)| name == "NO_COLOR" && !value.is_empty())
}

/// The name of the user who runs this, as the environment says it.
#[expect(clippy::disallowed_methods, reason = "the environment is read in this file")]
pub fn user_name() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".to_owned())
}

/// The variable for a key: `SHADOWTABLE_COPY_PAGE_ITEMS` for `copy.page_items`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The environment as a layer of values.
pub(super) fn layer(environment: &BTreeMap<String, String>) -> Layer {
    let mut layer = Layer::named_by(variable);
    for (name, value) in environment {
        if !name.starts_with(PREFIX) || name == FILE_VARIABLE || is_service_link(name, value) {
            continue;
        }
        let origin = Origin::Environment { variable: name.clone() };
        let value = if value.contains(char::REPLACEMENT_CHARACTER) {
            Value::Other("text that is not UTF-8")
        } else {
            Value::Untyped(value.clone())
        };
        layer.give(name.clone(), Given { value, origin });
    }
    layer
}

/// Whether Kubernetes put the variable there: for a Service named `shadowtable` (or `shadowtable-admin`…) it gives
/// every pod of the namespace `SHADOWTABLE_SERVICE_HOST`, `SHADOWTABLE_PORT=tcp://…`, `SHADOWTABLE_PORT_9464_TCP_ADDR`
/// and more. They are nobody's mistake, and none of our keys looks like them.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port_link = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let mut parts = rest.split('_');
        let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
        port && parts.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    });
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || is_port_link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_adds_for_a_service_of_our_name_is_passed_over() {
        for (name, value) in [
            ("SHADOWTABLE_SERVICE_HOST", "10.0.0.1"),
            ("SHADOWTABLE_SERVICE_PORT", "9464"),
            ("SHADOWTABLE_SERVICE_PORT_METRICS", "9464"),
            ("SHADOWTABLE_PORT", "tcp://10.0.0.1:9464"),
            ("SHADOWTABLE_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
            ("SHADOWTABLE_PORT_9464_TCP_ADDR", "10.0.0.1"),
            ("SHADOWTABLE_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        assert!(!is_service_link("SHADOWTABLE_PORT", "9464"));
        assert!(!is_service_link("SHADOWTABLE_ADMIN_LISTEN", "127.0.0.1:9464"));
    }
}
