//! Redis with sentinels: locks and wake-ups follow a failover, and no run waits for it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use job_agent::coordination::{
    Instance, RedisAddress, RedisLink, RedisLockConfig, RedisUserLock, Sentinels, UserLocks,
};
use job_agent::domain::UserId;

use crate::support::redis_group::{GROUP, PASSWORD};
use crate::support::{Kind, RedisGroup, TestDatabase, TestProcess, USER, eventually};

const WAIT: Duration = Duration::from_secs(10);
/// Of an acquisition while Redis is away: a time-out of 200 ms, and a busy machine.
const NO_WAIT: Duration = Duration::from_secs(2);

fn user() -> UserId {
    USER.try_into().unwrap()
}

fn address(group: &RedisGroup) -> RedisAddress {
    let sentinels = Sentinels::parse(&group.addresses(), GROUP).unwrap();
    RedisAddress::from_url("redis://nowhere.invalid").unwrap().found_by(sentinels)
}

async fn lock_at(address: &RedisAddress) -> RedisUserLock {
    let link = RedisLink::connect(address).await.unwrap();
    let config = RedisLockConfig { ttl: Duration::from_secs(300), instance: Instance::new("test") };
    RedisUserLock::new(link, config)
}

/// How the primary of a group is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// And the first sentinel with it.
    Killed,
    /// It hangs, and so does the first sentinel.
    Stopped,
    /// It goes on as a replica.
    SwitchedOver,
}

impl Loss {
    async fn happens(self, group: &mut RedisGroup, primary: usize) {
        match self {
            Self::Killed => {
                group.kill_first_sentinel();
                group.servers[primary].stop();
            }
            Self::Stopped => {
                group.stop_first_sentinel();
                group.servers[primary].signal("STOP");
            }
            Self::SwitchedOver => group.switch_over().await,
        }
    }

    /// The old primary comes back.
    async fn ends(self, group: &mut RedisGroup, primary: usize) {
        match self {
            Self::Killed => group.servers[primary].start_again().await,
            Self::Stopped => group.servers[primary].signal("CONT"),
            Self::SwitchedOver => {}
        }
    }
}

async fn the_lock_follows(mut group: RedisGroup, address: RedisAddress, loss: Loss) {
    let (one, other) = (lock_at(&address).await, lock_at(&address).await);
    // On a busy machine, a connection may take longer than it is given.
    eventually("both have found the primary", async || one.is_available() && other.is_available()).await;
    let locks = [&one, &other].map(|lock| UserLocks::new(Some(lock.clone()), WAIT));
    let old = group.primary().await;
    let guard = locks[0].acquire(user()).await.unwrap();
    assert!(group.servers[old].lock_of(USER).await.is_some());
    guard.release().await;

    loss.happens(&mut group, old).await;
    let lost = Instant::now();
    let another = Cell::new(100_000);
    eventually("the lock is on the new primary", async || {
        another.set(another.get() + 1);
        let begun = Instant::now();
        for locks in &locks {
            locks.acquire(another.get().try_into().unwrap()).await.expect("runs go on").release().await;
        }
        assert!(begun.elapsed() < 2 * NO_WAIT, "{loss:?}: {:?}", begun.elapsed());
        let new = group.primary().await;
        new != old && one.is_available() && other.is_available() && {
            let guard = locks[0].acquire(user()).await.unwrap();
            let is_locked = group.servers[new].lock_of(USER).await.is_some();
            guard.release().await;
            is_locked
        }
    })
    .await;
    println!("{loss:?}: locks on the new primary {:?} after the loss of the old one", lost.elapsed());
    shared_again(&group, &locks).await;

    loss.ends(&mut group, old).await;
    eventually("the old primary is a replica", async || group.follows(old).await).await;
    shared_again(&group, &locks).await;
    eventually("both use it", async || one.is_available() && other.is_available()).await;
}

/// One waits for the other, and a message wakes it.
async fn shared_again(group: &RedisGroup, [one, other]: &[UserLocks; 2]) {
    let primary = &group.servers[group.primary().await];
    let mut quick = 0;
    for _ in 0..10 {
        let guard = one.acquire(user()).await.unwrap();
        let (other, read) = (other.clone(), primary.calls("get").await);
        let waiter = tokio::spawn(async move {
            let guard = other.acquire(user()).await.unwrap();
            let acquired = Instant::now();
            guard.release().await;
            acquired
        });
        eventually("the waiter has tried", async || primary.calls("get").await > read).await;
        let released = Instant::now();
        guard.release().await;
        let acquired = waiter.await.unwrap();
        assert!(acquired >= released, "two held the lock");
        quick += usize::from(acquired - released < Duration::from_millis(50));
    }
    // The poll alone comes after 100 to 200 ms.
    assert!(quick >= 7, "{quick} of 10 were woken within 50 ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_follows_when_the_primary_is_killed() {
    let group = RedisGroup::start().await;
    let address = address(&group);
    the_lock_follows(group, address, Loss::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_follows_when_the_primary_hangs() {
    let group = RedisGroup::start().await;
    let address = address(&group);
    the_lock_follows(group, address, Loss::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_follows_when_the_primary_becomes_a_replica() {
    let group = RedisGroup::start().await;
    let address = address(&group);
    the_lock_follows(group, address, Loss::SwitchedOver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_follows_over_tls_and_with_a_password() {
    let group = RedisGroup::start_secured().await;
    let certificate = group.certificate.clone().unwrap().into_bytes();
    let sentinels = Sentinels::parse(&group.addresses(), GROUP).unwrap();
    let address = RedisAddress::from_url(&format!("rediss://:{PASSWORD}@nowhere.invalid")).unwrap();
    let address = address.found_by(sentinels).trusting(certificate);
    the_lock_follows(group, address, Loss::SwitchedOver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trigger_is_answered_through_two_failovers_and_the_lock_works_again() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let mut group = RedisGroup::start().await;
    let addresses = group.addresses();
    let settings = [
        ("REDIS_SENTINELS", addresses.as_str()),
        ("REDIS_SENTINEL_MASTER", GROUP),
        ("RUST_LOG", "info,job_agent=debug"),
    ];
    let process = TestProcess::start(&database, &settings).await;
    let client = reqwest::Client::new();
    let last = Cell::new(USER);
    let calculate = async || {
        let user = last.get() + 1;
        last.set(user);
        database.set_career(user, "간호사").await;
        let url = format!("{}/api/job-agent/recommendations/calculate/{user}", process.address);
        let begun = Instant::now();
        let answer: serde_json::Value = client.post(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        assert!(begun.elapsed() < NO_WAIT, "{:?}", begun.elapsed());
    };
    calculate().await;
    assert_eq!(process.events("lock acquired").len(), 1);
    for loss in [Loss::SwitchedOver, Loss::Killed] {
        let old = group.primary().await;
        loss.happens(&mut group, old).await;
        eventually("the lock is on the new primary", async || {
            let before = process.events("lock acquired").len();
            calculate().await;
            group.primary().await != old && process.events("lock acquired").len() > before
        })
        .await;
        loss.ends(&mut group, old).await;
        eventually("the old primary is a replica", async || group.follows(old).await).await;
    }
    let ready = client.get(format!("{}/health/ready", process.address)).send().await.unwrap();
    assert_eq!(ready.json::<serde_json::Value>().await.unwrap()["redis"], "available");
}
