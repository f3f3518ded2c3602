//! Saves what is durable, and looks for lost history.

use tokio_util::sync::CancellationToken;

use super::Tail;
use crate::engine::error::EngineError;
use crate::ports::{Clock, Ports};
use crate::protocol::leg::Intake;

impl<P: Ports> Tail<P> {
    /// Saves checkpoints behind what is settled until it is stopped, between two saves.
    pub(super) async fn keep_checkpoints(&self, stop: &CancellationToken) -> Result<(), EngineError> {
        loop {
            let turned = self.turned.notified();
            self.save().await?;
            let now = self.on.clock().service();
            let lost = self.board().lineage.lost(self.settings.retention_margin, now);
            if let Some(lost) = lost {
                return Err(lost.into());
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.on.clock().sleep(self.lease.checkpoint) => {}
                () = turned => {}
            }
        }
    }

    /// Saves every checkpoint that moved. Children of a finished shard may be read only after this (invariant 4).
    pub async fn save(&self) -> Result<(), EngineError> {
        let _saving = self.saving.lock().await;
        let due = self.board().due(self.settings.caught_up, |reader| self.applier.progress(reader))?;
        // Should the switch not take place, what came meanwhile is read again and applied. Looked at last: what was due
        // before the intake was held may be stored.
        if self.applier.intake() == Intake::Held {
            return Ok(());
        }
        for (mut stored, record) in due {
            self.on.store.update(&mut stored, record).await?;
            let finished = self.board().saved(stored, self.settings.caught_up);
            if let Some(reader) = finished {
                self.applier.end_reader(reader);
                self.finished.notify_one();
            }
        }
        Ok(())
    }
}
