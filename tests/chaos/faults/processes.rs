//! Faults of the instances' processes: killed or stopped, at any moment or at a chosen step.

use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;

use super::PATIENCE;
use crate::clients::UserClient;
use crate::cluster::{Cluster, INSTANCES};
use crate::instance::{LEASE, MAX_ATTEMPTS, RUN_TIMEOUT};
use crate::proxy::{About, Action, Step, Trap};

/// SIGSTOP, then SIGCONT. Short pauses are more frequent.
pub async fn stop(cluster: &Cluster, number: usize, rng: &mut fastrand::Rng) {
    let pause = rng.u64(200..5_500).min(rng.u64(200..5_500));
    cluster.instances[number].stop_for(Duration::from_millis(pause)).await;
    cluster.counts.add("fault: SIGSTOP and SIGCONT");
}

/// An instance is killed or stopped while it waits for the answer to a step of a run. The statement still arrives,
/// perhaps late.
pub async fn end_at_step(cluster: &Cluster, number: usize, rng: &mut fastrand::Rng) {
    let instance = &cluster.instances[number];
    let step = Step::RUN[rng.usize(..Step::RUN.len())];
    let late = Duration::from_millis(rng.u64(..1_500));
    let mut trap = instance.database.trap(step, About::AnyUser, Action::Hold(late));
    if !trap.caught(PATIENCE).await {
        return;
    }
    if rng.bool() {
        cluster.counts.add("fault: killed at a step of a run");
        cluster.restart(number).await;
    } else {
        cluster.counts.add("fault: stopped at a step of a run");
        instance.stop_for(Duration::from_millis(rng.u64(200..5_000))).await;
        cluster.counts.add("fault: SIGSTOP and SIGCONT");
    }
}

/// Kills every process that begins to serve the user, once more than the attempts that a user has: by then the user
/// must be parked.
pub async fn kill_every_process_that_serves(cluster: Arc<Cluster>, client: Arc<UserClient>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    client.renew_profile(&mut rng).await;
    client.trigger(rng.usize(..INSTANCES), true).await;
    let mut traps = trap_all(&cluster, client.user);
    for _ in 0..=MAX_ATTEMPTS {
        let caught = traps.iter_mut().map(|trap| Box::pin(trap.caught(LEASE)));
        let (true, number, _) = select_all(caught).await else { return };
        // Set before another process can begin.
        let next = trap_all(&cluster, client.user);
        cluster.restart(number).await;
        cluster.counts.add("fault: killed by the user it serves");
        client.log.lock().unwrap().killed += 1;
        // Instead of waiting for its end.
        cluster.database.end_lease(client.user).await;
        traps = next;
    }
}

/// Traps the first statement of the user's next run, on every instance.
fn trap_all(cluster: &Cluster, user: i64) -> Vec<Trap> {
    let links = cluster.instances.iter().map(|instance| &instance.database);
    links.map(|link| link.trap(Step::Read, About::User(user), Action::Hold(RUN_TIMEOUT))).collect()
}
