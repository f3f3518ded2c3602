//! The migration itself: what `run` runs, with its admin port, over the embedded endpoint.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::approvals::{source_layout, target_layout};
use super::figures::Figures;
use crate::admin::{self, Admin};
use crate::aws::AwsPorts;
use crate::cli::connect::host;
use crate::config::{AdminSettings, DemoSettings};
use crate::engine::state::entities::Answer;
use crate::engine::{EngineError, Fence, Switch};
use crate::operator::command;
use crate::protocol::command::Verb;
use crate::protocol::transform::Transform;
use crate::runtime::Allowed;
use crate::runtime::{self, Job, Monitor, Status};
use crate::telemetry::{Meters, install_recorder};

/// The migration's id.
const MIGRATION: &str = "demo";

/// A running migration, which goes on while it is waited for ([`Pipeline::failed`]). Dropped, it is gone.
pub(super) struct Pipeline {
    running: Pin<Box<dyn Future<Output = Result<(), EngineError>>>>,
    _beside: JoinSet<std::io::Result<()>>,
    /// It ended well.
    ended: bool,
    monitor: Arc<Monitor>,
    meters: Arc<Meters>,
    prometheus: PrometheusHandle,
    admin: SocketAddr,
}

impl Pipeline {
    /// Starts it.
    pub(super) async fn start(ports: Arc<AwsPorts>, settings: &DemoSettings) -> Result<Self, EngineError> {
        let prometheus = install_recorder(None).map_err(|error| EngineError::Task(error.to_string()))?;
        let (monitor, meters) = (Arc::new(Monitor::default()), Arc::new(Meters::default()));
        let (listener, admin) = bind(settings.admin.listen).await?;
        let mut beside = JoinSet::new();
        let served = Admin {
            monitor: Arc::clone(&monitor),
            meters: Arc::clone(&meters),
            prometheus: prometheus.clone(),
            allowed_hosts: settings.admin.allowed_hosts.clone(),
        };
        beside.spawn(admin::serve(listener, served, CancellationToken::new()));
        let running = Box::pin(runtime::run(
            ports,
            job(settings)?,
            Arc::clone(&meters),
            Arc::clone(&monitor),
            CancellationToken::new(),
        ));
        Ok(Self { running, _beside: beside, ended: false, monitor, meters, prometheus, admin })
    }

    /// Where metrics, health and status are served.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// How it is; `None` until it holds the lease.
    pub(super) fn status(&self) -> Option<Status> {
        self.monitor.status()
    }

    /// What its metrics say.
    pub(super) fn figures(&self) -> Figures {
        self.monitor.publish(&self.meters);
        self.prometheus.run_upkeep();
        Figures::read(&self.prometheus.render())
    }

    /// Resolves when it ends by itself, which only an error makes it do.
    pub(super) async fn failed(&mut self) -> EngineError {
        match self.running.as_mut().await {
            Err(error) => error,
            Ok(()) => EngineError::Task("the migration ended too early".into()),
        }
    }

    /// Asks it as an operator would, through the state table, while it goes on.
    pub(super) async fn ask(&mut self, ports: &AwsPorts, verb: Verb) -> Result<Answer, EngineError> {
        let is_last = verb == Verb::Finish;
        let mut asking = Box::pin(command(ports, MIGRATION, "the demo", verb));
        tokio::select! {
            biased;
            answer = &mut asking => answer,
            ended = self.running.as_mut(), if !self.ended => {
                match ended {
                    // It answered and ended at once.
                    Ok(()) if is_last => {
                        self.ended = true;
                        asking.await
                    }
                    Ok(()) => Err(EngineError::Task("the migration ended too early".into())),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Waits until it has ended, as it was asked to.
    pub(super) async fn ended(self) -> Result<(), EngineError> {
        if self.ended { Ok(()) } else { self.running.await }
    }
}

fn job(settings: &DemoSettings) -> Result<Job, EngineError> {
    let (source_key, target) = (source_layout().key_schema(), target_layout());
    let transform = Transform::compile(&[], &source_key, &target.key_schema())
        .map_err(|_| EngineError::Task("a transform without rules was refused".into()))?;
    let mut engine = settings.engine.clone();
    // The demo is its own operator, and vouches for its application.
    engine.cutover.fence = Some(Fence::Manual);
    engine.cutover.switch = Some(Switch::Pointer);
    Ok(Job {
        migration: MIGRATION.to_owned(),
        target,
        like_source: false,
        transform,
        source_key,
        engine,
        allowed: Allowed::default(),
        host: host(),
        who: host(),
    })
}

/// The default address may well be taken, by a `run` beside the demo: a free port does as well then. An address that
/// somebody chose is kept to.
async fn bind(listen: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), EngineError> {
    let bound = admin::bind(listen).await;
    let bound = match bound {
        Err(_) if listen == AdminSettings::default().listen => admin::bind(SocketAddr::new(listen.ip(), 0)).await,
        bound => bound,
    };
    bound.map_err(|error| {
        EngineError::refused(
            format!("the admin port cannot listen on {listen}: {error}"),
            "choose another address with --admin-listen; port 0 takes a free one",
        )
    })
}
