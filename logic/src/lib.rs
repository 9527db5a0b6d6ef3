//! What Bellwether decides, and nothing else: this crate has no clock, file, socket, thread or randomness to call,
//! so a decision that was made once is made again by the same inputs.
#![no_std]

extern crate alloc;

pub mod backoff;
pub mod backtest;
pub mod batch;
pub mod calendar;
pub mod device;
pub mod discovery;
pub mod engine;
pub mod flapping;
pub mod heard;
pub mod hold;
pub mod identity;
pub mod incidents;
pub mod leases;
pub mod life;
mod pairs;
pub mod plans;
pub mod presence;
pub mod ranges;
pub mod receipts;
pub mod responsibilities;
pub mod rules;
pub mod sample;
pub mod span;
pub mod tickets;
pub mod time;
mod timer;
pub mod topology;
pub mod uplink;
pub mod usual;
