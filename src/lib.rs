//! job-agent keeps every user's job recommendations right and fresh.
//!
//! A trigger comes in over [`http`] or from the [`queue`] of durable background triggers, which a nightly
//! [`batch`] fills on [`schedule`], and ends in the
//! [`calculator`], which takes the user's lock (see [`coordination`]), reads the user's state and then the inputs from
//! [`storage`] (analyses are read by [`profile`]), ranks the listings of the current [`catalogue`] with
//! [`ranking`], and replaces the user's rows in one transaction. [`app`] wires these parts, [`cli`] starts
//! them.

pub mod app;
pub mod background;
pub mod calculator;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod coordination;
pub mod domain;
pub mod http;
pub mod lifecycle;
pub mod listings;
pub mod profile;
pub mod ranking;
pub mod storage;
