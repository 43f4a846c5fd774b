//! Batches on a real MySQL and Redis: throughput with one, two and three instances beside the floor of the
//! bare statements, latency of real-time triggers meanwhile, and what becomes of a batch when instances die.
//!
//! ```sh
//! scripts/with-servers --only mysql,redis cargo bench --bench batch                # all parts
//! scripts/with-servers --only mysql,redis cargo bench --bench batch -- throughput  # or latency, takeover
//! ```
//!
//! `BENCH_USERS` sets the number of users (10,000). The servers of `scripts/with-servers` do not sync every
//! commit; `TEST_MYSQL_ARGS="--innodb-flush-log-at-trx-commit=1 --log-bin --sync-binlog=1 --server-id=1"`
//! makes them as durable as production.

#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "the soak uses the rest")]
mod cluster;
#[path = "support/listings.rs"]
#[expect(dead_code, reason = "the bench of the ranking uses the rest")]
mod listings;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{Cluster, Instance};
use job_agent::coordination::{UserGuard, UserLocks};
use job_agent::domain::{CatalogueVersion, Lane, Recommendation, ScoringRevision, UserId};
use job_agent::profile::Inputs;
use job_agent::ranking::{Catalogue, CatalogueBuilder, Vocabulary};
use job_agent::storage::{
    BatchScope, BatchStore, Lease, ListingStore, Marking, MysqlStore, QueueStore, RunStore, Store,
};
use tokio::task::JoinSet;

/// Listings that users are ranked against.
const LISTINGS: i64 = 10_000;
/// Runs of a batch that one instance does at the same time, as by default.
const WORKERS: usize = 1;
/// Requests per measurement of latency.
const SAMPLES: usize = 300;

#[tokio::main]
async fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let part = |name: &str| wanted.as_deref().is_none_or(|wanted| name.contains(wanted));
    let users = std::env::var("BENCH_USERS").map_or(10_000, |users| users.parse().expect("a number"));
    let cluster = Cluster::create(LISTINGS, users).await;
    if part("throughput") {
        throughput(&cluster).await;
    }
    if part("latency") {
        latency(&cluster).await;
    }
    if part("takeover") {
        takeover(&cluster).await;
    }
}

/// Users per second, changed and unchanged, with the service and with its statements alone.
async fn throughput(cluster: &Cluster) {
    println!("throughput, {} users, {WORKERS} worker per instance, users per second", cluster.users);
    println!(
        "{:>10} {:>10} {:>10} {:>16} {:>16}",
        "instances", "changed", "unchanged", "floor changed", "floor unchanged"
    );
    for count in 1..=3 {
        let instances = cluster.start(count, &[]).await;
        cluster.forget_lists().await;
        let changed = rate(cluster, cluster.batch(&instances[0]).await);
        cluster.count_row_changes().await;
        let unchanged = rate(cluster, cluster.batch(&instances[0]).await);
        assert_eq!(cluster.row_changes().await, 0, "a batch without changes wrote recommendation rows");
        drop(instances);
        let (floor_changed, floor_unchanged) = floor(cluster, count * WORKERS).await;
        println!(
            "{count:>10} {changed:>10.0} {unchanged:>10.0} {floor_changed:>16.0} {floor_unchanged:>16.0}"
        );
    }
    println!("the batches without changes wrote no recommendation row (counted by triggers on its table)");
}

fn rate(cluster: &Cluster, took: Duration) -> f64 {
    cluster.users as f64 / took.as_secs_f64()
}

/// The statements of a batch, with results that are known beforehand: no ranking, no Redis, no HTTP.
async fn floor(cluster: &Cluster, workers: usize) -> (f64, f64) {
    let store = Arc::new(cluster.store());
    let results = Arc::new(results(cluster, &store).await);
    cluster.forget_lists().await;
    let changed = drain(cluster, &store, workers, &results).await;
    let unchanged = drain(cluster, &store, workers, &results).await;
    store.close().await;
    (rate(cluster, changed), rate(cluster, unchanged))
}

/// The list of each career, which all of its users share.
async fn results(cluster: &Cluster, store: &MysqlStore) -> HashMap<String, Vec<Recommendation>> {
    let catalogue = catalogue(store).await;
    let mut results = HashMap::new();
    for user in cluster.user_ids() {
        let profile = Inputs::parse(&store.snapshot(user).await.expect("readable").analysis).profile;
        results.entry(profile.careers[0].name.clone()).or_insert_with(|| catalogue.recommend(&profile, 50));
    }
    results
}

async fn catalogue(store: &MysqlStore) -> Catalogue {
    let mut builder = CatalogueBuilder::new(Arc::new(Vocabulary::builtin()));
    store.read_catalogue(&mut |listing| builder.push(&listing)).await.expect("readable");
    builder.finish(CatalogueVersion(1))
}

async fn drain(
    cluster: &Cluster,
    store: &Arc<MysqlStore>,
    workers: usize,
    results: &Arc<HashMap<String, Vec<Recommendation>>>,
) -> Duration {
    let started = Instant::now();
    let batch = store.open_batch(&BatchScope::Active).await.expect("opened").id;
    while store.mark_batch(batch).await.expect("marked") == Marking::Going {}
    let ids: Vec<UserId> = cluster.user_ids().collect();
    let mut tasks = JoinSet::new();
    for part in ids.chunks(ids.len().div_ceil(workers)) {
        let (store, results, part) = (store.clone(), results.clone(), part.to_vec());
        tasks.spawn(async move {
            // As the workers do: users are looked for 32 at a time.
            for users in part.chunks(32) {
                store.due_users(Lane::Batch, ScoringRevision(i64::MAX), 32).await.expect("readable");
                for user in users {
                    statements_of_a_run(&store, *user, &results).await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    assert!(store.finish_batch(batch).await.expect("finished"), "users were left over");
    started.elapsed()
}

async fn statements_of_a_run(
    store: &MysqlStore,
    user: UserId,
    results: &HashMap<String, Vec<Recommendation>>,
) {
    let lease = Lease { token: format!("floor:{user}"), duration: Duration::from_secs(90) };
    let requested_seq = store.snapshot(user).await.expect("readable").state.requested_seq();
    let due = job_agent::storage::DueUser { user, attempts: 0, requested_seq };
    assert!(store.claim(&due, &lease, ScoringRevision(i64::MAX)).await.expect("claimed"));
    let state = store.snapshot(user).await.expect("readable").state;
    let profile = Inputs::parse(&store.snapshot(user).await.expect("readable").analysis).profile;
    let guard: UserGuard =
        UserLocks::new(None, Duration::from_secs(1)).acquire(user).await.expect("no other holder");
    let basis = state.basis(CatalogueVersion(1), ScoringRevision(1)).under(&guard);
    let rows = &results[&profile.careers[0].name];
    let written = if state.rows.count == 0 {
        store.replace(&basis, rows, "digest").await
    } else {
        store.confirm(&basis).await
    };
    let _ = written.expect("written");
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
async fn sync(cluster: &Cluster, instances: &[Instance]) -> Vec<Duration> {
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
async fn background(cluster: &Cluster, instances: &[Instance]) -> Vec<Duration> {
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
