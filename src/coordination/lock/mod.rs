//! One calculation per user at a time: first a turn within this process, then, if Redis is configured, a
//! lock that all instances share.
//!
//! The lock only saves work. The database keeps the stored rows right (see [`crate::calculator`]), so a lock
//! that expires or a Redis that is down never leads to a wrong list.

mod redis;

use std::sync::Arc;
use std::time::Duration;

use lockable::{AsyncLimit, Lockable, LockableHashMap, SyncLimit};
use tokio::time::{Instant, timeout_at};

pub use self::redis::{RedisLockConfig, RedisUserLock};
use crate::domain::UserId;

type Turns = LockableHashMap<UserId, ()>;

/// Hands out [`UserGuard`]s.
#[derive(Clone, Debug)]
pub struct UserLocks {
    turns: Arc<Turns>,
    redis: Option<RedisUserLock>,
    wait: Duration,
}

/// Proof that no other task in this process is calculating for this user and, as far as Redis knows, no other
/// instance. Release it explicitly; dropping it (a panic, a cancelled future) hands the release to a task.
#[derive(Debug)]
#[must_use = "the lock is released when the guard is dropped"]
pub struct UserGuard {
    // Declared first, dropped first: the next task of this process must find the key being deleted.
    redis: Option<redis::RedisGuard>,
    turn: OwnedTurn,
    waited: bool,
}

type OwnedTurn = <Turns as Lockable<UserId, ()>>::OwnedGuard;

/// Proof that no other task in this process is calculating for this user, before other instances are asked.
#[derive(Debug)]
pub struct UserTurn {
    turn: OwnedTurn,
    redis: Option<RedisUserLock>,
    deadline: Instant,
}

/// The lock was not free in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy {
    /// The token of the current holder, if it is known.
    pub holder: Option<String>,
}

impl UserLocks {
    /// Locks that wait at most `wait`; without `redis` they hold within this process only.
    pub fn new(redis: Option<RedisUserLock>, wait: Duration) -> Self {
        Self { turns: Arc::new(Turns::new()), redis, wait }
    }

    /// Waits for the user's turn in this process, then for the Redis lock. With Redis unreachable the
    /// guard holds within this process only.
    pub async fn acquire(&self, user: UserId) -> Result<UserGuard, Busy> {
        self.turn(user).await?.lock().await
    }

    /// Waits for the user's turn in this process.
    pub async fn turn(&self, user: UserId) -> Result<UserTurn, Busy> {
        let deadline = Instant::now() + self.wait;
        let turn = self.turns.async_lock_owned(user, AsyncLimit::no_limit());
        let Ok(turn) = timeout_at(deadline, turn).await else {
            tracing::info!(user_id = %user, lock_holder = "this process", "gave up waiting for the lock");
            return Err(Busy { holder: None });
        };
        let turn = turn.unwrap_or_else(|never: lockable::Never| match never {});
        Ok(UserTurn { turn, redis: self.redis.clone(), deadline })
    }

    /// The user's lock, if it is free.
    pub async fn try_acquire(&self, user: UserId) -> Option<UserGuard> {
        let turn = self.turns.try_lock_owned(user, SyncLimit::no_limit());
        let turn = turn.unwrap_or_else(|never: lockable::Never| match never {})?;
        let redis = match &self.redis {
            Some(redis) => redis.try_acquire(user).await.ok()?,
            None => None,
        };
        Some(UserGuard { redis, turn, waited: false })
    }

    /// Waits for the releases that dropped guards have left to tasks.
    pub async fn close(&self) {
        if let Some(redis) = &self.redis {
            redis.close().await;
        }
    }
}

impl UserTurn {
    /// Waits for the Redis lock, for what is left of the time.
    pub async fn lock(self) -> Result<UserGuard, Busy> {
        let Self { turn, redis, deadline } = self;
        let (redis, waited) = match &redis {
            Some(redis) => redis.acquire(*turn.key(), deadline).await?,
            None => (None, false),
        };
        Ok(UserGuard { redis, turn, waited })
    }
}

impl UserGuard {
    /// Another instance held the lock when it was asked for.
    pub fn has_waited(&self) -> bool {
        self.waited
    }

    /// The user whose lock this is.
    pub fn user(&self) -> UserId {
        *self.turn.key()
    }

    /// Releases the lock and waits until that is done.
    pub async fn release(mut self) {
        if let Some(redis) = self.redis.take() {
            redis.release().await;
        }
    }
}
