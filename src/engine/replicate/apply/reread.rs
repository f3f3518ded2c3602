//! Reads source items again: those in collision whose shadow key was freed, and those an operator asks for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::core::Reader;
use super::{Applier, Want};
use crate::engine::error::EngineError;
use crate::engine::retry::Retry;
use crate::model::{Key, Timestamp};
use crate::ports::{Clock, Ports, Reaction, TableReader};
use crate::protocol::room::Ask;
use crate::protocol::slots::Lane;

/// What an item takes in memory at most, about: 400 KB at the service.
const LARGEST_BYTES: usize = 1024 * 1024;

impl<P: Ports> Applier<P> {
    /// Reads again what is wanted, until cancelled. Each item is offered like a copied image; one that a change overtook
    /// is not forgotten: it is read once more.
    pub async fn reread(self: Arc<Self>, stop: CancellationToken) -> Result<(), EngineError> {
        let reader = self.add_reader();
        let mut retry = Retry::default();
        loop {
            let more = self.rereads.notified();
            let next = self.core().take_reread();
            let pause = match next {
                Some(source) => {
                    let read = tokio::select! {
                        biased;
                        // It may wait for room that nobody frees any more; a restart reads collisions again.
                        () = stop.cancelled() => return Ok(()),
                        read = self.read_again(reader, source) => read,
                    };
                    match read {
                        Ok(()) => {
                            retry.reset();
                            Some(Duration::ZERO)
                        }
                        Err(EngineError::Port(error)) if error.fault.reaction() == Reaction::BackOff => {
                            Some(retry.next(self.on.clock()))
                        }
                        Err(error) => return Err(error),
                    }
                }
                None => None,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = more, if pause.is_none() => {}
                () = self.on.clock().sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    async fn read_again(&self, reader: Reader, source: Key) -> Result<(), EngineError> {
        // One at a time: whatever it is, it fits into what is left when nothing else is copied.
        let ask = Ask { lane: Lane::Copy, least: LARGEST_BYTES, most: LARGEST_BYTES };
        let _room = self.room(reader, Want { ask, read_through: Timestamp::EPOCH }).await;
        let page = self.begin_page();
        let item = match self.on.reader().get(&source).await {
            Ok(item) => item,
            Err(error) => {
                self.on.meters.failed(&error);
                self.drop_page(page);
                self.core().reread_later(source);
                return Err(error.into());
            }
        };
        let mapped = match item {
            Some(item) => self.mapping.item(&source, item)?,
            None => None,
        };
        if self.core().offer_reread(reader, page, &source, mapped, self.now())? {
            self.work.notify_one();
        }
        Ok(())
    }
}
