//! What keeps records as the admin's files say: school time, devices' lives, and who looks after what.

use std::sync::Arc;

use super::Starting;
use crate::{calendar, life, responsibilities};

impl Starting {
    /// From here on school time is known: before anything can be silent for long.
    pub(super) fn keep_calendars(&mut self) -> Arc<calendar::Keeper> {
        let opened = &self.opened;
        let keeper = Arc::new(calendar::Keeper::new(
            opened.folder.path(),
            opened.config.pages.time_zone().unwrap_or(jiff::tz::TimeZone::UTC),
            Arc::clone(&opened.state),
            Arc::clone(&opened.journal),
            self.clock.clone(),
            Arc::clone(&self.health),
        ));
        self.helpers.push(tokio::spawn(Arc::clone(&keeper).run()));
        keeper
    }

    /// What is known of devices' lives is recorded as it is written.
    pub(super) fn keep_lives(&mut self) -> Arc<life::Keeper> {
        let opened = &self.opened;
        let keeper = Arc::new(life::Keeper::new(
            opened.folder.path().to_owned(),
            Arc::clone(&opened.state),
            Arc::clone(&opened.journal),
            self.clock.clone(),
            Arc::clone(&self.health),
        ));
        self.helpers.push(tokio::spawn(Arc::clone(&keeper).run()));
        keeper
    }

    /// From here on tickets are handed to whom they belong.
    pub(super) fn keep_responsibilities(&mut self) -> Arc<responsibilities::Keeper> {
        let opened = &self.opened;
        let keeper = Arc::new(responsibilities::Keeper::new(
            opened.folder.path(),
            opened.config.pages.time_zone().unwrap_or(jiff::tz::TimeZone::UTC),
            Arc::clone(&opened.state),
            Arc::clone(&opened.journal),
            self.clock.clone(),
            Arc::clone(&self.health),
        ));
        self.helpers.push(tokio::spawn(Arc::clone(&keeper).run()));
        keeper
    }
}
