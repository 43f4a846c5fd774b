//! Work without a waiting client: durable triggers, the workers that serve due users, batches
//! that make many users due, and the schedules of both batch and clean-up.

mod batches;
pub mod decision;
mod schedule;
mod triggers;
mod worker;

pub use batches::Batches;
pub use schedule::{InvalidSchedule, Schedule, Scheduler, SchedulerConfig, time_zone};
pub use triggers::{Accepted, Triggers};
pub use worker::{WorkerConfig, Workers};
