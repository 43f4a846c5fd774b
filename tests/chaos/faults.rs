//! What is done to the system while clients use it. All choices come from a seed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::clients::UserClient;
use super::cluster::{Cluster, INSTANCES, Settings};
use super::history::Answer;
use super::instance::{LEASE, MAX_ATTEMPTS, RUN_TIMEOUT};
use super::proxy::{About, Action, Direction, Flow, Step};

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
    Flush,
    RestartRedis,
    RestartDatabase,
    /// There is a new scoring, and one instance that has it.
    Deploy,
    /// Somebody else locks a user's rows for longer than a session waits.
    HoldRows,
    TakeLock,
}

/// How often each is begun per 100 histories.
const RATES: [(Fault, u32); 12] = [
    (Fault::Kill, 520),
    (Fault::Stop, 220),
    (Fault::AmbiguousCommit, 900),
    (Fault::AmbiguousStatement, 300),
    (Fault::EndAtStep, 200),
    (Fault::Link, 400),
    (Fault::Flush, 100),
    (Fault::RestartRedis, 20),
    (Fault::RestartDatabase, 15),
    (Fault::Deploy, 35),
    (Fault::HoldRows, 60),
    (Fault::TakeLock, 200),
];

/// What the counts call the faults: a long campaign must have seen every one.
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
    names.push(format!("{} killed and restarted", settings.database));
    let mut links = vec!["HTTP", "database"];
    if settings.with_redis {
        links.push("Redis");
        let redis = ["FLUSHALL", "Redis killed and restarted, empty", "lock expired", "lock taken away"];
        names.extend(redis.map(str::to_owned));
    }
    for link in links {
        let kinds = ["delayed", "silent in one direction", "reset", "refused"];
        names.extend(kinds.map(|kind| format!("{link} link {kind}")));
    }
    names
}

/// When what happens, in one history.
pub fn schedule(rng: &mut fastrand::Rng) -> Vec<(Duration, Fault)> {
    let mut schedule = Vec::new();
    for (fault, rate) in RATES {
        let certain = rate / 100;
        let times = certain + u32::from(rng.u32(..100) < rate % 100);
        for _ in 0..times {
            schedule.push((DURATION.mul_f64(rng.f64()), fault));
        }
    }
    schedule
}

/// Does it, with its own choices, and undoes what lasts.
pub async fn inject(cluster: Arc<Cluster>, users: Arc<[Arc<UserClient>]>, fault: Fault, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let number = rng.usize(..INSTANCES);
    let instance = &cluster.instances[number];
    let client = &users[rng.usize(..users.len())];
    let user = client.user;
    match fault {
        Fault::Kill => cluster.restart(number).await,
        Fault::Stop => {
            instance.stop_for(Duration::from_millis(rng.u64(200..5_500).min(rng.u64(200..5_500)))).await;
            cluster.counts.add("fault: SIGSTOP and SIGCONT");
        }
        Fault::AmbiguousCommit | Fault::AmbiguousStatement => {
            let steps = [Step::Confirm, Step::Request, Step::Claim, Step::GiveBack];
            let commit = matches!(fault, Fault::AmbiguousCommit);
            let step = if commit { Step::Commit } else { steps[rng.usize(..steps.len())] };
            let action = match rng.u8(..4) {
                0 => Action::LoseStatement,
                1 | 2 => Action::LoseAnswer,
                _ => Action::DeliverLate(Duration::from_millis(rng.u64(20..2_500))),
            };
            let mut trap = instance.database.trap(step, About::AnyUser, action);
            if trap.caught(PATIENCE).await {
                cluster
                    .counts
                    .add(format!("fault: ambiguous {}", if commit { "COMMIT" } else { "statement" }));
            }
        }
        Fault::EndAtStep => {
            let step = Step::RUN[rng.usize(..Step::RUN.len())];
            let late = Duration::from_millis(rng.u64(..1_500));
            // What a dead process has sent still arrives.
            let mut trap = instance.database.trap(step, About::AnyUser, Action::Hold(late));
            if trap.caught(PATIENCE).await {
                if rng.bool() {
                    cluster.counts.add("fault: killed at a step of a run");
                    cluster.restart(number).await;
                } else {
                    cluster.counts.add("fault: stopped at a step of a run");
                    instance.stop_for(Duration::from_millis(rng.u64(200..5_000))).await;
                    cluster.counts.add("fault: SIGSTOP and SIGCONT");
                }
            }
        }
        Fault::Link => hurt_link(&cluster, number, &mut rng).await,
        Fault::Flush => cluster.flush_redis().await,
        Fault::RestartRedis => cluster.restart_redis(Duration::from_millis(rng.u64(..1_500))).await,
        Fault::RestartDatabase => cluster.restart_database().await,
        Fault::Deploy => {
            cluster.release();
            cluster.counts.add("fault: rolling deploy of another scoring");
            cluster.restart(number).await;
        }
        Fault::HoldRows => {
            let table = if rng.u8(..3) > 0 { "user_job_recommendations" } else { "recommendation_state" };
            cluster.counts.add("fault: rows locked for too long");
            let hold = cluster.database.hold_rows(user, table, Duration::from_millis(5_500));
            let meet = async {
                sleep(Duration::from_millis(100)).await;
                // Until a run has met the lock.
                for number in number..number + 2 * INSTANCES {
                    client.renew_profile(&mut rng).await;
                    if client.trigger(number % INSTANCES, false).await != Answer::Unknown {
                        break;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
                client.look().await;
            };
            tokio::join!(hold, meet);
        }
        Fault::TakeLock => {
            let ttl = Duration::from_millis(rng.u64(300..2_500));
            client.plant_lock(ttl, rng.u64(..)).await;
        }
    }
}

async fn hurt_link(cluster: &Cluster, number: usize, rng: &mut fastrand::Rng) {
    let instance = &cluster.instances[number];
    let links: Vec<_> = instance.links().collect();
    let index = rng.usize(..links.len());
    let link = links[index];
    // Only a fault on the clients' own link excuses a late answer.
    let disturbed = (index == 0).then(|| instance.disturb());
    let direction = if rng.bool() { Direction::Up } else { Direction::Down };
    let lasts = Duration::from_millis(rng.u64(100..3_000));
    let kind = match rng.u8(..4) {
        0 => {
            link.set_flow(direction, Flow::Delayed(Duration::from_millis(rng.u64(1..150))));
            sleep(lasts).await;
            link.set_flow(direction, Flow::Open);
            "delayed"
        }
        1 => {
            link.set_flow(direction, Flow::Silent);
            sleep(lasts).await;
            // What was held arrives now, or never.
            if rng.bool() {
                link.reset();
            }
            link.set_flow(direction, Flow::Open);
            "silent in one direction"
        }
        2 => {
            link.reset();
            "reset"
        }
        _ => {
            link.set_refuses(true);
            link.reset();
            sleep(lasts / 2).await;
            link.set_refuses(false);
            "refused"
        }
    };
    cluster.counts.add(format!("fault: {} link {kind}", ["HTTP", "database", "Redis"][index]));
    if let Some(disturbed) = disturbed {
        instance.calm(disturbed);
    }
}

/// Two runs of one user, interleaved step by step: one is held at a step while inputs change, its lock
/// expires, and another runs, perhaps up to its own write.
pub async fn interleave(cluster: Arc<Cluster>, client: Arc<UserClient>, seed: u64) {
    // Where most depends on the order, most often.
    const REPLACING: [Step; 10] = [
        Step::ReadState,
        Step::ReadState,
        Step::ReadState,
        Step::ReadInputs,
        Step::Begin,
        Step::Compare,
        Step::Compare,
        Step::Compare,
        Step::InsertRows,
        Step::Commit,
    ];
    const CONFIRMING: [Step; 3] = [Step::ReadState, Step::ReadInputs, Step::Confirm];
    let mut rng = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    while begun.elapsed() < DURATION {
        // Two that can answer.
        let mut calm: Vec<_> = (0..INSTANCES).filter(|number| cluster.instances[*number].is_calm()).collect();
        rng.shuffle(&mut calm);
        let &[first, second, ..] = &calm[..] else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        client.renew_profile(&mut rng).await;
        client.trigger(second, false).await;
        let steps: &[Step] = if rng.u8(..5) > 0 {
            client.renew_profile(&mut rng).await;
            &REPLACING
        } else {
            &CONFIRMING
        };
        let step = steps[rng.usize(..steps.len())];
        let held = Action::Hold(RUN_TIMEOUT / 2);
        let about = if step == Step::Begin { About::Anything } else { About::User(client.user) };
        let mut trap = cluster.instances[first].database.trap(step, about, held);
        let mut asked = tokio::spawn(trigger(client.clone(), first, false));
        let caught = tokio::select! {
            caught = trap.caught(PATIENCE) => caught,
            _ = &mut asked => false,
        };
        if caught {
            cluster.counts.add("fault: a run held at a step");
            match rng.u8(..7) {
                0 => {}
                1..4 => client.return_to_profile(&mut rng).await,
                _ => client.renew_profile(&mut rng).await,
            }
            if rng.u8(..8) > 0 {
                client.expire_lock().await;
            }
            let (holds, background) = (rng.u8(..3) == 0, rng.u8(..3) == 0);
            let mut second_trap = holds.then(|| {
                cluster.instances[second].database.trap(Step::Compare, About::User(client.user), held)
            });
            let mut also = tokio::spawn(trigger(client.clone(), second, background));
            if let Some(trap) = &mut second_trap {
                trap.caught(PATIENCE).await;
            } else if background {
                sleep(Duration::from_millis(rng.u64(..300))).await;
            } else {
                // All the way, unless it waits for the lock.
                let _ = timeout(PATIENCE, &mut also).await;
            }
            trap.open();
            let _ = asked.await;
            client.look().await;
            drop(second_trap);
            if !also.is_finished() {
                let _ = also.await;
            }
        } else {
            drop(trap);
            if !asked.is_finished() {
                let _ = asked.await;
            }
        }
        client.look().await;
    }
}

async fn trigger(client: Arc<UserClient>, instance: usize, background: bool) {
    client.trigger(instance, background).await;
}

/// A run's BEGIN arrives after the run was given up: its connection has an open transaction that the driver
/// does not know of. Whoever is next on it must not lose what it commits.
pub async fn begin_late(cluster: Arc<Cluster>, client: Arc<UserClient>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let number = rng.usize(..INSTANCES);
    client.renew_profile(&mut rng).await;
    let link = &cluster.instances[number].database;
    let mut before = link.trap(Step::ReadInputs, About::User(client.user), Action::Hold(PATIENCE));
    let asked = tokio::spawn(trigger(client.clone(), number, false));
    if before.caught(PATIENCE).await {
        let late = RUN_TIMEOUT + Duration::from_millis(300);
        let mut begin = link.trap(Step::Begin, About::Anything, Action::Hold(late));
        before.open();
        if begin.caught(PATIENCE).await {
            cluster.counts.add("fault: BEGIN arrived after its run was given up");
            sleep(late).await;
        }
    }
    let _ = asked.await;
    for _ in 0..8 {
        client.trigger(number, true).await;
    }
}

/// A user whose every run kills its process is parked in the end.
pub async fn kill_whoever_serves(cluster: Arc<Cluster>, client: Arc<UserClient>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    client.renew_profile(&mut rng).await;
    client.trigger(rng.usize(..INSTANCES), true).await;
    let trap_all = || -> Vec<_> {
        let links = cluster.instances.iter().map(|instance| &instance.database);
        links
            .map(|link| link.trap(Step::ReadState, About::User(client.user), Action::Hold(RUN_TIMEOUT)))
            .collect()
    };
    let mut traps = trap_all();
    for _ in 0..=MAX_ATTEMPTS {
        let caught = traps.iter_mut().map(|trap| Box::pin(trap.caught(LEASE)));
        let (true, number, _) = futures::future::select_all(caught).await else { return };
        // Set before anybody else can begin.
        let next = trap_all();
        cluster.restart(number).await;
        cluster.counts.add("fault: killed by the user it serves");
        client.log.lock().unwrap().killed += 1;
        // Stands for the wait.
        cluster.database.end_lease(client.user).await;
        traps = next;
    }
}
