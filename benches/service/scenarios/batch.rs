//! Batches with one and two instances, beside bare runs with one commit for each user, on one connection for each instance.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::query_scalar;

use super::calculate;
use crate::bare::{Bare, Style};
use crate::client::Client;
use crate::contest::Changes;
use crate::instance::Instance;
use crate::load::{Order, Turn, closed};
use crate::report::{Bound, Case, Figures, Measure, Spread};
use crate::stage::{Stage, bare_callers};
use crate::users::Change;

/// All changes, with one and two instances.
pub async fn measure(stage: &Stage, scenario: &str) -> Vec<Case> {
    let users = stage.options.batch_users;
    let mut cases = Vec::new();
    for count in [1, 2] {
        let mut instances = Vec::new();
        for _ in 0..count {
            instances.push(stage.start(&stage.link(), &[]).await);
        }
        for &(what, change) in calculate::changes(stage) {
            stage.settle(&instances[0], users).await;
            let bare = stage.bare(&stage.link()).await;
            let sides = alternate(stage, &instances, &bare, change).await;
            let name = format!("{what}, {count} {}", if count == 1 { "instance" } else { "instances" });
            cases.push(Case::new(scenario, name, "users/s", sides));
            bare.pool.close().await;
        }
    }
    cases
}

/// The service and the bare runs, in turns. The floor takes the lock of each user, and has a statement for each step; the
/// limit takes none, and reads all at once. Neither claims users.
async fn alternate(stage: &Stage, instances: &[Instance], bare: &Bare, change: Change) -> Vec<Figures> {
    let options = stage.options;
    let changes = Changes::new(&stage.database, change, options.batch_users);
    let mut sides = [(bare.clone(), Style::Floor), (bare.without_locks(), Style::Limit)]
        .map(|(bare, style)| (bare_callers(&bare, style, change, instances.len()), Vec::new()));
    let mut service = Vec::new();
    let mut costs = Vec::new();
    for _ in 0..options.course.rounds {
        changes.make().await;
        let versions = versions(stage).await;
        let before = stage.servers.read().await;
        let took = batch(instances, options.batch_users).await;
        costs.push(stage.servers.read().await.since(before, options.batch_users.unsigned_abs()));
        let replaced = if change == Change::Nothing { 0 } else { options.batch_users };
        assert_eq!(self::versions(stage).await - versions, replaced, "lists that were written");
        changes.all_called().await;
        service.push(options.batch_users as f64 / took.as_secs_f64());
        for (callers, rates) in &mut sides {
            let turn = Turn::new(options.batch_users, Order::Apart);
            rates.push(closed(callers, &turn, 2 * options.course.time).await.rate());
        }
    }
    let [floor, limit] = sides.map(|(_, rates)| {
        let ratio = Spread::of(service.iter().zip(&rates).map(|(service, bare)| service / bare));
        (ratio, Spread::of(rates))
    });
    let side = |name, (ratio, rate)| Figures { ratio: Some(ratio), ..Figures::of(name, rate) };
    let (floor, limit) = (side("floor", floor), side("limit", limit));
    let service = Figures { costs: costs.first().copied(), ..Figures::of("service", Spread::of(service)) };
    match change {
        Change::All => vec![service, floor.want(Measure::Ratio, Bound::AtLeast(1.3)), limit],
        Change::Tenth => vec![service, floor, limit],
        Change::Nothing => vec![service, floor, limit.want(Measure::Ratio, Bound::AtLeast(0.75))],
    }
}

/// A replacement of a list adds one.
async fn versions(stage: &Stage) -> i64 {
    query_scalar("SELECT CAST(SUM(version) AS SIGNED) FROM recommendation_state")
        .fetch_one(&stage.database.pool)
        .await
        .expect("readable")
}

/// A batch of all users, from its trigger until none of them is due.
async fn batch(instances: &[Instance], users: i64) -> Duration {
    let mut client = Client::connect(&instances[0].address).await;
    let began = Instant::now();
    let answer = client.post("/api/scheduler/trigger").await;
    assert_eq!(answer["joined"], false, "{answer}");
    let mut took = None;
    loop {
        let status: Value = serde_json::from_slice(&client.get("/api/scheduler/status").await).expect("JSON");
        let batch = &status["batch"];
        let of = |count: &str| batch[count].as_i64().expect("a number");
        assert_eq!(of("parked"), 0, "{status}");
        if batch["marking"] == false && of("due") + of("inProgress") == 0 {
            assert_eq!(of("total"), users, "{status}");
            took.get_or_insert_with(|| began.elapsed());
        }
        // The end itself is found at the next poll of an instance.
        match took {
            Some(took) if batch["running"] == false => return took,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
