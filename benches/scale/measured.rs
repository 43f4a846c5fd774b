//! The measured values that the simulation stands on: `measured.json`, whose part "about" says how each was measured.

use serde::Deserialize;

/// The values that the program was built with.
const MEASURED: &str = include_str!("measured.json");

/// Times are in milliseconds. Processor times are means.
#[derive(Clone, Debug, Deserialize)]
pub struct Measured {
    /// All processor times are multiplied by this: the machine was busy with other work when they were measured. It is
    /// chosen so that the batches with two instances, which keep the processors busy, come out right on average.
    calibration: f64,
    pub server: Server,
    pub instance: Instance,
    /// A sync of the logs for one group of commits.
    pub sync_ms: f64,
    /// A round trip on the machine of the measurement, without the work in the server.
    pub round_trip_ms: f64,
    /// Processors that all processes of the measurement shared.
    pub processors: usize,
    /// Batches that were measured, to compare with the simulation.
    pub points: Vec<Point>,
}

/// Processor time of the database server.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Reads 32 due users.
    pub due_ms: f64,
    /// Claims sixteen users.
    pub claim_ms: f64,
    /// Reads the state, the list and the inputs of a user.
    pub snapshot_ms: f64,
    pub confirm_ms: f64,
    /// Replaces a whole list.
    pub replace_all_ms: f64,
    /// Replaces a tenth of a list.
    pub replace_tenth_ms: f64,
    /// Reads the next 200 users of a batch; every instance does.
    pub mark_read_ms: f64,
    /// Looks for lists of these 200 users that another writer has changed; every instance does.
    pub mark_checksums_ms: f64,
    /// Makes 200 users due; one instance does.
    pub mark_write_ms: f64,
    /// Reads a list for a caller.
    pub fast_ms: f64,
    /// Counts the queue and the users of a batch of 1,500, for a caller who asks for the progress.
    pub progress_ms: f64,
    /// A refresh of one million listings without changes.
    pub refresh_million_ms: f64,
}

impl Server {
    fn times(&mut self) -> [&mut f64; 11] {
        // A refresh was measured elsewhere.
        let Self {
            due_ms,
            claim_ms,
            snapshot_ms,
            confirm_ms,
            replace_all_ms,
            replace_tenth_ms,
            mark_read_ms,
            mark_checksums_ms,
            mark_write_ms,
            fast_ms,
            progress_ms,
            refresh_million_ms: _,
        } = self;
        [
            due_ms,
            claim_ms,
            snapshot_ms,
            confirm_ms,
            replace_all_ms,
            replace_tenth_ms,
            mark_read_ms,
            mark_checksums_ms,
            mark_write_ms,
            fast_ms,
            progress_ms,
        ]
    }
}

/// Processor time of an instance for one user, with everything: driver, ranking, locks, log.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// A run of a batch that finds its list current.
    pub confirm_ms: f64,
    pub replace_all_ms: f64,
    pub replace_tenth_ms: f64,
    /// HTTP around a run, beyond a run of a batch.
    pub request_ms: f64,
    /// Answers with a list.
    pub fast_ms: f64,
}

impl Instance {
    fn times(&mut self) -> [&mut f64; 5] {
        let Self { confirm_ms, replace_all_ms, replace_tenth_ms, request_ms, fast_ms } = self;
        [confirm_ms, replace_all_ms, replace_tenth_ms, request_ms, fast_ms]
    }
}

/// A batch that was measured.
#[derive(Clone, Debug, Deserialize)]
pub struct Point {
    pub instances: usize,
    pub change: Change,
    pub users: usize,
    pub users_per_second: f64,
    /// Users that a claim got, on average.
    pub users_per_claim: f64,
}

/// The effect of a run on a list.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    All,
    Tenth,
    Nothing,
}

impl Change {
    /// The statements of a write, without BEGIN and COMMIT.
    pub fn statements(self) -> u32 {
        match self {
            Self::All | Self::Tenth => 3,
            Self::Nothing => 1,
        }
    }
}

impl Measured {
    /// The values of `measured.json`.
    ///
    /// # Errors
    /// The file does not have the form of this type.
    pub fn read() -> serde_json::Result<Self> {
        let mut measured: Self = serde_json::from_str(MEASURED)?;
        let Self { calibration, server, instance, .. } = &mut measured;
        for time in server.times().into_iter().chain(instance.times()) {
            *time *= *calibration;
        }
        Ok(measured)
    }

    /// Processor time of a write in the server and of a whole run in the instance.
    pub fn run_ms(&self, change: Change) -> (f64, f64) {
        let (server, instance) = (&self.server, &self.instance);
        match change {
            Change::All => (server.replace_all_ms, instance.replace_all_ms),
            Change::Tenth => (server.replace_tenth_ms, instance.replace_tenth_ms),
            Change::Nothing => (server.confirm_ms, instance.confirm_ms),
        }
    }
}
