//! Metrics in the format of Prometheus. Only this room knows its library; labels have few values, and never a user.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Upper bounds in seconds: from a read of a list to the time limit of a run.
const SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The causes that [`Metrics::restart`] takes.
const RESTART_CAUSES: [&str; 4] = ["lost_to_another_run", "conflict", "unavailable", "newer_catalogue"];

/// One label and its value.
type Label = [(&'static str, &'static str); 1];
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

/// The counters and histograms of one instance, since its start.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Histograms<Request>,
    runs: Histograms<Label>,
    lock_waits: Histograms<Label>,
    lock_holds: Histogram,
    scoring: Histogram,
    restarts: Family<Label, Counter>,
    rows: Family<Label, Counter>,
}

/// Rows of a list that a run has written, or left as they were.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowCounts {
    /// New rows.
    pub inserted: usize,
    /// Rows with another score, reason or data than before.
    pub updated: usize,
    /// Rows that are gone.
    pub deleted: usize,
    /// All others.
    pub unchanged: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = registry();
        let metrics = Self {
            requests: Histograms::new_with_constructor(seconds),
            runs: Histograms::new_with_constructor(seconds),
            lock_waits: Histograms::new_with_constructor(seconds),
            lock_holds: seconds(),
            scoring: seconds(),
            restarts: Family::default(),
            rows: Family::default(),
            registry: Registry::default(),
        };
        // A counter that begins with its first event hides that event from an alert on its increase.
        drop(metrics.runs.get_or_create(&[("outcome", "internal_error")]));
        for cause in RESTART_CAUSES {
            drop(metrics.restarts.get_or_create(&[("cause", cause)]));
        }
        metrics.rows(RowCounts::default());
        let requests = "Requests by method, route and status, and the time until the response";
        registry.register("http_request_duration_seconds", requests, metrics.requests.clone());
        let runs = "Runs by outcome, and the time that they held the turn of their user";
        registry.register("run_duration_seconds", runs, metrics.runs.clone());
        let waits = "The time until a run got its user's lock, or gave up";
        registry.register("lock_wait_seconds", waits, metrics.lock_waits.clone());
        let holds = "The time for which runs held their user's lock";
        registry.register("lock_hold_seconds", holds, metrics.lock_holds.clone());
        let scoring = "The time to rank the listings for one user";
        registry.register("scoring_duration_seconds", scoring, metrics.scoring.clone());
        let restarts = "Runs that started again, by cause";
        registry.register("run_restarts", restarts, metrics.restarts.clone());
        let rows = "Rows of lists that runs have inserted, updated, deleted or left unchanged";
        registry.register("rows", rows, metrics.rows.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// A request was answered. `route` is a template, not a path.
    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = Request { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A run ended.
    pub fn run(&self, outcome: &'static str, took: Duration) {
        self.runs.get_or_create(&[("outcome", outcome)]).observe(took.as_secs_f64());
    }

    /// A run got its user's lock, or gave up.
    pub fn lock_wait(&self, acquired: bool, took: Duration) {
        let outcome = if acquired { "acquired" } else { "gave_up" };
        self.lock_waits.get_or_create(&[("outcome", outcome)]).observe(took.as_secs_f64());
    }

    /// A run is about to release its user's lock.
    pub fn lock_hold(&self, took: Duration) {
        self.lock_holds.observe(took.as_secs_f64());
    }

    /// Listings were ranked for a user.
    pub fn scoring(&self, took: Duration) {
        self.scoring.observe(took.as_secs_f64());
    }

    /// A run starts again.
    pub fn restart(&self, cause: &'static str) {
        self.restarts.get_or_create(&[("cause", cause)]).inc();
    }

    /// A run has committed its rows.
    pub fn rows(&self, counts: RowCounts) {
        for (change, rows) in [
            ("inserted", counts.inserted),
            ("updated", counts.updated),
            ("deleted", counts.deleted),
            ("unchanged", counts.unchanged),
        ] {
            self.rows.get_or_create(&[("change", change)]).inc_by(rows as u64);
        }
    }

    /// All metrics and the sample.
    pub fn render(&self, sample: &Sample) -> String {
        let mut text = String::new();
        for registry in [&self.registry, &sample.0] {
            prometheus_text::encode(&mut text, registry).expect("a String takes all that is written");
        }
        text
    }
}

/// What is measured when metrics are read.
#[derive(Debug)]
pub struct Sample(Registry);

impl Default for Sample {
    fn default() -> Self {
        Self(registry())
    }
}

impl Sample {
    /// A gauge.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// A gauge for each value of a label.
    pub fn gauges(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: &[(&'static str, f64)],
    ) {
        let gauges = Family::<Label, Gauge<f64, AtomicU64>>::default();
        for (name, value) in values {
            gauges.get_or_create(&[(label, *name)]).set(*value);
        }
        self.0.register(name, help, gauges);
    }

    /// A counter for each value of a label.
    pub fn counters(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: &[(&'static str, u64)],
    ) {
        let counters = Family::<Label, Counter>::default();
        for (name, value) in values {
            counters.get_or_create(&[(label, *name)]).inc_by(*value);
        }
        self.0.register(name, help, counters);
    }
}

fn registry() -> Registry {
    Registry::with_prefix("job_agent")
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}
