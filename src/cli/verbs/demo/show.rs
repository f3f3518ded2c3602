//! The demo from beginning to end: fill, migrate under writes, move the application over, compare.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Demo;
use super::application::{Application, Writers};
use super::approvals::{
    INDEX, LACKING, POINTER_ATTRIBUTE, SETTINGS, SHADOW, SOURCE, STATE, pointer_key, settings_layout, source_layout,
    target_layout,
};
use super::compare::{compare, read_all};
use super::endpoint::Embedded;
use super::pipeline::Pipeline;
use super::progress::{Display, Scene};
use super::report::{IndexAnswer, Report, Spans};
use super::stall::Stall;
use crate::aws::{
    AwsAccess, AwsPorts, AwsState, AwsTable, AwsTableAdmin, PointerItem, PointerSettings, ServiceSkew, SystemClock,
};
use crate::cli::connect::{host, seed};
use crate::cli::signals::obey_signals;
use crate::config::DemoSettings;
use crate::engine::EngineError;
use crate::model::{Moment, Side, Sides, TableStatus, ViewType};
use crate::ports::{Clock, CreateOptions, Ports, ScanRequest, StatePorts, TableAdmin, TableReader};
use crate::protocol::command::Verb;
use crate::protocol::phase::Phase;
use crate::runtime::Status;

/// How often the migration is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// For how long the application writes to the shadow.
const AFTER_SWITCH: Duration = Duration::from_secs(3);
/// How long the gates of the cutover may refuse.
const GATES_PATIENCE: Duration = Duration::from_secs(30);

/// Plays the demo until its end, or until somebody stops it. What it made is gone afterwards in either case.
pub(super) async fn run(settings: &DemoSettings, args: &Demo) -> Result<Report, EngineError> {
    let stop = CancellationToken::new();
    let mut signals = JoinSet::new();
    signals.spawn(obey_signals(stop.clone(), "stopping; nothing was compared"));
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(EngineError::Cancelled),
        report = Box::pin(play(settings, args)) => report,
    }
}

async fn play(settings: &DemoSettings, args: &Demo) -> Result<Report, EngineError> {
    let embedded = Embedded::start()?;
    let (ports, application) = connect(&embedded, settings);
    let clock = ports.clock();
    let began = clock.now();
    let mut display = Display::new(began);
    display.say(&format!("an embedded DynamoDB listens on {}", embedded.url()));
    fill(&ports, &application, args.items, &mut display).await?;

    let loaded = clock.now();
    display.say(&format!(
        "{INDEX} of {SOURCE} lacks {LACKING}: the migration to {SHADOW} begins while the application writes"
    ));
    let mut writers = application.start(args.items, &ports);
    let pipeline = Pipeline::start(Arc::clone(&ports), settings).await?;
    display.say(&format!("watch it at http://{}/ (there are /metrics, /healthz and /status, too)", pipeline.admin()));
    let mut watched = Watched { pipeline, display, clock, longest_lag: 0.0, copied_at: None };
    let is_mirroring = |status: &Status, _| matches!(status.phase, Some(Phase::Copying | Phase::Tailing));
    watched.until(&mut writers, is_mirroring).await?;
    // Counted from here on: what was written before the stream was pinned is copied, and shows nothing of the tail.
    let mirroring = clock.now();
    let until = mirroring.plus(Duration::from_secs(args.seconds.into()));
    watched.until(&mut writers, |status, now| now >= until && status.phase == Some(Phase::Tailing)).await?;

    watched.cut_over(&ports, &mut writers).await?;
    let (figures, longest_lag) = (watched.pipeline.figures(), watched.longest_lag);
    let switched = clock.now();
    let until = switched.plus(AFTER_SWITCH);
    let status = watched.until(&mut writers, |_, now| now >= until).await?;
    let log = writers.stop().await?;
    let stopped = clock.now();
    let Watched { mut pipeline, display, copied_at, .. } = watched;
    display.end();
    pipeline.ask(&ports, Verb::Finish).await?;
    pipeline.ended().await?;

    display
        .say("the migration is finished; comparing every item of both tables, and what was written since the switch");
    let compared = clock.now();
    let schema = source_layout().key_schema();
    let (mut expected, mut users) = (read_all(ports.reader(Side::Source), &schema).await?, HashSet::new());
    for deed in &log.after_switch {
        deed.replay(&mut expected, &mut users, &schema)?;
    }
    let comparison = compare(expected, ports.reader(Side::Shadow), &schema).await?;
    let answer = ask(&ports, &application, &users).await?;
    let now = clock.now();
    let spans = Spans {
        load: loaded.since(began),
        copy: copied_at.unwrap_or(switched).since(mirroring),
        writing: stopped.since(loaded),
        compare: now.since(compared),
        total: now.since(began),
    };
    Ok(Report { comparison, answer, log, figures, copied: status.copy.items, longest_lag, spans })
}

/// The ports of the migration, and the application beside it, on one endpoint.
fn connect(embedded: &Embedded, settings: &DemoSettings) -> (Arc<AwsPorts>, Application) {
    let skew = Arc::<ServiceSkew>::default();
    let connection = embedded.connect(settings.engine.apply.request_timeout, Arc::clone(&skew));
    let application = Application::new(&connection);
    let [source, shadow, state] = [SOURCE, SHADOW, STATE].map(|table| AwsTable::new(connection.clone(), table));
    let access = AwsAccess::new(Sides { source, shadow }, AwsState::new(state, SystemClock::new(skew, seed())));
    let pointer = PointerSettings::Item(PointerItem {
        table: SETTINGS.to_owned(),
        key: pointer_key(),
        attribute: POINTER_ATTRIBUTE.to_owned(),
    });
    let access = access.with_pointer(Some(pointer));
    let ports = access.into_ports(Sides { source: source_layout().key_schema(), shadow: target_layout().key_schema() });
    (Arc::new(ports), application)
}

/// Creates and fills the table, and enables its stream only then: the emulator keeps every record, and looks through
/// all of them at every write.
async fn fill(
    ports: &AwsPorts,
    application: &Application,
    items: u32,
    display: &mut Display,
) -> Result<(), EngineError> {
    let (admin, clock) = (ports.admin(Side::Source), ports.clock());
    let settings = AwsTableAdmin::new(ports.access().tables.source.connection(), SETTINGS);
    for (admin, layout) in [(&settings, settings_layout()), (admin, source_layout())] {
        admin.create(&layout, &CreateOptions::default()).await?;
        while admin.describe().await?.is_none_or(|table| table.status != TableStatus::Active) {
            clock.sleep(LOOK).await;
        }
    }
    application.make_pointer().await?;
    let scene = |done: u32| Scene { act: "filling".into(), done: done.into(), of: items.into(), ..Scene::default() };
    application.load(items, |done| display.show(&scene(done), clock.now())).await?;
    admin.enable_stream(ViewType::NewAndOldImages).await?;
    Ok(())
}

/// A migration that is looked at.
struct Watched<'a> {
    pipeline: Pipeline,
    display: Display,
    clock: &'a SystemClock,
    longest_lag: f64,
    copied_at: Option<Moment>,
}

impl Watched<'_> {
    /// Shows how it goes until `is_over`; returns the status then. Fails when the migration or a writer does, and when
    /// nothing moves any more.
    async fn until(
        &mut self,
        writers: &mut Writers,
        is_over: impl Fn(&Status, Moment) -> bool,
    ) -> Result<Status, EngineError> {
        let mut stall = Stall::new(self.clock.now());
        loop {
            // Failures first: looking at what has failed is in vain.
            tokio::select! {
                biased;
                error = self.pipeline.failed() => return Err(error),
                error = writers.failed() => return Err(error),
                () = self.clock.sleep(LOOK) => {}
            }
            let (status, now, changes) = (self.pipeline.status(), self.clock.now(), self.pipeline.figures().total());
            let copied = status.as_ref().map_or(0, |status| status.copy.items);
            if stall.is_over(status.as_ref().and_then(|status| status.phase), copied, changes, now) {
                return Err(EngineError::refused(
                    format!("the migration stands still; its last status: {status:?}"),
                    "say --log-level info to see why",
                ));
            }
            let Some(status) = status else { continue };
            self.look(&status, changes, now);
            if is_over(&status, now) {
                return Ok(status);
            }
        }
    }

    /// Moves the application over while it writes.
    async fn cut_over(&mut self, ports: &AwsPorts, writers: &mut Writers) -> Result<(), EngineError> {
        let began = self.clock.now();
        loop {
            let dry_run = Verb::Cutover { dry_run: true, by: host(), fenced: false };
            let answer = self.pipeline.ask(ports, dry_run).await?;
            if answer.done {
                break;
            }
            if self.clock.now().since(began) >= GATES_PATIENCE {
                return Err(EngineError::refused(
                    format!("the cutover cannot begin: {}", answer.message),
                    "say --log-level info to see why",
                ));
            }
            self.until_next(writers).await?;
        }
        self.display.say("cutover: the application stops writing and waits for its pointer to name the shadow");
        writers.fence().await;
        let cutover = Verb::Cutover { dry_run: false, by: host(), fenced: true };
        let answer = self.pipeline.ask(ports, cutover).await?;
        if !answer.done {
            return Err(EngineError::refused(answer.message, "say --log-level info to see why"));
        }
        let is_over = |status: &Status, _| matches!(status.phase, Some(Phase::Switched | Phase::Tailing));
        let is_under_way = |status: &Status, _| status.phase != Some(Phase::Tailing);
        self.until(writers, is_under_way).await?;
        let status = self.until(writers, is_over).await?;
        if status.phase == Some(Phase::Switched) {
            self.display.say("the application goes on, and writes to the shadow");
            return Ok(());
        }
        Err(EngineError::refused("the cutover was given up", "say --log-level info to see why"))
    }

    /// Lets everything go on for a moment.
    async fn until_next(&mut self, writers: &mut Writers) -> Result<(), EngineError> {
        let now = self.clock.now();
        self.until(writers, |_, later| later > now).await.map(drop)
    }

    fn look(&mut self, status: &Status, changes: u64, now: Moment) {
        self.longest_lag = status.lag_seconds().unwrap_or(0.0).max(self.longest_lag);
        if status.phase == Some(Phase::Tailing) {
            self.copied_at.get_or_insert(now);
        }
        let scene = Scene {
            act: status.phase.map_or_else(|| "starting".to_owned(), |phase| phase.to_string()),
            done: status.copy.items,
            of: status.copy.items_expected.max(status.copy.items),
            lag_seconds: status.lag_seconds(),
            changes,
            pending: status.leg().map_or(0, |leg| leg.apply.pending),
        };
        self.display.show(&scene, now);
    }
}

/// Asks both indexes for the approvals of a user that there is, and whose approvals did not change since the switch.
async fn ask(
    ports: &AwsPorts,
    application: &Application,
    changed: &HashSet<String>,
) -> Result<IndexAnswer, EngineError> {
    let page =
        ports.reader(Side::Source).scan(&ScanRequest { segment: 0, segments: 1, start: None, limit: None }).await?;
    let mut users = page.items.iter().filter_map(|item| item.get("user_id")?.as_s().ok().cloned());
    let user = users.find(|user| !changed.contains(user)).unwrap_or_default();
    let (source, shadow) = application.approvals_of(&user).await?;
    Ok(IndexAnswer { user, source, shadow })
}
