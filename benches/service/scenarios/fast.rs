//! Reading stored lists: the service beside a bare handler that answers the same.

use serde_json::Value;

use crate::bare;
use crate::client::Client;
use crate::contest::{Course, Side, contest};
use crate::handler::{Handler, HandlerCaller, SelectCaller};
use crate::instance::Instance;
use crate::load::Caller;
use crate::report::{Bound, Case, Figures, Measure};
use crate::stage::{Link, Request, Stage};

/// All numbers of callers, and a fixed rate.
pub async fn measure(stage: &Stage, scenario: &str) -> Vec<Case> {
    let link = stage.link();
    let versions = stage.start_versions(&link).await;
    let reads = Reads::prepare(stage, &link, &versions).await;
    let mut cases = Vec::new();
    for callers in [1, 32, 256] {
        cases.push(Case::new(
            scenario,
            super::callers(callers),
            "/s",
            reads.alternate(callers, stage.options.course).await,
        ));
    }
    let rate = if stage.options.quick { 20.0 } else { 200.0 };
    let course = Course { rate: Some(rate), ..stage.options.course };
    let mut at_a_rate = reads.alternate(64, course).await;
    at_a_rate.iter_mut().for_each(|side| side.wanted.clear());
    cases.push(Case::new(scenario, format!("at {rate}/s"), "ms", at_a_rate));
    cases
}

/// The service, the handler, and the SELECT without HTTP.
pub struct Reads<'a> {
    stage: &'a Stage,
    versions: &'a [(&'static str, Instance)],
    handler: Handler,
    select: sqlx::mysql::MySqlPool,
}

impl<'a> Reads<'a> {
    /// Starts the handler, and compares its answers with those of the service.
    pub async fn prepare(stage: &'a Stage, link: &Link, versions: &'a [(&'static str, Instance)]) -> Self {
        stage.settle(&versions[0].1, stage.options.users).await;
        let handler = Handler::start(link);
        let select = bare::pool(&link.mysql, link.connections);
        let reads = Self { stage, versions, handler, select };
        for user in 1..=10 {
            reads.compare(user).await;
        }
        reads
    }

    async fn compare(&self, user: i64) {
        let list = format!("/api/job-agent/recommendations/fast/{user}?limit=20");
        let service = Client::connect(&self.versions[0].1.address).await.get(&list).await;
        let handler = Client::connect(&self.handler.address).await.get(&format!("/fast/{user}")).await;
        assert_eq!(shape(&service), shape(&handler), "the handler answers something else");
    }

    /// Measures all three sides.
    pub async fn alternate(&self, callers: usize, course: Course) -> Vec<Figures> {
        let mut handler: Vec<Box<dyn Caller>> = Vec::new();
        let mut select: Vec<Box<dyn Caller>> = Vec::new();
        for _ in 0..callers {
            handler.push(Box::new(HandlerCaller(Client::connect(&self.handler.address).await)));
            select.push(Box::new(SelectCaller(self.select.clone())));
        }
        // More users than callers, also where there are few: a caller takes any of them.
        let users = self.stage.options.users;
        let mut sides = Vec::new();
        for (name, version) in self.versions {
            let callers = self.stage.callers(version, Request::Fast, callers).await;
            sides.push(Side::shared(name, users, callers));
        }
        sides.push(Side::shared("SELECT only", users, select));
        sides.push(Side::shared("bare handler", users, handler));
        contest(&self.stage.servers, course, sides).await.into_iter().map(with_target).collect()
    }
}

/// The score and the keys of each row. Versions of the service order rows of equal scores differently.
fn shape(body: &[u8]) -> Vec<(f64, Vec<String>)> {
    let answer: Value = serde_json::from_slice(body).expect("JSON");
    let rows = answer["recommendations"].as_array().expect("a list");
    let keys = |row: &Value| row.as_object().expect("an object").keys().cloned().collect();
    rows.iter().map(|row| (row["matchScore"].as_f64().expect("a number"), keys(row))).collect()
}

fn with_target(figures: Figures) -> Figures {
    match figures.side.as_str() {
        "service" => figures.want(Measure::MysqlRoundTrips, Bound::AtMost(1.0)),
        "bare handler" => figures.want(Measure::Ratio, Bound::AtLeast(0.90)),
        _ => figures,
    }
}
