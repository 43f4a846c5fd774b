//! Behaviour of the whole service, driven over HTTP or through the real binary, on real servers.
//!
//! Run with `scripts/test`, which provides the servers. One binary, so that the tests link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

mod back_pressure;
mod background;
mod bad_input;
mod batch;
mod catalogue;
mod cleanup;
mod command_line;
mod concurrency;
mod contract;
mod defects;
mod documents;
mod inputs;
mod process;
mod properties;
mod queue;
mod redis_lock;
mod sample_data;
mod schedule;
mod session;
mod state_machine;
mod status;
mod store;
