//! Stories of the whole loop on a virtual clock: a week passes in seconds, and nothing but the spool's files is real.

mod away;
mod clocks;
mod configurations;
mod hostile;
#[cfg(target_os = "linux")]
mod names;
mod places;
mod world;
