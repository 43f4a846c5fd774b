//! The lock that all instances share: `SET NX EX`, released by a Lua compare-and-delete.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::Utc;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, Msg, PushInfo, RedisError, Script, ScriptInvocation};
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::Busy;
use crate::domain::UserId;

/// No Redis call takes longer: a lock that only saves work must not cost more than the work.
const CALL_TIMEOUT: Duration = Duration::from_millis(200);
/// How often an unreachable Redis is tried again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Waiters are woken by a message; this poll (jittered up to twice as long) is for messages that are lost.
const POLL: Duration = Duration::from_millis(100);
/// Where releases are announced. Old and new versions of the service share the keys, so these stay.
const RELEASED_CHANNEL: &str = "job_recommendation_lock:released";

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

/// Where Redis is and how long a lock lives.
#[derive(Clone, Debug)]
pub struct RedisLockConfig {
    pub client: Client,
    /// A crashed holder blocks its user for this long; well above the cap of a run.
    pub ttl: Duration,
    /// Names this instance in tokens, for operators.
    pub instance: String,
}

/// Makes [`RedisGuard`]s. A circuit breaker: after a failed call Redis is left alone until a probe in the
/// background succeeds, so that an outage costs one call's time-out, not one per request.
#[derive(Clone)]
pub struct RedisUserLock(Arc<Shared>);

struct Shared {
    config: RedisLockConfig,
    connection: ArcSwap<ConnectionManager>,
    available: AtomicBool,
    released: broadcast::Sender<UserId>,
    /// Keys whose release failed, to be released when Redis is back, with the time when they expire.
    unreleased: Mutex<Vec<(UserId, String, Instant)>>,
    tasks: TaskTracker,
}

/// Why Redis gave no answer. The cause has been logged.
#[derive(Debug)]
struct Unavailable;

fn key(user: UserId) -> String {
    format!("job_recommendation_lock:user:{user}")
}

fn release_script(user: UserId, token: &str) -> ScriptInvocation<'static> {
    let mut script = RELEASE.prepare_invoke();
    script.key(key(user)).arg(token).arg(RELEASED_CHANNEL).arg(user.get());
    script
}

impl fmt::Debug for RedisUserLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisUserLock").field("available", &self.is_available()).finish_non_exhaustive()
    }
}

impl RedisUserLock {
    /// A lock on the configured Redis; one that is not reachable now is used as soon as it is.
    pub async fn connect(config: RedisLockConfig) -> Result<Self, RedisError> {
        let (released, _) = broadcast::channel(1024);
        let connection = lazy_connection(&config.client, &released)?;
        let lock = Self(Arc::new(Shared {
            config,
            connection: ArcSwap::from_pointee(connection),
            available: AtomicBool::new(true),
            released,
            unreleased: Mutex::default(),
            tasks: TaskTracker::new(),
        }));
        if let Err(error) = lock.0.open_connection().await {
            lock.0.unavailable(&error.to_string());
        }
        Ok(lock)
    }

    /// Whether the last call got through.
    pub fn is_available(&self) -> bool {
        self.0.available.load(Ordering::Relaxed)
    }

    /// The lock, `None` if Redis is unreachable, or [`Busy`] once the deadline has passed.
    pub(super) async fn acquire(&self, user: UserId, deadline: Instant) -> Result<Option<RedisGuard>, Busy> {
        // Armed before SET is sent: its answer may be lost after it has set the key.
        let mut guard = RedisGuard { lock: self.clone(), user, token: self.0.token(), state: State::Unknown };
        let mut holder = None;
        loop {
            // Subscribed before trying: a release in between must not be missed.
            let mut released = self.0.released.subscribe();
            match self.0.try_set(user, &guard.token).await {
                Ok(true) => {
                    guard.state = State::Held;
                    tracing::info!(user_id = %user, lock_holder = %guard.token, "lock acquired");
                    return Ok(Some(guard));
                }
                Ok(false) => {}
                Err(Unavailable) => return Ok(None),
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
                () = released_by_owner(&mut released, user) => {}
                () = sleep_until(poll.min(deadline)) => {}
            }
        }
    }

    /// The token of whoever holds the user's lock.
    pub async fn holder(&self, user: UserId) -> Result<Option<String>, RedisError> {
        redis::cmd("GET").arg(key(user)).query_async(&mut self.0.connection()).await
    }

    /// Removes the user's lock if `holder` still has it, and wakes waiters: an administrator's tool.
    pub async fn remove(&self, user: UserId, holder: &str) -> Result<bool, RedisError> {
        release_script(user, holder).invoke_async(&mut self.0.connection()).await
    }

    async fn holder_for_log(&self, user: UserId) -> Option<String> {
        let get = redis::cmd("GET").arg(key(user)).to_owned();
        self.0.call(get.query_async(&mut self.0.connection())).await.ok().flatten()
    }

    pub(super) async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Returns when the user's lock is released, or when messages were dropped and it may have been.
async fn released_by_owner(released: &mut broadcast::Receiver<UserId>, user: UserId) {
    loop {
        match released.recv().await {
            Ok(other) if other != user => {}
            _ => return,
        }
    }
}

fn lazy_connection(
    client: &Client,
    released: &broadcast::Sender<UserId>,
) -> Result<ConnectionManager, RedisError> {
    let released = released.clone();
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CALL_TIMEOUT))
        .set_response_timeout(Some(CALL_TIMEOUT))
        .set_automatic_resubscription()
        .set_push_sender(move |push: PushInfo| {
            let user = Msg::from_push_info(push).and_then(|message| message.get_payload::<i64>().ok());
            if let Some(user) = user.and_then(|id| UserId::try_from(id).ok()) {
                // Nobody is waiting: fine.
                let _ = released.send(user);
            }
            Ok::<(), redis::aio::SendError>(())
        });
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

impl Shared {
    fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.connection.load())
    }

    /// Unique per acquisition, and readable: who, since when.
    #[expect(clippy::disallowed_methods, reason = "the time in a token is for people; nothing depends on it")]
    fn token(&self) -> String {
        let time = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        format!("{}:{}:{time}:{:016x}", self.config.instance, std::process::id(), rand::random::<u64>())
    }

    async fn try_set(self: &Arc<Self>, user: UserId, token: &str) -> Result<bool, Unavailable> {
        let ttl = self.config.ttl.as_secs().max(1);
        let set = redis::cmd("SET").arg(key(user)).arg(token).arg("NX").arg("EX").arg(ttl).to_owned();
        let answer: Option<String> = self.call(set.query_async(&mut self.connection())).await?;
        Ok(answer.is_some())
    }

    /// Whether the key was still ours.
    async fn try_release(self: &Arc<Self>, user: UserId, token: &str) -> Result<bool, Unavailable> {
        self.call(release_script(user, token).invoke_async(&mut self.connection())).await
    }

    /// One bounded call; none while the breaker is open.
    async fn call<T: FromRedisValue>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Unavailable> {
        if !self.available.load(Ordering::Relaxed) {
            return Err(Unavailable);
        }
        match timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.unavailable(&error.to_string()),
            Err(_) => self.unavailable("no answer in time"),
        }
        Err(Unavailable)
    }

    /// Opens the breaker: one warning per outage, and a task that looks for Redis until it is back.
    fn unavailable(self: &Arc<Self>, cause: &str) {
        if self.available.swap(false, Ordering::Relaxed) {
            tracing::warn!(cause, "Redis unavailable: continuing without the lock between instances");
            let shared = Arc::downgrade(self);
            tokio::spawn(async move {
                loop {
                    sleep(PROBE_INTERVAL).await;
                    let Some(shared) = shared.upgrade() else { return };
                    if shared.open_connection().await.is_ok() {
                        shared.available.store(true, Ordering::Relaxed);
                        tracing::info!("Redis available again: using the lock between instances");
                        shared.release_unreleased().await;
                        return;
                    }
                }
            });
        }
    }

    /// A new connection that has been seen to answer; an old one may hang in a half-open state.
    async fn open_connection(&self) -> Result<(), RedisError> {
        let mut connection = lazy_connection(&self.config.client, &self.released)?;
        let open = async {
            redis::cmd("PING").query_async::<()>(&mut connection).await?;
            connection.subscribe(RELEASED_CHANNEL).await
        };
        let timed_out = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        timeout(2 * CALL_TIMEOUT, open).await.map_err(timed_out)??;
        self.connection.store(Arc::new(connection));
        Ok(())
    }

    async fn release(self: &Arc<Self>, user: UserId, token: &str, state: State) {
        match self.try_release(user, token).await {
            Ok(true) => tracing::info!(user_id = %user, lock_holder = %token, "lock released"),
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

/// A user's key in Redis.
#[derive(Debug)]
pub(super) struct RedisGuard {
    lock: RedisUserLock,
    user: UserId,
    token: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// SET has been or will be sent, and its answer is not known.
    Unknown,
    Held,
    /// Not acquired, or released.
    NotHeld,
}

impl RedisGuard {
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
