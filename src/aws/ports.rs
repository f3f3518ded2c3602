//! All ports of one migration, put together in two steps.
//!
//! Reading and writing need the key schemas, and the source's is known only from `DescribeTable`. So [`AwsAccess`]
//! comes first: tables as a whole, the state table and the clock. Once the schemas are known it becomes [`AwsPorts`].

use std::sync::Arc;

use super::{
    AwsApplication, AwsChangeFeed, AwsShadowWriter, AwsStateStore, AwsTableAdmin, AwsTableReader, ConnectError,
    Connection, ConnectionSettings, PointerSettings, ServiceSkew, SystemClock, Timeouts,
};
use crate::model::KeySchema;
use crate::ports::{CredentialExpiry, Ports};

/// The tables of one migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    /// The live table.
    pub source: String,
    /// The table being built.
    pub shadow: String,
    /// The state table.
    pub state: String,
}

/// Where everything is, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// Where the source is.
    pub source: ConnectionSettings,
    /// Where the shadow is.
    pub shadow: ConnectionSettings,
    /// Where the state table is.
    pub state: ConnectionSettings,
    /// The tables' names.
    pub tables: TableNames,
    /// How long requests may take.
    pub timeouts: Timeouts,
    /// The seed of all jitter.
    pub seed: u64,
}

/// What can be done before the key schemas are known.
#[derive(Debug)]
pub struct AwsAccess {
    /// The source's connection.
    pub source: Connection,
    /// The shadow's connection.
    pub shadow: Connection,
    /// The state table's connection.
    pub state: Connection,
    tables: TableNames,
    source_admin: AwsTableAdmin,
    shadow_admin: AwsTableAdmin,
    state_admin: AwsTableAdmin,
    state_store: AwsStateStore,
    application: AwsApplication,
    clock: SystemClock,
}

impl AwsAccess {
    /// Opens the connections; equal settings share one. The clock follows the service that holds the source.
    pub async fn connect(settings: &AwsSettings) -> Result<Self, ConnectError> {
        let skew = Arc::<ServiceSkew>::default();
        let source = Connection::open(&settings.source, &settings.timeouts, Arc::clone(&skew)).await?;
        let shadow = if settings.shadow == settings.source {
            source.clone()
        } else {
            Connection::open(&settings.shadow, &settings.timeouts, Arc::default()).await?
        };
        let state = if settings.state == settings.source {
            source.clone()
        } else if settings.state == settings.shadow {
            shadow.clone()
        } else {
            Connection::open(&settings.state, &settings.timeouts, Arc::default()).await?
        };
        let clock = SystemClock::new(skew, settings.seed);
        Ok(Self::from_connections(source, shadow, state, settings.tables.clone(), clock))
    }

    /// Puts together what is already open.
    pub fn from_connections(
        source: Connection,
        shadow: Connection,
        state: Connection,
        tables: TableNames,
        clock: SystemClock,
    ) -> Self {
        Self {
            source_admin: AwsTableAdmin::new(&source, &tables.source),
            shadow_admin: AwsTableAdmin::new(&shadow, &tables.shadow),
            state_admin: AwsTableAdmin::new(&state, &tables.state),
            state_store: AwsStateStore::new(&state, &tables.state),
            application: AwsApplication::new(&source, None),
            source,
            shadow,
            state,
            tables,
            clock,
        }
    }

    /// With a pointer that a cutover moves.
    #[must_use]
    pub fn with_pointer(mut self, pointer: Option<PointerSettings>) -> Self {
        self.application = AwsApplication::new(&self.source, pointer);
        self
    }

    /// The accounts of source, shadow and state table, where they are known.
    pub fn know_accounts(&mut self, accounts: [Option<String>; 3]) {
        let admins = [&mut self.source_admin, &mut self.shadow_admin, &mut self.state_admin];
        for (admin, account) in admins.into_iter().zip(accounts) {
            if let Some(account) = account {
                admin.know_account(&account);
            }
        }
    }

    /// The source as a table.
    pub fn source_admin(&self) -> &AwsTableAdmin {
        &self.source_admin
    }

    /// The shadow as a table.
    pub fn shadow_admin(&self) -> &AwsTableAdmin {
        &self.shadow_admin
    }

    /// The state table as a table.
    pub fn state_admin(&self) -> &AwsTableAdmin {
        &self.state_admin
    }

    /// The state table's contents.
    pub fn state_store(&self) -> &AwsStateStore {
        &self.state_store
    }

    /// Time and chance.
    pub fn clock(&self) -> &SystemClock {
        &self.clock
    }

    /// All ports, now that the primary keys are known.
    pub fn into_ports(self, source_schema: KeySchema, shadow_schema: KeySchema) -> AwsPorts {
        let tables = &self.tables;
        AwsPorts {
            source: AwsTableReader::new(&self.source, &tables.source, source_schema.clone()),
            feed: AwsChangeFeed::new(&self.source, &tables.source, source_schema),
            shadow_reader: AwsTableReader::new(&self.shadow, &tables.shadow, shadow_schema.clone()),
            shadow: AwsShadowWriter::new(&self.shadow, &tables.shadow, shadow_schema),
            access: self,
        }
    }
}

/// All ports of one migration on AWS.
#[derive(Debug)]
pub struct AwsPorts {
    access: AwsAccess,
    source: AwsTableReader,
    feed: AwsChangeFeed,
    shadow_reader: AwsTableReader,
    shadow: AwsShadowWriter,
}

impl AwsPorts {
    /// What was there before the key schemas were known.
    pub fn access(&self) -> &AwsAccess {
        &self.access
    }
}

impl Ports for AwsPorts {
    type Source = AwsTableReader;
    type Feed = AwsChangeFeed;
    type Shadow = AwsShadowWriter;
    type Admin = AwsTableAdmin;
    type State = AwsStateStore;
    type Application = AwsApplication;
    type Clock = SystemClock;

    fn source(&self) -> &AwsTableReader {
        &self.source
    }

    fn shadow_reader(&self) -> &AwsTableReader {
        &self.shadow_reader
    }

    fn feed(&self) -> &AwsChangeFeed {
        &self.feed
    }

    fn shadow(&self) -> &AwsShadowWriter {
        &self.shadow
    }

    fn source_admin(&self) -> &AwsTableAdmin {
        &self.access.source_admin
    }

    fn shadow_admin(&self) -> &AwsTableAdmin {
        &self.access.shadow_admin
    }

    fn state_admin(&self) -> &AwsTableAdmin {
        &self.access.state_admin
    }

    fn state(&self) -> &AwsStateStore {
        &self.access.state_store
    }

    fn application(&self) -> &AwsApplication {
        &self.access.application
    }

    fn clock(&self) -> &SystemClock {
        &self.access.clock
    }

    fn credentials(&self) -> Vec<CredentialExpiry> {
        let AwsAccess { source, shadow, state, .. } = &self.access;
        [("source", source), ("shadow", shadow), ("state", state)]
            .map(|(connection, way)| CredentialExpiry { connection, expiry: way.expiry() })
            .into()
    }
}
