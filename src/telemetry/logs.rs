//! Structured logs on stderr. No item values; and above debug no keys, but those of items that went to quarantine, which
//! somebody has to look for.

use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::stderr::{self, Lines};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// A level (`info`) or a filter (`info,shadowtable::engine=debug`).
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".into() }
    }
}

/// What every line of this process has in common.
#[derive(Clone, Debug)]
struct Form {
    format: LogFormat,
    migration: Option<String>,
}

static FORM: OnceLock<Form> = OnceLock::new();

/// Sends log lines to stderr, each with the migration's id if there is one. `colour`: only where it is a terminal that
/// wants it.
pub fn init_logs(
    settings: &LogSettings,
    migration: Option<&str>,
    colour: bool,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(&settings.level)?;
    let form = Form { format: settings.format, migration: migration.map(str::to_owned) };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lines).log_internal_errors(false);
    // A second initialisation keeps the first: tests start several migrations in one process.
    if builder.with_ansi(colour).event_format(form.clone()).try_init().is_ok() && FORM.set(form).is_ok() {
        stderr::start();
    }
    Ok(())
}

/// A panic is said like everything else: the default would write to stderr itself, and wait for whoever does not read it.
pub fn announce_panics() {
    std::panic::set_hook(Box::new(|info| {
        let trace = std::backtrace::Backtrace::capture();
        let trace = match trace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        announce(Level::ERROR, &format!("a defect of shadowtable: {info}{trace}"), None);
    }));
}

/// Says something that is no log line and goes where those go, whatever is filtered: as text, or as JSON beside JSON.
pub fn announce(level: Level, message: &str, hint: Option<&str>) {
    let form = FORM.get();
    let line = match form {
        Some(form) if form.format == LogFormat::Json => {
            let mut fields = Map::from_iter([("message".to_owned(), json!(message))]);
            fields.extend(hint.map(|hint| ("hint".to_owned(), json!(hint))));
            let mut time = String::new();
            // Where there is no time, there is still something to be said.
            let _ = SystemTime.format_time(&mut Writer::new(&mut time));
            form.object(&time, level, &fields, "shadowtable")
        }
        _ => {
            let word = if level == Level::ERROR { "error: " } else { "" };
            let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            format!("{word}{message}{hint}\n")
        }
    };
    stderr::say(line.as_bytes());
}

impl Form {
    fn object(&self, time: &str, level: Level, fields: &Map<String, Value>, target: &str) -> String {
        let mut line = json!({ "timestamp": time, "level": level.as_str(), "fields": fields, "target": target });
        if let (Some(migration), Some(line)) = (&self.migration, line.as_object_mut()) {
            line.insert("migration".into(), json!(migration));
        }
        format!("{line}\n")
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        if self.format == LogFormat::Json {
            let (mut time, mut fields) = (String::new(), Fields::default());
            SystemTime.format_time(&mut Writer::new(&mut time))?;
            event.record(&mut fields);
            return out.write_str(&self.object(&time, level, &fields.0, event.metadata().target()));
        }
        let (colour, plain) = if out.has_ansi_escapes() { (colour_of(level), "\x1b[0m") } else { ("", "") };
        SystemTime.format_time(&mut out)?;
        write!(out, " {colour}{level:>5}{plain} ")?;
        if let Some(migration) = &self.migration {
            write!(out, "{migration}: ")?;
        }
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// As people know them from other logs.
const fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// An event's fields, as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }
}
