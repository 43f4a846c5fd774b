//! The connection to Redis that locks and wake-ups share: calls with a time limit, a circuit breaker, messages.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::address::{Primary, RedisAddress};
use super::channels::{Channel, Listeners, RedisEvent};
use arc_swap::ArcSwapOption;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Msg, PushInfo, PushKind, RedisError, Script,
    ServerErrorKind,
};
use tokio::sync::{broadcast, watch};
use tokio::time::{sleep, timeout};

/// Time limit of a Redis call: a lock that only saves work must not cost more than the work.
const CALL_TIMEOUT: Duration = Duration::from_millis(200);
/// Time limit of finding the server that takes writes. No run waits for it: it allows for a sentinel that hangs.
const FIND_TIMEOUT: Duration = Duration::from_secs(3);
/// The probe writes under this prefix, as the locks do: an account's rights for keys cover both.
const PROBE_KEY: &str = "job_recommendation_lock:probe";
/// A lock that could be set and not released would block its user: the probe runs a script, as a release does.
static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('DEL', KEYS[1])"));
/// Life of the probe's key.
const PROBE_TTL: Duration = Duration::from_millis(1_000);
/// Interval between two probes of an unreachable Redis.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// How often sentinels are asked while all is well: an old primary that has been replaced by an operator goes on taking
/// writes for some ten seconds.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// A shared connection; clones use the same one. After a failed call the breaker is open until a probe in the
/// background succeeds, so that an outage costs one call's time-out, not one per request. Each connection is made to the
/// server that takes writes at that moment: after a failover, the first call that fails, or that the old primary refuses,
/// leads to the new one.
#[derive(Clone)]
pub struct RedisLink(Arc<Shared>);

struct Shared {
    primary: Primary,
    /// `None` before Redis has answered for the first time.
    opened: ArcSwapOption<Opened>,
    /// The number of connections that have been tried.
    tried: AtomicU64,
    available: AtomicBool,
    /// Rights that the account lacks, each logged once.
    denied: Mutex<HashSet<String>>,
    listeners: Listeners,
}

/// A connection that has taken a write.
struct Opened {
    number: u64,
    server: String,
    connection: MultiplexedConnection,
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
    /// A link to the Redis at `address`. If Redis is not reachable now, the link uses it as soon as it is.
    ///
    /// # Errors
    /// The address cannot be used at all.
    pub async fn connect(address: &RedisAddress) -> Result<Self, RedisError> {
        let link = Self(Arc::new(Shared {
            primary: address.primary()?,
            opened: ArcSwapOption::empty(),
            tried: AtomicU64::new(0),
            available: AtomicBool::new(true),
            denied: Mutex::default(),
            listeners: Listeners::default(),
        }));
        if let Err(error) = link.0.open().await {
            link.0.unavailable(&error.to_string());
        }
        if link.0.primary.may_change() {
            tokio::spawn(follow(Arc::downgrade(&link.0)));
        }
        Ok(link)
    }

    /// Whether the last call got through.
    pub fn is_available(&self) -> bool {
        self.0.available.load(Ordering::Relaxed)
    }

    /// Whether Redis answers now: an instance that has nothing to do makes no call that would fail.
    pub async fn check(&self) -> bool {
        let read = async |mut redis: MultiplexedConnection| {
            redis::cmd("GET").arg(PROBE_KEY).query_async::<Option<String>>(&mut redis).await
        };
        // The link notes a failure.
        let _ = self.call(read).await;
        self.is_available()
    }

    /// Messages of the channel and recoveries, from now on.
    pub fn events(&self, channel: Channel) -> broadcast::Receiver<RedisEvent> {
        self.0.listeners.events(channel)
    }

    /// Changes with each recovery.
    pub fn recoveries(&self) -> watch::Receiver<()> {
        self.0.listeners.recoveries()
    }

    /// The connection, for commands of operators.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        loop {
            match &*self.0.opened.load() {
                Some(opened) => return Ok(opened.connection.clone()),
                None => self.0.open().await?,
            }
        }
    }

    /// Makes a call with a time limit; refuses it while the breaker is open.
    pub async fn call<T: FromRedisValue>(
        &self,
        call: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Unavailable> {
        let Some(opened) = self.0.opened.load_full().filter(|_| self.is_available()) else {
            return Err(Unavailable);
        };
        let failure = match timeout(CALL_TIMEOUT, call(opened.connection.clone())).await {
            Ok(Ok(answer)) => return Ok(answer),
            // The account lacks this right; others may do. The probe has shown that it can lock.
            Ok(Err(error)) if is_denied(&error) => {
                self.0.denied(&error);
                return Err(Unavailable);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        // The failure of a connection that has been replaced meanwhile says nothing about the new one.
        if self.0.is_current(opened.number) {
            self.0.unavailable(&failure);
        }
        Err(Unavailable)
    }
}

/// Whether the account lacks the right to do this.
fn is_denied(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
}

fn timed_out<E>(_: E) -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Moves to the server that sentinels tell, while the one in use still answers.
async fn follow(shared: Weak<Shared>) {
    loop {
        sleep(ASKED_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        if !shared.available.load(Ordering::Relaxed) {
            continue;
        }
        let Ok(client) = shared.find().await else { continue };
        let moved = shared.opened.load().as_ref().is_some_and(|opened| opened.server != address_of(&client));
        if moved && shared.open_at(&client).await.is_ok() {
            tracing::info!(server = address_of(&client), "Redis has another primary");
            shared.listeners.recovered();
        }
    }
}

fn address_of(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}

impl Shared {
    fn denied(&self, error: &RedisError) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.insert(error.to_string()) {
            tracing::warn!(%error, "Redis denies a command: continuing without it");
        }
    }

    fn is_current(&self, number: u64) -> bool {
        self.opened.load().as_ref().is_some_and(|opened| opened.number == number)
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
                    if shared.open().await.is_ok() {
                        shared.available.store(true, Ordering::Relaxed);
                        tracing::info!("Redis available again: using the lock between instances");
                        shared.listeners.recovered();
                        return;
                    }
                }
            });
        }
    }

    /// The connection has ended: an instance without calls would go on without messages.
    fn ended(self: &Arc<Self>, number: u64) {
        if !self.is_current(number) || !self.available.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            let Some(shared) = shared.upgrade() else { return };
            match shared.open().await {
                Ok(()) => shared.listeners.recovered(),
                Err(error) => shared.unavailable(&error.to_string()),
            }
        });
    }

    /// Replaces the connection by a new one that has taken a write; an old one may hang half-open, or lead to a
    /// server that has become a read-only replica. Sentinels are asked and host names resolved again. A Redis that
    /// answers but refuses writes (a replica, out of memory, a failed save) is of no use for locks.
    ///
    /// Without the right to subscribe, locks and workers poll.
    async fn open(self: &Arc<Self>) -> Result<(), RedisError> {
        self.open_at(&self.find().await?).await
    }

    async fn find(&self) -> Result<Client, RedisError> {
        timeout(FIND_TIMEOUT, self.primary.find()).await.map_err(timed_out)?
    }

    async fn open_at(self: &Arc<Self>, client: &Client) -> Result<(), RedisError> {
        let number = self.tried.fetch_add(1, Ordering::Relaxed);
        let connect = self.connect(client, number);
        let connection = timeout(2 * CALL_TIMEOUT, connect).await.map_err(timed_out)??;
        self.opened.store(Some(Arc::new(Opened { number, server: address_of(client), connection })));
        Ok(())
    }

    async fn connect(
        self: &Arc<Self>,
        client: &Client,
        number: u64,
    ) -> Result<MultiplexedConnection, RedisError> {
        let shared = Arc::downgrade(self);
        let push = move |push: PushInfo| {
            if let Some(shared) = shared.upgrade() {
                shared.pushed(push, number);
            }
            Ok::<(), SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CALL_TIMEOUT))
            .set_response_timeout(Some(CALL_TIMEOUT))
            .set_push_sender(push);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut probe = redis::cmd("SET");
        probe.arg(PROBE_KEY).arg(1).arg("PX").arg(PROBE_TTL.as_millis() as u64);
        probe.query_async::<()>(&mut connection).await?;
        DELETE.key(PROBE_KEY).invoke_async::<()>(&mut connection).await?;
        match connection.subscribe(&Channel::ALL.map(Channel::name)).await {
            Err(error) if is_denied(&error) => self.denied(&error),
            subscribed => subscribed?,
        }
        Ok(connection)
    }

    fn pushed(self: &Arc<Self>, push: PushInfo, number: u64) {
        if push.kind == PushKind::Disconnection {
            self.ended(number);
        } else if let Some(message) = Msg::from_push_info(push)
            && let Ok(payload) = message.get_payload()
        {
            self.listeners.message(message.get_channel_name(), payload);
        }
    }
}
