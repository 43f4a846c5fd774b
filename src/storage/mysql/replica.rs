//! Reads on a replica, unless it is behind for the user who asks.
//!
//! A replica applies transactions in the order in which the primary has committed them, so one that has a user's newest
//! state has everything older, too. Each read asks the primary for three numbers of the user's state, which only grow:
//! any trigger and any end of a run raises one of them. A replica that is behind is waited for shortly; then the primary is
//! read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::mysql::MySqlConnection;
use sqlx::query_as;
use sqlx_macros::FromRow;
use tokio::time::sleep;

use super::MysqlAddress;
use super::pool::{Pool, Role};
use super::session::{READ_PATIENCE, Session};
use super::source::SourceTables;
use crate::domain::UserId;
use crate::storage::{ReadReplica, StoreError, within};

/// Time limit of the steps on the replica, beside the wait: the caller's time must be enough for the primary, too.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first pause before a replica that is behind is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The first pause before a replica in trouble is tried again, which each failure doubles.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The most times that it is doubled.
const MOST_DOUBLINGS: u32 = 4;

/// How far a server has come with the changes of a user. Each number only grows.
#[derive(Clone, Copy, Debug, Default, FromRow)]
struct Progress {
    version: i64,
    confirmations: i64,
    requested_seq: i64,
}

impl Progress {
    fn includes(self, other: Self) -> bool {
        self.version >= other.version
            && self.confirmations >= other.confirmations
            && self.requested_seq >= other.requested_seq
    }
}

const PROGRESS: &str = r"
SELECT version, confirmations, requested_seq FROM recommendation_state WHERE user_id = ?
";

async fn progress(connection: &mut MySqlConnection, user: i64) -> Result<Progress, StoreError> {
    Ok(query_as(PROGRESS).bind(user).fetch_optional(connection).await?.unwrap_or_default())
}

/// A replica, as long as it is of use.
#[derive(Clone)]
pub(super) struct Replica(Arc<Shared>);

struct Shared {
    pool: Pool,
    source: SourceTables,
    /// How long a read waits for a replica that is behind.
    wait: Duration,
    available: AtomicBool,
    /// Failures since the last read that was served.
    failures: AtomicU32,
    served: AtomicU64,
    behind: AtomicU64,
    unavailable: AtomicU64,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replica({:?})", self.counts())
    }
}

impl Replica {
    /// Connects when it is first used.
    pub(super) fn new(address: &MysqlAddress, max_connections: u32, wait: Duration) -> Self {
        Self(Arc::new(Shared {
            pool: Pool::new(address.options(), max_connections, Role::Replica),
            source: SourceTables::default(),
            wait,
            available: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            served: AtomicU64::new(0),
            behind: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
        }))
    }

    /// Finds out, and logs, whether the replica is of use.
    pub(super) async fn check(&self) {
        match self.0.probe().await {
            Ok(()) => tracing::info!("read replica ready"),
            Err(error) => self.0.fail(&error),
        }
    }

    /// What the replica answers, of a moment at which it has all that the primary has now for the user. `None`: it is
    /// behind or in trouble, and the primary must be asked.
    ///
    /// # Errors
    /// The primary fails.
    pub(super) async fn read<T>(
        &self,
        primary: &Pool,
        user: UserId,
        read: impl for<'c> Fn(&'c mut MySqlConnection, &'c SourceTables) -> BoxFuture<'c, Result<T, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let shared = &*self.0;
        if !shared.available.load(Ordering::Relaxed) {
            shared.unavailable.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        let newest =
            || primary.with_connection(async |connection| progress(connection, user.get()).await).boxed();
        let newest = primary.twice(READ_PATIENCE, newest).await?;
        let steps = async {
            let Some(mut session) = shared.session_with(newest, user).await? else { return Ok(None) };
            let answer = read(&mut session, &shared.source).await?;
            session.give_back();
            Ok(Some(answer))
        };
        Ok(match within(PATIENCE + shared.wait, steps).await {
            Ok(Some(answer)) => {
                shared.failures.store(0, Ordering::Relaxed);
                shared.served.fetch_add(1, Ordering::Relaxed);
                Some(answer)
            }
            Ok(None) => {
                shared.behind.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => {
                shared.unavailable.fetch_add(1, Ordering::Relaxed);
                self.0.fail(&error);
                None
            }
        })
    }

    pub(super) fn counts(&self) -> ReadReplica {
        let shared = &*self.0;
        ReadReplica {
            available: shared.available.load(Ordering::Relaxed),
            served: shared.served.load(Ordering::Relaxed),
            behind: shared.behind.load(Ordering::Relaxed),
            unavailable: shared.unavailable.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn close(&self) {
        self.0.pool.close().await;
    }
}

impl Shared {
    /// A connection that shows at least this progress, from now on. None is held while the replica is waited for.
    async fn session_with(&self, newest: Progress, user: UserId) -> Result<Option<Session>, StoreError> {
        let (deadline, mut pause) = (Instant::now() + self.wait, FIRST_PAUSE);
        loop {
            let mut session = self.pool.acquire().await?;
            if progress(&mut session, user.get()).await?.includes(newest) {
                return Ok(Some(session));
            }
            session.give_back();
            if Instant::now() + pause > deadline {
                return Ok(None);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// Whether it can be read. No user has the number 0.
    async fn probe(&self) -> Result<(), StoreError> {
        let probe = self.pool.with_connection(async |connection| progress(connection, 0).await);
        within(PATIENCE, probe).await.map(drop)
    }

    /// Has the primary read until the replica answers again: logs one warning per outage, and starts a task that tries the
    /// replica.
    fn fail(self: &Arc<Self>, cause: &StoreError) {
        self.pool.renew();
        if !self.available.swap(false, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(%cause, "read replica unavailable: reading from the primary");
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let Some(failures) =
                    shared.upgrade().map(|shared| shared.failures.fetch_add(1, Ordering::Relaxed))
                else {
                    return;
                };
                sleep(RETRY_AFTER * 2_u32.pow(failures.min(MOST_DOUBLINGS))).await;
                let Some(shared) = shared.upgrade() else { return };
                if shared.probe().await.is_ok() {
                    shared.available.store(true, Ordering::Relaxed);
                    tracing::info!("read replica available again");
                    return;
                }
                shared.pool.renew();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_behind_if_any_of_the_numbers_is() {
        let primary = Progress { version: 3, confirmations: 5, requested_seq: 7 };
        assert!(primary.includes(primary));
        assert!(Progress { version: 4, confirmations: 6, requested_seq: 8 }.includes(primary));
        for behind in [
            Progress { version: 2, ..primary },
            Progress { confirmations: 4, ..primary },
            Progress { requested_seq: 6, ..primary },
            Progress { version: 2, confirmations: 9, requested_seq: 9 },
        ] {
            assert!(!behind.includes(primary), "{behind:?}");
        }
        assert!(Progress::default().includes(Progress::default()), "a user without a state");
    }
}
