//! Runs of one user whose statements are interleaved on purpose.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{DURATION, PATIENCE};
use crate::clients::UserClient;
use crate::cluster::{Cluster, INSTANCES};
use crate::instance::RUN_TIMEOUT;
use crate::proxy::{About, Action, Step, Trap};

/// The steps at which a run that replaces rows is held: most often those where most depends on the order.
const REPLACING: [Step; 10] = [
    Step::Read,
    Step::Read,
    Step::Read,
    Step::Read,
    Step::Begin,
    Step::Compare,
    Step::Compare,
    Step::Compare,
    Step::InsertRows,
    Step::Commit,
];
const CONFIRMING: [Step; 3] = [Step::Read, Step::Read, Step::Confirm];

/// Two runs of one user, interleaved step by step: one is held at a step while inputs change, its lock expires, and
/// another runs, perhaps up to its own write.
pub async fn interleave(cluster: Arc<Cluster>, client: Arc<UserClient>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    while begun.elapsed() < DURATION {
        let Some((first, second)) = two_calm_instances(&cluster, &mut rng) else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        client.renew_profile(&mut rng).await;
        client.trigger(second, false).await;
        let (mut trap, mut held_run) = hold_a_run(&cluster, &client, first, &mut rng).await;
        let caught = tokio::select! {
            caught = trap.caught(PATIENCE) => caught,
            _ = &mut held_run => false,
        };
        if caught {
            cluster.counts.add("fault: a run held at a step");
            change_inputs(&client, &mut rng).await;
            overtake(&cluster, &client, second, (trap, held_run), &mut rng).await;
        } else {
            drop(trap);
            finish(held_run).await;
        }
        client.look().await;
    }
}

/// Long enough for another run, and short enough for the held run to go on.
fn held() -> Action {
    Action::Hold(RUN_TIMEOUT / 2)
}

/// Two instances that can answer.
fn two_calm_instances(cluster: &Cluster, rng: &mut fastrand::Rng) -> Option<(usize, usize)> {
    let mut calm: Vec<_> = (0..INSTANCES).filter(|number| cluster.instances[*number].is_calm()).collect();
    rng.shuffle(&mut calm);
    match calm[..] {
        [first, second, ..] => Some((first, second)),
        _ => None,
    }
}

/// Triggers a run that is to be held at one of its steps.
async fn hold_a_run(
    cluster: &Cluster,
    client: &Arc<UserClient>,
    instance: usize,
    rng: &mut fastrand::Rng,
) -> (Trap, JoinHandle<()>) {
    let steps: &[Step] = if rng.u8(..5) > 0 {
        client.renew_profile(rng).await;
        &REPLACING
    } else {
        &CONFIRMING
    };
    let step = steps[rng.usize(..steps.len())];
    // BEGIN has no parameters that tell its user.
    let about = if step == Step::Begin { About::Anything } else { About::User(client.user) };
    let link = &cluster.instances[instance].database;
    let mut trap = link.trap(step, about, held());
    let run = trigger(client, instance, false);
    if step == Step::Read && rng.bool() && trap.caught(PATIENCE).await {
        // Between two reads, should a run have two: by the protocol it has one.
        trap = link.trap(step, about, held());
    }
    (trap, run)
}

/// While a run is held: its inputs may change, and its lock may expire.
async fn change_inputs(client: &UserClient, rng: &mut fastrand::Rng) {
    match rng.u8(..7) {
        0 => {}
        1..4 => client.return_to_profile(rng).await,
        _ => client.renew_profile(rng).await,
    }
    if rng.u8(..8) > 0 {
        client.expire_lock().await;
    }
}

/// A second run overtakes the held one: all the way, or up to its own write. Then the held run goes on.
async fn overtake(
    cluster: &Cluster,
    client: &Arc<UserClient>,
    second: usize,
    (trap, held_run): (Trap, JoinHandle<()>),
    rng: &mut fastrand::Rng,
) {
    let (holds, background) = (rng.u8(..3) == 0, rng.u8(..3) == 0);
    let compare =
        |_| cluster.instances[second].database.trap(Step::Compare, About::User(client.user), held());
    let mut second_trap = holds.then_some(()).map(compare);
    let mut second_run = trigger(client, second, background);
    if let Some(trap) = &mut second_trap {
        trap.caught(PATIENCE).await;
    } else if background {
        sleep(Duration::from_millis(rng.u64(..300))).await;
    } else {
        // It may also wait for the lock.
        let _ = timeout(PATIENCE, &mut second_run).await;
    }
    trap.open();
    let _ = held_run.await;
    client.look().await;
    drop(second_trap);
    finish(second_run).await;
}

/// Waits for a trigger, which may have been awaited already.
async fn finish(run: JoinHandle<()>) {
    if !run.is_finished() {
        let _ = run.await;
    }
}

fn trigger(client: &Arc<UserClient>, instance: usize, background: bool) -> JoinHandle<()> {
    let client = client.clone();
    tokio::spawn(async move {
        client.trigger(instance, background).await;
    })
}

/// A run's BEGIN arrives after the run was given up: its connection has an open transaction that the driver does not
/// know of. The next user of the connection must not lose its commits.
pub async fn begin_late(cluster: Arc<Cluster>, client: Arc<UserClient>, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let number = rng.usize(..INSTANCES);
    client.renew_profile(&mut rng).await;
    let link = &cluster.instances[number].database;
    let mut before = link.trap(Step::Read, About::User(client.user), Action::Hold(PATIENCE));
    let run = trigger(&client, number, false);
    if before.caught(PATIENCE).await {
        let late = RUN_TIMEOUT + Duration::from_millis(300);
        let mut begin = link.trap(Step::Begin, About::Anything, Action::Hold(late));
        before.open();
        if begin.caught(PATIENCE).await {
            cluster.counts.add("fault: BEGIN arrived after its run was given up");
            sleep(late).await;
        }
    }
    let _ = run.await;
    for _ in 0..8 {
        client.trigger(number, true).await;
    }
}
