//! Behaviour of the whole service, driven over HTTP or through the real binary, on real servers.
//!
//! Run with `scripts/test`, which provides the servers. One binary, so that the tests link once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

mod access;
mod alerts;
mod api_document;
mod architecture;
mod back_pressure;
mod background;
mod bad_input;
mod batch;
mod browser;
mod by_careers;
mod catalogue;
mod cleanup;
mod command_line;
mod concurrency;
mod console;
mod contract;
mod cors;
mod documentation;
#[cfg(feature = "otlp")]
mod exported_spans;
mod failover;
mod foreign_keys;
mod hostile_input;
mod list_quality;
mod listings;
mod messy_analyses;
mod metrics;
mod migrations;
mod old_service_defects;
mod operator;
mod other_writers;
mod process;
mod queue;
mod read_replica;
mod redis_lock;
mod redis_sentinel;
mod redis_trouble;
mod request_id;
mod sample_data;
mod schedule;
mod servers_in_trouble;
mod session;
mod silent_changes;
mod slow_clients;
mod source_tables;
mod state_machine;
mod status;
mod stopping;
mod store;
mod stored_lists;
