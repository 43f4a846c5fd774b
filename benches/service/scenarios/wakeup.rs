//! A request that waits for a user's lock, which another process releases: how soon it has the lock.

use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use job_agent::coordination::Channel;
use redis::Script;
use redis::aio::{MultiplexedConnection, PubSub};

use crate::client::Client;
use crate::load::Calls;
use crate::report::{Bound, Case, Figures, Measure, Spread};
use crate::stage::{Stage, redis_connection};

const KEYS: &str = "job_recommendation_lock:user:";

/// Redis tells when the waiter sets the key.
pub async fn measure(stage: &Stage, scenario: &str) -> Vec<Case> {
    let service = stage.start(&stage.link(), &[]).await;
    stage.settle(&service, stage.options.users).await;
    let mut waiting = Waiting::prepare(stage, Client::connect(&service.address).await).await;
    let samples = if stage.options.quick { 5 } else { 100 };
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..stage.options.course.rounds {
        let mut calls = Calls::new();
        for sample in 0..samples {
            let user = 1 + sample as i64 % stage.options.users;
            calls.record(waiting.sample(user).await, true);
        }
        p50.push(calls.millis(0.5));
        p99.push(calls.millis(0.99));
    }
    let p50 = Spread::of(p50);
    let figures = Figures { p50: Some(p50), p99: Some(Spread::of(p99)), ..Figures::of("service", p50) };
    let figures = figures.want(Measure::P50, Bound::AtMost(5.0)).want(Measure::P99, Bound::AtMost(20.0));
    vec![Case::new(scenario, "release to lock", "ms", vec![figures])]
}

struct Waiting {
    redis: MultiplexedConnection,
    events: PubSub,
    release: Script,
    client: Option<Client>,
}

impl Waiting {
    async fn prepare(stage: &Stage, client: Client) -> Self {
        let mut redis = redis_connection(&stage.redis).await;
        let mut config = redis::cmd("CONFIG");
        config.arg("SET").arg("notify-keyspace-events").arg("K$");
        let () = config.query_async(&mut redis).await.expect("set");
        let listener = redis::Client::open(stage.redis.as_str()).expect("a URL");
        let mut events = listener.get_async_pubsub().await.expect("connected");
        events.psubscribe(format!("__keyspace@*__:{KEYS}*")).await.expect("subscribed");
        let release = Script::new(include_str!("../../../src/coordination/lock/release.lua"));
        Self { redis, events, release, client: Some(client) }
    }

    /// From the release until the waiter has set the key.
    async fn sample(&mut self, user: i64) -> Duration {
        let key = format!("{KEYS}{user}");
        let token = "bench";
        // Renamed, so that the only SET of this key is the waiter's.
        let mut hold = redis::pipe();
        hold.set("bench_token", token).ignore().rename("bench_token", &key).ignore();
        let () = hold.query_async(&mut self.redis).await.expect("set");
        let before = self.sets().await;
        let mut client = self.client.take().expect("given back");
        let call = tokio::spawn(async move {
            client.post(&format!("/api/job-agent/recommendations/calculate/{user}")).await;
            client
        });
        // The waiter has tried; at its next poll, in 100 ms or more, it would try again without a message.
        while self.sets().await == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50))).await;
        self.forget_events();
        let released = Instant::now();
        let mut script = self.release.prepare_invoke();
        script.key(&key).arg(token).arg(Channel::Released.name()).arg(user);
        let deleted: i64 = script.invoke_async(&mut self.redis).await.expect("Redis answers");
        assert_eq!(deleted, 1);
        self.is_set(&key).await;
        let took = released.elapsed();
        self.client = Some(call.await.expect("no panic"));
        took
    }

    /// Those of other users, and of earlier runs.
    fn forget_events(&mut self) {
        let mut messages = self.events.on_message();
        while let Some(Some(_)) = messages.next().now_or_never() {}
    }

    /// Waits for the next SET of the key.
    async fn is_set(&mut self, key: &str) {
        let mut messages = self.events.on_message();
        while let Some(message) = messages.next().await {
            let is_of_key = message.get_channel_name().ends_with(&format!("__:{key}"));
            if is_of_key && message.get_payload::<String>().is_ok_and(|event| event == "set") {
                return;
            }
        }
        panic!("Redis has closed the connection");
    }

    /// SET commands so far, also those that found the key.
    async fn sets(&mut self) -> u64 {
        let mut info = redis::cmd("INFO");
        let text: String =
            info.arg("commandstats").query_async(&mut self.redis).await.expect("Redis answers");
        let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls="));
        calls.and_then(|calls| calls.split(',').next()?.parse().ok()).unwrap_or_default()
    }
}
