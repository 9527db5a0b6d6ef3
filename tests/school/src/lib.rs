//! A school district that exists nowhere: buildings, rooms and 5,000 devices, its calendar, and a year of what goes wrong there.
//!
//! The world ([`world`], [`year`], [`condition`]) and what happens to it ([`play`], [`problem`]) know nothing of how they
//! are watched and nothing of rules. What is heard of it goes to Bellwether's engine and, beside it, to a plain monitor
//! ([`watch`], [`plain`]); what they say is compared with the truth ([`score`]).

pub mod condition;
pub mod dates;
pub mod dice;
pub mod plain;
pub mod play;
pub mod problem;
pub mod readings;
pub mod rules;
pub mod score;
pub mod truth;
pub mod watch;
pub mod world;
pub mod year;
