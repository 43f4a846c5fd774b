//! Batches on a real MySQL and Redis: latency of real-time triggers meanwhile, and what becomes of a batch when instances
//! die. `scripts/bench batch` measures how fast they are.
//!
//! ```sh
//! scripts/with-servers --only mysql,redis cargo bench --bench batch             # both
//! scripts/with-servers --only mysql,redis cargo bench --bench batch -- latency  # or takeover
//! ```
//!
//! `BENCH_USERS` sets the number of users (10,000). The servers of `scripts/with-servers` do not sync every
//! commit; `scripts/bench` says which options make MySQL as durable as production.

#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "the soak uses the rest")]
mod cluster;
#[path = "support/database.rs"]
mod database;
#[path = "support/instance.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod instance;
#[path = "support/listings.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod listings;

use std::time::{Duration, Instant};

use cluster::{Cluster, Node};

/// Listings that users are ranked against.
const LISTINGS: i64 = 10_000;
/// Requests per measurement of latency.
const SAMPLES: usize = 300;

#[tokio::main]
async fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let part = |name: &str| wanted.as_deref().is_none_or(|wanted| name.contains(wanted));
    let users = std::env::var("BENCH_USERS").map_or(10_000, |users| users.parse().expect("a number"));
    let cluster = Cluster::create(LISTINGS, users).await;
    if part("latency") {
        latency(&cluster).await;
    }
    if part("takeover") {
        takeover(&cluster).await;
    }
}

/// Real-time triggers, alone and while a batch runs.
async fn latency(cluster: &Cluster) {
    for count in [1, 3] {
        let instances = cluster.start(count, &[]).await;
        cluster.forget_lists().await;
        let idle = [sync(cluster, &instances).await, background(cluster, &instances).await];
        cluster.forget_lists().await;
        let batch = cluster.trigger(&instances[0]).await;
        let busy = [sync(cluster, &instances).await, background(cluster, &instances).await];
        let running = cluster.is_running(&instances[0], batch).await;
        println!(
            "latency of a real-time trigger, {count} instances, batch of {} still running: {running}",
            cluster.users
        );
        println!(
            "{:>12} {:>22} {:>22} {:>12}",
            "", "idle p50 / p99 ms", "in batch p50 / p99 ms", "p99 ratio"
        );
        for (name, idle, busy) in [("sync", &idle[0], &busy[0]), ("background", &idle[1], &busy[1])] {
            let ms = |samples: &[Duration], share| percentile(samples, share).as_secs_f64() * 1e3;
            println!(
                "{name:>12} {:>12.1} / {:>7.1} {:>12.1} / {:>7.1} {:>12.2}",
                ms(idle, 0.5),
                ms(idle, 0.99),
                ms(busy, 0.5),
                ms(busy, 0.99),
                ms(busy, 0.99) / ms(idle, 0.99)
            );
        }
        cluster.finished(&instances[0], batch).await;
    }
}

fn percentile(samples: &[Duration], share: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// From the request to its answer; each time with a career that is new to the user.
async fn sync(cluster: &Cluster, instances: &[Node]) -> Vec<Duration> {
    let mut samples = Vec::new();
    for sample in 0..SAMPLES {
        let user = cluster.real_time_user(sample);
        cluster.change_career(user).await;
        let started = Instant::now();
        let answer = instances[sample % instances.len()].calculate(user, false).await;
        samples.push(started.elapsed());
        assert_eq!((answer["success"].as_bool(), answer["skipped"].as_bool()), (Some(true), Some(false)));
    }
    samples
}

/// From the request to the commit of the run that serves it, as seen by looking every millisecond.
async fn background(cluster: &Cluster, instances: &[Node]) -> Vec<Duration> {
    let mut samples = Vec::new();
    for sample in 0..SAMPLES {
        let user = cluster.real_time_user(sample);
        cluster.change_career(user).await;
        let started = Instant::now();
        instances[sample % instances.len()].calculate(user, true).await;
        while cluster.is_pending(user).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        samples.push(started.elapsed());
    }
    samples
}

/// Of three instances, one is killed and another stopped for longer than its leases, in the middle.
async fn takeover(cluster: &Cluster) {
    let settings = [
        ("RUN_TIMEOUT_SECS", "2"),
        ("LOCK_WAIT_SECS", "1"),
        ("QUEUE_LEASE_SECS", "5"),
        ("LOCK_TTL_SECS", "5"),
    ];
    let mut instances = cluster.start(3, &settings).await;
    cluster.forget_lists().await;
    let started = Instant::now();
    let batch = cluster.trigger(&instances[0]).await;
    cluster.wait_until_done(&instances[0], batch, cluster.users / 4).await;
    instances.remove(2).kill();
    cluster.wait_until_done(&instances[0], batch, cluster.users / 2).await;
    instances[1].signal("STOP");
    // Longer than its leases: others take over what it holds.
    tokio::time::sleep(Duration::from_secs(8)).await;
    instances[1].signal("CONT");
    cluster.finished(&instances[0], batch).await;
    let took = started.elapsed();
    let status = cluster.status(&instances[0]).await;
    println!(
        "takeover: {} users, one instance killed, one stopped for 8 s (leases 5 s), {took:.1?}",
        cluster.users
    );
    println!("batch: {}", status["batch"]);
    println!("queue: {}", status["queue"]);
    let versions = cluster.versions().await;
    println!("users by number of replacements: {versions:?}");
    println!("runs begun for a user by more than one instance: {}", cluster.repeated_runs());
    // A second batch finds every list current: the stored digest is that of the inputs, and
    // no other writer has changed the rows.
    let second = cluster.trigger(&instances[0]).await;
    cluster.finished(&instances[0], second).await;
    println!("checked by a second batch: {}", cluster.status(&instances[0]).await["batch"]);
}
