//! The lock that all instances share: `SET NX EX`, released by a Lua compare-and-delete.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::{RedisError, Script, ScriptInvocation};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::Busy;
use crate::coordination::Instance;
use crate::coordination::channels::{Channel, RedisEvent};
use crate::coordination::redis_link::{RedisLink, Unavailable};
use crate::domain::UserId;

/// A message wakes waiters; this poll, which jitter makes up to twice as long, covers lost messages.
const POLL: Duration = Duration::from_millis(100);

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

/// Settings of the lock.
#[derive(Clone, Debug)]
pub struct RedisLockConfig {
    /// How long a crashed holder blocks its user; well above the time limit of a run.
    pub ttl: Duration,
    /// Makes the tokens of holders.
    pub instance: Instance,
}

/// The lock that instances share through Redis.
#[derive(Clone, Debug)]
pub struct RedisUserLock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    link: RedisLink,
    config: RedisLockConfig,
    /// Keys whose release failed, with their expiry: they are released when Redis is back.
    unreleased: Mutex<Vec<(UserId, String, Instant)>>,
    tasks: TaskTracker,
}

fn key(user: UserId) -> String {
    format!("job_recommendation_lock:user:{user}")
}

fn release_script(user: UserId, token: &str) -> ScriptInvocation<'static> {
    let mut script = RELEASE.prepare_invoke();
    script.key(key(user)).arg(token).arg(Channel::Released.name()).arg(user.get());
    script
}

impl RedisUserLock {
    /// Locks over the link.
    pub fn new(link: RedisLink, config: RedisLockConfig) -> Self {
        let (unreleased, tasks) = (Mutex::default(), TaskTracker::new());
        let recoveries = link.recoveries();
        let shared = Arc::new(Shared { link, config, unreleased, tasks });
        tokio::spawn(release_after_outages(Arc::downgrade(&shared), recoveries));
        Self(shared)
    }

    /// Waits for the lock, and tells whether it had to. `None`: Redis is unreachable; [`Busy`]: the deadline has passed.
    pub(super) async fn acquire(
        &self,
        user: UserId,
        deadline: Instant,
    ) -> Result<(Option<RedisGuard>, bool), Busy> {
        let mut guard = self.armed(user);
        let (mut holder, mut waited) = (None, false);
        loop {
            // Subscribe before SET, so that a release in between is not missed.
            let mut events = self.0.link.events(Channel::Released);
            match guard.try_set().await {
                Ok(true) => return Ok((Some(guard), waited)),
                Ok(false) => waited = true,
                Err(Unavailable) => return Ok((None, waited)),
            }
            if holder.is_none() {
                holder = self.holder_for_log(user).await;
                let lock_holder = holder.as_deref().unwrap_or("unknown");
                tracing::info!(user_id = %user, lock_holder, "waiting for the lock");
            }
            if Instant::now() >= deadline {
                guard.state = State::NotHeld;
                let lock_holder = holder.as_deref().unwrap_or("unknown");
                tracing::info!(user_id = %user, lock_holder, "gave up waiting for the lock");
                return Err(Busy { holder });
            }
            let poll = Instant::now() + POLL + POLL.mul_f64(rand::random());
            tokio::select! {
                () = released(&mut events, user) => {}
                () = sleep_until(poll.min(deadline)) => {}
            }
        }
    }

    /// The lock, if it is free now. `None`: Redis is unreachable.
    pub(super) async fn try_acquire(&self, user: UserId) -> Result<Option<RedisGuard>, Busy> {
        let mut guard = self.armed(user);
        match guard.try_set().await {
            Ok(true) => Ok(Some(guard)),
            Ok(false) => {
                guard.state = State::NotHeld;
                Err(Busy { holder: None })
            }
            Err(Unavailable) => Ok(None),
        }
    }

    /// Armed before SET is sent: Redis may set the key and its answer may be lost.
    fn armed(&self, user: UserId) -> RedisGuard {
        RedisGuard { lock: self.clone(), user, token: self.0.config.instance.token(), state: State::Unknown }
    }

    /// Whether the last call to Redis got through.
    pub fn is_available(&self) -> bool {
        self.0.link.is_available()
    }

    /// The token of the current holder of the user's lock.
    pub async fn holder(&self, user: UserId) -> Result<Option<String>, RedisError> {
        redis::cmd("GET").arg(key(user)).query_async(&mut self.0.link.connection().await?).await
    }

    /// Removes the user's lock if `holder` still holds it, and wakes waiters: for operators.
    pub async fn remove(&self, user: UserId, holder: &str) -> Result<bool, RedisError> {
        release_script(user, holder).invoke_async(&mut self.0.link.connection().await?).await
    }

    async fn holder_for_log(&self, user: UserId) -> Option<String> {
        let get = async |mut redis| redis::cmd("GET").arg(key(user)).query_async(&mut redis).await;
        self.0.link.call(get).await.ok().flatten()
    }

    pub(super) async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        // Those that took too long under load, if Redis answers now: else they would block their users until they expire.
        self.0.release_unreleased().await;
    }
}

/// Returns when the user's lock is released, or may have been because messages were dropped.
async fn released(events: &mut broadcast::Receiver<RedisEvent>, user: UserId) {
    loop {
        match events.recv().await {
            Ok(RedisEvent::Message(released)) if released.parse() != Ok(user) => {}
            _ => return,
        }
    }
}

async fn release_after_outages(shared: Weak<Shared>, mut recoveries: watch::Receiver<()>) {
    while recoveries.changed().await.is_ok() {
        let Some(shared) = shared.upgrade() else { return };
        shared.release_unreleased().await;
    }
}

impl Shared {
    async fn try_set(self: &Arc<Self>, user: UserId, token: &str) -> Result<bool, Unavailable> {
        let ttl = self.config.ttl.as_secs().max(1);
        let set = redis::cmd("SET").arg(key(user)).arg(token).arg("NX").arg("EX").arg(ttl).to_owned();
        let answer: Option<String> =
            self.link.call(async |mut redis| set.query_async(&mut redis).await).await?;
        Ok(answer.is_some())
    }

    /// Deletes the key; `false` if it held another token.
    async fn try_release(self: &Arc<Self>, user: UserId, token: &str) -> Result<bool, Unavailable> {
        let release = release_script(user, token);
        self.link.call(async |mut redis| release.invoke_async(&mut redis).await).await
    }

    async fn release(self: &Arc<Self>, user: UserId, token: &str, state: State) {
        match self.try_release(user, token).await {
            Ok(true) => tracing::debug!(user_id = %user, lock_holder = %token, "lock released"),
            Ok(false) if state == State::Held => {
                tracing::warn!(user_id = %user, lock_holder = %token, "lock had already expired");
            }
            Ok(false) => {}
            Err(Unavailable) => self.remember_unreleased(user, token.to_owned()),
        }
    }

    fn remember_unreleased(&self, user: UserId, token: String) {
        let expires = Instant::now() + self.config.ttl;
        let mut unreleased = self.unreleased.lock().unwrap_or_else(PoisonError::into_inner);
        unreleased.retain(|(_, _, expires)| *expires > Instant::now());
        unreleased.push((user, token, expires));
    }

    async fn release_unreleased(self: &Arc<Self>) {
        let unreleased = std::mem::take(&mut *self.unreleased.lock().unwrap_or_else(PoisonError::into_inner));
        for (user, token, _) in unreleased {
            if self.try_release(user, &token).await.is_err() {
                self.remember_unreleased(user, token);
            }
        }
    }
}

/// The lock of one user in Redis.
#[derive(Debug)]
pub(super) struct RedisGuard {
    lock: RedisUserLock,
    user: UserId,
    token: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// SET may have been sent, and its answer is unknown.
    Unknown,
    /// SET has succeeded.
    Held,
    /// Not acquired, or released.
    NotHeld,
}

impl RedisGuard {
    /// Whether the lock was free, and is this guard's now.
    async fn try_set(&mut self) -> Result<bool, Unavailable> {
        let set = self.lock.0.try_set(self.user, &self.token).await?;
        if set {
            self.state = State::Held;
            tracing::debug!(user_id = %self.user, lock_holder = %self.token, "lock acquired");
        }
        Ok(set)
    }

    pub(super) async fn release(mut self) {
        self.lock.0.release(self.user, &self.token, self.state).await;
        self.state = State::NotHeld;
    }
}

impl Drop for RedisGuard {
    fn drop(&mut self) {
        if self.state != State::NotHeld {
            let (shared, user, state) = (self.lock.0.clone(), self.user, self.state);
            let token = std::mem::take(&mut self.token);
            self.lock.0.tasks.spawn(async move { shared.release(user, &token, state).await });
        }
    }
}
