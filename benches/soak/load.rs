//! The load: what callers, crawlers and operators do, at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::cluster::{Cluster, Node};

/// A request of a caller.
#[derive(Clone, Copy)]
enum Call {
    /// Reads the list.
    Fast,
    /// Reads the list as the page does.
    ByCareers,
    /// Reads the state.
    Status,
    /// A trigger without a change.
    Unchanged,
    /// A trigger after the user's career has changed.
    Changed,
    /// A trigger whose caller does not wait.
    Background,
}

/// In turn. A fifth changes lists, a quarter finds that there is nothing to do, half reads.
const MIX: [Call; 20] = {
    use Call::{Background, ByCareers, Changed, Fast, Status, Unchanged};
    [
        Fast, Unchanged, Changed, Fast, ByCareers, Unchanged, Fast, Changed, Fast, Status, Fast, Unchanged,
        Changed, Fast, ByCareers, Unchanged, Changed, Fast, Background, Unchanged,
    ]
};
/// Listings that a crawler changes at once.
const CRAWLED: i64 = 50;
/// The time between two changes by the crawler.
const CRAWL: Duration = Duration::from_secs(5);
/// Batches of a soak.
const BATCHES: u32 = 6;

/// The callers of one instance.
pub struct Load {
    cluster: Arc<Cluster>,
    address: String,
    client: Client,
    next: AtomicU64,
    /// Users whose career has just changed.
    changed: Mutex<mpsc::Receiver<i64>>,
    window: std::sync::Mutex<Window>,
    requests: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
}

/// The answers since the last look.
#[derive(Default)]
pub struct Window {
    /// Milliseconds until each answer.
    pub times: Vec<f64>,
    pub failed: u64,
}

/// The end of a soak.
pub struct End {
    pub requests: u64,
    pub failed: u64,
    pub batches: u64,
    /// Users who still wait for a worker a while after the last request.
    pub left_over: i64,
}

impl Load {
    pub fn new(cluster: Arc<Cluster>, instance: &Node) -> Arc<Self> {
        let (sender, changed) = mpsc::channel(32);
        tokio::spawn(change_careers(cluster.clone(), sender));
        Arc::new(Self {
            cluster,
            address: instance.address().to_owned(),
            client: Client::new(),
            next: AtomicU64::default(),
            changed: Mutex::new(changed),
            window: std::sync::Mutex::default(),
            requests: AtomicU64::default(),
            failed: AtomicU64::default(),
            is_over: AtomicBool::default(),
        })
    }

    /// Requests per second of so many callers who call again as soon as they have their answer.
    pub async fn maximum(self: &Arc<Self>, callers: usize, time: Duration) -> f64 {
        let (begun, before) = (Instant::now(), self.requests.load(Ordering::Relaxed));
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let load = self.clone();
            tasks.spawn(async move {
                while begun.elapsed() < time {
                    load.call(Instant::now()).await;
                }
            });
        }
        tasks.join_all().await;
        (self.requests.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64()
    }

    /// Requests at a fixed rate, whether or not earlier ones have been answered; a crawler; and a batch now and then.
    pub async fn run(self: &Arc<Self>, instance: &Node, rate: f64, time: Duration) -> End {
        let (requests, failed) = (self.requests.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let calls = async {
            self.open(rate, time).await;
            self.is_over.store(true, Ordering::Relaxed);
        };
        let (batches, crawl) = (self.batches(instance, time / BATCHES), self.crawl());
        let ((), batches, ()) = tokio::join!(calls, batches, crawl);
        End {
            requests: self.requests.load(Ordering::Relaxed) - requests,
            failed: self.failed.load(Ordering::Relaxed) - failed,
            batches,
            left_over: self.left_over(instance).await,
        }
    }

    /// Whether all requests have been answered; a batch may still go on.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    async fn open(self: &Arc<Self>, rate: f64, time: Duration) {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for number in 0.. {
            let due = Duration::from_secs_f64(f64::from(number) / rate);
            if due >= time {
                break;
            }
            tokio::time::sleep_until((begun + due).into()).await;
            let load = self.clone();
            tasks.spawn(async move { load.call(begun + due).await });
            while tasks.try_join_next().is_some() {}
        }
        tasks.join_all().await;
    }

    async fn batches(&self, instance: &Node, interval: Duration) -> u64 {
        let mut batches = 0;
        while !self.is_over() {
            let begun = Instant::now();
            let batch = self.cluster.trigger(instance).await;
            self.cluster.finished(instance, batch).await;
            batches += 1;
            while begun.elapsed() < interval && !self.is_over() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        batches
    }

    async fn crawl(&self) {
        let mut first = 1;
        while !self.is_over() {
            first = self.cluster.touch_listings(first, CRAWLED).await;
            tokio::time::sleep(CRAWL).await;
        }
    }

    /// Waits until no user is due any more, but not long.
    async fn left_over(&self, instance: &Node) -> i64 {
        let begun = Instant::now();
        loop {
            let queue = self.cluster.status(instance).await["queue"].take();
            let due = queue["dueInRealTime"].as_i64().expect("a number");
            let due = due + queue["dueInBatch"].as_i64().expect("a number");
            if due == 0 || begun.elapsed() > Duration::from_secs(60) {
                return due;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The next request of the mix. Its time counts from the moment at which it was due.
    async fn call(&self, due: Instant) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let call = MIX[number as usize % MIX.len()];
        // Odd ids: `change_careers` has the even ones.
        let user = (number as i64 * 2) % self.cluster.users + 1;
        let succeeded = match call {
            Call::Fast => self.send(Method::GET, &format!("fast/{user}?limit=50")).await,
            Call::ByCareers => self.send(Method::GET, &format!("by-careers/{user}")).await,
            Call::Status => self.send(Method::GET, &format!("status/{user}")).await,
            Call::Unchanged => self.send(Method::POST, &format!("calculate/{user}")).await,
            Call::Background => self.send(Method::POST, &format!("calculate/{user}?background=true")).await,
            Call::Changed => {
                let user = self.changed.lock().await.recv().await.expect("careers change without end");
                self.send(Method::POST, &format!("calculate/{user}")).await
            }
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
        let mut window = self.window.lock().expect("not poisoned");
        window.times.push(due.elapsed().as_secs_f64() * 1e3);
        window.failed += u64::from(!succeeded);
    }

    async fn send(&self, method: Method, path: &str) -> bool {
        let url = format!("{}/api/job-agent/recommendations/{path}", self.address);
        let Ok(answer) = self.client.request(method, url).send().await else { return false };
        answer.json::<Value>().await.is_ok_and(|answer| answer["success"] == true)
    }

    /// The answers since the last call of this function.
    pub fn take_window(&self) -> Window {
        std::mem::take(&mut self.window.lock().expect("not poisoned"))
    }
}

/// Changes the careers of the users with even ids, ahead of the callers.
async fn change_careers(cluster: Arc<Cluster>, changed: mpsc::Sender<i64>) {
    for number in 0.. {
        let user = (2 * number) % cluster.users + 2;
        cluster.change_career(user).await;
        if changed.send(user).await.is_err() {
            return;
        }
    }
}
