//! Several sides that are measured alternately, so that all of them meet the same moods of the machine.

use std::time::Duration;

use tokio::sync::Mutex;

use super::counters::{Costs, Servers};
use super::database::Database;
use super::load::{Caller, Calls, Order, Turn, closed, open};
use super::report::{Figures, Spread};
use super::users::{self, Change};

/// One side: the service, or that which it is compared with.
pub struct Side<'a> {
    name: &'static str,
    callers: Vec<Box<dyn Caller>>,
    turn: Turn,
    changes: Option<&'a Changes<'a>>,
    rounds: Vec<Round>,
}

/// Changes the careers of users between measurements, so that each call has something to write.
pub struct Changes<'a> {
    database: &'a Database,
    change: Change,
    users: i64,
    /// Those who were called for are to be changed; the others still are.
    turn: Mutex<Turn>,
}

impl<'a> Changes<'a> {
    /// For users whose lists are current.
    pub fn new(database: &'a Database, change: Change, users: i64) -> Self {
        Self { database, change, users, turn: Mutex::new(Turn::over(users)) }
    }

    /// Changes users until the next call for any of them has something to write.
    pub async fn make(&self) -> Turn {
        let mut turn = self.turn.lock().await;
        let called = turn.taken();
        if called > 0 {
            users::change(self.database, 1..=called, self.change).await;
        }
        *turn = Turn::new(self.users, Order::Once);
        turn.clone()
    }

    /// All users have been calculated.
    pub async fn all_called(&self) {
        *self.turn.lock().await = Turn::over(self.users);
    }
}

struct Round {
    calls: Calls,
    costs: Costs,
}

/// How long and how.
#[derive(Clone, Copy)]
pub struct Course {
    pub rounds: usize,
    pub time: Duration,
    /// Calls per second; `None`: as many as the callers manage.
    pub rate: Option<f64>,
}

impl<'a> Side<'a> {
    /// No two calls at a time are for one user.
    pub fn new(name: &'static str, users: i64, callers: Vec<Box<dyn Caller>>) -> Self {
        Self { name, callers, turn: Turn::new(users, Order::Apart), changes: None, rounds: Vec::new() }
    }

    /// Any calls at a time may be for one user.
    pub fn shared(name: &'static str, users: i64, callers: Vec<Box<dyn Caller>>) -> Self {
        Self { turn: Turn::new(users, Order::Any), ..Self::new(name, users, callers) }
    }

    /// Has the careers of all users changed before each round, outside of the measurement. A round ends early when all
    /// users have been called for.
    pub fn changing(self, changes: Option<&'a Changes<'a>>) -> Self {
        Self { changes, ..self }
    }

    async fn measure(&mut self, servers: &Servers, course: Course) {
        if let Some(changes) = self.changes {
            self.turn = changes.make().await;
        }
        // Connections that were idle since the last round are made again.
        closed(&mut self.callers, &self.turn, course.time / 10).await;
        let before = servers.read().await;
        let calls = match course.rate {
            None => closed(&mut self.callers, &self.turn, course.time).await,
            Some(rate) => open(&mut self.callers, &self.turn, course.time, rate).await,
        };
        let costs = servers.read().await.since(before, calls.times.len());
        assert!(!calls.times.is_empty(), "{}: no user was left for the measurement", self.name);
        self.rounds.push(Round { calls, costs });
    }

    /// `value` is the figure that sides are compared by.
    fn figures(&self, service: &Self, value: fn(&Calls) -> f64) -> Figures {
        let of = |figure: fn(&Calls) -> f64| Spread::of(self.rounds.iter().map(|round| figure(&round.calls)));
        let rounds = service.rounds.iter().zip(&self.rounds);
        let ratio = rounds.map(|(service, round)| value(&service.calls) / value(&round.calls));
        Figures {
            side: self.name.to_owned(),
            value: of(value),
            p50: Some(of(|calls| calls.millis(0.5))),
            p99: Some(of(|calls| calls.millis(0.99))),
            costs: Some(mean(&self.rounds)),
            failed: self.rounds.iter().map(|round| round.calls.failed).sum(),
            ratio: (self.name != service.name).then(|| Spread::of(ratio)),
            wanted: Vec::new(),
        }
    }
}

/// Of all calls of all rounds.
fn mean(rounds: &[Round]) -> Costs {
    let calls: f64 = rounds.iter().map(|round| round.calls.times.len() as f64).sum();
    let of = |cost: fn(&Costs) -> f64| {
        rounds.iter().map(|round| cost(&round.costs) * round.calls.times.len() as f64).sum::<f64>() / calls
    };
    Costs {
        mysql_round_trips: of(|costs| costs.mysql_round_trips),
        mysql_kb_received: of(|costs| costs.mysql_kb_received),
        mysql_kb_sent: of(|costs| costs.mysql_kb_sent),
        redis_round_trips: of(|costs| costs.redis_round_trips),
    }
}

/// Measures all sides in each round, each time another one first. The service is the first of `sides`. They are compared
/// by their rates or, at a fixed rate, by the times of half of the calls.
pub async fn contest(servers: &Servers, course: Course, mut sides: Vec<Side<'_>>) -> Vec<Figures> {
    for round in 0..course.rounds {
        for place in 0..sides.len() {
            let place = (place + round) % sides.len();
            sides[place].measure(servers, course).await;
        }
    }
    let value = if course.rate.is_none() { Calls::rate } else { |calls: &Calls| calls.millis(0.5) };
    sides.iter().map(|side| side.figures(&sides[0], value)).collect()
}
