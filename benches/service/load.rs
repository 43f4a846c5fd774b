//! Load: callers in a closed loop, or calls at a fixed rate.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hdrhistogram::Histogram;
use tokio::sync::Mutex;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

/// One connection that makes one call at a time.
#[async_trait]
pub trait Caller: Send {
    /// Makes a call for a user; whether it succeeded.
    async fn call(&mut self, user: i64) -> bool;
}

/// The users of the calls, in order.
#[derive(Clone)]
pub struct Turn {
    waiting: Arc<StdMutex<VecDeque<i64>>>,
    users: usize,
    order: Order,
}

/// How often a user comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Once: a user who was calculated is not changed any more.
    Once,
    /// Again and again, but no two calls at a time are for the same user.
    Apart,
    /// Again and again, also for several calls at a time.
    Any,
}

/// The calls of a measurement.
pub struct Calls {
    /// Microseconds.
    pub times: Histogram<u64>,
    pub failed: u64,
    pub took: Duration,
}

impl Turn {
    /// The users with the ids from 1 to `users`.
    pub fn new(users: i64, order: Order) -> Self {
        let waiting: VecDeque<i64> = (1..=users).collect();
        Self { users: waiting.len(), waiting: Arc::new(StdMutex::new(waiting)), order }
    }

    /// The same users, who have all been called for once.
    pub fn over(users: i64) -> Self {
        let turn = Self::new(users, Order::Once);
        turn.waiting().clear();
        turn
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<i64>> {
        self.waiting.lock().expect("not poisoned")
    }

    fn take(&self) -> Option<i64> {
        let mut waiting = self.waiting();
        let user = waiting.pop_front()?;
        if self.order == Order::Any {
            waiting.push_back(user);
        }
        Some(user)
    }

    fn give_back(&self, user: i64) {
        if self.order == Order::Apart {
            self.waiting().push_back(user);
        }
    }

    /// The number of users who have been called for once: those with the lowest ids.
    pub fn taken(&self) -> i64 {
        (self.users - self.waiting().len()) as i64
    }
}

impl Calls {
    /// None yet.
    pub fn new() -> Self {
        let times = Histogram::new_with_bounds(1, 120_000_000, 3).expect("valid bounds");
        Self { times, failed: 0, took: Duration::ZERO }
    }

    /// Adds a call.
    pub fn record(&mut self, took: Duration, succeeded: bool) {
        self.times.saturating_record(took.as_micros() as u64);
        self.failed += u64::from(!succeeded);
    }

    fn add(&mut self, other: &Self) {
        self.times.add(&other.times).expect("equal bounds");
        self.failed += other.failed;
    }

    /// Calls per second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds within which a share of the calls was answered.
    pub fn millis(&self, share: f64) -> f64 {
        self.times.value_at_quantile(share) as f64 / 1e3
    }
}

/// Every caller calls again as soon as it has its answer, for `time` or until the users are used up.
pub async fn closed(callers: &mut Vec<Box<dyn Caller>>, turn: &Turn, time: Duration) -> Calls {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut caller in std::mem::take(callers) {
        let turn = turn.clone();
        tasks.spawn(async move {
            let mut calls = Calls::new();
            while started.elapsed() < time
                && let Some(user) = turn.take()
            {
                let began = Instant::now();
                let succeeded = caller.call(user).await;
                calls.record(began.elapsed(), succeeded);
                turn.give_back(user);
            }
            (caller, calls)
        });
    }
    gather(tasks, callers, started).await
}

/// Calls begin `rate` times a second, whether or not earlier ones have been answered. A time counts from the moment at
/// which the call should have begun, also if all callers were busy then.
pub async fn open(callers: &mut Vec<Box<dyn Caller>>, turn: &Turn, time: Duration, rate: f64) -> Calls {
    let (due, dues) = unbounded_channel();
    let started = Instant::now();
    // A thread of its own: the timer of the runtime is a millisecond late.
    let clock = std::thread::spawn(move || {
        for number in 0.. {
            let begins = Duration::from_secs_f64(f64::from(number) / rate);
            if begins >= time {
                return;
            }
            std::thread::sleep((started + begins).saturating_duration_since(Instant::now()));
            let _ = due.send(started + begins);
        }
    });
    let dues = Arc::new(Mutex::new(dues));
    let mut tasks = JoinSet::new();
    for mut caller in std::mem::take(callers) {
        let (turn, dues) = (turn.clone(), dues.clone());
        tasks.spawn(async move {
            let mut calls = Calls::new();
            loop {
                let due = dues.lock().await.recv().await;
                let Some((due, user)) = due.and_then(|due| Some((due, turn.take()?))) else {
                    return (caller, calls);
                };
                let succeeded = caller.call(user).await;
                calls.record(due.elapsed(), succeeded);
                turn.give_back(user);
            }
        });
    }
    let all = gather(tasks, callers, started).await;
    clock.join().expect("no panic");
    all
}

async fn gather(
    mut tasks: JoinSet<(Box<dyn Caller>, Calls)>,
    callers: &mut Vec<Box<dyn Caller>>,
    started: Instant,
) -> Calls {
    let mut all = Calls::new();
    while let Some(ended) = tasks.join_next().await {
        let (caller, calls) = ended.expect("no panic");
        callers.push(caller);
        all.add(&calls);
    }
    all.took = started.elapsed();
    all
}
