//! The centre of Bellwether: it receives what agents report, keeps it, decides, and opens tickets.
//!
//! Everything that happens goes through one journal, durable before it is acknowledged; readers behind the journal
//! fill the series store and run the engine. This crate does and does not decide: what to do is `bellwether_logic`'s.

pub mod accept;
pub mod agents;
pub mod app;
pub mod backtest;
pub mod backup;
pub mod ca;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod config;
pub mod disk;
pub mod figures;
pub mod folder;
pub mod foreign;
pub mod grpc;
pub mod health;
pub mod http;
pub mod influx;
pub mod ingest;
pub mod inventory;
pub mod itself;
pub mod keeping;
pub mod life;
pub mod neighborhoods;
pub mod own_agent;
pub mod points;
pub mod proposals;
pub mod readers;
pub mod refusals;
pub mod responsibilities;
pub mod rules;
pub mod scribe;
pub mod serve;
pub mod state;
pub mod tls;
pub mod web;
