//! A batch beside other traffic, as `src/background` and `src/calculator/together.rs` do it.

mod traffic;
mod workers;

use std::collections::VecDeque;

use fastrand::Rng;

use crate::due::Due;
use crate::engine::{Engine, MS, Step, Time};
use crate::measured::Measured;
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
