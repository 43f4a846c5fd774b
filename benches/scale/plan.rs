//! The deployments that are simulated.

use crate::measured::{Change, Measured, Point};

/// A deployment with its load.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub users: usize,
    pub instances: usize,
    /// `BATCH_WORKERS`.
    pub workers: usize,
    pub processors: Processors,
    /// Lists that change, in per cent; each of them by a tenth unless `whole_lists`.
    pub changed_percent: u8,
    pub whole_lists: bool,
    /// Requests a second over all instances: four of five read a list, one calculates.
    pub requests_per_second: u32,
    pub listings: usize,
    pub round_trip_ms: f64,
    pub sync_ms: f64,
    /// Due users that a worker reads at once.
    pub read_ahead: usize,
    /// While users are marked, their rows are compared with their checksums.
    pub compares_rows: bool,
    /// A caller asks for the progress ten times a second, as `scripts/bench` does, and sees the end so late.
    pub is_watched: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Processors {
    /// Server and instances share them.
    Shared(usize),
    Apart {
        server: usize,
        instance: usize,
    },
}

/// A data centre: the round trip between two machines, and the sync of a volume over a network. Assumed, not measured.
const ROUND_TRIP_MS: f64 = 0.3;
const SYNC_MS: f64 = 1.0;

/// As in `background/worker.rs`.
const READ_AHEAD: usize = 32;

const TEN_MILLION: usize = 10_000_000;

impl Plan {
    /// The batches of ten million users in `docs/scale.md`.
    pub fn ten_million() -> Vec<Self> {
        let plan = |instances, workers, server, changed_percent| Self {
            name: String::new(),
            users: TEN_MILLION,
            instances,
            workers,
            processors: Processors::Apart { server, instance: 2 },
            changed_percent,
            whole_lists: false,
            requests_per_second: 500,
            listings: 1_000_000,
            round_trip_ms: ROUND_TRIP_MS,
            sync_ms: SYNC_MS,
            read_ahead: READ_AHEAD,
            compares_rows: true,
            is_watched: false,
        };
        let named = |name: &str, plan: Self| Self { name: name.to_owned(), ..plan };
        let usual = || plan(4, 4, 16, 20);
        let light = |plan| Self { compares_rows: false, ..plan };
        vec![
            named("one instance, one worker: the defaults", plan(1, 1, 16, 20)),
            named("four instances", plan(4, 1, 16, 20)),
            named("four instances of four workers", usual()),
            named("the same; no list changes", plan(4, 4, 16, 0)),
            named("the same; every list changes", plan(4, 4, 16, 100)),
            named("the same; a sync takes 5 ms", Self { sync_ms: 5.0, ..usual() }),
            named("eight instances of four workers", plan(8, 4, 16, 20)),
            named(
                "four of four; one of four shards, 2.5 million users",
                Self { users: TEN_MILLION / 4, ..usual() },
            ),
            named("four of four, if marking did not compare rows", light(usual())),
            named("eight of four, likewise", light(plan(8, 4, 32, 20))),
            named(
                "eight of four, likewise, that read 256 users ahead",
                Self { read_ahead: 256, ..light(plan(8, 4, 32, 20)) },
            ),
        ]
    }

    /// The machine of the measurement, with its batch.
    pub fn of_point(point: &Point, measured: &Measured) -> Self {
        let change = match point.change {
            Change::All => "whole lists change",
            Change::Tenth => "a tenth of each list changes",
            Change::Nothing => "no list changes",
        };
        let instances = match point.instances {
            1 => "one instance".to_owned(),
            2 => "two instances".to_owned(),
            more => format!("{more} instances"),
        };
        Self {
            name: format!("{change}, {instances}"),
            users: point.users,
            instances: point.instances,
            workers: 1,
            processors: Processors::Shared(measured.processors),
            changed_percent: if point.change == Change::Nothing { 0 } else { 100 },
            whole_lists: point.change == Change::All,
            requests_per_second: 0,
            listings: 100_000,
            round_trip_ms: measured.round_trip_ms,
            sync_ms: measured.sync_ms,
            read_ahead: READ_AHEAD,
            compares_rows: true,
            is_watched: true,
        }
    }
}
