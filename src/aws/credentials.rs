//! When the credentials of a connection expire, learnt as they are handed out.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Future;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use parking_lot::Mutex;

use crate::ports::Expiry;

/// Hands out what another provider does, and remembers when it expires.
#[derive(Clone, Debug)]
pub(super) struct WatchedCredentials {
    inner: SharedCredentialsProvider,
    expiry: Arc<Mutex<Expiry>>,
}

impl WatchedCredentials {
    pub(super) fn new(inner: SharedCredentialsProvider) -> Self {
        Self { inner, expiry: Arc::default() }
    }

    /// When the credentials that were handed out last expire.
    pub(super) fn expiry(&self) -> Expiry {
        *self.expiry.lock()
    }

    fn note(&self, credentials: &Credentials) {
        let expiry = credentials.expiry().map_or(Expiry::Never, |at| Expiry::At(at.into()));
        *self.expiry.lock() = expiry;
    }
}

impl ProvideCredentials for WatchedCredentials {
    fn provide_credentials<'a>(&'a self) -> Future<'a>
    where
        Self: 'a,
    {
        Future::new(async {
            let credentials = self.inner.provide_credentials().await?;
            self.note(&credentials);
            Ok(credentials)
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.inner.fallback_on_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::wall_now;
    use super::*;
    use crate::model::Timestamp;

    fn watched(expires: Option<Timestamp>) -> WatchedCredentials {
        let at = expires
            .map(|at| std::time::UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(at.millis()).unwrap()));
        WatchedCredentials::new(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, at, "test")))
    }

    #[tokio::test]
    async fn the_expiry_is_that_of_what_was_handed_out_last() {
        let soon = Timestamp::from_millis(wall_now().millis() + 60_000);
        let credentials = watched(Some(soon));
        assert_eq!(credentials.expiry(), Expiry::Unknown, "nobody asked yet");
        credentials.provide_credentials().await.unwrap();
        assert_eq!(credentials.expiry(), Expiry::At(soon));
        let credentials = watched(None);
        credentials.provide_credentials().await.unwrap();
        assert_eq!(credentials.expiry(), Expiry::Never);
    }
}
