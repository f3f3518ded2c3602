//! From settings to ports: connections, identity, key schemas.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::Level;

use crate::aws::{
    AwsAccess, AwsPorts, AwsSettings, AwsState, AwsTable, ConnectError, Identity, IdentityCheck, Timeouts,
    check_identity,
};
use crate::config::{self, Settings, TableSettings};
use crate::engine::EngineError;
use crate::engine::tables::provision::{describe, find_source};
use crate::model::{Place, Side, Sides, TableDescription, TableLayout};
use crate::ports::{Fault, StatePorts as _, TableAdmin as _};
use crate::protocol::transform::Transform;
use crate::runtime::{Allowed, Job};
use crate::telemetry::announce;

/// How long a connection may take to be made, and a read to be answered.
const CONNECT: Duration = Duration::from_secs(3);
const READ: Duration = Duration::from_secs(10);

/// A migration and its ports, ready to be run.
pub(super) struct Connected {
    pub(super) ports: Arc<AwsPorts>,
    pub(super) job: Job,
    /// Where source, shadow and state table are.
    pub(super) places: [Place; 3],
}

/// Connects, checks who we are, looks at the source, and compiles the transform for its keys.
pub(super) async fn for_migration(settings: &Settings, allowed: Allowed) -> Result<Connected, EngineError> {
    let mut access = access(settings).await?;
    let who = identify(&mut access).await.map_err(|error| error.located(&places(&access)))?;
    let places = places(&access);
    let (clock, admin) = (access.state.clock(), access.tables.source.admin());
    let source = find_source(clock, admin).await.map_err(|error| error.located(&places))?;
    let target = target(settings, &source);
    let keys = Sides { source: source.layout.key_schema(), shadow: target.key_schema() };
    let transform = Transform::compile(&settings.transform, &keys.source, &keys.shadow).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(|error| format!("  {error}")).collect();
        EngineError::refused(
            format!("the transform does not fit the tables:\n{}", lines.join("\n")),
            "correct [[transform]] or the target layout; nothing was changed",
        )
    })?;
    let job = Job {
        migration: settings.migration.as_str().to_owned(),
        target,
        like_source: settings.target.is_none(),
        transform,
        source_key: keys.source.clone(),
        engine: settings.engine.clone(),
        allowed,
        host: host(),
        who,
    };
    Ok(Connected { ports: Arc::new(access.into_ports(keys)), job, places })
}

fn places(access: &AwsAccess) -> [Place; 3] {
    let tables = [&access.tables.source, &access.tables.shadow, access.state.table()];
    tables.map(|table| table.admin().place().clone())
}

/// The state table, reached.
pub(super) struct StateAccess {
    /// The state table, and the clock of its service.
    pub(super) ports: Arc<AwsState>,
    /// Whose credentials these are, or who started this process.
    pub(super) who: String,
}

/// Does something with the state table alone.
pub(super) async fn on_state<T>(
    state: &TableSettings,
    work: impl AsyncFnOnce(&StateAccess) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let access = for_state(state).await?;
    Box::pin(work(&access)).await.map_err(|error| access.explained(error))
}

/// One table as it is.
pub(super) async fn describe_one(table: &TableSettings) -> Result<TableDescription, EngineError> {
    let mut access = AwsState::connect(table, &timeouts(READ), seed()).await.map_err(|error| unreachable(&error))?;
    if let Some(identity) = check_credentials("table", access.table()).await? {
        access.know_account(&identity.account);
    }
    let admin = access.table().admin();
    let place = std::slice::from_ref(admin.place());
    let found = describe(access.clock(), admin).await.map_err(|error| error.located(place))?;
    found.ok_or_else(|| {
        EngineError::refused(
            format!("the table {} does not exist", admin.place()),
            "check its name, and that region, profile and endpoint lead to where it is",
        )
    })
}

async fn for_state(state: &TableSettings) -> Result<StateAccess, EngineError> {
    let mut access = AwsState::connect(state, &timeouts(READ), seed()).await.map_err(|error| unreachable(&error))?;
    let mut who = user_at_host();
    match check_identity(access.table().connection()).await {
        IdentityCheck::Confirmed(identity) => {
            access.know_account(&identity.account);
            who = identity.arn;
        }
        IdentityCheck::Unreachable(_) => {}
        IdentityCheck::Refused(error) => return Err(error.into()),
    }
    Ok(StateAccess { ports: Arc::new(access), who })
}

/// This machine's name.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The layout asked for, or the source's own.
fn target(settings: &Settings, source: &TableDescription) -> TableLayout {
    settings.target.as_ref().map_or_else(|| source.layout.clone(), |file| file.layout.clone())
}

async fn access(settings: &Settings) -> Result<AwsAccess, EngineError> {
    let at = AwsSettings {
        tables: Sides { source: settings.source.clone(), shadow: settings.shadow.clone() },
        state: settings.state.clone(),
        timeouts: timeouts(settings.engine.apply.request_timeout),
        seed: seed(),
    };
    let access = AwsAccess::connect(&at).await.map_err(|error| unreachable(&error))?;
    Ok(access.with_pointer(settings.pointer.clone()))
}

/// `write`: how long a write may take to be answered.
fn timeouts(write: Duration) -> Timeouts {
    Timeouts { connect: CONNECT, read: READ, write }
}

fn unreachable(error: &ConnectError) -> EngineError {
    EngineError::refused(error.to_string(), "set region, profile or endpoint_url of the table's section")
}

/// Wrong or missing credentials end it here. Returns who acts on the source.
async fn identify(access: &mut AwsAccess) -> Result<String, EngineError> {
    let mut who = None;
    for side in Side::BOTH {
        if let Some(identity) = check_credentials(side.as_str(), &access.tables[side]).await? {
            access.tables[side].know_account(&identity.account);
            who.get_or_insert(identity.arn);
        }
    }
    if let Some(identity) = check_credentials("state", access.state.table()).await? {
        access.state.know_account(&identity.account);
        who.get_or_insert(identity.arn);
    }
    Ok(who.unwrap_or_else(user_at_host))
}

/// Who we are to the service that holds a table. STS says so, or, where it cannot be asked, `DynamoDB` itself refuses
/// credentials that are wrong.
async fn check_credentials(role: &str, table: &AwsTable) -> Result<Option<Identity>, EngineError> {
    match check_identity(table.connection()).await {
        IdentityCheck::Confirmed(identity) => {
            tracing::info!(role, account = identity.account, arn = identity.arn, "the credentials are good");
            Ok(Some(identity))
        }
        IdentityCheck::Unreachable(why) => {
            tracing::debug!(role, why, "the credentials could not be checked with STS");
            match table.admin().describe().await {
                Err(error) if error.fault == Fault::Credentials => Err(error.into()),
                _ => Ok(None),
            }
        }
        IdentityCheck::Refused(error) => Err(error.into()),
    }
}

/// Who started this process, where nobody else can say.
fn user_at_host() -> String {
    format!("{}@{}", config::user_name(), host())
}

/// Different in each process, so that two of them do not wait in step.
#[expect(clippy::disallowed_methods, reason = "the clock port is seeded with it, so it cannot come from there")]
pub(super) fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().rotate_left(32) ^ u64::from(since.subsec_nanos()) ^ u64::from(std::process::id()).rotate_left(48)
}

impl StateAccess {
    /// What an error of a request means to whoever named the state table: it is not there, or it is another kind of table.
    fn explained(&self, error: EngineError) -> EngineError {
        let place = self.ports.table().admin().place();
        let EngineError::Port(port) = &error else { return error };
        match port.fault {
            Fault::Missing if port.resource == place.table => EngineError::refused(
                format!("the state table {place} does not exist"),
                "check state.table, and that region, profile and endpoint lead to where it is; `shadowtable run` creates it",
            ),
            // Its keys are not those of an entry.
            Fault::Rejected if port.resource == place.table => EngineError::refused(
                format!("the table {place} is not a state table of shadowtable: {}", port.message),
                "check state.table; a state table has the keys pk and sk, both strings",
            ),
            _ => error.located(std::slice::from_ref(place)),
        }
    }
}

/// Says why something failed, and what to do.
pub(super) fn complain(error: &EngineError) {
    announce(Level::ERROR, &error.to_string(), error.hint().as_deref());
}
