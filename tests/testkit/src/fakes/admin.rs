//! Tables as such.

use std::collections::BTreeMap;
use std::sync::Arc;

use shadowtable::model::{
    Aspect, Place, Side, StreamDescription, TableDescription, TableLayout, TableSettings, TableStatus, ViewType,
};
use shadowtable::ports::{CreateOptions, Fault, PortError, TableAdmin};

use super::application::{SHADOW, SOURCE};
use super::{Call, Process, State, failure, request};

/// One of the three tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Table(Side),
    State,
}

/// Creates and describes one table. What it creates is active at once.
pub struct FakeAdmin {
    process: Arc<Process>,
    role: Role,
    place: Place,
}

impl FakeAdmin {
    pub(super) fn new(process: &Arc<Process>, role: Role) -> Self {
        let place = Place { table: role.name().to_owned(), ..Place::default() };
        Self { process: Arc::clone(process), role, place }
    }
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Table(Side::Source) => SOURCE,
            Self::Table(Side::Shadow) => SHADOW,
            Self::State => "state",
        }
    }

    fn describe(self, state: &State) -> Option<TableDescription> {
        let stream = StreamDescription { arn: state.stream.arn.clone(), view: state.setup.view };
        let (layout, table_id, stream) = match self {
            Self::Table(Side::Source) => (state.setup.source.clone(), state.source_id.clone(), Some(stream)),
            Self::Table(Side::Shadow) => {
                let (layout, table_id) = state.shadow_layout.clone()?;
                (layout, table_id, None)
            }
            Self::State => (state.entries_layout.clone()?, "state-1".into(), None),
        };
        Some(TableDescription {
            table_id,
            arn: format!("arn:table/{}", self.name()),
            status: TableStatus::Active,
            layout,
            index_status: BTreeMap::new(),
            stream,
            item_count: u64::try_from(state.source.len()).unwrap(),
            size_bytes: 0,
            settings: TableSettings::default(),
            replicas: state.replicas.get(self.name()).cloned().unwrap_or_default(),
        })
    }
}

impl TableAdmin for FakeAdmin {
    fn place(&self) -> &Place {
        &self.place
    }

    async fn describe(&self) -> Result<Option<TableDescription>, PortError> {
        let role = self.role;
        request(&self.process, &Call::Describe, move |state, _, _| Ok(role.describe(state))).await
    }

    async fn aspect(&self, _arn: &str, _aspect: Aspect) -> Result<Option<String>, PortError> {
        request(&self.process, &Call::Describe, |_, _, _| Ok(None)).await
    }

    async fn create(&self, layout: &TableLayout, _options: &CreateOptions) -> Result<(), PortError> {
        let (role, layout) = (self.role, layout.clone());
        request(&self.process, &Call::Create, move |state, _, _| {
            if role == Role::Table(Side::Shadow) && state.shadow_layout.is_none() {
                state.shadows_made += 1;
                state.shadow_layout = Some((layout, format!("shadow-{}", state.shadows_made)));
            } else if role == Role::State && state.entries_layout.is_none() {
                state.entries_layout = Some(layout);
            } else {
                return Err(failure(Fault::Busy));
            }
            Ok(())
        })
        .await
    }

    async fn configure(&self, _options: &CreateOptions) -> Result<Vec<&'static str>, PortError> {
        Ok(Vec::new())
    }

    async fn enable_stream(&self, _view: ViewType) -> Result<(), PortError> {
        Err(failure(Fault::Busy))
    }

    async fn is_empty(&self) -> Result<bool, PortError> {
        request(&self.process, &Call::Describe, |state, _, _| Ok(state.shadow.is_empty())).await
    }

    async fn delete(&self) -> Result<(), PortError> {
        request(&self.process, &Call::DeleteTable, |state, _, _| {
            state.shadow_layout = None;
            state.shadow.clear();
            Ok(())
        })
        .await
    }
}
