//! A batch beside other traffic, as `src/background` and `src/calculator/together.rs` do it.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::due::Due;
use crate::engine::{Engine, MS, Step, Time};
use crate::measured::{Change, Measured};
use crate::plan::{Plan, Processors};

// As in `background/worker.rs`, `calculator/together.rs` and `storage/mysql/marking.rs`.
const TOGETHER: usize = 16;
const CONCURRENT: usize = 2;
const PATIENCE: Time = 100 * MS;
const MARKED_AT_ONCE: usize = 200;
/// `CATALOGUE_REFRESH_SECS`.
const REFRESH: Time = 60_000 * MS;
/// Users whose reads, or writes, are one step of the simulation: a worker does them one after the other.
const AT_ONCE: usize = 4;
/// The time after which a caller who watches the batch asks again.
const WATCH: Time = 100 * MS;
/// The pool of the database server; instances follow.
const SERVER: usize = 0;

/// The figures of a simulated batch.
#[derive(Clone, Debug)]
pub struct Figures {
    pub seconds: f64,
    pub users_per_second: f64,
    pub commits_per_second: f64,
    pub syncs_per_second: f64,
    /// Users that a claim got, on average.
    pub claimed: f64,
    /// The share of the server's processors that was busy.
    pub server: f64,
    /// The same of the instances'.
    pub instances: f64,
    /// The share of the time in which the log was being synced.
    pub log: f64,
    /// Milliseconds of calculations for callers: median, and 99 of 100.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// The programs.
#[derive(Clone, Copy, Debug)]
enum Tag {
    /// The worker's current program.
    Worker(usize),
    /// The worker's patience has ended, if it still waits for the same calculation.
    Patience(usize, u32),
    Mark,
    Arrival,
    Calculated {
        instance: usize,
        began: Time,
    },
    Read,
    Refresh(usize),
    Watched,
}

enum Doing {
    /// Waits for users, with the lock of the read-ahead.
    Nothing,
    Reading,
    /// Waits until another worker of the instance has read.
    Waiting,
    GivingWay(u32),
    Claiming(Vec<usize>),
    /// Waits for the locks of another claim.
    Blocked(Vec<usize>),
    /// Its claim is being committed.
    Committing(Vec<usize>),
    Serving(usize),
}

#[derive(Default)]
struct Instance {
    ahead: VecDeque<usize>,
    /// A worker reads, or waits for users.
    is_read: bool,
    /// Calculations for callers.
    urgent: usize,
}

struct Batch<'a> {
    plan: &'a Plan,
    measured: &'a Measured,
    random: Rng,
    engine: Engine<Tag>,
    due: Due,
    instances: Vec<Instance>,
    /// The workers of instance `i` are those with `worker / plan.workers == i`.
    workers: Vec<Doing>,
    groups: Vec<Vec<usize>>,
    /// Workers in the order of their claims.
    blocked: VecDeque<usize>,
    generation: u32,
    done: usize,
    claims: usize,
    arrivals: usize,
    calculations: Vec<Time>,
}

/// Simulates the batch from its opening until no user of it is due.
pub fn simulate(plan: &Plan, measured: &Measured, seed: u64) -> Figures {
    let processors = match plan.processors {
        Processors::Shared(processors) => vec![processors],
        Processors::Apart { server, instance } => [vec![server], vec![instance; plan.instances]].concat(),
    };
    let count = plan.instances * plan.workers;
    let batch = Batch {
        plan,
        measured,
        random: Rng::with_seed(seed),
        engine: Engine::new(&processors, nanoseconds(plan.sync_ms)),
        due: Due::new(plan.users),
        instances: (0..plan.instances).map(|_| Instance::default()).collect(),
        workers: (0..count).map(|_| Doing::Waiting).collect(),
        groups: vec![Vec::new(); count],
        blocked: VecDeque::new(),
        generation: 0,
        done: 0,
        claims: 0,
        arrivals: 0,
        calculations: Vec::new(),
    };
    batch.run()
}

fn nanoseconds(ms: f64) -> Time {
    (ms * MS as f64) as Time
}

impl Batch<'_> {
    fn run(mut self) -> Figures {
        self.mark();
        if self.plan.requests_per_second > 0 {
            self.arrive();
        }
        for instance in 0..self.plan.instances {
            let first = self.random.u64(0..REFRESH);
            self.engine.start(vec![Step::Wait(first)], Tag::Refresh(instance));
        }
        if self.plan.is_watched {
            self.watch();
        }
        for worker in 0..self.workers.len() {
            self.seek(worker);
        }
        while self.done < self.plan.users {
            let Some(tag) = self.engine.next() else { break };
            self.ended(tag);
        }
        self.figures()
    }

    fn ended(&mut self, tag: Tag) {
        match tag {
            Tag::Worker(worker) => self.go_on(worker),
            Tag::Patience(worker, generation) => {
                if matches!(self.workers[worker], Doing::GivingWay(other) if other == generation) {
                    self.claim(worker);
                }
            }
            Tag::Mark => {
                self.due.mark(MARKED_AT_ONCE);
                self.wake();
                self.mark();
            }
            Tag::Arrival => {
                self.serve_caller();
                self.arrive();
            }
            Tag::Calculated { instance, began } => {
                self.calculations.push(self.engine.now - began);
                self.instances[instance].urgent -= 1;
                self.end_giving_way(instance);
            }
            Tag::Read => {}
            Tag::Watched => self.watch(),
            Tag::Refresh(instance) => {
                let millions = self.plan.listings as f64 / 1e6;
                let work = self.work(SERVER, self.measured.server.refresh_million_ms * millions);
                self.engine.start(vec![work, Step::Wait(REFRESH)], Tag::Refresh(instance));
            }
        }
    }

    fn go_on(&mut self, worker: usize) {
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
    fn seek(&mut self, worker: usize) {
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
    fn wake(&mut self) {
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

    fn end_giving_way(&mut self, instance: usize) {
        if self.instances[instance].urgent > 0 {
            return;
        }
        for worker in instance * self.plan.workers..(instance + 1) * self.plan.workers {
            if matches!(self.workers[worker], Doing::GivingWay(_)) {
                self.claim(worker);
            }
        }
    }

    fn claim(&mut self, worker: usize) {
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

    /// The next users of the batch become due. Every instance reads them, and the first one marks them.
    fn mark(&mut self) {
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
    fn arrive(&mut self) {
        let mean = 1e9 / f64::from(self.plan.requests_per_second);
        let gap = -mean * (1.0 - self.random.f64()).ln();
        self.engine.start(vec![Step::Wait(gap as Time)], Tag::Arrival);
    }

    fn serve_caller(&mut self) {
        self.arrivals += 1;
        let instance = self.arrivals % self.plan.instances;
        let pool = self.pool(instance);
        let (server, own) = (&self.measured.server, &self.measured.instance);
        if self.arrivals % 5 > 0 {
            let steps =
                vec![self.travel(1.0), self.work(SERVER, server.fast_ms), self.work(pool, own.fast_ms)];
            return self.engine.start(steps, Tag::Read);
        }
        // Of the calculations, too, one of five changes the list.
        let change = if self.arrivals % 25 == 0 { Change::Tenth } else { Change::Nothing };
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

    fn watch(&mut self) {
        let steps = vec![Step::Wait(WATCH), self.work(SERVER, self.measured.server.progress_ms)];
        self.engine.start(steps, Tag::Watched);
    }

    /// The processors of an instance.
    fn pool(&self, instance: usize) -> usize {
        match self.plan.processors {
            Processors::Shared(_) => SERVER,
            Processors::Apart { .. } => 1 + instance,
        }
    }

    fn travel(&self, round_trips: f64) -> Step {
        Step::Wait(nanoseconds(self.plan.round_trip_ms * round_trips))
    }

    /// Work of half to one and a half times this mean.
    fn work(&mut self, pool: usize, mean_ms: f64) -> Step {
        Step::Work(pool, nanoseconds(mean_ms * (0.5 + self.random.f64())).max(1))
    }

    fn figures(mut self) -> Figures {
        // A watcher sees the end half a look later, on average.
        let seen = self.engine.now + if self.plan.is_watched { WATCH / 2 } else { 0 };
        let seconds = seen as f64 / 1e9;
        let each = |count: f64| count / seconds;
        let own: Vec<f64> =
            (0..self.plan.instances).map(|instance| self.engine.utilisation(self.pool(instance))).collect();
        self.calculations.sort_unstable();
        let quantile = |share: f64| {
            let place = (self.calculations.len() as f64 * share) as usize;
            self.calculations.get(place).map_or(0.0, |time| *time as f64 / MS as f64)
        };
        Figures {
            seconds,
            users_per_second: each(self.done as f64),
            commits_per_second: each(self.engine.log.commits as f64),
            syncs_per_second: each(self.engine.log.syncs as f64),
            claimed: self.done as f64 / self.claims.max(1) as f64,
            server: self.engine.utilisation(SERVER),
            instances: own.iter().sum::<f64>() / own.len() as f64,
            log: self.engine.log.busy as f64 / self.engine.now.max(1) as f64,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}

/// Users in steps of [`AT_ONCE`], in at least as many steps as there are lanes.
fn chunks(users: usize) -> impl Iterator<Item = usize> {
    let size = AT_ONCE.min(users.div_ceil(CONCURRENT));
    (0..users).step_by(size).map(move |from| size.min(users - from))
}
