//! All ports of one migration, put together in two steps.
//!
//! Reading and writing need the key schemas, and the source's is known only from `DescribeTable`. So [`AwsAccess`]
//! comes first: tables as a whole, the state table and the clock. Once the schemas are known it becomes [`AwsPorts`].

use std::sync::Arc;

use super::{
    AwsApplication, AwsChangeFeed, AwsStateStore, AwsTableAdmin, AwsTableReader, AwsTableWriter, ConnectError,
    Connection, PointerSettings, ServiceSkew, SystemClock, TableSettings, Timeouts,
};
use crate::model::{KeySchema, Side, Sides};
use crate::ports::{CredentialExpiry, Ports, StatePorts, TableAdmin};

/// Where everything is, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// Where source and shadow are.
    pub tables: Sides<TableSettings>,
    /// Where the state table is.
    pub state: TableSettings,
    /// How long requests may take.
    pub timeouts: Timeouts,
    /// The seed of all jitter.
    pub seed: u64,
}

/// A table as a whole, and the way to it.
#[derive(Clone, Debug)]
pub struct AwsTable {
    connection: Connection,
    admin: AwsTableAdmin,
}

impl AwsTable {
    /// The table of this name behind an open connection.
    pub fn new(connection: Connection, table: &str) -> Self {
        Self { admin: AwsTableAdmin::new(&connection, table), connection }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The table as a whole.
    pub fn admin(&self) -> &AwsTableAdmin {
        &self.admin
    }

    /// The account that it is in.
    pub fn know_account(&mut self, account: &str) {
        self.admin.know_account(account);
    }
}

/// The state table and the clock.
#[derive(Debug)]
pub struct AwsState {
    table: AwsTable,
    store: AwsStateStore,
    clock: SystemClock,
}

impl AwsState {
    /// Opens the way to a table, whose service the clock follows.
    pub async fn connect(settings: &TableSettings, timeouts: &Timeouts, seed: u64) -> Result<Self, ConnectError> {
        let skew = Arc::<ServiceSkew>::default();
        let connection = Connection::open(&settings.connection, timeouts, Arc::clone(&skew)).await?;
        Ok(Self::new(AwsTable::new(connection, &settings.table), SystemClock::new(skew, seed)))
    }

    /// Puts together what is already open.
    pub fn new(table: AwsTable, clock: SystemClock) -> Self {
        Self { store: AwsStateStore::new(&table.connection, &table.admin.place().table), table, clock }
    }

    /// The table as a whole.
    pub fn table(&self) -> &AwsTable {
        &self.table
    }

    /// The account that it is in.
    pub fn know_account(&mut self, account: &str) {
        self.table.know_account(account);
    }
}

impl StatePorts for AwsState {
    type State = AwsStateStore;
    type Clock = SystemClock;

    fn state(&self) -> &AwsStateStore {
        &self.store
    }

    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}

/// What can be done before the key schemas are known.
#[derive(Debug)]
pub struct AwsAccess {
    /// Source and shadow.
    pub tables: Sides<AwsTable>,
    /// The state table and the clock.
    pub state: AwsState,
    application: AwsApplication,
}

impl AwsAccess {
    /// Opens the connections; equal settings share one. The clock follows the service that holds the source.
    pub async fn connect(settings: &AwsSettings) -> Result<Self, ConnectError> {
        let AwsSettings { tables, state, timeouts, seed } = settings;
        let skew = Arc::<ServiceSkew>::default();
        let source = Connection::open(&tables.source.connection, timeouts, Arc::clone(&skew)).await?;
        let shadow = if tables.shadow.connection == tables.source.connection {
            source.clone()
        } else {
            Connection::open(&tables.shadow.connection, timeouts, Arc::default()).await?
        };
        let state_at = if state.connection == tables.source.connection {
            source.clone()
        } else if state.connection == tables.shadow.connection {
            shadow.clone()
        } else {
            Connection::open(&state.connection, timeouts, Arc::default()).await?
        };
        let state = AwsState::new(AwsTable::new(state_at, &state.table), SystemClock::new(skew, *seed));
        let tables = Sides {
            source: AwsTable::new(source, &tables.source.table),
            shadow: AwsTable::new(shadow, &tables.shadow.table),
        };
        Ok(Self::new(tables, state))
    }

    /// Puts together what is already open.
    pub fn new(tables: Sides<AwsTable>, state: AwsState) -> Self {
        Self { application: AwsApplication::new(&tables.source.connection, None), tables, state }
    }

    /// With a pointer that a cutover moves.
    #[must_use]
    pub fn with_pointer(mut self, pointer: Option<PointerSettings>) -> Self {
        self.application = AwsApplication::new(&self.tables.source.connection, pointer);
        self
    }

    /// All ports, now that the primary keys are known.
    pub fn into_ports(self, keys: Sides<KeySchema>) -> AwsPorts {
        let Sides { source, shadow } = keys;
        let contents = Sides {
            source: Contents::new(&self.tables.source, source),
            shadow: Contents::new(&self.tables.shadow, shadow),
        };
        AwsPorts { access: self, contents }
    }
}

/// What a table holds.
#[derive(Debug)]
struct Contents {
    reader: AwsTableReader,
    feed: AwsChangeFeed,
    writer: AwsTableWriter,
}

impl Contents {
    fn new(AwsTable { connection, admin }: &AwsTable, keys: KeySchema) -> Self {
        let table = &admin.place().table;
        Self {
            reader: AwsTableReader::new(connection, table, keys.clone()),
            feed: AwsChangeFeed::new(connection, table, keys.clone()),
            writer: AwsTableWriter::new(connection, table, keys),
        }
    }
}

/// All ports of one migration on AWS.
#[derive(Debug)]
pub struct AwsPorts {
    access: AwsAccess,
    contents: Sides<Contents>,
}

impl AwsPorts {
    /// What was there before the key schemas were known.
    pub fn access(&self) -> &AwsAccess {
        &self.access
    }
}

impl StatePorts for AwsPorts {
    type State = AwsStateStore;
    type Clock = SystemClock;

    fn state(&self) -> &AwsStateStore {
        self.access.state.state()
    }

    fn clock(&self) -> &SystemClock {
        self.access.state.clock()
    }
}

impl Ports for AwsPorts {
    type Reader = AwsTableReader;
    type Feed = AwsChangeFeed;
    type Writer = AwsTableWriter;
    type Admin = AwsTableAdmin;
    type Application = AwsApplication;

    fn reader(&self, side: Side) -> &AwsTableReader {
        &self.contents[side].reader
    }

    fn feed(&self, side: Side) -> &AwsChangeFeed {
        &self.contents[side].feed
    }

    fn writer(&self, side: Side) -> &AwsTableWriter {
        &self.contents[side].writer
    }

    fn admin(&self, side: Side) -> &AwsTableAdmin {
        self.access.tables[side].admin()
    }

    fn state_admin(&self) -> &AwsTableAdmin {
        self.access.state.table().admin()
    }

    fn application(&self) -> &AwsApplication {
        &self.access.application
    }

    fn credentials(&self) -> Vec<CredentialExpiry> {
        let AwsAccess { tables, state, .. } = &self.access;
        let of = |connection, table: &AwsTable| CredentialExpiry { connection, expiry: table.connection.expiry() };
        let tables = Side::BOTH.map(|side| of(side.as_str(), &tables[side]));
        tables.into_iter().chain([of("state", &state.table)]).collect()
    }
}
