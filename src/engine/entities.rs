//! What is durable about a migration: the entities of the state table.
//!
//! All lie under `MIGRATION#<id>`; `docs/adr/0002-state-table.md` tells the access patterns. Each has a schema version
//! in its body, so that a binary knows what a newer one wrote and refuses it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::model::{Place, TableDescription, TableLayout, Timestamp};
use crate::protocol::checklist::Point;
use crate::protocol::cutover::Gate;
use crate::protocol::lineage::ShardRecord;
use crate::protocol::phase::Phase;
use crate::protocol::slots::Reason;
use crate::protocol::transform::Rule;

/// Something stored as one entry.
pub trait Entity: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// The version of its form. A change that an older binary would misread raises it.
    const SCHEMA: u64;
    /// What it is called in messages.
    const NAME: &'static str;
}

macro_rules! entity {
    ($type:ty, $name:literal, $schema:literal) => {
        impl Entity for $type {
            const SCHEMA: u64 = $schema;
            const NAME: &'static str = $name;
        }
    };
}

entity!(Meta, "META", 4);
entity!(LeaseRecord, "LEASE", 1);
entity!(Pin, "PIN", 1);
entity!(ShardRecord, "SHARD", 1);
entity!(SegmentRecord, "SEGMENT", 1);
entity!(QuarantineRecord, "QUARANTINE", 1);
entity!(CommandRecord, "COMMAND", 2);
entity!(EventRecord, "EVENT", 1);
entity!(Live, "LIVE", 1);
entity!(DirectoryRecord, "DIRECTORY", 1);
entity!(ClaimRecord, "TABLE", 1);
entity!(RestlessRecord, "RESTLESS", 1);

/// `META`: the migration itself. Changed only by the lease holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Meta {
    /// The migration's id.
    pub migration: String,
    /// Where it stands.
    pub phase: Phase,
    /// Since when, on the service's clock.
    #[serde(default)]
    pub phase_since: Option<Timestamp>,
    /// Why, where the phase is `needs-reseed`, or where nothing is mirrored after the switch's intent.
    pub reason: Option<String>,
    /// The source's name.
    pub source_table: String,
    /// Where source and shadow are, as they were configured when this was planned.
    pub places: [Place; 2],
    /// The source as it was found, once checked.
    pub source: Option<TableIdentity>,
    /// The shadow's name.
    pub shadow_table: String,
    /// The shadow, once it is provisioned. Any other table is refused.
    pub shadow: Option<TableIdentity>,
    /// What this migration asked the service to make: nothing else is its own to remove.
    pub made: Vec<Made>,
    /// The target layout.
    pub target: TableLayout,
    /// No target was configured: it is the source's own layout, as it was found at first.
    pub like_source: bool,
    /// The transform's rules.
    pub rules: Vec<Rule>,
    /// How the active process would do a cutover, by the configuration's keys: a standby that would do otherwise is not
    /// ready.
    #[serde(default)]
    pub means: BTreeMap<String, String>,
    /// An operator vouches that nothing writes to the source's replicas in other regions.
    #[serde(default)]
    pub single_writer_region: bool,
    /// Parallel Scan segments of the copy.
    pub segments: u32,
    /// What an operator paused.
    pub paused: Paused,
    /// The cutover under way, or the last one.
    #[serde(default)]
    pub cutover: Option<CutoverRecord>,
    /// An operator put cutovers off.
    #[serde(default)]
    pub postponed: bool,
    /// The hook on-ready was run.
    #[serde(default)]
    pub told_ready: bool,
    /// The sort key of the command whose doing wrote this last: it is not done again.
    #[serde(default)]
    pub last_command: Option<String>,
    /// Goes up with every `reseed`.
    pub generation: u32,
    /// When the migration was first run.
    pub created: Timestamp,
}

/// Something that a migration made, noted before it is asked for, and taken back when it was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What it is.
    pub what: Product,
    /// The table that it is, or is about.
    pub place: Place,
    /// The table's id, once it is known. Another table of this name is somebody else's.
    pub table_id: Option<String>,
}

/// What a migration may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// A shadow.
    Shadow,
    /// The stream of a source.
    Stream,
}

#[cfg(test)]
impl Meta {
    /// A migration that was planned, of `orders` into `orders-new`.
    pub(crate) fn example() -> Self {
        let place =
            |table: &str| Place { table: table.into(), region: Some("eu-central-1".into()), ..Place::default() };
        Self {
            migration: "orders-2026".into(),
            phase: Phase::Planned,
            phase_since: None,
            reason: None,
            source_table: "orders".into(),
            places: [place("orders"), place("orders-new")],
            source: None,
            shadow_table: "orders-new".into(),
            shadow: None,
            made: Vec::new(),
            target: TableLayout {
                partition_key: ("id".into(), crate::model::KeyType::S),
                sort_key: None,
                global_indexes: BTreeMap::new(),
                local_indexes: BTreeMap::new(),
                billing: crate::model::Billing::OnDemand,
            },
            like_source: false,
            rules: Vec::new(),
            means: BTreeMap::new(),
            single_writer_region: false,
            segments: 16,
            paused: Paused::None,
            cutover: None,
            postponed: false,
            told_ready: false,
            last_command: None,
            generation: 1,
            created: Timestamp::EPOCH,
        }
    }
}

impl Made {
    /// Whether it is a table of this name at this place, whichever it was.
    pub fn is_shadow_at(&self, place: &Place) -> bool {
        self.what == Product::Shadow && self.place.is_same(place)
    }
}

impl Meta {
    /// Whether this migration made that table.
    pub fn has_made(&self, shadow: &TableIdentity) -> bool {
        self.made.iter().any(|made| {
            made.is_shadow_at(&shadow.place) && made.table_id.as_ref().is_some_and(|id| *id == shadow.table_id)
        })
    }
}

/// How long the audit trail is kept, in seconds: a year.
pub const EVENT_SECONDS: i64 = 366 * 24 * 3600;

/// One cutover, as far as it got. Where it stands is the phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutoverRecord {
    /// Sorted by time, and unique.
    pub id: String,
    /// Who asked for it.
    pub by: String,
    /// When it began, on the service's clock.
    pub begun: Timestamp,
    /// When the fence stood, on the service's clock.
    pub fenced: Option<Timestamp>,
    /// Why it was given up, or what keeps it from going on.
    pub trouble: Option<String>,
}

/// Tells a table apart from its namesakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableIdentity {
    /// Names region, account and table.
    pub arn: String,
    /// Tells a recreated table apart.
    pub table_id: String,
    /// Where it was found.
    pub place: Place,
}

impl TableIdentity {
    /// The identity of a table that was found here.
    pub fn of(table: &TableDescription, place: &Place) -> Self {
        Self { arn: table.arn.clone(), table_id: table.table_id.clone(), place: place.clone() }
    }

    /// Whether it is this very table.
    pub fn is(&self, table: &TableDescription) -> bool {
        self.arn == table.arn && self.table_id == table.table_id
    }
}

/// What an operator paused. Durable: a restart stays paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    /// Nothing.
    None,
    /// The copy; the tail goes on.
    Copy,
    /// Copy and tail: headroom shrinks.
    All,
}

impl Paused {
    /// The word for people and for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Copy => "copy",
            Self::All => "all",
        }
    }
}

/// `LEASE`: who is active. Its version is the heartbeat counter, its epoch goes up at every takeover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// A name unique to one process.
    pub owner: String,
    /// The machine it runs on, for people.
    pub host: String,
    /// How long it may go without renewing, in milliseconds.
    pub duration_millis: u64,
    /// Its abandonment bound, in milliseconds: a successor waits for it before its first write.
    pub abandon_millis: u64,
    /// It was given back.
    pub released: bool,
    /// It was given back with no abandoned request younger than the bound: a successor need not wait.
    pub quiet: bool,
    /// Since when it is held, on the holder's wall clock, for people.
    pub since: Timestamp,
}

/// `PIN`: where the tail begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The stream's ARN. Another one means that records are missing in between.
    pub stream_arn: String,
    /// The source's table id.
    pub table_id: String,
    /// The service's time before the first shard was pinned.
    pub at: Timestamp,
}

/// `SEGMENT#<n>`: how far one segment of the copy is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its number, from 0.
    pub segment: u32,
    /// How many segments there are; a cursor is valid only with the same total.
    pub segments: u32,
    /// The last key of the last durable page, in DynamoDB JSON.
    pub cursor: Option<Value>,
    /// Its last page is durable.
    pub done: bool,
    /// Items on its durable pages.
    pub items: u64,
}

/// `QUARANTINE#<digest>`: what the shadow refuses for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    /// The digest of source key and place.
    pub id: String,
    /// The source key, in DynamoDB JSON.
    pub source_key: Value,
    /// The shadow key, in DynamoDB JSON; none where the transform makes none.
    pub shadow_key: Option<Value>,
    /// Why.
    pub reason: Reason,
    /// What the service or the transform said.
    pub message: String,
    /// When it was last put in.
    pub since: Timestamp,
}

/// `COMMAND#<ulid>`: what an operator asked of the active process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// What is asked.
    pub verb: CommandVerb,
    /// Who asks: an identity, or a user and a machine.
    #[serde(default)]
    pub by: String,
    /// When, on the service's clock as the operator's machine knows it.
    pub at: Timestamp,
    /// A process is at it: whoever asked can no longer be sure that it is not done.
    #[serde(default)]
    pub begun: bool,
    /// What came of it; absent until the active process has done it.
    pub answer: Option<Answer>,
}

/// What an operator can ask of the active process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum CommandVerb {
    /// Pause or resume.
    Pause {
        /// What shall be paused from now on.
        paused: Paused,
    },
    /// End the migration.
    Abort,
    /// Begin a cutover, or only look at its gates.
    Cutover {
        /// Only look.
        dry_run: bool,
        /// Who asks.
        by: String,
        /// The operator vouches that writes to the source are stopped.
        fenced: bool,
    },
    /// Compare what surrounds source and shadow.
    Checklist,
    /// Try the switch again.
    SwitchAgain,
    /// The operator vouches that the application uses the shadow.
    DeclareSwitched,
    /// Give the cutover up and allow writes to the source again. After the switch's intent: the operator vouches that
    /// nothing writes to the shadow.
    GiveUp {
        /// The operator vouches for it.
        vouched: bool,
    },
    /// While a fence is being undone: the operator vouches that it is.
    DeclareUnfenced,
    /// Put cutovers off, or allow them again.
    Postpone {
        /// Whether they are put off.
        postponed: bool,
    },
    /// End the migration after its switch.
    Finish,
    /// Read quarantined items again.
    Retry {
        /// Their ids; all when empty.
        ids: Vec<String>,
    },
    /// What a later version of the program knows.
    #[serde(other)]
    Unknown,
}

impl CommandVerb {
    /// What is changed by it, for the audit trail; none where it only looks.
    pub fn change(&self) -> Option<String> {
        Some(match self {
            Self::Pause { paused: Paused::None } => "resume".to_owned(),
            Self::Pause { paused } => format!("pause {}", paused.as_str()),
            Self::Abort => "abort".to_owned(),
            Self::Cutover { dry_run: false, .. } => "cutover".to_owned(),
            Self::SwitchAgain => "cutover --again".to_owned(),
            Self::DeclareSwitched => "cutover --declare-switched".to_owned(),
            Self::GiveUp { vouched: false } => "unfence".to_owned(),
            Self::GiveUp { vouched: true } | Self::DeclareUnfenced => "unfence --vouch".to_owned(),
            Self::Postpone { postponed: true } => "postpone".to_owned(),
            Self::Postpone { postponed: false } => "postpone --off".to_owned(),
            Self::Finish => "finish".to_owned(),
            Self::Retry { .. } => "quarantine retry".to_owned(),
            Self::Cutover { dry_run: true, .. } | Self::Checklist | Self::Unknown => return None,
        })
    }
}

/// The active process's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why not.
    pub message: String,
    /// The gates of a cutover, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// The points of the checklist, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<Point>,
}

impl Answer {
    /// An answer without gates and checklist.
    pub fn new(done: bool, message: impl Into<String>) -> Self {
        Self { done, message: message.into(), gates: Vec::new(), checklist: Vec::new() }
    }
}

/// `EVENT#<ulid>`: one line of the audit trail. It expires after a year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, on the service's clock.
    pub at: Timestamp,
    /// By which process.
    pub owner: String,
    /// What happened.
    pub what: String,
}

/// `LIVE`: what `status` shows, refreshed by the lease holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// When it was written, on the service's clock.
    pub at: Timestamp,
    /// The document that the admin port serves at `/status`.
    pub status: Value,
}

/// `DIRECTORY` / `<id>`: which migrations exist, so that `list` needs no scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// The migration's id.
    pub migration: String,
}

/// `TABLE` / `<table id>#<arn>`: the migrations that claim a table. Shared by all of them, so it carries no epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// The table's ARN.
    pub arn: String,
    /// Its id.
    pub table_id: String,
    /// The migration whose shadow it is, or was.
    pub shadow_of: Option<String>,
    /// The migrations whose source it is, or was.
    pub sources_of: BTreeSet<String>,
}

/// `RESTLESS`: the source keys that still changed when the last drain failed, for whoever looks for their writer. They are
/// in no log and no status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestlessRecord {
    /// The cutover's id.
    pub cutover: String,
    /// Some of the keys in DynamoDB JSON, the newest first.
    pub keys: Vec<Value>,
}
