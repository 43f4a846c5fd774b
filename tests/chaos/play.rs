//! Histories one after the other on one cluster, each with users of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use futures::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::checker::{Bounds, Violation, check};
use super::clients::{UserClient, change_listings, fast_url};
use super::cluster::{Cluster, INSTANCES};
use super::faults::{self, DURATION};
use super::history::{AtRest, History, Run};
use super::instance::{CONNECTIONS, LEASE, LOCK_WAIT, MAX_ATTEMPTS, RUN_TIMEOUT, WAIT_TIMEOUT};

/// Users with ordinary clients, …
const ORDINARY: i64 = 5;
/// … users whose runs are interleaved, and one who kills.
const INTERLEAVED: i64 = 3;
const USERS_PER_HISTORY: i64 = 100;
/// Above all other numbers on the wire, so that a user can be found in a statement's parameters.
pub const USERS: std::ops::Range<i64> = 7_000_000_000..8_000_000_000;
/// One history in so many has no faults.
const FAULT_FREE: u64 = 10;
/// Polls, back-offs and a machine that is busy with everything at once.
const SLACK: Duration = Duration::from_secs(20);

/// A sync answer comes after the wait for the lock and one run; the rest is for a busy machine.
const BOUNDS: Bounds = Bounds {
    answer_millis: (LOCK_WAIT.as_millis() + RUN_TIMEOUT.as_millis()) as u64 + 2_500,
    max_attempts: MAX_ATTEMPTS,
};

/// What became of one history.
pub struct Outcome {
    pub history: History,
    pub violations: Vec<Violation>,
    pub took: Duration,
    pub checked_in: Duration,
}

/// Runs the history of this seed.
pub async fn run(cluster: &Arc<Cluster>, number: u64, seed: u64) -> Outcome {
    let started = Instant::now();
    let mut rng = fastrand::Rng::with_seed(seed);
    let fault_free = rng.u64(..FAULT_FREE) == 0;
    cluster.finish_rollout().await;
    let first = USERS.start + number as i64 * USERS_PER_HISTORY;
    let http = Client::builder().timeout(Duration::from_secs(15)).build().unwrap();
    let clients: Arc<[_]> = join_all(
        (0..ORDINARY + INTERLEAVED + 1).map(|n| UserClient::new(cluster.clone(), http.clone(), first + n)),
    )
    .await
    .into();

    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    for client in &clients[..ORDINARY as usize] {
        for _ in 0..2 {
            tasks.spawn(client.clone().send_triggers(rng.u64(..), stop.clone()));
        }
        tasks.spawn(client.clone().change_profiles(rng.u64(..), stop.clone()));
        tasks.spawn(client.clone().read(rng.u64(..), stop.clone()));
    }
    tasks.spawn(change_listings(cluster.clone(), rng.u64(..), stop.clone()));
    let begun = tokio::time::Instant::now();
    if !fault_free {
        let (victims, killer) = clients.split_at((ORDINARY + INTERLEAVED) as usize);
        let interleaved = &victims[ORDINARY as usize..];
        let all: Arc<[_]> = victims.into();
        for (at, fault) in faults::schedule(&mut rng) {
            let (cluster, victims, seed) = (cluster.clone(), all.clone(), rng.u64(..));
            tasks.spawn(async move {
                tokio::time::sleep_until(begun + at).await;
                faults::inject(cluster, victims, fault, seed).await;
            });
        }
        for client in interleaved {
            tasks.spawn(faults::interleave(cluster.clone(), client.clone(), rng.u64(..)));
        }
        if rng.u8(..5) == 0 {
            tasks.spawn(faults::begin_late(cluster.clone(), interleaved[0].clone(), rng.u64(..)));
        }
        if rng.u8(..6) == 0 {
            tasks.spawn(faults::kill_whoever_serves(cluster.clone(), killer[0].clone(), rng.u64(..)));
        }
    }
    tokio::time::sleep_until(begun + DURATION + Duration::from_millis(500)).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;

    // Without resets, transactions of connections that hang end by the server's time-out alone.
    cluster.heal(rng.u8(..10) > 0);
    let users = first..first + USERS_PER_HISTORY;
    let mut at_rest = AtRest::default();
    let healed = Instant::now();
    let converged = converge(cluster, &users).await;
    if converged {
        cluster.finish_rollout().await;
        join_all(clients.iter().map(|client| async {
            for instance in [0, 1, 0] {
                client.trigger(instance, false).await;
                client.look().await;
            }
        }))
        .await;
        converge(cluster, &users).await;
        at_rest.failed_requests = whole_pools(cluster, &http, first).await;
    }
    at_rest.seconds_to_converge = healed.elapsed().as_secs_f64();
    for instance in &cluster.instances {
        at_rest.ended.extend(instance.ended_by_themselves().await);
    }
    at_rest.open_transactions = open_transactions(cluster).await;

    let mut history = History {
        seed,
        database: cluster.settings.database.clone(),
        with_redis: cluster.settings.with_redis,
        fault_free,
        users: cluster.database.audit(users).await,
        catalogues: cluster.database.catalogues().await,
        runs: if fault_free { logged_runs(cluster).await } else { Vec::new() },
        at_rest,
    };
    for client in clients.iter() {
        let log = std::mem::take(&mut *client.log.lock().unwrap());
        let user = history.users.entry(client.user).or_default();
        user.triggers = log.triggers;
        user.snapshots = log.snapshots;
        user.planted = log.planted;
        user.killed = log.killed;
    }
    let checking = Instant::now();
    let (history, violations) = {
        let cluster = cluster.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let violations = check(&history, &cluster.ranking, BOUNDS);
            (history, violations)
        });
        checked.await.unwrap()
    };
    cluster.ranking.forget();
    Outcome { history, violations, took: started.elapsed(), checked_in: checking.elapsed() }
}

/// Waits until nothing is pending but what is parked; `false` if that takes longer than it may.
async fn converge(cluster: &Cluster, users: &std::ops::Range<i64>) -> bool {
    let deadline = Instant::now() + LEASE + WAIT_TIMEOUT + RUN_TIMEOUT + SLACK;
    let pending = format!(
        "SELECT COUNT(*) FROM recommendation_state WHERE user_id >= {} AND user_id < {} \
         AND (lease_token IS NOT NULL OR (parked_at IS NULL AND (due_at IS NOT NULL OR completed_seq < requested_seq)))",
        users.start, users.end
    );
    while cluster.database.number(&pending).await > 0 {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

/// Transactions that do not end. Those of catalogue refreshes come and go.
async fn open_transactions(cluster: &Cluster) -> Vec<String> {
    let deadline = Instant::now() + WAIT_TIMEOUT + Duration::from_secs(5);
    loop {
        let open = cluster.database.open_transactions().await;
        if open.is_empty() || Instant::now() >= deadline {
            return open;
        }
        // InnoDB shows what it has shown before unless it was left alone for 100 ms.
        sleep(Duration::from_millis(150)).await;
    }
}

/// As many requests at once as an instance has connections, and one more.
async fn whole_pools(cluster: &Cluster, http: &Client, user: i64) -> Vec<String> {
    let requests = (0..INSTANCES).flat_map(|number| {
        (0..=CONNECTIONS).map(move |_| async move {
            let response = http.get(fast_url(&cluster.instances[number].http, user)).send().await;
            match response.map(|response| response.status()) {
                Ok(status) if status.is_success() => None,
                answer => Some(format!("instance {number}: {answer:?}")),
            }
        })
    });
    join_all(requests).await.into_iter().flatten().collect()
}

/// The runs in the logs of the current processes. Those without the lock are left out where Redis was too slow
/// to answer, as it is on a busy machine: nothing is promised then.
async fn logged_runs(cluster: &Cluster) -> Vec<Run> {
    let mut runs = Vec::new();
    for (number, instance) in cluster.instances.iter().enumerate() {
        let log = instance.log().await;
        let message = |event: &Value| event["message"].as_str().unwrap_or_default().to_owned();
        let mut excused = log.iter().any(|event| message(event).starts_with("Redis unavailable"));
        excused |= !cluster.settings.with_redis;
        let mut locked: BTreeSet<String> = BTreeSet::new();
        let mut started: BTreeMap<String, i64> = BTreeMap::new();
        for event in &log {
            let Some(user) = event["user_id"].as_str() else { continue };
            let at = DateTime::parse_from_rfc3339(event["timestamp"].as_str().unwrap()).unwrap();
            let at = at.timestamp_micros() - instance.clock_offset * 1_000_000;
            match message(event).as_str() {
                "lock acquired" => drop(locked.insert(user.to_owned())),
                "calculation started" if locked.remove(user) || !excused => {
                    started.insert(user.to_owned(), at);
                }
                "recommendations saved" | "skipped: already current" => {
                    if let Some(from) = started.remove(user) {
                        runs.push(Run { user: user.parse().unwrap(), instance: number, from, to: at });
                    }
                }
                _ => {}
            }
        }
    }
    runs
}

/// Keeps what is needed to look at a history later.
pub fn keep(cluster: &Cluster, outcome: &Outcome) -> PathBuf {
    let name = format!("chaos-{}-{}", cluster.settings.database, outcome.history.seed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let kept = serde_json::json!({
        "history": outcome.history,
        "generations": cluster.ranking.generations(),
        "violations": outcome.violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("history.json"), kept.to_string()).unwrap();
    cluster.keep_logs(&folder);
    folder
}
