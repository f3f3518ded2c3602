//! Which names a request may call this port by.
//!
//! A page from elsewhere can let its own name point at this machine and then read whatever answers there (DNS
//! rebinding). It cannot make a browser send another name than its own, so only names that an operator knows are answered.

use std::net::{IpAddr, Ipv6Addr};

/// The names that are answered besides IP literals and `localhost`.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a `Host` header, `name` or `name:port`, is one of them.
    pub(super) fn allow(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            return rest.split_once(']').is_some_and(|(literal, port)| {
                literal.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port.strip_prefix(':')))
            });
        }
        let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
        let name = name.to_ascii_lowercase();
        (port.is_none() || is_port(port))
            && (name == "localhost" || name.parse::<IpAddr>().is_ok() || self.0.contains(&name))
    }
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_localhost_and_known_names_are_answered_and_nothing_else() {
        let hosts = AllowedHosts::new(&["shadowtable".into(), "Metrics.example.com".into()]);
        for good in [
            "127.0.0.1",
            "127.0.0.1:9464",
            "10.1.2.3:80",
            "[::1]",
            "[fe80::1]:9464",
            "localhost",
            "LOCALHOST:1",
            "shadowtable:9464",
            "metrics.example.com",
        ] {
            assert!(hosts.allow(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "shadowtable.evil.example:9464",
            "localhost:x",
            "localhost:",
            "[::1",
            "[evil]",
            "::1",
            "user@localhost",
            "[::1]x",
        ] {
            assert!(!hosts.allow(bad), "{bad}");
        }
    }
}
