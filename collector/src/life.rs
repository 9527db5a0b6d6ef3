//! The life of devices, around the deciders: files that say what is assumed, lists that schools import, and the plan as
//! pages and programs get it. What is decided of it is `bellwether_logic::life`'s.

mod file;
pub mod import;
mod keeper;
pub mod plan;
mod record;

pub use file::{FILE, load};
pub use keeper::{Keeper, LIFE};
pub use record::{entry, known_facts, known_table, record_entry, record_table};
