//! `cutover`: moves the application over.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::aws::AwsState;
use crate::cli::ask::{ask, confirmed, failed};
use crate::cli::connect::on_state;
use crate::cli::output::{data, pretty, talk};
use crate::cli::table::table;
use crate::cli::{DONE, FAILED, PARTIAL, start};
use crate::config::CommandSettings;
use crate::engine::EngineError;
use crate::engine::state::entities::Answer;
use crate::operator::{self, Overview, command};
use crate::ports::{Clock, StatePorts};
use crate::protocol::checklist::{Point, Verdict};
use crate::protocol::command::Verb;
use crate::protocol::cutover::Gate;
use crate::protocol::phase::Phase;

/// How often gates are looked at while they are waited for.
const WAIT_POLL: Duration = Duration::from_secs(2);
/// How often a cutover under way is looked at.
const FOLLOW_POLL: Duration = Duration::from_millis(500);

const ABOUT: &str = "\
Move the application over to the shadow.

Shows the gates, each with its figure: configured, programs, pointer, one region, not postponed, not paused, \
copy complete, tailing, lag, headroom, quarantine empty, indexes active. When all hold and the operator agrees, the active process fences the source (stops \
writes to it), drains (waits until no change arrived for cutover.quiet_seconds, and all are durable), compares the \
keys that changed lately on both sides, and points the application at the shadow.

Until then any failure, and any step that takes too long, undoes the fence; the migration goes on tailing. Once the \
switch is intended nothing is undone by itself: if it fails, the source stays fenced, and the operator decides; but where \
it certainly never began, the source is opened again. There is no way back after the switch yet.

Changes: what the programs of [cutover] do, or the pointer; the state table. Give it from any machine with credentials \
for the state table. While it goes on, what happens is told; ending this command does not end the cutover.

Programs see CUTOVER_OCCASION (on-ready, before-fence, fence, unfence, switch, after-switch, on-failure), \
CUTOVER_MIGRATION, CUTOVER_ID, CUTOVER_SOURCE, CUTOVER_SHADOW (table names) and \
CUTOVER_REASON (why, on-failure). Each may be run more than once: after a restart, a step is begun again.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml cutover --dry-run
  shadowtable -c shadowtable.toml cutover
  shadowtable -c shadowtable.toml cutover --wait --yes     # as soon as all gates hold
  shadowtable -c shadowtable.toml cutover --again          # the switch failed, and its cause is fixed

Exit codes: 0 switched, or all gates hold (--dry-run); 1 failed, or given up; 2 refused by a gate.";

/// Move the application over to the shadow
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Cutover {
    /// Show the gates and begin nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait until all gates hold
    #[arg(long)]
    wait: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Vouch that writes to the source are stopped, where the fence is manual
    #[arg(long)]
    fenced: bool,
    /// Try a switch again that failed
    #[arg(long, conflicts_with_all = ["dry_run", "wait", "fenced"])]
    again: bool,
    /// With --dry-run: gates and checklist as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Vouch that the application uses the shadow, after a switch that failed
    #[arg(long, conflicts_with_all = ["dry_run", "wait", "fenced", "again"])]
    declare_switched: bool,
}

impl Cutover {
    /// Moves it.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        if self.declare_switched {
            let question =
                "Does the application use the shadow, all of it? Nothing will be applied to the shadow any more.";
            if !self.yes && !confirmed(question) {
                return ExitCode::from(FAILED);
            }
            return ask(settings, Verb::DeclareSwitched);
        }
        start(&settings.log, async {
            let ended = on_state(&settings.state, async |state| {
                drive(&state.ports, settings.migration.as_str(), &state.who, self).await
            });
            ended.await.unwrap_or_else(|error| failed(&error))
        })
    }
}

async fn drive(ports: &AwsState, id: &str, who: &str, args: &Cutover) -> Result<ExitCode, EngineError> {
    let seen = operator::audit(ports, id).await?.len();
    if args.again {
        let answer = command(ports, id, who, Verb::SwitchAgain).await?;
        talk(&answer.message);
        return if answer.done { follow(ports, id, seen).await } else { Ok(ExitCode::from(PARTIAL)) };
    }
    let begin = |dry_run, fenced| Verb::Cutover { dry_run, by: who.to_owned(), fenced };
    let answer = loop {
        let answer = command(ports, id, who, begin(true, false)).await?;
        if answer.done || !args.wait {
            break answer;
        }
        talk(&format!("waiting: {}", closed(&answer.gates)));
        ports.clock().sleep(WAIT_POLL).await;
    };
    if args.json {
        let look = command(ports, id, who, Verb::Checklist).await?;
        let document = json!({
            "holds": answer.done,
            "message": answer.message,
            "gates": answer.gates,
            "checklist": look.checklist,
        });
        let _ = data(&pretty(&document));
        return Ok(ExitCode::from(if answer.done { DONE } else { PARTIAL }));
    }
    show_gates(&answer);
    let look = command(ports, id, who, Verb::Checklist).await?;
    show_checklist(&look);
    // What decides comes last.
    talk(&answer.message);
    if !answer.done || args.dry_run {
        return Ok(ExitCode::from(if answer.done { DONE } else { PARTIAL }));
    }
    talk(
        "There is no way back after the switch yet: writes to the shadow do not reach the source. Until the switch, any \
         failure opens the source again.",
    );
    if !args.yes && !confirmed(&format!("Move the application of migration {id} over to the shadow now?")) {
        return Ok(ExitCode::from(FAILED));
    }
    let mut answer = command(ports, id, who, begin(false, args.fenced)).await?;
    let vouching = !answer.done && answer.gates.iter().all(|gate| gate.holds);
    if vouching && !args.yes && confirmed("The fence is manual. Are writes to the source stopped, all of them?") {
        answer = command(ports, id, who, begin(false, true)).await?;
    }
    if !answer.done {
        talk(&answer.message);
        return Ok(ExitCode::from(PARTIAL));
    }
    talk(&answer.message);
    follow(ports, id, seen).await
}

/// Tells what happens until the cutover ends or asks. It does not depend on being followed.
async fn follow(ports: &AwsState, id: &str, seen: usize) -> Result<ExitCode, EngineError> {
    let followed = tell(ports, id, seen).await;
    if followed.is_err() {
        talk("the cutover goes on without this command: `shadowtable status --watch` shows it");
    }
    followed
}

async fn tell(ports: &AwsState, id: &str, mut seen: usize) -> Result<ExitCode, EngineError> {
    loop {
        let found = operator::overview(ports, id).await?;
        let events = operator::audit(ports, id).await?;
        for event in events.iter().skip(seen) {
            talk(&format!("{}  {}", event.at, event.what));
        }
        seen = seen.max(events.len());
        if let Some(end) = found.as_ref().and_then(end_of) {
            let cutover = found.and_then(|found| found.meta.cutover);
            let keys = match cutover.filter(|cutover| cutover.trouble.is_some()) {
                Some(cutover) => operator::restless(ports, id, &cutover.id).await?,
                None => Vec::new(),
            };
            if !keys.is_empty() {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                talk(&format!(
                    "changed while the drain waited, the newest first (some may have been written before the fence): {}",
                    keys.join(", ")
                ));
            }
            return Ok(end);
        }
        ports.clock().sleep(FOLLOW_POLL).await;
    }
}

/// How a cutover ended, if it did.
fn end_of(found: &Overview) -> Option<ExitCode> {
    let trouble = found.meta.cutover.as_ref().and_then(|cutover| cutover.trouble.as_deref());
    match (found.meta.phase, trouble) {
        (Phase::Switched | Phase::Finished, _) => {
            talk("the application uses the shadow; `shadowtable finish` ends the migration when you need it no more");
            Some(ExitCode::from(DONE))
        }
        (Phase::Switching, Some(trouble)) => {
            talk(&format!(
                "error: {trouble}\nhint: the source stays fenced. Look where the application writes; then `shadowtable cutover \
                 --again`, or `--declare-switched`, or, if nothing writes to the shadow, `shadowtable unfence --vouch`"
            ));
            Some(ExitCode::from(FAILED))
        }
        (Phase::Tailing | Phase::NeedsReseed | Phase::Aborted, trouble) => {
            talk(&format!("error: the cutover was given up: {}", trouble.unwrap_or("see `shadowtable audit`")));
            Some(ExitCode::from(FAILED))
        }
        _ => None,
    }
}

fn show_gates(answer: &Answer) {
    let row = |gate: &Gate| {
        let remedy = if gate.holds { String::new() } else { gate.remedy.clone() };
        [gate.name.clone(), if gate.holds { "holds" } else { "REFUSES" }.to_owned(), gate.figure.clone(), remedy]
    };
    if !answer.gates.is_empty() {
        // A closed pipe is no reason to stop.
        let _ = data(&table(["GATE", "", "FIGURE", "REMEDY"], answer.gates.iter().map(row)));
    }
}

/// One line for each point, and one more for what to do.
fn show_checklist(answer: &Answer) {
    let line = |point: &Point| {
        let verdict = match point.verdict {
            Verdict::Alike => "alike",
            Verdict::More => "more",
            Verdict::Look => "LOOK",
            Verdict::Unknown => "not known",
        };
        let figure = if point.source == point.shadow {
            point.source.clone()
        } else {
            format!("source: {}; shadow: {}", point.source, point.shadow)
        };
        let remedy = if point.remedy.is_empty() { String::new() } else { format!("\n  {}", point.remedy) };
        format!("{verdict:<10}{}: {figure}{remedy}\n", point.name)
    };
    // A closed pipe is no reason to stop.
    let _ = data(&answer.checklist.iter().map(line).collect::<String>());
    talk(&answer.message);
}

fn closed(gates: &[Gate]) -> String {
    let closed: Vec<_> =
        gates.iter().filter(|gate| !gate.holds).map(|gate| format!("{} ({})", gate.name, gate.figure)).collect();
    closed.join(", ")
}
