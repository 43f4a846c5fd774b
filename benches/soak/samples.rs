//! What is looked at during a soak.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;

use super::cluster::{Cluster, Node};
use super::load::Load;

/// Samples of a soak, however long it is, and the shortest time between two.
const COUNT: u32 = 360;
const SHORTEST: Duration = Duration::from_secs(2);

/// One look at the instance.
#[derive(Clone, Default)]
pub struct Sample {
    /// Since the begin of the load.
    pub seconds: f64,
    /// Resident memory, MiB.
    pub memory: f64,
    /// Processors in use since the last sample.
    pub processors: f64,
    /// Open descriptors, without the connections of callers.
    pub descriptors: f64,
    /// Connections that MySQL counts.
    pub database: f64,
    /// Connections that Redis counts.
    pub redis: f64,
    /// Users who wait for a worker, in real time and in a batch.
    pub real_time: f64,
    pub batch: f64,
    /// Requests per second, and their times in milliseconds, since the last sample.
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    pub failed: f64,
}

/// A number of a sample, with its name.
pub type Column = (&'static str, fn(&Sample) -> f64);

const COLUMNS: [Column; 12] = [
    ("seconds", |sample| sample.seconds),
    ("memory_mib", |sample| sample.memory),
    ("processors", |sample| sample.processors),
    ("descriptors", |sample| sample.descriptors),
    ("database_connections", |sample| sample.database),
    ("redis_connections", |sample| sample.redis),
    ("due_real_time", |sample| sample.real_time),
    ("due_batch", |sample| sample.batch),
    ("requests_per_second", |sample| sample.rate),
    ("p50_ms", |sample| sample.p50),
    ("p99_ms", |sample| sample.p99),
    ("failed", |sample| sample.failed),
];

/// Looks at an instance, MySQL and Redis.
pub struct Sampler {
    cluster: Arc<Cluster>,
    process: u32,
    address: String,
    client: Client,
    redis: redis::aio::MultiplexedConnection,
    begun: Instant,
    last: std::sync::Mutex<(Instant, f64)>,
}

impl Sampler {
    pub async fn new(cluster: Arc<Cluster>, instance: &Node) -> Self {
        let redis = redis::Client::open(cluster.redis()).expect("a URL");
        let begun = Instant::now();
        let process = instance.process();
        Self {
            cluster,
            process,
            address: instance.address().to_owned(),
            client: Client::new(),
            redis: redis.get_multiplexed_async_connection().await.expect("Redis"),
            begun,
            last: std::sync::Mutex::new((begun, processor_seconds(process))),
        }
    }

    /// Waits, and looks.
    pub async fn next(&self, load: &Load, time: Duration) -> Sample {
        tokio::time::sleep((time / COUNT).max(SHORTEST)).await;
        let metrics = self.client.get(format!("{}/metrics", self.address)).send().await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let database = self.cluster.foreign_connections().await;
        let clients: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query_async(&mut self.redis.clone())
            .await
            .expect("an answer of Redis");
        let mut sample = Sample {
            seconds: self.begun.elapsed().as_secs_f64(),
            memory: memory(self.process),
            descriptors: descriptors(self.process) - callers(&self.address),
            database: database as f64,
            // Without the sampler's own.
            redis: clients.lines().count() as f64 - 1.0,
            real_time: value(&metrics, "job_agent_queue_due_users{lane=\"real_time\"}"),
            batch: value(&metrics, "job_agent_queue_due_users{lane=\"batch\"}"),
            ..Sample::default()
        };
        self.since_last(&mut sample, load);
        sample
    }

    fn since_last(&self, sample: &mut Sample, load: &Load) {
        let mut last = self.last.lock().expect("not poisoned");
        let (seconds, used) = (last.0.elapsed().as_secs_f64(), processor_seconds(self.process));
        sample.processors = (used - last.1) / seconds;
        *last = (Instant::now(), used);
        let mut window = load.take_window();
        window.times.sort_by(f64::total_cmp);
        sample.rate = window.times.len() as f64 / seconds;
        sample.p50 = quantile(&window.times, 0.5);
        sample.p99 = quantile(&window.times, 0.99);
        sample.failed = window.failed as f64;
    }
}

/// All samples as text, a line each.
pub fn csv(samples: &[Sample]) -> String {
    let mut text = COLUMNS.map(|(name, _)| name).join(",") + "\n";
    for sample in samples {
        let values = COLUMNS.map(|(_, value)| format!("{:.2}", value(sample)));
        writeln!(text, "{}", values.join(",")).expect("a String takes all");
    }
    text
}

/// Of sorted values; 0 without any.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A series of metrics; 0 if it is absent.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

fn memory(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn descriptors(process: u32) -> f64 {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("it lives").count() as f64
}

/// Connections to an address `http://127.0.0.1:PORT`, counted on its side.
fn callers(address: &str) -> f64 {
    const ESTABLISHED: &str = "01";
    let port: u16 = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let local = format!(":{port:04X}");
    let connections = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let rows = connections.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 3 && row[1].ends_with(&local) && row[3] == ESTABLISHED).count() as f64
}

/// Of the user and of the system, in ticks of 10 ms.
fn processor_seconds(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it lives");
    // The name of the program is in parentheses, and may have blanks.
    let (_, fields) = status.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
