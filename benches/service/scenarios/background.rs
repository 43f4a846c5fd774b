//! Triggers for the background: how fast they are accepted, beside the statement that records them.

use crate::bare::TriggerCaller;
use crate::contest::{Side, contest};
use crate::load::Caller;
use crate::report::{Bound, Case, Figures, Measure};
use crate::stage::{Request, Stage};

/// All numbers of callers. The runs themselves are left to other instances, of which there are none.
pub async fn measure(stage: &Stage, scenario: &str) -> Vec<Case> {
    let link = stage.link();
    let service = stage.start(&link, &[("QUEUE_WORKERS", "0")]).await;
    stage.settle(&service, stage.options.users).await;
    let bare = stage.bare(&link).await;
    let users = stage.options.users;
    let mut cases = Vec::new();
    for callers in [1, 8, 32] {
        let statements =
            (0..callers).map(|_| Box::new(TriggerCaller(bare.pool.clone())) as Box<dyn Caller>).collect();
        let sides = vec![
            Side::new("service", users, stage.callers(&service, Request::Background, callers).await),
            Side::new("statement", users, statements),
        ];
        let sides = contest(&stage.servers, stage.options.course, sides).await;
        cases.push(Case::new(
            scenario,
            super::callers(callers),
            "/s",
            sides.into_iter().map(with_target).collect(),
        ));
    }
    bare.pool.close().await;
    stage
        .database
        .execute(
            "UPDATE recommendation_state \
             SET completed_seq = requested_seq, due_at = NULL, requested_at = NULL WHERE due_at IS NOT NULL",
        )
        .await;
    cases
}

fn with_target(figures: Figures) -> Figures {
    match figures.side.as_str() {
        "statement" => figures.want(Measure::Ratio, Bound::AtLeast(0.85)),
        _ => figures,
    }
}
