//! What needs both sides: helpers that start the real programs, speak to them as their users do, and read what they
//! left behind. The tests themselves stand in `tests/`.
//!
//! Helpers panic: a test that cannot be carried out has failed.

pub mod agent;
pub mod collector;
pub mod firehose;
pub mod fuzz;
pub mod grafana;
pub mod http;
pub mod influxdb;
pub mod ledger;
pub mod program;
pub mod snmp;
pub mod spies;
pub mod story;
pub mod tap;
pub mod wait;
pub mod wine;
