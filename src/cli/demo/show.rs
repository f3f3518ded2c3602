//! The demo from beginning to end: fill, migrate under writes, drain, compare.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::application::{Application, Writers};
use super::approvals::{INDEX, LACKING, SHADOW, SOURCE, STATE, source_layout, target_layout};
use super::compare::compare;
use super::drain::{Stall, is_drained};
use super::endpoint::Embedded;
use super::pipeline::Pipeline;
use super::progress::{Display, Scene};
use super::report::{IndexAnswer, Report, Spans};
use crate::aws::{AwsAccess, AwsPorts, ServiceSkew, SystemClock, TableNames};
use crate::cli::DemoArgs;
use crate::cli::connect::seed;
use crate::cli::signals::obey_signals;
use crate::config::DemoSettings;
use crate::engine::EngineError;
use crate::model::{Moment, TableStatus, ViewType};
use crate::ports::{Clock, CreateOptions, Ports, ScanRequest, TableAdmin, TableReader};
use crate::protocol::phase::Phase;
use crate::runtime::Status;

/// How often the migration is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Plays the demo until its end, or until somebody stops it. What it made is gone afterwards in either case.
pub(super) async fn run(settings: &DemoSettings, args: &DemoArgs) -> Result<Report, EngineError> {
    let stop = CancellationToken::new();
    let mut signals = JoinSet::new();
    signals.spawn(obey_signals(stop.clone(), "stopping; nothing was compared"));
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(EngineError::Cancelled),
        report = Box::pin(play(settings, args)) => report,
    }
}

async fn play(settings: &DemoSettings, args: &DemoArgs) -> Result<Report, EngineError> {
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
    let mut writers = application.start(args.items);
    let pipeline = Pipeline::start(Arc::clone(&ports), settings).await?;
    display.say(&format!("metrics, health and status: http://{}/metrics /healthz /status", pipeline.admin()));
    let mut watched = Watched { pipeline, display, clock, longest_lag: 0.0, copied_at: None };
    let is_mirroring = |status: &Status, _| matches!(status.phase, Some(Phase::Copying | Phase::Tailing));
    watched.until(Some(&mut writers), is_mirroring).await?;
    // Counted from here on: what was written before the stream was pinned is copied, and shows nothing of the tail.
    let mirroring = clock.now();
    let until = mirroring.plus(Duration::from_secs(args.seconds.into()));
    watched.until(Some(&mut writers), |_, now| now >= until).await?;
    let written = writers.stop().await?;

    let stopped = clock.now();
    watched.display.say("the application has stopped; draining");
    let caught_up = settings.engine.tail.caught_up;
    let drained = |status: &Status, now: Moment| is_drained(status, now.since(stopped), caught_up);
    let status = watched.until(None, drained).await?;
    let drained = clock.now();
    let figures = watched.pipeline.figures();
    let Watched { pipeline, display, longest_lag, copied_at, .. } = watched;
    display.end();
    pipeline.stop().await?;

    display.say("the migration has stopped; comparing every item of both tables");
    let compared = clock.now();
    let comparison = compare(ports.source(), ports.shadow_reader(), &source_layout().key_schema()).await?;
    let answer = ask(&ports, &application).await?;
    let now = clock.now();
    let spans = Spans {
        load: loaded.since(began),
        copy: copied_at.unwrap_or(drained).since(mirroring),
        writing: stopped.since(loaded),
        drain: drained.since(stopped),
        compare: now.since(compared),
        total: now.since(began),
    };
    Ok(Report { comparison, answer, written, figures, copied: status.copy.items, longest_lag, spans })
}

/// The ports of the migration, and the application beside it, on one endpoint.
fn connect(embedded: &Embedded, settings: &DemoSettings) -> (Arc<AwsPorts>, Application) {
    let skew = Arc::<ServiceSkew>::default();
    let connection = embedded.connect(settings.engine.apply.request_timeout, Arc::clone(&skew));
    let application = Application::new(&connection);
    let tables = TableNames { source: SOURCE.to_owned(), shadow: SHADOW.to_owned(), state: STATE.to_owned() };
    let clock = SystemClock::new(skew, seed());
    let access = AwsAccess::from_connections(connection.clone(), connection.clone(), connection, tables, clock);
    let ports = access.into_ports(source_layout().key_schema(), target_layout().key_schema());
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
    let (admin, clock) = (ports.source_admin(), ports.clock());
    admin.create(&source_layout(), &CreateOptions::default()).await?;
    while admin.describe().await?.is_none_or(|table| table.status != TableStatus::Active) {
        clock.sleep(LOOK).await;
    }
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
        mut writers: Option<&mut Writers>,
        is_over: impl Fn(&Status, Moment) -> bool,
    ) -> Result<Status, EngineError> {
        let mut stall = Stall::new(self.clock.now());
        loop {
            // Failures first: looking at what has failed is in vain.
            tokio::select! {
                biased;
                error = self.pipeline.failed() => return Err(error),
                error = failed(writers.as_deref_mut()) => return Err(error),
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

    fn look(&mut self, status: &Status, changes: u64, now: Moment) {
        self.longest_lag = status.lag_seconds.unwrap_or(0.0).max(self.longest_lag);
        if status.phase == Some(Phase::Tailing) {
            self.copied_at.get_or_insert(now);
        }
        let scene = Scene {
            act: status.phase.map_or_else(|| "starting".to_owned(), |phase| phase.to_string()),
            done: status.copy.items,
            of: status.copy.items_expected.max(status.copy.items),
            lag_seconds: status.lag_seconds,
            changes,
            pending: status.apply.pending,
        };
        self.display.show(&scene, now);
    }
}

/// Resolves when a writer fails; never without writers.
async fn failed(writers: Option<&mut Writers>) -> EngineError {
    match writers {
        Some(writers) => writers.failed().await,
        None => std::future::pending().await,
    }
}

/// Asks both indexes for the approvals of a user that there is.
async fn ask(ports: &AwsPorts, application: &Application) -> Result<IndexAnswer, EngineError> {
    let page = ports.source().scan(&ScanRequest { segment: 0, segments: 1, start: None, limit: Some(1) }).await?;
    let user = page.items.first().and_then(|item| item.get("user_id")?.as_s().ok().cloned()).unwrap_or_default();
    let (source, shadow) = application.approvals_of(&user).await?;
    Ok(IndexAnswer { user, source, shadow })
}
