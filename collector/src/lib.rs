//! The centre of Bellwether: it receives what agents report, keeps it, decides, and opens tickets.
//!
//! Everything that happens goes through one journal, durable before it is acknowledged; readers behind the journal
//! fill the series store and run the engine. This crate does and does not decide: what to do is `bellwether_logic`'s.

pub mod app;
pub mod clock;
pub mod config;
