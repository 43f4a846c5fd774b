//! A Redis that answers and is of no use: read-only, out of memory, or with rights withheld; and Redis over TLS.

use std::time::Duration;

use job_agent::coordination::{Instance, RedisAddress, RedisLink, RedisLockConfig, RedisUserLock, UserLocks};
use job_agent::domain::UserId;

use crate::support::{RedisServer, USER, eventually};

const WAIT: Duration = Duration::from_secs(10);

fn user() -> UserId {
    USER.try_into().unwrap()
}

async fn lock_at(address: &RedisAddress) -> RedisUserLock {
    let link = RedisLink::connect(address).await.unwrap();
    RedisUserLock::new(
        link,
        RedisLockConfig { ttl: Duration::from_secs(300), instance: Instance::new("test") },
    )
}

/// How many SETs the server has refused.
async fn refused_sets(redis: &RedisServer) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]).await.unwrap();
    let set = stats.lines().find(|line| line.starts_with("cmdstat_set:")).unwrap_or_default();
    let count = |name: &str| {
        set.split([',', ':'])
            .find_map(|pair| pair.trim().strip_prefix(name)?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    count("rejected_calls=") + count("failed_calls=")
}

/// Redis refuses writes after `refuse` and takes them again after `accept`.
async fn a_redis_that_refuses_writes_counts_as_unavailable(refuse: &[&str], accept: &[&str]) {
    let redis = RedisServer::start().await;
    let lock = lock_at(&RedisAddress::from_url(&redis.url()).unwrap()).await;
    let locks = UserLocks::new(Some(lock.clone()), WAIT);
    locks.acquire(user()).await.unwrap().release().await;
    redis.command(refuse).await;
    locks.acquire(user()).await.expect("a run goes on without the lock").release().await;
    assert!(!lock.is_available());
    // It answers PING all the time; only a probe that writes keeps the breaker open.
    let before = refused_sets(&redis).await;
    eventually("Redis has refused three writes of the probe", || async {
        assert!(!lock.is_available(), "Redis counts as available although it refuses writes");
        refused_sets(&redis).await >= before + 3
    })
    .await;
    redis.command(accept).await;
    eventually("Redis is used again", || async { lock.is_available() }).await;
    let guard = locks.acquire(user()).await.unwrap();
    assert!(redis.lock_of(USER).await.is_some());
    guard.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_replica_counts_as_unavailable_until_it_is_promoted() {
    let refuse = ["REPLICAOF", "127.0.0.1", "1"];
    a_redis_that_refuses_writes_counts_as_unavailable(&refuse, &["REPLICAOF", "NO", "ONE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_counts_as_unavailable_until_it_has_some() {
    let refuse = ["CONFIG", "SET", "maxmemory", "1"];
    a_redis_that_refuses_writes_counts_as_unavailable(&refuse, &["CONFIG", "SET", "maxmemory", "0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_channels_has_locks_that_work_by_their_poll() {
    let redis = RedisServer::start().await;
    let rights = [
        "~job_recommendation_lock:*",
        "+ping",
        "+hello",
        "+set",
        "+get",
        "+del",
        "+eval",
        "+evalsha",
        "+script|load",
    ];
    redis
        .command(&[&["ACL", "SETUSER", "agent", "on", ">secret", "resetchannels"], &rights[..]].concat())
        .await;
    let address = RedisAddress::from_url(&redis.url()).unwrap().login(Some("agent"), "secret");
    let (one, other) = (lock_at(&address).await, lock_at(&address).await);
    assert!(one.is_available() && other.is_available());
    let guard = UserLocks::new(Some(one.clone()), WAIT).acquire(user()).await.unwrap();
    assert!(redis.lock_of(USER).await.is_some());
    let locks = UserLocks::new(Some(other.clone()), WAIT);
    let waiter = tokio::spawn(async move { locks.acquire(user()).await.unwrap().release().await });
    guard.release().await;
    waiter.await.unwrap();
    assert_eq!(redis.lock_of(USER).await, None, "the release deletes the key without the right to publish");
    assert!(one.is_available() && other.is_available(), "a denied command is no outage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_tls_is_trusted_by_its_own_certificate_authority() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let redis =
        RedisServer::start_with_tls(&certified.cert.pem(), &certified.signing_key.serialize_pem()).await;
    let address = RedisAddress::new("localhost", redis.tls_port(), true).unwrap();
    let stranger = lock_at(&address).await;
    assert!(!stranger.is_available(), "an unknown authority is not trusted");
    let lock = lock_at(&address.trusting(certified.cert.pem().into_bytes())).await;
    // On a busy machine, the first connection may take longer than it is given.
    eventually("the lock is available", async || lock.is_available()).await;
    let guard = UserLocks::new(Some(lock), WAIT).acquire(user()).await.unwrap();
    assert!(redis.lock_of(USER).await.is_some());
    guard.release().await;
}
