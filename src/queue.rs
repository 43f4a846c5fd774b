//! Background triggers: users that are due in `recommendation_state`, served by workers of this process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::calculator::{Calculator, Outcome};
use crate::catalogue::CurrentCatalogue;
use crate::domain::UserId;
use crate::storage::{Store, StoreError};

/// The notification from a trigger of this process is the rule; the poll finds what was left by a crash,
/// and triggers of other instances.
const POLL: Duration = Duration::from_secs(1);
/// Runs of the background at the same time.
const WORKERS: usize = 2;
/// How long reading the queue may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a user whose run failed is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Serves due users until told to stop.
#[derive(Clone)]
pub struct Queue {
    store: Arc<dyn Store>,
    calculator: Calculator,
    catalogue: Arc<CurrentCatalogue>,
    triggered: Arc<Notify>,
}

impl Queue {
    /// A queue over the store's due users; nothing runs before [`Queue::work`].
    pub fn new(store: Arc<dyn Store>, calculator: Calculator, catalogue: Arc<CurrentCatalogue>) -> Self {
        Self { store, calculator, catalogue, triggered: Arc::default() }
    }

    /// Tells the worker of this process that a trigger has been recorded.
    pub fn notify(&self) {
        self.triggered.notify_one();
    }

    /// Serves due users until `stop`; runs that have begun are finished.
    pub async fn work(&self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        let mut users = HashSet::new();
        while !stop.is_cancelled() {
            match timeout(READ_TIMEOUT, self.due_users()).await {
                Err(_) => tracing::warn!("the queue cannot be read: no answer within {READ_TIMEOUT:?}"),
                Ok(Err(error)) => tracing::warn!(%error, "the queue cannot be read"),
                Ok(Ok(due)) => {
                    for user in due {
                        if running.len() < WORKERS && users.insert(user) {
                            let queue = self.clone();
                            running.spawn(async move {
                                queue.serve(user).await;
                                user
                            });
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.triggered.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(served) = running.join_next() => {
                    // A run that panicked is reported by its own task; its user is due again.
                    match served {
                        Ok(user) => _ = users.remove(&user),
                        Err(_) => users.clear(),
                    }
                }
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn due_users(&self) -> Result<Vec<UserId>, StoreError> {
        // Those that are running are still due: look behind them, too.
        self.store.due_users(self.catalogue.scoring_revision(), 2 * WORKERS as u32).await
    }

    async fn serve(&self, user: UserId) {
        let served = self.calculator.calculate(user, false).await;
        // A run that ended otherwise has cleared due_at, unless a newer trigger has come in.
        if matches!(served, Err(_) | Ok(Outcome::Queued))
            && let Err(error) = self.store.postpone(user, RETRY_AFTER).await
        {
            tracing::warn!(user_id = %user, %error, "a failed user could not be postponed");
        }
    }
}
