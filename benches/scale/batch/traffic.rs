//! Everything beside the workers: marking, callers, and a caller who watches the batch.

use super::{Batch, SERVER, Tag, WATCH};
use crate::engine::{Step, Time};
use crate::measured::Change;

impl Batch<'_> {
    /// The next users of the batch become due. Every instance reads them, and the first one marks them.
    pub(super) fn mark(&mut self) {
        if self.due.is_marked() {
            return;
        }
        let server = &self.measured.server;
        let compare = if self.plan.compares_rows { server.mark_checksums_ms } else { 0.0 };
        for _ in 1..self.plan.instances {
            let read = vec![self.travel(3.0), self.work(SERVER, server.mark_read_ms + compare)];
            self.engine.start(read, Tag::Read);
        }
        let steps = vec![
            self.travel(3.0),
            self.work(SERVER, server.mark_read_ms + compare),
            self.travel(4.0),
            self.work(SERVER, server.mark_write_ms),
            Step::Commit,
        ];
        self.engine.start(steps, Tag::Mark);
    }

    /// The next caller comes after a time that is distributed exponentially.
    pub(super) fn arrive(&mut self) {
        let mean = 1e9 / f64::from(self.plan.requests_per_second);
        let gap = -mean * (1.0 - self.random.f64()).ln();
        self.engine.start(vec![Step::Wait(gap as Time)], Tag::Arrival);
    }

    pub(super) fn serve_caller(&mut self) {
        self.arrivals += 1;
        let instance = self.arrivals % self.plan.instances;
        let pool = self.pool(instance);
        let (server, own) = (&self.measured.server, &self.measured.instance);
        if !self.arrivals.is_multiple_of(5) {
            let steps =
                vec![self.travel(1.0), self.work(SERVER, server.fast_ms), self.work(pool, own.fast_ms)];
            return self.engine.start(steps, Tag::Read);
        }
        // Of the calculations, too, one of five changes the list.
        let change = if self.arrivals.is_multiple_of(25) { Change::Tenth } else { Change::Nothing };
        let (write, compute) = self.measured.run_ms(change);
        // The lock, the read, BEGIN and COMMIT of a replacement, and the release.
        let round_trips = f64::from(change.statements()) + if change == Change::Nothing { 3.0 } else { 5.0 };
        let steps = vec![
            self.travel(round_trips),
            self.work(SERVER, server.snapshot_ms),
            self.work(pool, compute + own.request_ms),
            self.work(SERVER, write),
            Step::Commit,
        ];
        self.instances[instance].urgent += 1;
        self.engine.start(steps, Tag::Calculated { instance, began: self.engine.now });
    }

    pub(super) fn watch(&mut self) {
        let steps = vec![Step::Wait(WATCH), self.work(SERVER, self.measured.server.progress_ms)];
        self.engine.start(steps, Tag::Watched);
    }
}
