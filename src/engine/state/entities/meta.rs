//! The migration itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Place, Side, Sides, TableDescription, TableLayout, Timestamp};
use crate::protocol::command::Paused;
use crate::protocol::leg::Leg;
use crate::protocol::phase::{Phase, Standing};
use crate::protocol::transform::Rule;

/// `META`: the migration itself. Changed only by the lease holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Meta {
    /// The migration's id.
    pub migration: String,
    /// Where it stands.
    pub phase: Phase,
    /// The table that the application writes to.
    pub leader: Side,
    /// The directions in which changes are replicated, or watched for late ones: one from each table at most.
    pub legs: Vec<Leg>,
    /// Since when, on the service's clock.
    #[serde(default)]
    pub phase_since: Option<Timestamp>,
    /// Why, where the phase is `needs-reseed`, or where nothing is mirrored after the switch's intent.
    pub reason: Option<String>,
    /// Both tables.
    pub tables: Sides<Recorded>,
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

/// One of the two tables, as it was configured and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Where it is, as it was configured when the migration was planned.
    pub place: Place,
    /// The table, once the source is checked and the shadow provisioned. Any other is refused.
    pub identity: Option<TableIdentity>,
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
            leader: Side::Source,
            legs: vec![Leg::FIRST],
            phase_since: None,
            reason: None,
            tables: Sides { source: Recorded::at(place("orders")), shadow: Recorded::at(place("orders-new")) },
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

impl Recorded {
    /// A table that is configured, and was not looked at yet.
    pub fn at(place: Place) -> Self {
        Self { place, identity: None }
    }
}

impl Meta {
    /// Where it stands, and which table leads.
    pub fn standing(&self) -> Standing {
        Standing { phase: self.phase, leader: self.leader }
    }

    /// A table's name.
    pub fn name(&self, side: Side) -> &str {
        &self.tables[side].place.table
    }

    /// The leg that is mirrored: the leader's, or, where it has none, that of the other table, which is watched for late
    /// changes.
    pub fn leg(&self) -> Leg {
        let from = |side| self.legs.iter().find(|leg| leg.from == side).copied();
        from(self.leader).or_else(|| from(self.leader.other())).unwrap_or(Leg::FIRST)
    }

    /// Whether this migration made that table.
    pub fn has_made(&self, shadow: &TableIdentity) -> bool {
        self.made.iter().any(|made| {
            made.is_shadow_at(&shadow.place) && made.table_id.as_ref().is_some_and(|id| *id == shadow.table_id)
        })
    }
}

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
