//! The workers: they read due users, claim some of them, and serve these together.

use super::{AT_ONCE, Batch, CONCURRENT, Doing, PATIENCE, SERVER, TOGETHER, Tag};
use crate::engine::Step;
use crate::measured::Change;

impl Batch<'_> {
    pub(super) fn go_on(&mut self, worker: usize) {
        match std::mem::replace(&mut self.workers[worker], Doing::Nothing) {
            Doing::Reading => self.have_read(worker),
            Doing::Claiming(users) => self.lock(worker, users),
            Doing::Committing(users) => self.have_claimed(worker, &users),
            Doing::Serving(users) => {
                self.done += users;
                self.seek(worker);
            }
            Doing::Nothing | Doing::Waiting | Doing::GivingWay(_) | Doing::Blocked(_) => {
                unreachable!("the worker has no program")
            }
        }
    }

    fn instance_of(&self, worker: usize) -> usize {
        worker / self.plan.workers
    }

    /// The next users: those that were read ahead, or new ones.
    pub(super) fn seek(&mut self, worker: usize) {
        let place = self.instance_of(worker);
        let instance = &mut self.instances[place];
        if instance.is_read {
            self.workers[worker] = Doing::Waiting;
        } else if instance.ahead.is_empty() {
            instance.is_read = true;
            self.read(worker);
        } else {
            let count = TOGETHER.min(instance.ahead.len());
            self.groups[worker] = instance.ahead.drain(..count).collect();
            self.give_way(worker);
        }
    }

    fn read(&mut self, worker: usize) {
        self.workers[worker] = Doing::Reading;
        let steps = vec![self.travel(1.0), self.work(SERVER, self.measured.server.due_ms)];
        self.engine.start(steps, Tag::Worker(worker));
    }

    fn have_read(&mut self, worker: usize) {
        let mut users = self.due.first(self.plan.read_ahead);
        if users.is_empty() {
            // Reads again when users are marked.
            self.workers[worker] = Doing::Nothing;
            return;
        }
        self.random.shuffle(&mut users);
        let place = self.instance_of(worker);
        self.instances[place].ahead = users.into();
        self.instances[place].is_read = false;
        self.seek(worker);
        for other in place * self.plan.workers..(place + 1) * self.plan.workers {
            if matches!(self.workers[other], Doing::Waiting) {
                self.seek(other);
            }
        }
    }

    /// Workers without users read again.
    pub(super) fn wake(&mut self) {
        for worker in 0..self.workers.len() {
            if matches!(self.workers[worker], Doing::Nothing) {
                self.read(worker);
            }
        }
    }

    fn give_way(&mut self, worker: usize) {
        let instance = self.instance_of(worker);
        if self.instances[instance].urgent == 0 {
            return self.claim(worker);
        }
        self.generation += 1;
        self.workers[worker] = Doing::GivingWay(self.generation);
        self.engine.start(vec![Step::Wait(PATIENCE)], Tag::Patience(worker, self.generation));
    }

    pub(super) fn end_giving_way(&mut self, instance: usize) {
        if self.instances[instance].urgent > 0 {
            return;
        }
        for worker in instance * self.plan.workers..(instance + 1) * self.plan.workers {
            if matches!(self.workers[worker], Doing::GivingWay(_)) {
                self.claim(worker);
            }
        }
    }

    pub(super) fn claim(&mut self, worker: usize) {
        self.workers[worker] = Doing::Claiming(std::mem::take(&mut self.groups[worker]));
        let steps = vec![self.travel(1.0), self.work(SERVER, self.measured.server.claim_ms)];
        self.engine.start(steps, Tag::Worker(worker));
    }

    /// The claim waits for others that have locked some of its users. It gets those that are left.
    fn lock(&mut self, worker: usize, users: Vec<usize>) {
        let Some(claimed) = self.due.lock(&users) else {
            self.workers[worker] = Doing::Blocked(users);
            self.blocked.push_back(worker);
            return;
        };
        self.claims += 1;
        if claimed.is_empty() {
            return self.seek(worker);
        }
        self.workers[worker] = Doing::Committing(claimed);
        self.engine.start(vec![Step::Commit], Tag::Worker(worker));
    }

    fn have_claimed(&mut self, worker: usize, users: &[usize]) {
        self.due.claim(users);
        self.workers[worker] = Doing::Serving(users.len());
        let steps = self.group(self.instance_of(worker), users.len());
        self.engine.start(steps, Tag::Worker(worker));
        for blocked in std::mem::take(&mut self.blocked) {
            if let Doing::Blocked(users) = std::mem::replace(&mut self.workers[blocked], Doing::Nothing) {
                self.lock(blocked, users);
            }
        }
    }

    /// The locks, reads and results by two, the writes of all users with one commit, and the
    /// release of the locks.
    fn group(&mut self, instance: usize, users: usize) -> Vec<Step> {
        let mut lanes: Vec<Vec<Step>> = (0..CONCURRENT).map(|_| Vec::new()).collect();
        let mut writes = vec![self.travel(1.0)];
        for (nth, chunk) in chunks(users).enumerate() {
            let (mut write, mut compute, mut statements) = (0.0, 0.0, 0);
            for _ in 0..chunk {
                let change = self.change();
                let (server, own) = self.measured.run_ms(change);
                (write, compute, statements) =
                    (write + server, compute + own, statements + change.statements());
            }
            let lane = &mut lanes[nth % CONCURRENT];
            lane.push(self.travel(chunk as f64));
            lane.push(self.work(SERVER, self.measured.server.snapshot_ms * chunk as f64));
            lane.push(self.work(self.pool(instance), compute));
            writes.push(self.travel(f64::from(statements)));
            writes.push(self.work(SERVER, write));
        }
        lanes.retain(|lane| !lane.is_empty());
        let mut steps = vec![self.travel(1.0), Step::Together(lanes)];
        steps.extend(writes);
        steps.extend([self.travel(1.0), Step::Commit, self.travel(1.0)]);
        steps
    }

    fn change(&mut self) -> Change {
        match self.random.u8(0..100) < self.plan.changed_percent {
            true if self.plan.whole_lists => Change::All,
            true => Change::Tenth,
            false => Change::Nothing,
        }
    }
}

/// Users in steps of [`AT_ONCE`], in at least as many steps as there are lanes.
fn chunks(users: usize) -> impl Iterator<Item = usize> {
    let size = AT_ONCE.min(users.div_ceil(CONCURRENT));
    (0..users).step_by(size).map(move |from| size.min(users - from))
}
