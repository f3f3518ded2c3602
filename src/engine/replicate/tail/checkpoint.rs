//! Saves what is durable, and looks for lost history.

use tokio_util::sync::CancellationToken;

use super::Tail;
use crate::engine::error::EngineError;
use crate::engine::parallel::for_each;
use crate::engine::state::store::Stored;
use crate::ports::{Clock, Ports};
use crate::protocol::leg::Intake;
use crate::protocol::lineage::ShardRecord;

/// Checkpoints stored in a second at most, the last ones of their shards aside: each is a write unit. A thousand busy shards are
/// stored every ten seconds, and a restart replays so much more.
const STORED_PER_SECOND: f64 = 100.0;

impl<P: Ports> Tail<P> {
    /// Saves checkpoints behind what is settled until it is stopped, between two saves.
    pub(super) async fn keep_checkpoints(&self, stop: &CancellationToken) -> Result<(), EngineError> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 100 to 6,000")]
        let most = (self.lease.checkpoint.as_secs_f64().max(1.0) * STORED_PER_SECOND) as usize;
        loop {
            let turned = self.turned.notified();
            self.save(most).await?;
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

    /// Saves every checkpoint that moved.
    pub async fn save_all(&self) -> Result<(), EngineError> {
        self.save(usize::MAX).await
    }

    /// Saves so many checkpoints that moved, and all that are their shard's last: its children may be read only after this
    /// (invariant 4).
    async fn save(&self, most: usize) -> Result<(), EngineError> {
        let _saving = self.saving.lock().await;
        let due = self.board().due(self.settings.caught_up, most, |reader| self.applier.progress(reader))?;
        // Should the switch not take place, what came meanwhile is read again and applied. Looked at last: what was due
        // before the intake was held may be stored.
        if self.applier.intake() == Intake::Held {
            return Ok(());
        }
        let store = |(mut stored, record): (Stored<ShardRecord>, ShardRecord)| async move {
            self.on.store.update(&mut stored, record).await?;
            let finished = self.board().saved(stored, self.settings.caught_up);
            if let Some(reader) = finished {
                self.applier.end_reader(reader);
                self.finished.notify_one();
                self.found.notify_one();
            }
            Ok::<_, EngineError>(())
        };
        for_each(due, store).await.map(drop)
    }
}
