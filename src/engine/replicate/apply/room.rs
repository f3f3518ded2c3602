//! Room for what is read: taken before a page is asked for, and held until all of it was offered.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Applier;
use super::core::Reader;
use super::shares::{Turn, Want};
use crate::ports::Ports;

/// Room for a page. It is given back when this is dropped; what was offered by then is counted by itself.
pub struct Grant<'a, P: Ports> {
    applier: &'a Applier<P>,
    turn: Turn,
    /// So many bytes.
    pub bytes: usize,
}

impl<P: Ports> Applier<P> {
    /// Waits for room.
    pub async fn room(&self, reader: Reader, want: Want) -> Grant<'_, P> {
        let served = Arc::new(Notify::new());
        let turn = self.core().wait_for_room(reader, want, Arc::clone(&served));
        // Given back even if nobody waits any more.
        let mut grant = Grant { applier: self, turn, bytes: 0 };
        loop {
            let told = served.notified();
            let given = self.core().room_given(turn);
            if let Some(bytes) = given {
                grant.bytes = bytes;
                return grant;
            }
            told.await;
        }
    }
}

impl<P: Ports> Drop for Grant<'_, P> {
    fn drop(&mut self) {
        self.applier.core().give_room_back(self.turn);
    }
}
