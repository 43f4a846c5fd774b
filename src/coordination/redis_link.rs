//! The connection to Redis that locks and wake-ups share: calls with a time limit, a circuit breaker, messages.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::address::RedisAddress;
use arc_swap::ArcSwap;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, FromRedisValue, Msg, PushInfo, RedisError, Script, ServerErrorKind};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

/// Time limit of a Redis call: a lock that only saves work must not cost more than the work.
const CALL_TIMEOUT: Duration = Duration::from_millis(200);
/// The probe writes under this prefix, as the locks do: an account's rights for keys cover both.
const PROBE_KEY: &str = "job_recommendation_lock:probe";
/// A lock that could be set and not released would block its user: the probe runs a script, as a release does.
static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('DEL', KEYS[1])"));
/// Life of the probe's key.
const PROBE_TTL: Duration = Duration::from_millis(1_000);
/// Interval between two probes of an unreachable Redis.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// An event that a link reports to its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisEvent {
    Message {
        channel: String,
        payload: String,
    },
    /// Redis answers again after an outage. Messages of the outage are lost.
    Recovered,
}

/// A shared connection; clones use the same one. After a failed call the breaker is open until a probe in the
/// background succeeds, so that an outage costs one call's time-out, not one per request.
#[derive(Clone)]
pub struct RedisLink(Arc<Shared>);

struct Shared {
    client: Client,
    channels: &'static [&'static str],
    connection: ArcSwap<ConnectionManager>,
    available: AtomicBool,
    /// Rights that the account lacks, each logged once.
    denied: Mutex<HashSet<String>>,
    events: broadcast::Sender<RedisEvent>,
}

/// Redis gave no answer. The link has logged the cause.
#[derive(Debug)]
pub struct Unavailable;

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink").field("available", &self.is_available()).finish_non_exhaustive()
    }
}

impl RedisLink {
    /// A link to the Redis at `address` that listens to `channels`. If Redis is not reachable now, the link
    /// uses it as soon as it is.
    ///
    /// # Errors
    /// The address cannot be used at all.
    pub async fn connect(
        address: &RedisAddress,
        channels: &'static [&'static str],
    ) -> Result<Self, RedisError> {
        let client = address.client()?;
        let (events, _) = broadcast::channel(1024);
        let connection = lazy_connection(&client, &events)?;
        let link = Self(Arc::new(Shared {
            client,
            channels,
            connection: ArcSwap::from_pointee(connection),
            available: AtomicBool::new(true),
            denied: Mutex::default(),
            events,
        }));
        if let Err(error) = link.0.open_connection().await {
            link.0.unavailable(&error.to_string());
        }
        Ok(link)
    }

    /// Whether the last call got through.
    pub fn is_available(&self) -> bool {
        self.0.available.load(Ordering::Relaxed)
    }

    /// Whether Redis answers now: an instance that has nothing to do makes no call that would fail.
    pub async fn check(&self) -> bool {
        let mut read = redis::cmd("GET");
        read.arg(PROBE_KEY);
        // The link notes a failure.
        let _ = self.call::<Option<String>>(read.query_async(&mut self.connection())).await;
        self.is_available()
    }

    /// Messages and recoveries from now on.
    pub fn events(&self) -> broadcast::Receiver<RedisEvent> {
        self.0.events.subscribe()
    }

    /// The connection, for calls through [`RedisLink::call`] and for commands of operators, which may wait.
    pub fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.0.connection.load())
    }

    /// Makes a call with a time limit; refuses it while the breaker is open.
    pub async fn call<T: FromRedisValue>(
        &self,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Unavailable> {
        if !self.is_available() {
            return Err(Unavailable);
        }
        match timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            // The account lacks this right; others may do. The probe has shown that it can lock.
            Ok(Err(error)) if is_denied(&error) => self.0.denied(&error),
            Ok(Err(error)) => self.0.unavailable(&error.to_string()),
            Err(_) => self.0.unavailable("no answer in time"),
        }
        Err(Unavailable)
    }
}

/// Whether the account lacks the right to do this.
fn is_denied(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

fn lazy_connection(
    client: &Client,
    events: &broadcast::Sender<RedisEvent>,
) -> Result<ConnectionManager, RedisError> {
    let events = events.clone();
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CALL_TIMEOUT))
        .set_response_timeout(Some(CALL_TIMEOUT))
        .set_automatic_resubscription()
        .set_push_sender(move |push: PushInfo| {
            if let Some(message) = Msg::from_push_info(push)
                && let Ok(payload) = message.get_payload()
            {
                // An error means that no task listens.
                let channel = message.get_channel_name().to_owned();
                let _ = events.send(RedisEvent::Message { channel, payload });
            }
            Ok::<(), redis::aio::SendError>(())
        });
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

impl Shared {
    fn denied(&self, error: &RedisError) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.insert(error.to_string()) {
            tracing::warn!(%error, "Redis denies a command: continuing without it");
        }
    }

    /// Opens the breaker: logs one warning per outage and starts a task that probes Redis until it answers.
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
                        let _ = shared.events.send(RedisEvent::Recovered);
                        return;
                    }
                }
            });
        }
    }

    /// Replaces the connection by a new one that has taken a write; an old one may hang half-open, or lead to a
    /// server that has become a read-only replica. The host name is resolved again. A Redis that answers but
    /// refuses writes (a replica, out of memory, a failed save) is of no use for locks.
    ///
    /// Without the right to subscribe, locks and workers poll.
    async fn open_connection(&self) -> Result<(), RedisError> {
        let mut connection = lazy_connection(&self.client, &self.events)?;
        let open = async {
            let mut probe = redis::cmd("SET");
            probe.arg(PROBE_KEY).arg(1).arg("PX").arg(PROBE_TTL.as_millis() as u64);
            probe.query_async::<()>(&mut connection).await?;
            DELETE.key(PROBE_KEY).invoke_async::<()>(&mut connection).await?;
            match connection.subscribe(self.channels).await {
                Err(error) if is_denied(&error) => {
                    self.denied(&error);
                    Ok(())
                }
                subscribed => subscribed,
            }
        };
        let timed_out = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        timeout(2 * CALL_TIMEOUT, open).await.map_err(timed_out)??;
        self.connection.store(Arc::new(connection));
        Ok(())
    }
}
