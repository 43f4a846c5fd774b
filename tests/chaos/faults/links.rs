//! Faults of the links: a statement or its answer is lost, or a whole link is slow, silent or gone.

use std::time::Duration;

use tokio::time::sleep;

use super::PATIENCE;
use crate::cluster::Cluster;
use crate::proxy::{About, Action, Direction, Flow, Proxy, Step};

/// The kinds of [`hurt`].
pub const KINDS: [&str; 4] = ["delayed", "silent in one direction", "reset", "refused"];

/// The instance does not learn whether a run's transaction has committed.
pub async fn lose_commit(cluster: &Cluster, number: usize, rng: &mut fastrand::Rng) {
    if lose(cluster, number, Step::Commit, rng).await {
        cluster.counts.add("fault: ambiguous COMMIT");
    }
}

/// The instance does not learn whether a statement that commits by itself has been executed.
pub async fn lose_statement(cluster: &Cluster, number: usize, rng: &mut fastrand::Rng) {
    let steps = [Step::Confirm, Step::Request, Step::Claim, Step::GiveBack];
    let step = steps[rng.usize(..steps.len())];
    if lose(cluster, number, step, rng).await {
        cluster.counts.add("fault: ambiguous statement");
    }
}

/// Whether there was such a statement to lose.
async fn lose(cluster: &Cluster, number: usize, step: Step, rng: &mut fastrand::Rng) -> bool {
    let action = match rng.u8(..4) {
        0 => Action::LoseStatement,
        1 | 2 => Action::LoseAnswer,
        _ => Action::DeliverLate(Duration::from_millis(rng.u64(20..2_500))),
    };
    let mut trap = cluster.instances[number].database.trap(step, About::AnyUser, action);
    trap.caught(PATIENCE).await
}

/// One of the instance's links is delayed, silent in one direction, reset or refused for a while.
pub async fn hurt(cluster: &Cluster, number: usize, rng: &mut fastrand::Rng) {
    let instance = &cluster.instances[number];
    let links: Vec<_> = instance.links().collect();
    let index = rng.usize(..links.len());
    // Only a fault on the clients' own link excuses a late answer.
    let disturbed = (index == 0).then(|| instance.disturb());
    let direction = if rng.bool() { Direction::Up } else { Direction::Down };
    let lasts = Duration::from_millis(rng.u64(100..3_000));
    let kind = rng.usize(..KINDS.len());
    match kind {
        0 => delay(links[index], direction, Duration::from_millis(rng.u64(1..150)), lasts).await,
        1 => silence(links[index], direction, lasts, rng.bool()).await,
        2 => links[index].reset(),
        _ => refuse(links[index], lasts / 2).await,
    }
    let (name, kind) = (["HTTP", "database", "Redis"][index], KINDS[kind]);
    cluster.counts.add(format!("fault: {name} link {kind}"));
    if let Some(disturbed) = disturbed {
        instance.calm(disturbed);
    }
}

async fn delay(link: &Proxy, direction: Direction, delay: Duration, lasts: Duration) {
    link.set_flow(direction, Flow::Delayed(delay));
    sleep(lasts).await;
    link.set_flow(direction, Flow::Open);
}

/// The pieces that were held arrive afterwards, unless the silence ends with a reset.
async fn silence(link: &Proxy, direction: Direction, lasts: Duration, ends_with_reset: bool) {
    link.set_flow(direction, Flow::Silent);
    sleep(lasts).await;
    if ends_with_reset {
        link.reset();
    }
    link.set_flow(direction, Flow::Open);
}

async fn refuse(link: &Proxy, lasts: Duration) {
    link.set_refuses(true);
    link.reset();
    sleep(lasts).await;
    link.set_refuses(false);
}
