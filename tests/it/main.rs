//! Behaviour of the whole service, driven over HTTP or through the real binary, on real servers.
//!
//! Run with `scripts/test`, which provides the servers. One binary, so that the tests link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

mod background;
mod bad_input;
mod catalogue;
mod command_line;
mod concurrency;
mod contract;
mod defects;
mod inputs;
mod process;
mod properties;
mod redis_lock;
mod session;
mod state_machine;
mod store;
