//! Batches with one and two instances, beside bare statements with one commit for each user.

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

/// Runs of a batch that one instance does at the same time, as by default.
const WORKERS: usize = 1;

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
            let bare =
                Bare::create(&stage.database, &stage.link().mysql, None, stage.users.clone(), 10).await;
            let sides = alternate(stage, &instances, &bare, change).await;
            let name = format!("{what}, {count} {}", if count == 1 { "instance" } else { "instances" });
            cases.push(Case::new(scenario, name, "users/s", sides));
            bare.pool.close().await;
        }
    }
    cases
}

/// The service and the bare statements, in turns. These read all at once, take no lock and make no claims.
async fn alternate(stage: &Stage, instances: &[Instance], bare: &Bare, change: Change) -> Vec<Figures> {
    let options = stage.options;
    let changes = Changes::new(&stage.database, change, options.batch_users);
    let mut statements = bare_callers(bare, Style::Limit, change, instances.len() * WORKERS);
    let (mut service, mut floor) = (Vec::new(), Vec::new());
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
        let turn = Turn::new(options.batch_users, Order::Apart);
        floor.push(closed(&mut statements, &turn, 2 * options.course.time).await.rate());
    }
    let ratio = Spread::of(service.iter().zip(&floor).map(|(service, floor)| service / floor));
    let wanted = if change == Change::Nothing { 0.75 } else { 1.3 };
    let floor = Figures { ratio: Some(ratio), ..Figures::of("a commit per user", Spread::of(floor)) };
    let service = Figures { costs: costs.first().copied(), ..Figures::of("service", Spread::of(service)) };
    vec![
        service,
        if change == Change::Tenth { floor } else { floor.want(Measure::Ratio, Bound::AtLeast(wanted)) },
    ]
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
