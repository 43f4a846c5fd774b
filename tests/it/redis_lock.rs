//! The lock between instances, on a real Redis.

use std::time::{Duration, Instant};

use job_agent::coordination::{
    Busy, Instance, RedisAddress, RedisLink, RedisLockConfig, RedisUserLock, UserLocks,
};
use job_agent::domain::UserId;

use crate::support::{Kind, RedisServer, TestApp, TestDatabase, TestProcess, USER, eventually, on_servers};

on_servers!(
    a_run_holds_the_key_with_its_time_to_live_and_deletes_it,
    a_key_that_another_client_overwrote_stays,
    a_run_that_has_waited_for_the_lock_reads_what_is_current_then,
    requests_go_on_without_redis_and_use_it_again_when_it_is_back,
);

fn user() -> UserId {
    USER.try_into().unwrap()
}

async fn lock(redis: &RedisServer, name: &str) -> RedisUserLock {
    let address = RedisAddress::from_url(&redis.url()).unwrap();
    let link = RedisLink::connect(&address).await.unwrap();
    RedisUserLock::new(link, RedisLockConfig { ttl: Duration::from_secs(300), instance: Instance::new(name) })
}

async fn locks(redis: &RedisServer, wait: Duration) -> UserLocks {
    UserLocks::new(Some(lock(redis, "test").await), wait)
}

const WAIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_instances_holds_the_lock_and_the_other_gives_up_knowing_the_holder() {
    let redis = RedisServer::start().await;
    let (one, other) = (locks(&redis, WAIT).await, locks(&redis, Duration::ZERO).await);
    let guard = one.acquire(user()).await.unwrap();
    let holder = redis.lock_of(USER).await.unwrap();
    assert!(holder.starts_with(&format!("test:{}:20", std::process::id())), "{holder}");
    assert_eq!(other.acquire(user()).await.unwrap_err(), Busy { holder: Some(holder) });
    let _different_user = other.acquire(2.try_into().unwrap()).await.unwrap();
    guard.release().await;
    assert_eq!(redis.lock_of(USER).await, None);
    other.acquire(user()).await.unwrap().release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_is_woken_by_the_release_and_not_by_its_poll() {
    let redis = RedisServer::start().await;
    let (one, other) = (locks(&redis, WAIT).await, locks(&redis, WAIT).await);
    let mut quick = 0;
    for _ in 0..10 {
        let guard = one.acquire(user()).await.unwrap();
        let (other, read) = (other.clone(), redis.calls("get").await);
        let waiter = tokio::spawn(async move {
            let guard = other.acquire(user()).await.unwrap();
            let acquired = Instant::now();
            guard.release().await;
            acquired
        });
        // It subscribes before it tries. Right after the first try it reads the holder's name, for its log.
        eventually("the waiter has tried", || async { redis.calls("get").await > read }).await;
        let released = Instant::now();
        guard.release().await;
        quick += usize::from(waiter.await.unwrap() - released < Duration::from_millis(50));
    }
    // The poll alone comes after 100 to 200 ms: it would be quick about one time in three.
    assert!(quick >= 8, "{quick} of 10 were woken within 50 ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_not_announced_is_found_by_the_poll() {
    let redis = RedisServer::start().await;
    let locks = locks(&redis, WAIT).await;
    redis.command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "silent"]).await;
    let waiter = tokio::spawn(async move { locks.acquire(user()).await.unwrap().release().await });
    redis.command(&["DEL", &format!("job_recommendation_lock:user:{USER}")]).await;
    tokio::time::timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_guard_and_a_cancelled_acquisition_leave_no_key() {
    let redis = RedisServer::start().await;
    let locks = locks(&redis, WAIT).await;
    drop(locks.acquire(user()).await.unwrap());
    eventually("the key is gone", || async { redis.lock_of(USER).await.is_none() }).await;
    for micros in (0..2_000).step_by(40) {
        let acquired = tokio::time::timeout(Duration::from_micros(micros), locks.acquire(user())).await;
        drop(acquired);
    }
    locks.close().await;
    eventually("no key is left", || async { redis.lock_of(USER).await.is_none() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_release_failed_is_released_when_redis_answers_again() {
    let redis = RedisServer::start().await;
    let lock = lock(&redis, "test").await;
    let locks = UserLocks::new(Some(lock.clone()), WAIT);
    let guard = locks.acquire(user()).await.unwrap();
    redis.command(&["CLIENT", "PAUSE", "1500", "ALL"]).await;
    guard.release().await;
    assert!(!lock.is_available());
    eventually("the key is released", || async { redis.lock_of(USER).await.is_none() }).await;
    eventually("Redis is used again", || async { lock.is_available() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_costs_one_short_time_out_and_then_nothing() {
    let redis = RedisServer::start().await;
    let locks = locks(&redis, WAIT).await;
    redis.command(&["CLIENT", "PAUSE", "5000", "ALL"]).await;
    let started = Instant::now();
    for id in 1..=50 {
        locks.acquire(id.try_into().unwrap()).await.unwrap().release().await;
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

async fn a_run_holds_the_key_with_its_time_to_live_and_deletes_it(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url), ("INSTANCE_NAME", "seoul-1")]).await;
    let holder = hold_back_a_run(&database, &app).await;
    eventually("the key is set", || async { redis.lock_of(USER).await.is_some() }).await;
    assert!(redis.lock_of(USER).await.unwrap().starts_with("seoul-1:"));
    let client = redis.client();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("job_recommendation_lock:user:{USER}");
    let ttl: i64 = redis::cmd("TTL").arg(key).query_async(&mut connection).await.unwrap();
    assert!((200..=300).contains(&ttl), "{ttl}");
    holder.rollback().await.unwrap();
    eventually("the key is deleted", || async { redis.lock_of(USER).await.is_none() }).await;
    eventually("the run is done", || async { database.stored_careers(USER).await == ["간호사"] }).await;
}

async fn a_key_that_another_client_overwrote_stays(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url)]).await;
    let holder = hold_back_a_run(&database, &app).await;
    eventually("the key is set", || async { redis.lock_of(USER).await.is_some() }).await;
    redis.command(&["SET", &format!("job_recommendation_lock:user:{USER}"), "an intruder"]).await;
    holder.rollback().await.unwrap();
    eventually("the run is done", || async { database.stored_careers(USER).await == ["간호사"] }).await;
    app.stop().await;
    assert_eq!(redis.lock_of(USER).await.as_deref(), Some("an intruder"));
}

/// It reads while it asks for the lock; what it has read then is not for those who join it while it waits.
async fn a_run_that_has_waited_for_the_lock_reads_what_is_current_then(database: TestDatabase) {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let app = TestApp::start(&database, &[("REDIS_URL", &url)]).await;
    database.set_career(USER, "백엔드 개발자").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    let key = format!("job_recommendation_lock:user:{USER}");
    redis.command(&["SET", &key, "another instance"]).await;
    let asked = redis.calls("get").await;
    let change_and_join = async {
        eventually("the run waits for the lock", || async { redis.calls("get").await > asked }).await;
        database.set_career(USER, "간호사").await;
        let release = async {
            redis.command(&["DEL", &key]).await;
        };
        tokio::join!(app.calculate(USER), release).0
    };
    let (first, second) = tokio::join!(app.calculate(USER), change_and_join);
    assert_eq!(first.outcome(), "computed");
    assert!(["computed", "up_to_date"].contains(&second.outcome()), "{}", second.outcome());
    assert_eq!(database.stored_careers(USER).await, ["간호사"]);
}

/// A user with a list, and a background run with other inputs that waits for one of the user's rows until the
/// returned transaction ends.
async fn hold_back_a_run(database: &TestDatabase, app: &TestApp) -> sqlx::Transaction<'static, sqlx::MySql> {
    database.set_career(USER, "백엔드 개발자").await;
    assert_eq!(app.calculate(USER).await.outcome(), "computed");
    database.set_career(USER, "간호사").await;
    let holder = database.hold_a_row(USER).await;
    assert_eq!(app.calculate_in_background(USER).await.status, 202);
    holder
}

async fn requests_go_on_without_redis_and_use_it_again_when_it_is_back(database: TestDatabase) {
    let mut redis = RedisServer::start().await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("RUST_LOG", "info,job_agent=debug")];
    let process = TestProcess::start(&database, &settings).await;
    let client = reqwest::Client::new();
    let calculate = async |user: i64| {
        database.set_career(user, "간호사").await;
        let url = format!("{}/api/job-agent/recommendations/calculate/{user}", process.address);
        let started = Instant::now();
        let answer: serde_json::Value = client.post(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        started.elapsed()
    };
    calculate(USER).await;
    assert_eq!(process.events("lock acquired").len(), 1);
    assert_eq!(process.events("lock released").len(), 1);

    redis.stop();
    for user in USER + 1..USER + 11 {
        let took = calculate(user).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!(process.events("Redis unavailable").len(), 1, "one warning per outage");
    assert_eq!(process.events("lock acquired").len(), 1);

    redis.start_again().await;
    eventually("Redis is used again", || async { process.events("Redis available again").len() == 1 }).await;
    calculate(USER + 20).await;
    assert_eq!(process.events("lock acquired").len(), 2);

    redis.stop();
    calculate(USER + 21).await;
    assert_eq!(process.events("Redis unavailable").len(), 2, "a new outage, a new warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_at_the_start_is_used_when_it_comes() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let mut redis = RedisServer::start().await;
    redis.stop();
    let url = redis.url();
    let process = TestProcess::start(&database, &[("REDIS_URL", &url)]).await;
    assert_eq!(process.events("Redis unavailable").len(), 1);
    redis.start_again().await;
    eventually("Redis is used", || async { process.events("Redis available again").len() == 1 }).await;
}
