//! Looks again and again: on a terminal as a screen, elsewhere as lines.

use std::io::{IsTerminal as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::seen::{Holding, Seen};
use super::{look, screen, text};
use crate::aws::AwsState;
use crate::cli::output::{data, talk};
use crate::cli::{DONE, FAILED};
use crate::config::{self, CommandSettings};
use crate::engine::EngineError;
use crate::engine::state::holder::Holder;
use crate::ports::{Clock, StatePorts};
use crate::telemetry::stderr;

/// How often it is looked on a terminal.
const SCREEN: Duration = Duration::from_secs(1);
/// How often a line is written elsewhere: the holder stores its figures every two seconds.
const LINE: Duration = Duration::from_secs(5);
/// How soon the reader of keys sees that it shall end.
const KEYS: Duration = Duration::from_millis(200);

/// Watches until told to stop. The first look must succeed; later ones may fail for a while.
pub(super) async fn watch(
    ports: &AwsState,
    settings: &CommandSettings,
    as_json: bool,
) -> Result<ExitCode, EngineError> {
    let mut looker = Looker { ports, settings, holder: Holder::default(), silent_since: None };
    let first = looker.look().await?;
    if as_json || !stdout().is_terminal() {
        return lines(&mut looker, first, as_json).await;
    }
    let mut terminal = ratatui::try_init().map_err(|error| EngineError::Task(error.to_string()))?;
    // What the SDK warns of would be written over the screen.
    stderr::mute(true);
    let ended = on_screen(&mut looker, first, &mut terminal).await;
    ratatui::restore();
    stderr::mute(false);
    ended.map_err(|error| EngineError::Task(error.to_string()))
}

/// Times the holder's counter from look to look.
struct Looker<'a> {
    ports: &'a AwsState,
    settings: &'a CommandSettings,
    holder: Holder,
    silent_since: Option<crate::model::Moment>,
}

impl Looker<'_> {
    async fn look(&mut self) -> Result<Seen, EngineError> {
        let found = look(self.ports, self.settings).await?;
        let (now, moment) = (self.ports.clock().service(), self.ports.clock().now());
        let first = self.holder.is_new();
        let alive = self.holder.is_alive(found.lease.clone().map(|lease| (lease, found.lease_counter)), moment);
        if first {
            return Ok(Seen { holding: Holding::at_one_look(&found, now), found, now });
        }
        let silent = if alive { None } else { Some(*self.silent_since.get_or_insert(moment)) };
        self.silent_since = silent;
        let patience = found.lease.as_ref().map_or(0, |lease| lease.duration_millis);
        let seconds = silent.map_or(0.0, |since| (moment.since(since) + Duration::from_millis(patience)).as_secs_f64());
        Ok(Seen { holding: Holding::of(&found, now, alive, seconds), found, now })
    }
}

async fn lines(looker: &mut Looker<'_>, first: Seen, as_json: bool) -> Result<ExitCode, EngineError> {
    let (mut interrupt, mut terminate) = signals()?;
    let mut seen = Some(first);
    loop {
        if let Some(seen) = seen.take() {
            let line = if as_json { format!("{}\n", seen.document()) } else { text::one_line(&seen) };
            let written = data(&line);
            if written != ExitCode::from(DONE) {
                return Ok(written);
            }
        }
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(ExitCode::from(DONE)),
            _ = terminate.recv() => return Ok(ExitCode::from(DONE)),
            () = tokio::time::sleep(LINE) => match looker.look().await {
                Ok(next) => seen = Some(next),
                Err(error) => talk(&format!("error: {error}; trying again")),
            }
        }
    }
}

fn signals() -> Result<(tokio::signal::unix::Signal, tokio::signal::unix::Signal), EngineError> {
    let of = |kind| signal(kind).map_err(|error| EngineError::Task(error.to_string()));
    Ok((of(SignalKind::interrupt())?, of(SignalKind::terminate())?))
}

/// What the keyboard asks for.
enum Asked {
    Quit,
    Redraw,
}

async fn on_screen(looker: &mut Looker<'_>, first: Seen, terminal: &mut DefaultTerminal) -> std::io::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, mut keys) = mpsc::channel(8);
    // However this ends, the reader does too.
    let stopping = CancellationToken::new();
    let (stop, mut reader) = (stopping.clone().drop_guard(), JoinSet::new());
    reader.spawn_blocking(move || read_keys(&sender, &stopping));
    let (mut seen, mut trouble) = (first, None);
    let colour = !config::no_color();
    let mut due = tokio::time::interval(SCREEN);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let code = loop {
        terminal.draw(|frame| screen::draw(frame, &seen, trouble.as_deref(), colour))?;
        tokio::select! {
            biased;
            _ = terminate.recv() => break DONE,
            asked = keys.recv() => match asked {
                Some(Asked::Quit) => break DONE,
                Some(Asked::Redraw) => {}
                None => break FAILED,
            },
            next = async { due.tick().await; looker.look().await } => match next {
                Ok(next) => (seen, trouble) = (next, None),
                Err(error) => trouble = Some(format!("{error}; trying again")),
            }
        }
    };
    drop((stop, keys));
    while reader.join_next().await.is_some() {}
    Ok(ExitCode::from(code))
}

fn read_keys(sender: &mpsc::Sender<Asked>, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match event::poll(KEYS) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let asked = match event::read() {
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => {
                let interrupted = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                let quits = interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
                if quits { Asked::Quit } else { continue }
            }
            Ok(Event::Resize(..)) => Asked::Redraw,
            Ok(_) => continue,
            Err(_) => return,
        };
        if sender.blocking_send(asked).is_err() {
            return;
        }
    }
}
