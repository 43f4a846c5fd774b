//! The figures of a run of the bench.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::counters::Costs;

/// All figures, with what they were measured on.
#[derive(Serialize, Deserialize)]
pub struct Report {
    /// The commit, the machine and the settings, by name.
    pub about: Vec<(String, String)>,
    pub cases: Vec<Case>,
}

/// One situation, measured for one or more sides.
#[derive(Clone, Serialize, Deserialize)]
pub struct Case {
    /// As on the command line.
    pub scenario: String,
    /// Within the scenario: "32 callers".
    pub name: String,
    /// Of the values: "/s", "ms", "s", "MB".
    pub unit: String,
    /// The service first.
    pub sides: Vec<Figures>,
}

/// What was measured for one side: the service, or that which it is compared with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    pub side: String,
    pub value: Spread,
    /// Milliseconds until the answer, for half of the calls and for 99 of 100.
    pub p50: Option<Spread>,
    pub p99: Option<Spread>,
    pub costs: Option<Costs>,
    /// Calls that were not answered as they should be.
    pub failed: u64,
    /// The service's value over this side's, round by round.
    pub ratio: Option<Spread>,
    pub wanted: Vec<Wanted>,
}

/// The median of the rounds, and their range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// A target.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Wanted {
    pub measure: Measure,
    pub bound: Bound,
}

/// What a target is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    Value,
    Ratio,
    P50,
    P99,
    MysqlRoundTrips,
    RedisRoundTrips,
}

/// What it should be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = (sorted.len() - 1) / 2;
        let median = (sorted[middle] + sorted[sorted.len() / 2]) / 2.0;
        Self { median, low: sorted[0], high: sorted[sorted.len() - 1] }
    }
}

impl Figures {
    /// Figures without anything but a value.
    pub fn of(side: &str, value: Spread) -> Self {
        Self { side: side.to_owned(), value, ..Self::default() }
    }

    /// Adds a target.
    pub fn want(mut self, measure: Measure, bound: Bound) -> Self {
        self.wanted.push(Wanted { measure, bound });
        self
    }

    /// The median that a target is for, if it was measured.
    pub fn median(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Value => Some(self.value.median),
            Measure::Ratio => self.ratio.map(|ratio| ratio.median),
            Measure::P50 => self.p50.map(|time| time.median),
            Measure::P99 => self.p99.map(|time| time.median),
            Measure::MysqlRoundTrips => self.costs.map(|costs| costs.mysql_round_trips),
            Measure::RedisRoundTrips => self.costs.map(|costs| costs.redis_round_trips),
        }
    }

    /// Whether a target is reached. Round trips are averages with the polls of the background among them.
    pub fn reaches(&self, wanted: &Wanted) -> bool {
        let slack = match wanted.measure {
            Measure::MysqlRoundTrips | Measure::RedisRoundTrips => 0.1,
            _ => 0.0,
        };
        self.median(wanted.measure).is_some_and(|value| match wanted.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound + slack,
        })
    }
}

impl Case {
    pub fn new(scenario: &str, name: impl Into<String>, unit: &str, sides: Vec<Figures>) -> Self {
        Self { scenario: scenario.to_owned(), name: name.into(), unit: unit.to_owned(), sides }
    }

    /// The figures of a side.
    pub fn side(&self, name: &str) -> Option<&Figures> {
        self.sides.iter().find(|figures| figures.side == name)
    }
}

impl Report {
    /// Figures that [`Report::write`] has written.
    pub fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).expect("figures of this bench")
    }

    /// Writes the figures as JSON.
    pub fn write(&self, file: &Path) {
        let text = serde_json::to_string_pretty(self).expect("serialisable");
        fs::write(file, text + "\n").expect("written");
    }

    /// Adds the cases of another report.
    pub fn add(mut self, other: Self) -> Self {
        self.cases.extend(other.cases);
        self
    }

    /// Calls that were not answered as they should be.
    pub fn failed(&self) -> u64 {
        self.cases.iter().flat_map(|case| &case.sides).map(|side| side.failed).sum()
    }

    /// The same case of another report.
    pub fn case(&self, like: &Case) -> Option<&Case> {
        self.cases.iter().find(|case| (&case.scenario, &case.name) == (&like.scenario, &like.name))
    }
}
