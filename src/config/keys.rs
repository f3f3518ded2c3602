//! Every key of the sections, with its range. The ranges are those that the settings document.

use std::net::SocketAddr;

use axum::http::Uri;
use tracing_subscriber::EnvFilter;

use super::names::{TABLE_NAME, table_name};
use super::reader::Reader;
use super::settings::{AdminSettings, ConnectionSettings, LogFormat, LogSettings, MigrationId, TableSettings};
use crate::aws::PointerSettings;
use crate::engine::{ApplySettings, CopySettings, EngineSettings, LeaseSettings, TailSettings};

const POINTER_REMEDY: &str = "keep it in a table of its own: the fence must not close it, and copying must not move it";
/// The state table's name unless another is given.
const STATE_TABLE: &str = "shadowtable-state";
const MIB: usize = 1024 * 1024;
/// The keys of one connection section, whose names the reader needs as constants.
pub(super) struct TableKeys {
    pub(super) table: &'static str,
    region: &'static str,
    profile: &'static str,
    role_arn: &'static str,
    endpoint_url: &'static str,
}

macro_rules! table_keys {
    ($section:literal) => {
        TableKeys {
            table: concat!($section, ".table"),
            region: concat!($section, ".region"),
            profile: concat!($section, ".profile"),
            role_arn: concat!($section, ".role_arn"),
            endpoint_url: concat!($section, ".endpoint_url"),
        }
    };
}

pub(super) const SOURCE: TableKeys = table_keys!("source");
pub(super) const SHADOW: TableKeys = table_keys!("shadow");
pub(super) const STATE: TableKeys = table_keys!("state");
pub(super) const MIGRATION_ID: &str = "migration.id";
pub(super) const TARGET_LAYOUT: &str = "target.layout";

/// Everything the sections say. What has no default is absent when it was not given.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) migration: Option<MigrationId>,
    pub(super) source: TableSection,
    pub(super) shadow: TableSection,
    pub(super) state: TableSettings,
    pub(super) layout: Option<String>,
    pub(super) engine: EngineSettings,
    pub(super) pointer: Option<PointerSettings>,
    pub(super) admin: AdminSettings,
    pub(super) log: LogSettings,
}

/// What a connection section says.
#[derive(Debug)]
pub(super) struct TableSection {
    table: Option<String>,
    pub(super) connection: ConnectionSettings,
}

impl TableSection {
    /// The table, if its name was given.
    pub(super) fn present(self) -> Option<TableSettings> {
        Some(TableSettings { table: self.table?, connection: self.connection })
    }
}

/// Asks for every key there is.
pub(super) fn read(reader: &mut Reader) -> Sections {
    let migration = reader.text(MIGRATION_ID, "1 to 64 of a-z A-Z 0-9 _ . -", MigrationId::parse);
    let source = table(reader, &SOURCE);
    let shadow = table(reader, &SHADOW);
    let TableSection { table: state, connection } = table(reader, &STATE);
    let (cutover, pointer) = super::cutover::read(reader);
    let engine =
        EngineSettings { copy: copy(reader), apply: apply(reader), tail: tail(reader), lease: lease(reader), cutover };
    let sections = Sections {
        migration,
        source,
        shadow,
        state: TableSettings { table: state.unwrap_or_else(|| STATE_TABLE.to_owned()), connection },
        layout: reader.text(TARGET_LAYOUT, "the path of a layout file", non_empty),
        engine,
        pointer,
        admin: admin(reader),
        log: log(reader),
    };
    judge_together(reader, &sections);
    sections
}

fn table(reader: &mut Reader, keys: &TableKeys) -> TableSection {
    let connection = ConnectionSettings {
        region: reader.text(keys.region, "a region such as eu-central-1, not a zone of it", |text| {
            crate::model::is_region(text).then(|| text.to_owned())
        }),
        profile: reader.text(keys.profile, "the name of an AWS profile", non_empty),
        role_arn: reader.text(keys.role_arn, "a role such as arn:aws:iam::111111111111:role/name", role_arn),
        endpoint_url: reader.text(
            keys.endpoint_url,
            "a URL of scheme, host and port such as http://127.0.0.1:8000 or https://dynamodb.example.com",
            endpoint_url,
        ),
    };
    TableSection { table: reader.text(keys.table, TABLE_NAME, table_name), connection }
}

fn copy(reader: &mut Reader) -> CopySettings {
    let default = CopySettings::default();
    CopySettings {
        segments: reader.whole("copy.segments", 1..=1_000_000).or(default.segments),
        concurrency: reader.whole("copy.concurrency", 1..=256).unwrap_or(default.concurrency),
        // The service's own type for a limit is a positive 32-bit integer.
        page_items: reader.whole("copy.page_items", 1..=2_147_483_647).or(default.page_items),
        read_units_per_second: reader.units_per_second("copy.read_units_per_second").or(default.read_units_per_second),
    }
}

fn apply(reader: &mut Reader) -> ApplySettings {
    let default = ApplySettings::default();
    ApplySettings {
        concurrency: reader.whole("apply.concurrency", 1..=1_024).unwrap_or(default.concurrency),
        write_units_per_second: reader
            .units_per_second("apply.write_units_per_second")
            .or(default.write_units_per_second),
        memory_bytes: reader
            .whole("apply.memory_mib", 1..=65_536)
            .map_or(default.memory_bytes, |mebibytes: usize| mebibytes.saturating_mul(MIB)),
        abandon: reader.seconds("apply.abandon_seconds", 0.0..=900.0).unwrap_or(default.abandon),
        request_timeout: reader
            .seconds("apply.request_timeout_seconds", 0.05..=600.0)
            .unwrap_or(default.request_timeout),
        quarantine_limit: reader.whole("apply.quarantine_limit", 0..=u64::MAX).unwrap_or(default.quarantine_limit),
        overtaken_limit: reader.whole("apply.overtaken_limit", 1_000..=u64::MAX),
        recent_keys: reader.whole("cutover.recheck_keys", 0..=1_000_000).unwrap_or(default.recent_keys),
    }
}

fn tail(reader: &mut Reader) -> TailSettings {
    let default = TailSettings::default();
    TailSettings {
        idle_poll: reader.seconds("tail.idle_poll_seconds", 0.05..=60.0).unwrap_or(default.idle_poll),
        busy_poll: reader.seconds("tail.busy_poll_seconds", 0.0..=60.0).unwrap_or(default.busy_poll),
        caught_up: reader.seconds("tail.caught_up_seconds", 0.1..=600.0).unwrap_or(default.caught_up),
        discover: reader.seconds("tail.discover_seconds", 0.1..=600.0).unwrap_or(default.discover),
        // Not for operators: it follows from the service's retention, and a larger one would lose history silently.
        retention_margin: default.retention_margin,
    }
}

fn lease(reader: &mut Reader) -> LeaseSettings {
    let default = LeaseSettings::default();
    LeaseSettings {
        duration: reader.seconds("lease.duration_seconds", 0.5..=600.0).unwrap_or(default.duration),
        checkpoint: reader.seconds("lease.checkpoint_seconds", 0.05..=60.0).unwrap_or(default.checkpoint),
        grace: reader.seconds("lease.grace_seconds", 0.1..=600.0).unwrap_or(default.grace),
    }
}

fn admin(reader: &mut Reader) -> AdminSettings {
    let listen = reader.text("admin.listen", "an IP address and port such as 127.0.0.1:9464 or [::]:9464", |text| {
        text.parse::<SocketAddr>().ok()
    });
    let default = AdminSettings::default();
    AdminSettings {
        listen: listen.unwrap_or(default.listen),
        linger: reader.seconds("admin.linger_seconds", 0.0..=600.0).unwrap_or(default.linger),
        allowed_hosts: reader
            .text("admin.allowed_hosts", "host names without ports, separated by commas", host_names)
            .unwrap_or(default.allowed_hosts),
    }
}

/// Names of hosts, by the rules of DNS.
fn host_names(text: &str) -> Option<Vec<String>> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
    names.iter().all(|name| name.len() <= 253 && name.split('.').all(is_label)).then_some(names)
}

fn log(reader: &mut Reader) -> LogSettings {
    let default = LogSettings::default();
    let format = reader.text("log.format", "human or json", |text| match text {
        "human" => Some(LogFormat::Human),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    let level = reader.text(
        "log.level",
        "error, warn, info, debug, trace, off, or a filter such as info,shadowtable::engine=debug",
        log_level,
    );
    LogSettings { format: format.unwrap_or(default.format), level: level.unwrap_or(default.level) }
}

/// What values get wrong together.
fn judge_together(reader: &mut Reader, sections: &Sections) {
    let (timeout, lease) = ("apply.request_timeout_seconds", "lease.duration_seconds");
    let (timeout_value, lease_value) = (sections.engine.apply.request_timeout, sections.engine.lease.duration);
    if timeout_value >= lease_value && !reader.is_wrong(timeout) && !reader.is_wrong(lease) {
        let what = format!(
            "apply.request_timeout_seconds is {} and lease.duration_seconds {}: a request is given up when the lease runs out",
            timeout_value.as_secs_f64(),
            lease_value.as_secs_f64()
        );
        reader.conflict(&[timeout, lease], what, "give a time-out that is less than the lease");
    }
    if let Some(PointerSettings::Item(pointer)) = &sections.pointer {
        // The pointer is reached like the source.
        let (way, at) = (&sections.source.connection, Some(&pointer.table));
        let tables = [
            ("source", sections.source.table.as_ref(), &sections.source.connection),
            ("shadow", sections.shadow.table.as_ref(), &sections.shadow.connection),
            ("state", Some(&sections.state.table), &sections.state.connection),
        ];
        for (word, table, connection) in tables {
            if table == at && connection == way {
                let what = format!("the pointer would lie in the {word} table, {}", pointer.table);
                reader.conflict(&[super::cutover::POINTER_TABLE], what, POINTER_REMEDY);
            }
        }
    }
    let state = Some(&sections.state.table).filter(|_| !reader.is_wrong(STATE.table));
    let tables = [
        ("source", SOURCE.table, sections.source.table.as_ref(), &sections.source.connection),
        ("shadow", SHADOW.table, sections.shadow.table.as_ref(), &sections.shadow.connection),
        ("state", STATE.table, state, &sections.state.connection),
    ];
    for (index, (word, key, table, connection)) in tables.iter().enumerate() {
        for (other_word, other_key, other_table, other_connection) in tables.iter().take(index) {
            if table.is_some() && table == other_table && connection == other_connection {
                let what = format!("{other_word} and {word} are the same table over the same connection");
                reader.conflict(&[key, other_key], what, "give each a table of its own");
            }
        }
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH-AND-NAME`; the characters are those that IAM allows in both.
fn role_arn(text: &str) -> Option<String> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    let (arn, partition, service) = (next()?, next()?, next()?);
    let (region, account, role) = (next()?, next()?, next()?.strip_prefix("role/")?);
    let fits = arn == "arn"
        && (partition == "aws" || partition.starts_with("aws-"))
        && service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=576).contains(&role.len())
        && !role.ends_with('/')
        && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte));
    fits.then(|| text.to_owned())
}

/// `http` or `https`, a host, perhaps a port, and nothing else: credentials do not belong here, and the SDK appends its
/// own path.
fn endpoint_url(text: &str) -> Option<String> {
    let url: Uri = text.parse().ok()?;
    let authority = url.authority()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let fits = matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && !text.contains('#');
    fits.then(|| text.to_owned())
}

/// A level or a filter. A filter's parser takes any lone word for the name of a module, a misspelt level too: such a
/// word is refused here.
fn log_level(text: &str) -> Option<String> {
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| word.eq_ignore_ascii_case(level))
    };
    let directives_fit = text.split(',').all(|directive| is_level(directive.trim()) || directive.contains('='));
    // Filters on span fields hold commas and signs of their own; only the parser can judge them.
    // It panics at some letters that are not ASCII; no module has such a name.
    let fits = text.is_ascii() && (directives_fit || text.contains('[')) && EnvFilter::try_new(text).is_ok();
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns() {
        for good in [
            "arn:aws:iam::111111111111:role/shadowtable",
            "arn:aws-cn:iam::111111111111:role/path/to/name",
            "arn:aws-us-gov:iam::111111111111:role/a+b=c,d.e@f_g-h",
        ] {
            assert!(role_arn(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "shadowtable",
            "arn:aws:iam::1111:role/x",
            "arn:aws:iam::111111111111:user/x",
            "arn:aws:iam::111111111111:role/",
            "arn:aws:iam:eu-central-1:111111111111:role/x",
            "arn:aws:sts::111111111111:role/x",
            "arn:aws:iam::111111111111:role/x y",
        ] {
            assert!(role_arn(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn endpoint_urls() {
        for good in
            ["http://127.0.0.1:8000", "https://dynamodb.eu-central-1.amazonaws.com", "http://[::1]:8000", "http://x/"]
        {
            assert!(endpoint_url(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:8000",
            "localhost",
            "ftp://x",
            "http://",
            "http://user:secret@x",
            "http://x:99999",
            "http://x/path",
            "http://x?y=z",
            "http://x#y",
            "http://a b",
        ] {
            assert!(endpoint_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(host_names("shadowtable, metrics.example.com").unwrap(), ["shadowtable", "metrics.example.com"]);
        for bad in ["", "a,,b", "a b", "http://a", "a:9464", "*.example.com", "a..b"] {
            assert!(host_names(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn log_levels() {
        for good in ["info", "WARN", "off", "info,shadowtable::engine=debug", "shadowtable[span{field=1}]=debug"] {
            assert!(log_level(good).is_some(), "{good}");
        }
        for bad in ["", "inof", "info,degub", "shadowtable=loud", "[[", "\u{c5bb}[}{{.=:G"] {
            assert!(log_level(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names() {
        assert!(table_name("abc").is_some() && table_name("ab").is_none());
        assert!(table_name(&"a".repeat(255)).is_some() && table_name(&"a".repeat(256)).is_none());
        assert!(table_name("a/b").is_none() && table_name("täble").is_none());
        assert!(MigrationId::parse("task-approvals_2026.11").is_some());
        assert!(MigrationId::parse("").is_none() && MigrationId::parse("a#b").is_none());
        assert!(MigrationId::parse(&"a".repeat(65)).is_none());
    }
}
