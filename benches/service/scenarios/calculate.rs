//! Runs of distinct users: the service beside its statements (the floor) and as few statements as can be (the limit).

use crate::bare::{Bare, Style};
use crate::contest::{Changes, Course, Side, contest};
use crate::instance::Instance;
use crate::report::{Bound, Case, Figures, Measure};
use crate::stage::{Link, Request, Stage, bare_callers};
use crate::users::Change;

/// Callers in a closed loop.
const CALLERS: [usize; 3] = [1, 8, 32];

/// All kinds of runs, by name; the short form takes the first.
const CHANGES: [(&str, Change); 3] =
    [("all", Change::All), ("tenth", Change::Tenth), ("nothing", Change::Nothing)];

/// The kinds of runs that scenarios about something else repeat.
pub fn changes(stage: &Stage) -> &'static [(&'static str, Change)] {
    &CHANGES[..if stage.options.quick { 1 } else { CHANGES.len() }]
}

/// All numbers of callers, and a fixed rate.
pub async fn measure(stage: &Stage, scenario: &str, change: Change) -> Vec<Case> {
    let link = stage.link();
    let versions = stage.start_versions(&link).await;
    let runs = Runs::prepare(stage, &link, &versions, change).await;
    let changes = runs.changes();
    let mut cases = Vec::new();
    for callers in CALLERS {
        let sides = runs.alternate(&changes, callers, stage.options.course).await;
        cases.push(Case::new(scenario, super::callers(callers), "/s", with_targets(sides, change, callers)));
    }
    let rate = if stage.options.quick { 20.0 } else { fixed_rate(change) };
    let course = Course { rate: Some(rate), ..stage.options.course };
    let sides = runs.alternate(&changes, 32, course).await;
    cases.push(Case::new(scenario, format!("at {rate}/s"), "ms", sides));
    runs.end().await;
    cases
}

/// Runs per second that even a slow machine manages: the times are those of a service that is not overloaded.
fn fixed_rate(change: Change) -> f64 {
    match change {
        Change::All => 60.0,
        Change::Tenth => 100.0,
        Change::Nothing => 150.0,
    }
}

/// Service, floor and limit on the same users.
pub struct Runs<'a> {
    stage: &'a Stage,
    versions: &'a [(&'static str, Instance)],
    bare: Bare,
    change: Change,
}

impl<'a> Runs<'a> {
    /// Brings all lists up to date.
    pub async fn prepare(
        stage: &'a Stage,
        link: &Link,
        versions: &'a [(&'static str, Instance)],
        change: Change,
    ) -> Self {
        stage.settle(&versions[0].1, stage.options.users).await;
        let bare = stage.bare(link).await;
        Self { stage, versions, bare, change }
    }

    /// Changes of the careers, if there are any.
    pub fn changes(&self) -> Option<Changes<'a>> {
        let Stage { database, options, .. } = self.stage;
        (self.change != Change::Nothing).then(|| Changes::new(database, self.change, options.users))
    }

    /// Measures all three sides.
    pub async fn alternate(
        &self,
        changes: &Option<Changes<'_>>,
        callers: usize,
        course: Course,
    ) -> Vec<Figures> {
        let users = self.stage.options.users;
        let request = Request::Calculate(self.change);
        let mut sides = Vec::new();
        for (name, version) in self.versions {
            let callers = self.stage.callers(version, request, callers).await;
            sides.push(Side::new(name, users, callers).changing(changes.as_ref()));
        }
        for (name, style) in [("floor", Style::Floor), ("limit", Style::Limit)] {
            sides.push(Side::new(name, users, bare_callers(&self.bare, style, self.change, callers)));
        }
        contest(&self.stage.servers, course, sides).await
    }

    /// Closes the connections.
    pub async fn end(self) {
        self.bare.pool.close().await;
    }
}

/// With one caller, the rate is the inverse of the time: 1.2 times as long is 1/1.2 of the rate.
fn with_targets(sides: Vec<Figures>, change: Change, callers: usize) -> Vec<Figures> {
    let ratio = match (change, callers) {
        (Change::All, 32) => Some(0.90),
        (Change::All, 1) => Some(0.83),
        (Change::Tenth, _) => Some(0.85),
        (Change::Nothing, 32) => Some(0.75),
        (Change::Nothing, 1) => Some(0.67),
        _ => None,
    };
    let round_trips = if change == Change::Nothing { 2.0 } else { 7.0 };
    let want = |figures: Figures| match (figures.side.as_str(), ratio) {
        ("service", _) => figures
            .want(Measure::MysqlRoundTrips, Bound::AtMost(round_trips))
            .want(Measure::RedisRoundTrips, Bound::AtMost(2.0)),
        ("limit", Some(ratio)) => figures.want(Measure::Ratio, Bound::AtLeast(ratio)),
        _ => figures,
    };
    sides.into_iter().map(want).collect()
}
