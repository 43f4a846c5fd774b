//! job-agent keeps every user's job recommendations right and fresh.
//!
//! A trigger comes in over [`http`], or from the durable triggers and batches that the workers of [`background`] serve.
//! It ends in the [`calculator`], which takes the user's lock (see [`coordination`]), reads the user's state and then
//! the inputs from [`storage`] ([`profile`] parses them), ranks the listings of the current [`catalogue`] with
//! [`ranking`], and replaces the user's rows in one transaction. [`app`] wires these rooms, [`cli`] starts them.
//!
//! `docs/architecture.md` has a walk from the route to the SQL, and says which room may import which.

// In the order in which a trigger passes them; the rooms that every other one uses come last.
pub mod cli;

pub mod app;
pub mod config;
pub mod lifecycle;
pub mod telemetry;

pub mod http;

pub mod background;

pub mod calculator;

pub mod coordination;

pub mod profile;

pub mod catalogue;

pub mod ranking;

pub mod listings;

pub mod storage;

pub mod metrics;

pub mod grouping;

pub mod domain;
