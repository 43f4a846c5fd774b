//! Discrete events: programs of steps that share processors and a log.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Nanoseconds, since the start or as a duration.
pub type Time = u64;

/// One millisecond.
pub const MS: Time = 1_000_000;

/// A processor goes on with the next program after this time.
const QUANTUM: Time = 5 * MS;

/// A step of a program.
pub enum Step {
    /// Waits, for a network or a clock.
    Wait(Time),
    /// Keeps one processor of a pool busy.
    Work(usize, Time),
    /// Waits for a sync of the log that begins from now on. One sync serves all commits that wait.
    Commit,
    /// Goes on when all of these programs have ended.
    Together(Vec<Vec<Step>>),
}

/// The machine. `T` tells programs apart.
pub struct Engine<T> {
    pub now: Time,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    /// Events of one moment happen in the order in which they were planned.
    planned: u64,
    programs: Vec<Program<T>>,
    free: Vec<usize>,
    pools: Vec<Pool>,
    pub log: Log,
    ended: VecDeque<T>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Resume(usize),
    /// The program has used its time on a processor of its pool.
    Worked(usize),
    Synced,
}

struct Program<T> {
    steps: std::vec::IntoIter<Step>,
    pool: usize,
    /// Work that is left of the current step.
    work: Time,
    /// Programs of the current step that have not ended.
    children: usize,
    then: Then<T>,
}

enum Then<T> {
    Tell(T),
    /// The program is a child of this one.
    Resume(usize),
    Ended,
}

struct Pool {
    processors: usize,
    idle: usize,
    waiting: VecDeque<usize>,
    worked: Time,
}

/// The log of the database server.
pub struct Log {
    sync: Time,
    syncing: Vec<usize>,
    waiting: Vec<usize>,
    pub syncs: u64,
    pub commits: u64,
    /// The time in which a sync was in progress.
    pub busy: Time,
}

impl<T> Engine<T> {
    /// Pools with these numbers of processors, and a log whose sync takes this time.
    pub fn new(processors: &[usize], sync: Time) -> Self {
        let pool = |processors: &usize| Pool {
            processors: *processors,
            idle: *processors,
            waiting: VecDeque::new(),
            worked: 0,
        };
        Self {
            now: 0,
            events: BinaryHeap::new(),
            planned: 0,
            programs: Vec::new(),
            free: Vec::new(),
            pools: processors.iter().map(pool).collect(),
            log: Log { sync, syncing: Vec::new(), waiting: Vec::new(), syncs: 0, commits: 0, busy: 0 },
            ended: VecDeque::new(),
        }
    }

    /// Starts a program.
    pub fn start(&mut self, steps: Vec<Step>, tag: T) {
        let program = self.add(steps, Then::Tell(tag));
        self.advance(program);
    }

    /// The tag of the next program that ends; `None`: none is left.
    pub fn next(&mut self) -> Option<T> {
        while self.ended.is_empty() {
            let Reverse((now, _, event)) = self.events.pop()?;
            self.now = now;
            match event {
                Event::Resume(program) => self.advance(program),
                Event::Worked(program) => self.worked(program),
                Event::Synced => self.synced(),
            }
        }
        self.ended.pop_front()
    }

    /// The share of a pool's time in which it worked, since the start.
    pub fn utilisation(&self, pool: usize) -> f64 {
        let Pool { processors, worked, .. } = self.pools[pool];
        worked as f64 / (processors as f64 * self.now.max(1) as f64)
    }

    fn add(&mut self, steps: Vec<Step>, then: Then<T>) -> usize {
        let program = Program { steps: steps.into_iter(), pool: 0, work: 0, children: 0, then };
        match self.free.pop() {
            Some(place) => {
                self.programs[place] = program;
                place
            }
            None => {
                self.programs.push(program);
                self.programs.len() - 1
            }
        }
    }

    fn plan(&mut self, after: Time, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((self.now + after, self.planned, event)));
    }

    fn advance(&mut self, program: usize) {
        match self.programs[program].steps.next() {
            Some(Step::Wait(time)) => self.plan(time, Event::Resume(program)),
            Some(Step::Work(pool, time)) => {
                (self.programs[program].pool, self.programs[program].work) = (pool, time);
                if self.pools[pool].idle > 0 {
                    self.pools[pool].idle -= 1;
                    self.work(program);
                } else {
                    self.pools[pool].waiting.push_back(program);
                }
            }
            Some(Step::Commit) => {
                self.log.commits += 1;
                self.log.waiting.push(program);
                if self.log.syncing.is_empty() {
                    self.sync();
                }
            }
            Some(Step::Together(programs)) => {
                self.programs[program].children = programs.len();
                for steps in programs {
                    let child = self.add(steps, Then::Resume(program));
                    self.advance(child);
                }
            }
            None => self.end(program),
        }
    }

    fn end(&mut self, program: usize) {
        let then = std::mem::replace(&mut self.programs[program].then, Then::Ended);
        self.free.push(program);
        match then {
            Then::Tell(tag) => self.ended.push_back(tag),
            Then::Resume(parent) => {
                self.programs[parent].children -= 1;
                if self.programs[parent].children == 0 {
                    self.advance(parent);
                }
            }
            Then::Ended => {}
        }
    }

    /// The program has a processor.
    fn work(&mut self, program: usize) {
        let Program { pool, work, .. } = &mut self.programs[program];
        let time = QUANTUM.min(*work);
        *work -= time;
        self.pools[*pool].worked += time;
        self.plan(time, Event::Worked(program));
    }

    fn worked(&mut self, program: usize) {
        let Program { pool, work, .. } = self.programs[program];
        let is_done = work == 0;
        let waiting = &mut self.pools[pool].waiting;
        if !is_done {
            waiting.push_back(program);
        }
        match waiting.pop_front() {
            Some(next) => self.work(next),
            None => self.pools[pool].idle += 1,
        }
        if is_done {
            self.advance(program);
        }
    }

    fn sync(&mut self) {
        self.log.syncing = std::mem::take(&mut self.log.waiting);
        self.log.syncs += 1;
        self.log.busy += self.log.sync;
        self.plan(self.log.sync, Event::Synced);
    }

    fn synced(&mut self) {
        let committed = std::mem::take(&mut self.log.syncing);
        if !self.log.waiting.is_empty() {
            self.sync();
        }
        for program in committed {
            self.advance(program);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(engine: &mut Engine<u8>) -> Vec<(u8, Time)> {
        std::iter::from_fn(|| engine.next().map(|tag| (tag, engine.now / MS))).collect()
    }

    #[test]
    fn programs_wait_for_a_processor() {
        let mut engine = Engine::new(&[2], MS);
        for tag in 0..3 {
            engine.start(vec![Step::Work(0, 4 * MS)], tag);
        }
        assert_eq!(ends(&mut engine), [(0, 4), (1, 4), (2, 8)]);
        assert!((engine.utilisation(0) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn long_work_lets_others_pass() {
        let mut engine = Engine::new(&[1], MS);
        engine.start(vec![Step::Work(0, 100 * MS)], 0);
        engine.start(vec![Step::Work(0, MS)], 1);
        assert_eq!(ends(&mut engine), [(1, 6), (0, 101)]);
    }

    #[test]
    fn one_sync_serves_all_commits_that_wait_for_it() {
        let mut engine = Engine::new(&[1], 10 * MS);
        for tag in 0..3 {
            engine.start(vec![Step::Wait(Time::from(tag) * MS), Step::Commit], tag);
        }
        assert_eq!(ends(&mut engine), [(0, 10), (1, 20), (2, 20)]);
        assert_eq!((engine.log.syncs, engine.log.commits), (2, 3));
    }

    #[test]
    fn a_step_ends_with_the_last_of_its_programs() {
        let mut engine = Engine::new(&[1], MS);
        let both = Step::Together(vec![vec![Step::Wait(3 * MS)], vec![Step::Wait(7 * MS)]]);
        engine.start(vec![both, Step::Wait(MS)], 0);
        assert_eq!(ends(&mut engine), [(0, 8)]);
    }
}
