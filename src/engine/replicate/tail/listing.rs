//! Lists a stream's shards, page by page, no faster than the service likes.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;

use super::Asked;
use crate::engine::replicate::Replication;
use crate::engine::retry::until_answered;
use crate::model::{ListedShard, Moment, Timestamp};
use crate::ports::{ChangeFeed, Clock, Fault, PortError, Ports, ShardsPage};

/// Time between two requests: the service answers ten a second for the whole account, and others ask too.
const PACE: Duration = Duration::from_millis(200);

/// What the service knows of a stream's shards.
pub(super) struct Lister<P> {
    on: Replication<P>,
    stream_arn: String,
    /// When the next request may be sent.
    next: Mutex<Moment>,
}

/// A whole listing.
pub(super) struct Listing {
    pub(super) shards: Vec<ListedShard>,
    /// When its first page was asked for: what appeared since need not be in it.
    pub(super) asked: Timestamp,
    pub(super) pages: usize,
}

impl<P: Ports> Lister<P> {
    pub(super) fn new(on: Replication<P>, stream_arn: &str) -> Self {
        let next = Mutex::new(on.clock().now());
        Self { on, stream_arn: stream_arn.to_owned(), next }
    }

    /// All shards. A page that is refused for now is asked for again, and not those before it.
    pub(super) async fn all(&self) -> Result<Listing, PortError> {
        let (mut shards, mut pages, mut asked) = (Vec::new(), 0, None);
        let (mut after, mut seen) = (None::<String>, HashSet::new());
        loop {
            let page = until_answered(self.on.clock(), "the stream's shards could not be listed", || async {
                self.turn().await;
                let asking = Asked::now(self.on.clock());
                let page = self.on.feed().shards(&self.stream_arn, after.as_deref()).await;
                let page = page.inspect_err(|error| self.on.meters.failed(error))?;
                Ok((page, asking.at(self.on.clock())))
            });
            match page.await {
                Ok((ShardsPage { shards: more, next }, at)) => {
                    let asked = *asked.get_or_insert(at);
                    shards.extend(more);
                    pages += 1;
                    after = next;
                    match &after {
                        None => return Ok(Listing { shards, asked, pages }),
                        Some(after) if !seen.insert(after.clone()) => return Err(self.in_circles(pages)),
                        Some(_) => {}
                    }
                }
                // The shard behind which the page begins is gone by now.
                Err(error)
                    if after.is_some() && matches!(error.fault, Fault::Rejected | Fault::Trimmed | Fault::Missing) =>
                {
                    tracing::debug!(%error, "the listing begins again");
                    (shards, pages, asked, after, seen) = (Vec::new(), 0, None, None, HashSet::new());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// It would go on for ever, and what it leaves out is not known.
    fn in_circles(&self, pages: usize) -> PortError {
        PortError {
            fault: Fault::Unknown,
            operation: "DescribeStream",
            resource: self.stream_arn.clone(),
            message: format!("the listing came round after {pages} pages"),
        }
    }

    /// Those that continue this one.
    pub(super) async fn children(&self, parent: &str) -> Result<Vec<ListedShard>, PortError> {
        until_answered(self.on.clock(), "a shard's children could not be listed", || async {
            self.turn().await;
            let children = self.on.feed().children(&self.stream_arn, parent).await;
            children.inspect_err(|error| self.on.meters.failed(error))
        })
        .await
    }

    /// Waits for a turn.
    async fn turn(&self) {
        let clock = self.on.clock();
        let wait = {
            let (mut next, now) = (self.next.lock(), clock.now());
            let turn = (*next).max(now);
            *next = turn.plus(PACE);
            turn.since(now)
        };
        clock.sleep(wait).await;
    }
}
