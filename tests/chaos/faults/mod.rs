//! Faults: everything that is done to the system while clients use it. All choices come from a seed.

mod failover;
mod interleavings;
mod links;
mod processes;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

pub use self::failover::change_primaries;
pub use self::interleavings::{begin_late, interleave};
pub use self::processes::kill_every_process_that_serves;
use crate::clients::UserClient;
use crate::cluster::{Cluster, INSTANCES, Settings};
use crate::history::Answer;
use crate::topology::Change;

/// Faults begin within this time.
pub const DURATION: Duration = Duration::from_millis(6_000);
/// How long a trap waits for its statement.
const PATIENCE: Duration = Duration::from_millis(1_500);

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Kill,
    /// SIGSTOP, then SIGCONT.
    Stop,
    /// The answer of a run's COMMIT is lost, or the COMMIT, or it arrives late.
    AmbiguousCommit,
    /// The same for a statement that commits by itself.
    AmbiguousStatement,
    /// An instance is killed or stopped at a step of a run.
    EndAtStep,
    /// A link is delayed, silent in one direction, reset or refused.
    Link,
    FlushRedis,
    RestartRedis,
    RestartDatabase,
    /// One instance is restarted with a new scoring.
    Deploy,
    /// Another transaction locks a user's rows for longer than a session waits.
    HoldRows,
    TakeLock,
    /// Another Redis of the set becomes its primary.
    ChangeRedisPrimary,
    /// The balancer before the members.
    RestartBalancer,
}

/// How often each fault begins per 100 histories.
const RATES: [(Fault, u32); 12] = [
    (Fault::Kill, 520),
    (Fault::Stop, 220),
    (Fault::AmbiguousCommit, 900),
    (Fault::AmbiguousStatement, 300),
    (Fault::EndAtStep, 200),
    (Fault::Link, 400),
    (Fault::FlushRedis, 100),
    (Fault::RestartRedis, 20),
    (Fault::RestartDatabase, 15),
    (Fault::Deploy, 35),
    (Fault::HoldRows, 100),
    (Fault::TakeLock, 200),
];

/// The same beside changes of the primary.
const RATES_BESIDE_FAILOVERS: [(Fault, u32); 11] = [
    (Fault::Kill, 150),
    (Fault::Stop, 60),
    (Fault::AmbiguousCommit, 500),
    (Fault::AmbiguousStatement, 200),
    (Fault::EndAtStep, 100),
    (Fault::Link, 150),
    (Fault::FlushRedis, 30),
    (Fault::Deploy, 20),
    (Fault::TakeLock, 80),
    (Fault::ChangeRedisPrimary, 50),
    (Fault::RestartBalancer, 30),
];

/// The names of the faults in the counts: a long campaign must have had every one.
pub fn names(settings: &Settings) -> Vec<String> {
    let mut names: Vec<String> = [
        "SIGKILL",
        "SIGSTOP and SIGCONT",
        "ambiguous COMMIT",
        "ambiguous statement",
        "killed at a step of a run",
        "stopped at a step of a run",
        "rolling deploy of another scoring",
        "rows locked for too long",
        "a run held at a step",
        "BEGIN arrived after its run was given up",
        "killed by the user it serves",
    ]
    .map(str::to_owned)
    .into();
    if settings.topology.is_some() {
        names.retain(|name| name != "rows locked for too long");
        names.push("the balancer killed and restarted".to_owned());
        names.extend(Change::ALL.map(|change| change.to_string()));
        if settings.with_redis {
            names.push("another Redis has become the primary".to_owned());
        }
    } else {
        names.push(format!("{} killed and restarted", settings.database));
    }
    let mut links = vec!["HTTP", "database"];
    if settings.with_redis {
        names.extend(["FLUSHALL", "lock expired", "lock taken away"].map(str::to_owned));
    }
    if settings.with_redis && settings.topology.is_none() {
        links.push("Redis");
        names.push("Redis killed and restarted, empty".to_owned());
    }
    for link in links {
        names.extend(links::KINDS.map(|kind| format!("{link} link {kind}")));
    }
    names
}

/// The faults of one history, each with the time at which it begins.
pub fn schedule(beside_failovers: bool, rng: &mut fastrand::Rng) -> Vec<(Duration, Fault)> {
    let mut schedule = Vec::new();
    let (rates, duration): (&[_], _) =
        if beside_failovers { (&RATES_BESIDE_FAILOVERS, 2 * DURATION) } else { (&RATES, DURATION) };
    for &(fault, rate) in rates {
        let certain = rate / 100;
        let times = certain + u32::from(rng.u32(..100) < rate % 100);
        for _ in 0..times {
            schedule.push((duration.mul_f64(rng.f64()), fault));
        }
    }
    schedule
}

/// Injects the fault, with choices of its own, and undoes its lasting effects.
pub async fn inject(cluster: Arc<Cluster>, users: Arc<[Arc<UserClient>]>, fault: Fault, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let number = rng.usize(..INSTANCES);
    let client = &users[rng.usize(..users.len())];
    match fault {
        Fault::Kill => cluster.restart(number).await,
        Fault::Stop => processes::stop(&cluster, number, &mut rng).await,
        Fault::AmbiguousCommit => links::lose_commit(&cluster, number, &mut rng).await,
        Fault::AmbiguousStatement => links::lose_statement(&cluster, number, &mut rng).await,
        Fault::EndAtStep => processes::end_at_step(&cluster, number, &mut rng).await,
        Fault::Link => links::hurt(&cluster, number, &mut rng).await,
        Fault::FlushRedis => cluster.flush_redis().await,
        Fault::RestartRedis => cluster.restart_redis(Duration::from_millis(rng.u64(..1_500))).await,
        Fault::RestartDatabase => cluster.restart_database().await,
        Fault::Deploy => {
            cluster.release();
            cluster.counts.add("fault: rolling deploy of another scoring");
            cluster.restart(number).await;
        }
        Fault::HoldRows => hold_rows(&cluster, client, number, &mut rng).await,
        Fault::TakeLock => {
            let ttl = Duration::from_millis(rng.u64(300..2_500));
            client.plant_lock(ttl, rng.u64(..)).await;
        }
        Fault::ChangeRedisPrimary => cluster.change_redis_primary(&mut rng).await,
        Fault::RestartBalancer => {
            if let Some(topology) = cluster.topology() {
                topology.restart_balancer().await;
                cluster.counts.add("fault: the balancer killed and restarted");
            }
        }
    }
}

/// Longer than a session waits for a lock (3 s, which InnoDB extends to up to 4 s), and short enough for a run that
/// wrongly goes on after that to commit before its own time-out.
const HOLD: Duration = Duration::from_millis(4_500);

/// Locks the user's rows, and triggers runs until one has met the lock.
async fn hold_rows(cluster: &Cluster, client: &UserClient, number: usize, rng: &mut fastrand::Rng) {
    let table = if rng.u8(..3) > 0 { "user_job_recommendations" } else { "recommendation_state" };
    cluster.counts.add("fault: rows locked for too long");
    let hold = cluster.database.hold_rows(client.user, table, HOLD);
    let meet = async {
        sleep(Duration::from_millis(100)).await;
        for number in number..number + 2 * INSTANCES {
            client.renew_profile(rng).await;
            if client.trigger(number % INSTANCES, false).await != Answer::Unknown {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        client.look().await;
    };
    tokio::join!(hold, meet);
}
