//! `abort`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::ask::{confirmed, failed, operator_job};
use crate::cli::connect::on_state;
use crate::cli::output::{data, talk};
use crate::cli::{FAILED, PARTIAL, start};
use crate::config::CommandSettings;
use crate::engine::state::entities::{Made, Product};
use crate::model::Place;
use crate::operator::{self, Aborted, Overview};

const ABOUT: &str = "\
Give the migration up: its phase becomes `aborted`, for good.

Changes: copy and tail stop. Nothing is deleted: the source was never written to, and the shadow and the migration's \
state stay until you delete them. It lists what the migration made, and how to remove it.

It asks first. Where there is nobody to ask (stdin is no terminal), --yes is needed.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml abort
  shadowtable -c shadowtable.toml abort --yes

Exit codes: 0 aborted; 1 failed, or not confirmed; 2 refused by the active process.";

/// Give the migration up
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Abort {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Abort {
    /// Ends the migration.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        let id = settings.migration.as_str();
        if !self.yes && !confirmed(&format!("End migration {id} for good? Its shadow will no longer be kept in step."))
        {
            return ExitCode::from(FAILED);
        }
        start(&settings.log, async {
            let ended = on_state(&settings.state, async |state| {
                Box::pin(operator::abort(&state.ports, id, &operator_job(state.who.clone()))).await
            });
            match ended.await {
                Ok(Aborted::Done(found)) => data(&remains(&found, settings)),
                Ok(Aborted::Refused(why)) => {
                    talk(&why);
                    ExitCode::from(PARTIAL)
                }
                Err(error) => failed(&error),
            }
        })
    }
}

/// What an ended migration leaves behind, and the commands that remove it: only what it made itself.
fn remains(found: &Overview, settings: &CommandSettings) -> String {
    let meta = &found.meta;
    let at = |place: &Place, profile: &Option<String>| Place { profile: profile.clone(), ..place.clone() };
    let line = |made: &Made| match (made.what, &made.table_id) {
        (Product::Shadow, Some(id)) => {
            let is_its = meta.tables.shadow.identity.as_ref().is_some_and(|shadow| shadow.table_id == *id);
            let what = if is_its { "the shadow table: " } else { "an earlier shadow:" };
            format!(
                "  {what} {}\n                     (while its table id is {id}: another of this name is not this migration's)\n",
                at(&made.place, &settings.profiles.shadow).command("delete-table")
            )
        }
        (Product::Shadow, None) => {
            format!("  a table {} may have been made, and was never used: look before you delete it.\n", made.place)
        }
        (Product::Stream, _) => format!(
            "  the stream:        {} --stream-specification StreamEnabled=false\n                     (this migration \
                 enabled it; somebody else may read it by now)\n",
            at(&made.place, &settings.profiles.source).command("update-table")
        ),
    };
    let found_there = meta.tables.shadow.identity.as_ref().filter(|shadow| !meta.has_made(shadow)).map(|shadow| {
        format!(
            "  the shadow table {} was there before the migration, empty; what was copied is in it. It is yours to keep or \
             to delete.\n",
            shadow.place
        )
    });
    let nothing = (meta.tables.shadow.identity.is_none() && meta.made.iter().all(|made| made.what != Product::Shadow))
        .then(|| "  no table was made.\n".to_owned());
    let lines: String = found_there.into_iter().chain(nothing).chain(meta.made.iter().map(line)).collect();
    format!(
        "migration {id} is aborted. Nothing was deleted. What remains of it, and the command that removes it:\n{lines}\
         \x20 its state:         shadowtable --migration {id} forget\n                     (it is the record of what was \
         done, and costs next to nothing)\n",
        id = meta.migration
    )
}
