//! Who looks after what, as people write it: `responsibilities.toml` in the data folder.
//!
//! What is written goes into the journal as one record whenever it changes, so that a replay hands every ticket to whom it
//! was handed; the engine and the pages know no other. Nothing written yet is an answer, too: everything is the team's, which
//! is shown as assumed.
//!
//! A broken file never stops the collector: what was recorded last stays in force, and the fault is shown.

mod form;
mod grid;
mod keeper;
mod record;

use std::path::Path;

use bellwether_logic::responsibilities::Responsibilities;
use jiff::tz::TimeZone;

use crate::config::ConfigError;

pub use form::Form;
pub use grid::{Grid, GridCell, Place};
pub use keeper::{Keeper, RESPONSIBILITIES};
pub use record::{matrix_of, record_of};

/// The file's name in the data folder.
pub const FILE: &str = "responsibilities.toml";

/// Reads the file of a data folder, which need not exist. `zone` is that in which contracts end.
///
/// # Errors
/// The first thing that is wrong, with file, line and what was expected.
pub fn load(data: &Path, zone: &TimeZone) -> Result<Responsibilities, ConfigError> {
    let path = data.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Form::parse(&path, &text, zone),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Responsibilities::default()),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests;
