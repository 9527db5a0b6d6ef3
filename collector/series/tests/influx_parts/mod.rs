//! What the comparison with a real `influxd` consists of.

pub mod data;
pub mod ours;
pub mod peer;
pub mod question;
pub mod recorded;
pub mod same;
