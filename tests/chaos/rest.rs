//! The system after the faults: it must come to rest, with every transaction ended and every pool whole.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use chrono::DateTime;
use futures::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;

use super::clients::fast_url;
use super::cluster::{Cluster, INSTANCES};
use super::history::{AtRest, Run, UserHistory};
use super::instance::{CONNECTIONS, Instance, LEASE, RUN_TIMEOUT, WAIT_TIMEOUT};
use super::play::Cast;

/// For polls, back-offs, and a machine that is busy with everything at once.
const SLACK: Duration = Duration::from_secs(20);

/// Waits until nothing is pending, triggers and looks at every user once more, and uses every pool as a whole.
pub async fn come_to_rest(cluster: &Cluster, cast: &Cast) -> AtRest {
    let mut at_rest = AtRest::default();
    let healed = Instant::now();
    if converge(cluster, &cast.users).await {
        cluster.finish_rollout().await;
        join_all(cast.clients.iter().map(|client| async {
            for instance in [0, 1, 0] {
                client.trigger(instance, false).await;
                client.look().await;
            }
        }))
        .await;
        converge(cluster, &cast.users).await;
        at_rest.failed_requests = whole_pools(cluster, &cast.http, cast.users.start).await;
    }
    at_rest.seconds_to_converge = healed.elapsed().as_secs_f64();
    for instance in &cluster.instances {
        at_rest.ended.extend(instance.ended_by_themselves().await);
    }
    if cluster.topology().is_some() {
        at_rest.begun_twice = cluster.database.begun_twice().await;
    }
    at_rest.open_transactions = open_transactions(cluster).await;
    at_rest
}

/// Waits until only parked users have pending triggers; `false` if that takes longer than it may.
async fn converge(cluster: &Cluster, users: &Range<i64>) -> bool {
    let deadline = Instant::now() + LEASE + WAIT_TIMEOUT + RUN_TIMEOUT + SLACK;
    while cluster.database.pending(users).await > 0 {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

/// The audit of these users, after a batch or a clean-up has ended that the clock may have begun meanwhile.
pub async fn settled_audit(cluster: &Cluster, users: &Range<i64>) -> BTreeMap<i64, UserHistory> {
    for _ in 0..3 {
        let audit = cluster.database.audit(users.clone()).await;
        let last = audit.values().filter_map(|user| user.states.last());
        if !last.into_iter().any(|state| state.leased || state.due && !state.parked) {
            return audit;
        }
        converge(cluster, users).await;
    }
    cluster.database.audit(users.clone()).await
}

/// Transactions that do not end. Those of catalogue refreshes come and go.
async fn open_transactions(cluster: &Cluster) -> Vec<String> {
    let deadline = Instant::now() + WAIT_TIMEOUT + Duration::from_secs(5);
    loop {
        let open = cluster.database.open_transactions().await;
        if open.is_empty() || Instant::now() >= deadline {
            return open;
        }
        // InnoDB repeats its last answer unless it was left alone for 100 ms.
        sleep(Duration::from_millis(150)).await;
    }
}

/// Sends one request more at once than an instance has connections; returns those that fail.
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

/// The runs in the logs of the current processes. Runs without the lock are left out where Redis was too slow to
/// answer, as it is on a busy machine: nothing is promised then.
pub async fn logged_runs(cluster: &Cluster) -> Vec<Run> {
    let mut runs = Vec::new();
    for (number, instance) in cluster.instances.iter().enumerate() {
        let log = instance.log().await;
        let excused = !cluster.settings.with_redis
            || log.iter().any(|event| message(event).starts_with("Redis unavailable"));
        runs.extend(runs_in(&log, number, instance, excused));
    }
    runs
}

fn runs_in(log: &[Value], number: usize, instance: &Instance, without_lock_is_excused: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut locked: BTreeSet<&str> = BTreeSet::new();
    let mut started: BTreeMap<&str, i64> = BTreeMap::new();
    for event in log {
        let Some(user) = event["user_id"].as_str() else { continue };
        let at = DateTime::parse_from_rfc3339(event["timestamp"].as_str().unwrap()).unwrap();
        let at = at.timestamp_micros() - instance.clock_offset * 1_000_000;
        match message(event) {
            "lock acquired" => drop(locked.insert(user)),
            "calculation started" if locked.remove(user) || !without_lock_is_excused => {
                started.insert(user, at);
            }
            "recommendations saved" | "skipped: already current" => {
                if let Some(from) = started.remove(user) {
                    runs.push(Run { user: user.parse().unwrap(), instance: number, from, to: at });
                }
            }
            _ => {}
        }
    }
    runs
}

fn message(event: &Value) -> &str {
    event["message"].as_str().unwrap_or_default()
}
