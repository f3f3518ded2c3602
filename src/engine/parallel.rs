//! The same for many, some at a time.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Requests of one kind at a time at most.
const AT_ONCE: usize = 32;

/// Does this for each of them, some at a time. After a failure no more is begun; what was begun is done, and the first failure
/// is told.
pub(in crate::engine) async fn for_each<T, F, R, E>(
    items: impl IntoIterator<Item = T>,
    act: impl Fn(T) -> F,
) -> Result<Vec<R>, E>
where
    F: Future<Output = Result<R, E>>,
{
    let (mut items, mut under_way) = (items.into_iter(), FuturesUnordered::new());
    let (mut done, mut failed) = (Vec::new(), None);
    loop {
        while failed.is_none() && under_way.len() < AT_ONCE {
            let Some(item) = items.next() else { break };
            under_way.push(act(item));
        }
        match under_way.next().await {
            Some(Ok(one)) => done.push(one),
            Some(Err(error)) => failed = failed.or(Some(error)),
            None => return failed.map_or(Ok(done), Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_at_a_time_and_no_more() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let done = for_each(0..100_u32, async |item| {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            sleep(Duration::from_millis(u64::from(100 - item))).await;
            now.set(now.get() - 1);
            Ok::<_, ()>(item)
        });
        assert_eq!(done.await.unwrap().len(), 100);
        assert_eq!(most.get(), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_is_done_when_one_fails() {
        let done = RefCell::new(Vec::new());
        let failed = for_each(0..100_u32, async |item| {
            if item == 3 {
                return Err(item);
            }
            sleep(Duration::from_secs(1)).await;
            done.borrow_mut().push(item);
            Ok(())
        });
        assert_eq!(failed.await, Err(3));
        assert_eq!(done.borrow().len(), AT_ONCE - 1);
    }
}
