//! One history, with users of its own: clients and faults for six seconds, or until the primary has changed twice; then
//! rest, then the check.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::checker::{Bounds, Violation, check};
use super::clients::{UserClient, change_listings, work_in_the_background};
use super::cluster::Cluster;
use super::faults;
use super::history::{AtRest, History, PrimaryChange};
use super::instance::{LOCK_WAIT, MAX_ATTEMPTS, RUN_TIMEOUT};
use super::probe::Probe;
use super::rest;
use super::topology::Topology;

/// Users with ordinary clients.
const ORDINARY: i64 = 5;
/// Users whose runs are interleaved.
const INTERLEAVED: i64 = 3;
/// Users who end every process that serves them.
const KILLERS: i64 = 1;
/// Users whose triggers show whether there is service.
const PROBED: i64 = 1;
const USERS_PER_HISTORY: i64 = 100;
/// Above all other numbers on the wire, so that a user can be recognised in a statement's parameters.
pub const USERS: std::ops::Range<i64> = 7_000_000_000..8_000_000_000;
/// One history in this many has no faults.
const FAULT_FREE: u64 = 10;

/// A sync answer comes after the wait for the lock and one run; the rest is for a busy machine.
const BOUNDS: Bounds = Bounds {
    answer_millis: (LOCK_WAIT.as_millis() + RUN_TIMEOUT.as_millis()) as u64 + 2_500,
    max_attempts: MAX_ATTEMPTS,
};

/// A history with its violations.
pub struct Played {
    pub history: History,
    pub violations: Vec<Violation>,
    pub took: Duration,
    pub checked_in: Duration,
}

/// Plays the history of this seed, the `number`th on this cluster.
pub async fn history(cluster: &Arc<Cluster>, number: u64, seed: u64) -> Played {
    let started = Instant::now();
    let mut rng = fastrand::Rng::with_seed(seed);
    let fault_free = rng.u64(..FAULT_FREE) == 0 && cluster.topology().is_none();
    cluster.finish_rollout().await;
    let cast = Cast::new(cluster, number).await;
    let changes = act(cluster, &cast, fault_free, &mut rng).await;
    // Without resets, transactions of connections that hang end by the server's time-out alone.
    cluster.heal(rng.u8(..10) > 0);
    let at_rest = rest::come_to_rest(cluster, &cast).await;
    let mut history = record(cluster, &cast, seed, fault_free, at_rest).await;
    history.changes = changes;
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
    Played { history, violations, took: started.elapsed(), checked_in: checking.elapsed() }
}

/// The users of one history.
pub struct Cast {
    pub users: std::ops::Range<i64>,
    pub clients: Vec<Arc<UserClient>>,
    pub probe: Option<Arc<Probe>>,
    pub http: Client,
}

impl Cast {
    async fn new(cluster: &Arc<Cluster>, number: u64) -> Self {
        let first = USERS.start + number as i64 * USERS_PER_HISTORY;
        let http = Client::builder().timeout(Duration::from_secs(15)).build().unwrap();
        let clients = (first..first + ORDINARY + INTERLEAVED + KILLERS)
            .map(|user| UserClient::new(cluster.clone(), http.clone(), user));
        let (clients, mut probe) = (join_all(clients).await, None);
        let last = first + ORDINARY + INTERLEAVED + KILLERS + PROBED;
        if cluster.topology().is_some() {
            probe = Some(Probe::new(cluster.clone(), last - PROBED).await);
            cluster.database.activate(first..last).await;
        }
        Self { users: first..first + USERS_PER_HISTORY, clients, probe, http }
    }

    fn ordinary(&self) -> &[Arc<UserClient>] {
        &self.clients[..ORDINARY as usize]
    }

    fn interleaved(&self) -> &[Arc<UserClient>] {
        &self.clients[ORDINARY as usize..][..INTERLEAVED as usize]
    }

    fn killers(&self) -> &[Arc<UserClient>] {
        &self.clients[(ORDINARY + INTERLEAVED) as usize..]
    }

    /// The users that random faults may hit.
    fn victims(&self) -> Arc<[Arc<UserClient>]> {
        self.clients[..(ORDINARY + INTERLEAVED) as usize].into()
    }
}

/// Clients, and faults unless there are to be none, until the time is over and all of them have ended.
async fn act(
    cluster: &Arc<Cluster>,
    cast: &Cast,
    fault_free: bool,
    rng: &mut fastrand::Rng,
) -> Vec<PrimaryChange> {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let begun = tokio::time::Instant::now();
    for client in cast.ordinary() {
        for _ in 0..2 {
            tasks.spawn(client.clone().send_triggers(rng.u64(..), stop.clone()));
        }
        tasks.spawn(client.clone().change_profiles(rng.u64(..), stop.clone()));
        tasks.spawn(client.clone().read(rng.u64(..), stop.clone()));
    }
    tasks.spawn(change_listings(cluster.clone(), rng.u64(..), stop.clone()));
    if !fault_free {
        spawn_faults(cluster, cast, begun, &tasks, rng);
    }
    let mut changes = Vec::new();
    if let Some(probe) = &cast.probe {
        tasks.spawn(probe.clone().run(stop.clone()));
        let users = cast.ordinary().iter().map(|client| client.user).collect();
        tasks.spawn(work_in_the_background(cluster.clone(), users, rng.u64(..), stop.clone()));
        changes = faults::change_primaries(cluster, probe, rng.u64(..)).await;
    }
    tokio::time::sleep_until(begun + faults::DURATION + Duration::from_millis(500)).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    changes
}

fn spawn_faults(
    cluster: &Arc<Cluster>,
    cast: &Cast,
    begun: tokio::time::Instant,
    tasks: &TaskTracker,
    rng: &mut fastrand::Rng,
) {
    let victims = cast.victims();
    for (at, fault) in faults::schedule(cluster.topology().is_some(), rng) {
        let (cluster, victims, seed) = (cluster.clone(), victims.clone(), rng.u64(..));
        tasks.spawn(async move {
            tokio::time::sleep_until(begun + at).await;
            faults::inject(cluster, victims, fault, seed).await;
        });
    }
    for client in cast.interleaved() {
        tasks.spawn(faults::interleave(cluster.clone(), client.clone(), rng.u64(..)));
    }
    if rng.u8(..5) == 0 {
        let client = cast.interleaved()[0].clone();
        tasks.spawn(faults::begin_late(cluster.clone(), client, rng.u64(..)));
    }
    if rng.u8(..4) == 0 {
        let client = cast.killers()[0].clone();
        tasks.spawn(faults::kill_every_process_that_serves(cluster.clone(), client, rng.u64(..)));
    }
}

/// Joins the audit of the database with the logs of the clients.
async fn record(cluster: &Cluster, cast: &Cast, seed: u64, fault_free: bool, at_rest: AtRest) -> History {
    let mut history = History {
        seed,
        database: cluster.settings.engine(),
        with_redis: cluster.settings.with_redis,
        fault_free,
        changes: Vec::new(),
        users: rest::settled_audit(cluster, &cast.users).await,
        catalogues: cluster.database.catalogues().await,
        runs: if fault_free { rest::logged_runs(cluster).await } else { Vec::new() },
        at_rest,
    };
    for client in &cast.clients {
        let log = std::mem::take(&mut *client.log.lock().unwrap());
        let user = history.users.entry(client.user).or_default();
        user.triggers = log.triggers;
        user.snapshots = log.snapshots;
        user.planted = log.planted;
        user.killed = log.killed;
    }
    if let Some(probe) = &cast.probe {
        history.users.entry(probe.user).or_default().triggers = probe.triggers();
    }
    let order = cluster.topology().and_then(Topology::order_of_commits);
    history.number(order.as_ref());
    history
}

/// Keeps a history and the logs of the instances, to be looked at later.
pub fn keep(cluster: &Cluster, played: &Played) -> PathBuf {
    let name = format!("chaos-{}-{}", cluster.settings.engine(), played.history.seed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let kept = serde_json::json!({
        "history": played.history,
        "generations": cluster.ranking.generations(),
        "violations": played.violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("history.json"), kept.to_string()).unwrap();
    cluster.keep_logs(&folder);
    folder
}
