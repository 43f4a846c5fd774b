//! Tells idle workers that there is work: workers of this process directly, those of other instances over
//! Redis. A wake-up is only a hint: workers also poll, and so find work whose wake-up was lost.

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::channels::{Channel, RedisEvent};
use super::redis_link::RedisLink;
use crate::domain::Lane;

/// The wake-ups of this process; it needs one only.
#[derive(Debug)]
pub struct Wakeups {
    real_time: Notify,
    batch: Notify,
    opened: Notify,
    redis: Option<RedisLink>,
    tasks: TaskTracker,
}

impl Wakeups {
    /// `tasks` tracks announcements on their way.
    pub fn new(redis: Option<RedisLink>, tasks: TaskTracker) -> Self {
        let (real_time, batch, opened) = Default::default();
        Self { real_time, batch, opened, redis, tasks }
    }

    /// Tells idle workers of all instances that users of this lane are due.
    pub fn announce(&self, lane: Lane) {
        self.notify(lane);
        self.publish(lane_name(lane));
    }

    /// Tells all instances that a batch has been opened.
    pub fn announce_batch(&self) {
        self.opened.notify_one();
        self.publish("opened");
    }

    /// Returns once users of the lane have become due since the last call.
    pub async fn wait(&self, lane: Lane) {
        self.of(lane).notified().await;
    }

    /// Returns once a batch has been opened since the last call.
    pub async fn wait_for_batch(&self) {
        self.opened.notified().await;
    }

    /// Passes on what other instances announce, until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        let Some(redis) = &self.redis else { return stop.cancelled().await };
        let mut events = redis.events(Channel::Due);
        while let Some(event) = stop.run_until_cancelled(events.recv()).await {
            match event {
                Ok(RedisEvent::Message(message)) => match message.as_str() {
                    "real-time" => self.notify(Lane::RealTime),
                    "batch" => self.notify(Lane::Batch),
                    _ => self.opened.notify_one(),
                },
                Ok(RedisEvent::Recovered) | Err(RecvError::Lagged(_)) => {
                    self.notify(Lane::RealTime);
                    self.notify(Lane::Batch);
                    self.opened.notify_one();
                }
                // The link lives as long as this does.
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Waits for announcements on their way.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn of(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::RealTime => &self.real_time,
            Lane::Batch => &self.batch,
        }
    }

    /// Has one idle worker of this process look for work.
    pub fn notify(&self, lane: Lane) {
        self.of(lane).notify_one();
    }

    /// Publishes in a task: an outage of Redis must not slow a trigger down.
    fn publish(&self, what: &'static str) {
        if let Some(redis) = self.redis.clone() {
            self.tasks.spawn(async move {
                let publish = async |mut redis| {
                    redis::cmd("PUBLISH")
                        .arg(Channel::Due.name())
                        .arg(what)
                        .query_async::<i64>(&mut redis)
                        .await
                };
                // The link has logged a failure, and the workers' poll finds the work.
                let _ = redis.call(publish).await;
            });
        }
    }
}

fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::RealTime => "real-time",
        Lane::Batch => "batch",
    }
}
