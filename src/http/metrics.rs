//! `GET /metrics`: for Prometheus. What the database tells is read at most once per few seconds, and with a short time
//! limit: a scrape must neither load the database nor fail with it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ApiState;
use crate::metrics::{CONTENT_TYPE, Metrics, Sample};
use crate::storage::{self, QueueCounts, ReadReplica, Store};

/// How long the counts of the queue are used again.
const MAX_AGE: Duration = Duration::from_secs(5);
/// How long a scrape waits for the database.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads the counts of the queue, and keeps them for a while.
#[derive(Clone, Default)]
pub(super) struct QueueReader(Arc<Mutex<Option<LastRead>>>);

struct LastRead {
    at: Instant,
    /// `None`: the database did not answer.
    counts: Option<QueueCounts>,
}

impl QueueReader {
    async fn counts(&self, store: &dyn Store) -> Option<QueueCounts> {
        let mut last = self.0.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.at.elapsed() < MAX_AGE) {
            return last.counts;
        }
        let counts = storage::within(READ_TIMEOUT, store.queue_counts()).await.ok();
        *last = Some(LastRead { at: Instant::now(), counts });
        counts
    }
}

/// Metrics for Prometheus
///
/// In the text format of OpenMetrics; `docs/operate.md` explains them.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "All metrics.", body = String, content_type = CONTENT_TYPE)),
)]
pub(super) async fn metrics(State((api, queue)): State<(ApiState, QueueReader)>) -> Response {
    let mut sample = Sample::default();
    let version = env!("CARGO_PKG_VERSION");
    sample.gauges("build_info", "The version of the service", "version", &[(version, 1.0)]);
    if let Some(redis) = &api.redis {
        let available = f64::from(u8::from(redis.check().await));
        sample.gauge(
            "redis_available",
            "1 if Redis is used, 0 during an outage; absent without Redis",
            available,
        );
    }
    sample_catalogue(&mut sample, &api);
    let connections = api.store.connections();
    let states = [("idle", connections.idle.into()), ("in_use", connections.in_use.into())];
    sample.gauges("database_connections", "Connections to the database", "state", &states);
    sample.gauge("database_connections_max", "The size of the pool", connections.max.into());
    if let Some(replica) = api.store.read_replica() {
        sample_replica(&mut sample, replica);
    }
    sample_queue(&mut sample, queue.counts(&*api.store).await);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], api.metrics.render(&sample)).into_response()
}

fn sample_replica(sample: &mut Sample, replica: ReadReplica) {
    let available = f64::from(u8::from(replica.available));
    let help = "1 if the read replica is used, 0 during an outage; absent without one";
    sample.gauge("read_replica_available", help, available);
    let reads =
        [("served", replica.served), ("behind", replica.behind), ("unavailable", replica.unavailable)];
    let help = "Reads that the replica served, and those that the primary did, by the reason";
    sample.counters("read_replica_reads", help, "outcome", &reads);
}

fn sample_catalogue(sample: &mut Sample, api: &ApiState) {
    let catalogue = api.catalogue.current();
    sample.gauge("catalogue_listings", "Job listings that are ranked", catalogue.len() as f64);
    let version = catalogue.version().0 as f64;
    sample.gauge("catalogue_version", "The number of the state of the job listings", version);
    let age = api.catalogue.age().as_secs_f64();
    sample.gauge("catalogue_age_seconds", "Since the listings were last compared with the database", age);
}

/// Of all instances: every one of them reports the same numbers.
fn sample_queue(sample: &mut Sample, counts: Option<QueueCounts>) {
    let up = f64::from(u8::from(counts.is_some()));
    sample.gauge("database_up", "1 if the database answered the last read for metrics", up);
    let Some(counts) = counts else { return };
    let lanes = |real_time: i64, batch: i64| [("real_time", real_time as f64), ("batch", batch as f64)];
    let due = lanes(counts.due_in_real_time, counts.due_in_batch);
    sample.gauges("queue_due_users", "Users who wait for a worker, by lane", "lane", &due);
    let ages = lanes(counts.real_time_age_secs, counts.batch_age_secs);
    let help = "The age of the oldest trigger that is not served, by lane; 0 if there is none";
    sample.gauges("queue_oldest_trigger_age_seconds", help, "lane", &ages);
    sample.gauge("queue_running_users", "Users whom a worker serves", counts.running as f64);
    sample.gauge("queue_parked_users", "Users whose runs failed too often", counts.parked as f64);
}

/// Counts every request and its time.
pub(super) async fn record(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    metrics.request(method, route, response.status().as_u16(), started.elapsed());
    response
}

/// Clients may invent methods: a label must not.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        _ => "other",
    }
}
