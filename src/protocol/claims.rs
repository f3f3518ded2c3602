//! Whose a table is.
//!
//! Two migrations that write one shadow would mix their items, and one that writes another's source would destroy it. That
//! a table is empty says nothing: it may be somebody's who has not begun. So each table that a migration touches has an
//! entry in the state table, changed under its version only, and whoever finds another migration there is refused.
//!
//! A claim ends with its migration, judged by that migration's phase whenever somebody else asks: nothing needs to be
//! undone for it, and a process that dies leaves none behind. What is given up before that is taken back: a shadow by another plan or
//! by `reseed`, everything by `forget`.

use std::collections::{BTreeMap, BTreeSet};

use super::phase::Phase;
use crate::model::Side;

/// The migrations that claim one table.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TableClaims {
    /// The migration whose shadow it is, or was.
    pub shadow_of: Option<String>,
    /// The migrations whose source it is, or was.
    pub sources_of: BTreeSet<String>,
}

/// Why a table cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// It is another migration's shadow, which has not become the application's table.
    #[error("it is the shadow of migration {0}, which is {1}")]
    Shadow(String, Phase),
    /// It was another migration's shadow, and an application uses it since.
    #[error("the application uses it since migration {0} was switched")]
    Live(String),
    /// It is, or was, a migration's source.
    #[error("it is the source of migration {0}, and an application may use it")]
    Source(String),
    /// Source and shadow are one table.
    #[error("source and shadow are the same table")]
    Itself,
}

/// The claims with that of `migration` among them, which wants the table as its `side`. `phases` has the phase of each other migration that `claims` names and
/// that still exists. Those of migrations that ended stay, unless this one takes their place.
pub fn claim(
    claims: &TableClaims,
    migration: &str,
    side: Side,
    phases: &BTreeMap<String, Phase>,
) -> Result<TableClaims, Taken> {
    let mut claims = claims.clone();
    let holder = claims.shadow_of.clone();
    match (side, holder.as_deref()) {
        (Side::Source, Some(holder)) if holder == migration => return Err(Taken::Itself),
        (Side::Source, Some(holder)) => match phases.get(holder) {
            Some(phase) if is_being_built(*phase) => return Err(Taken::Shadow(holder.to_owned(), *phase)),
            _ => {}
        },
        (Side::Shadow, Some(holder)) if holder != migration => match phases.get(holder) {
            Some(phase) if is_being_built(*phase) => return Err(Taken::Shadow(holder.to_owned(), *phase)),
            Some(Phase::Switched | Phase::Finished) => return Err(Taken::Live(holder.to_owned())),
            _ => {}
        },
        (Side::Source, None) | (Side::Shadow, _) => {}
    }
    match side {
        Side::Source => drop(claims.sources_of.insert(migration.to_owned())),
        Side::Shadow if claims.sources_of.contains(migration) => return Err(Taken::Itself),
        Side::Shadow => {
            if let Some(source) = claims.sources_of.iter().find(|other| phases.contains_key(*other)) {
                return Err(Taken::Source(source.clone()));
            }
            claims.shadow_of = Some(migration.to_owned());
        }
    }
    Ok(claims)
}

/// Whether the shadow of a migration in this phase is nobody's but the migration's.
const fn is_being_built(phase: Phase) -> bool {
    !matches!(phase, Phase::Switched | Phase::Finished | Phase::Aborted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(shadow_of: Option<&str>, sources_of: &[&str]) -> TableClaims {
        TableClaims {
            shadow_of: shadow_of.map(str::to_owned),
            sources_of: sources_of.iter().map(|source| (*source).to_owned()).collect(),
        }
    }

    fn ask(held: &TableClaims, side: Side, other: Option<Phase>) -> Result<TableClaims, Taken> {
        let phases = other.map(|phase| ("other".to_owned(), phase)).into_iter().collect();
        claim(held, "mine", side, &phases)
    }

    #[test]
    fn a_free_table_is_had_and_stays_mine() {
        for (side, held) in [(Side::Source, claims(None, &["mine"])), (Side::Shadow, claims(Some("mine"), &[]))] {
            assert_eq!(ask(&claims(None, &[]), side, None), Ok(held.clone()));
            assert_eq!(ask(&held, side, None), Ok(held));
        }
    }

    #[test]
    fn a_shadow_is_one_migrations_until_that_is_aborted() {
        let theirs = claims(Some("other"), &[]);
        for phase in Phase::ALL {
            let refused = match phase {
                Phase::Aborted => None,
                Phase::Switched | Phase::Finished => Some(Taken::Live("other".into())),
                _ => Some(Taken::Shadow("other".into(), phase)),
            };
            assert_eq!(ask(&theirs, Side::Shadow, Some(phase)).err(), refused, "{phase}");
        }
        assert_eq!(ask(&theirs, Side::Shadow, None), Ok(claims(Some("mine"), &[])), "it was forgotten");
    }

    #[test]
    fn a_table_is_a_source_once_it_is_no_shadow_being_built() {
        let theirs = claims(Some("other"), &[]);
        for phase in Phase::ALL {
            let free = matches!(phase, Phase::Switched | Phase::Finished | Phase::Aborted);
            let refused = (!free).then(|| Taken::Shadow("other".into(), phase));
            assert_eq!(ask(&theirs, Side::Source, Some(phase)).err(), refused, "{phase}");
        }
    }

    #[test]
    fn a_source_is_shared_and_never_a_shadow() {
        let theirs = claims(None, &["other"]);
        for phase in Phase::ALL {
            assert_eq!(ask(&theirs, Side::Source, Some(phase)), Ok(claims(None, &["mine", "other"])));
            assert_eq!(ask(&theirs, Side::Shadow, Some(phase)), Err(Taken::Source("other".into())));
        }
        assert!(ask(&theirs, Side::Shadow, None).is_ok(), "it was forgotten");
    }

    #[test]
    fn one_table_is_not_both() {
        assert_eq!(ask(&claims(None, &["mine"]), Side::Shadow, None), Err(Taken::Itself));
        assert_eq!(ask(&claims(Some("mine"), &[]), Side::Source, None), Err(Taken::Itself));
    }
}
