//! A value that others wait for.
//!
//! Tokio's own `watch` wakes those who wait in a random order. Here it is the order in which they began to wait, so that a
//! simulation goes the same way each time.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// A value that others wait for.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Watched<T> {
    /// It is this at first.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    /// What it is now.
    pub fn get(&self) -> T {
        *self.value()
    }

    /// It is this from now on.
    pub fn set(&self, value: T) {
        *self.value() = value;
        self.changed.notify_waiters();
    }

    /// Waits until it is such that this holds.
    pub async fn until(&self, holds: impl Fn(T) -> bool) {
        loop {
            // What changes from here on is noticed.
            let changed = self.changed.notified();
            if holds(self.get()) {
                return;
            }
            changed.await;
        }
    }

    fn value(&self) -> MutexGuard<'_, T> {
        self.value.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_go_on_in_their_order() {
        let (watched, order) = (Arc::new(Watched::new(false)), Arc::new(Mutex::new(Vec::new())));
        let mut waiting = JoinSet::new();
        for number in 0..20 {
            let (watched, order) = (Arc::clone(&watched), Arc::clone(&order));
            waiting.spawn(async move {
                watched.until(|value| value).await;
                order.lock().push(number);
            });
        }
        sleep(Duration::from_secs(1)).await;
        watched.set(false);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(waiting.len(), 20);
        watched.set(true);
        waiting.join_all().await;
        assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
        watched.until(|value| value).await;
    }
}
