//! How soon a ticket is worked on: its impact times its urgency.
//!
//! The matrix is the one that service desks use (ServiceNow's default, three by three). What counts as high is ours, and
//! says so: impact goes by how many people something takes from their work, urgency by how bad it is and whether a class or
//! a test is waiting for it.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use crate::device::{Class, words};
use crate::rules::Severity;
use crate::span::{Passing, Stretch};

/// So many devices out of work at once are a classroom of people. House.
pub const MANY: usize = 30;

/// So many are more than one person's. House.
pub const SEVERAL: usize = 5;

/// So long before tests begin, what they need is as urgent as during them: one day to mend it. House.
pub const TESTING_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

words! {
    /// How much of something.
    Level, "level" {
        /// Little.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

words! {
    /// How soon; the first is the most pressing.
    Priority, "priority" {
        /// Everything else waits.
        P1 = "P1",
        /// Today.
        P2 = "P2",
        /// This week.
        P3 = "P3",
        /// When it suits.
        P4 = "P4",
        /// To be planned.
        P5 = "P5",
    }
}

impl Level {
    const fn raised(self) -> Self {
        match self {
            Self::Low => Self::Medium,
            Self::Medium | Self::High => Self::High,
        }
    }
}

impl Priority {
    /// What the matrix says.
    #[must_use]
    pub const fn of(impact: Level, urgency: Level) -> Self {
        match (impact, urgency) {
            (Level::High, Level::High) => Self::P1,
            (Level::High, Level::Medium) | (Level::Medium, Level::High) => Self::P2,
            (Level::High, Level::Low) | (Level::Medium, Level::Medium) | (Level::Low, Level::High) => Self::P3,
            (Level::Medium, Level::Low) | (Level::Low, Level::Medium) => Self::P4,
            (Level::Low, Level::Low) => Self::P5,
        }
    }

    /// How long somebody may take to take it, and to solve it. Hours of school time, of which a day has about eight; the
    /// most pressing by the clock, because a district that is down is down at night, too. House.
    #[must_use]
    pub const fn targets(self) -> (Stretch, Stretch) {
        const fn hours(hours: u64, passing: Passing) -> Stretch {
            Stretch { span: Duration::from_secs(hours * 3_600), passing }
        }
        const HALF_AN_HOUR: Stretch = Stretch { span: Duration::from_secs(30 * 60), passing: Passing::Clock };
        match self {
            Self::P1 => (HALF_AN_HOUR, hours(4, Passing::Clock)),
            Self::P2 => (hours(2, Passing::School), hours(8, Passing::School)),
            Self::P3 => (hours(8, Passing::School), hours(24, Passing::School)),
            Self::P4 => (hours(16, Passing::School), hours(40, Passing::School)),
            Self::P5 => (hours(40, Passing::School), hours(160, Passing::School)),
        }
    }
}

/// How wide a ticket reaches by what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One device, or several of a model.
    Devices,
    /// A room.
    Room,
    /// A whole building.
    Building,
}

/// What a priority depends on.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) reach: Reach,
    /// The class that its devices share.
    pub(crate) class: Option<Class>,
    pub(crate) severity: Severity,
    pub(crate) safety: bool,
    /// Whether something on it is out of reach.
    pub(crate) outage: bool,
    /// Devices on its lines that are not over.
    pub(crate) devices: usize,
    /// Devices that are out of reach with it and not back.
    pub(crate) away: usize,
    /// Devices that hang on it.
    pub(crate) below: usize,
    /// Whether class has met it: it was there while the building was in session.
    pub(crate) met_class: bool,
    /// Tests that are held, or will be within [`TESTING_AHEAD`].
    pub(crate) testing: Option<String>,
}

/// A priority with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reckoned {
    pub(crate) priority: Priority,
    pub(crate) impact: Level,
    pub(crate) urgency: Level,
    pub(crate) because: String,
}

impl Facts {
    pub(crate) fn reckon(&self) -> Reckoned {
        let (impact, reach) = self.impact();
        let (urgency, press) = self.urgency();
        let because = format!("{impact} impact: {reach}; {urgency} urgency: {press}");
        Reckoned { priority: Priority::of(impact, urgency), impact, urgency, because }
    }

    fn impact(&self) -> (Level, String) {
        let shared = self.class.and_then(shared);
        let count = self.devices + self.away;
        let standing = |count: usize| match self.away {
            0 => format!("{count} devices have it"),
            away => format!("{away} devices are out of reach with it"),
        };
        match (self.reach, self.class) {
            (Reach::Building, _) => (Level::High, "a whole building".into()),
            _ if count >= MANY => (Level::High, standing(count)),
            (_, Some(Class::Router | Class::Firewall | Class::WirelessController)) if self.outage => {
                (Level::High, "a whole building depends on it".into())
            }
            (Reach::Room, _) => (Level::Medium, "a whole room".into()),
            _ if count >= SEVERAL => (Level::Medium, standing(count)),
            _ if self.below >= SEVERAL => (Level::Medium, format!("{} devices hang on it", self.below)),
            _ => match shared {
                Some(whose) => (Level::Medium, whose.into()),
                None => (Level::Low, "few people need it".into()),
            },
        }
    }

    fn urgency(&self) -> (Level, String) {
        let matters = self.severity >= Severity::Major;
        if self.safety && matters {
            return (Level::High, "safety".into());
        }
        let mut level = match self.severity {
            Severity::Critical => Level::High,
            Severity::Major => Level::Medium,
            Severity::Minor | Severity::Info => Level::Low,
        };
        let mut because = self.severity.as_str().to_string();
        if matters && self.outage && self.met_class {
            level = level.raised();
            because.push_str(", class is in session");
        }
        if let Some(test) = self.testing.as_ref().filter(|_| matters) {
            level = level.raised();
            because = format!("{because}, testing ({test})");
        }
        (level, because)
    }
}

/// What many people share, and how. A desktop, a laptop or a phone is one person's.
const fn shared(class: Class) -> Option<&'static str> {
    match class {
        Class::Server | Class::Nas => Some("many people use it"),
        Class::Switch | Class::Router | Class::Firewall | Class::WirelessController | Class::AccessPoint => {
            Some("others reach the network through it")
        }
        Class::Closet | Class::Ups | Class::Pdu => Some("a closet depends on it"),
        Class::Printer => Some("a hallway shares it"),
        Class::Projector => Some("a class looks at it"),
        Class::Desktop | Class::Laptop | Class::Camera | Class::Phone | Class::Bmc | Class::Sensor | Class::Other => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(class: Class, severity: Severity) -> Facts {
        Facts {
            reach: Reach::Devices,
            class: Some(class),
            severity,
            safety: false,
            outage: false,
            devices: 1,
            away: 0,
            below: 0,
            met_class: false,
            testing: None,
        }
    }

    #[test]
    fn the_matrix_is_that_of_service_desks() {
        let table = [
            (Level::High, [Priority::P1, Priority::P2, Priority::P3]),
            (Level::Medium, [Priority::P2, Priority::P3, Priority::P4]),
            (Level::Low, [Priority::P3, Priority::P4, Priority::P5]),
        ];
        for (impact, row) in table {
            let urgencies = [Level::High, Level::Medium, Level::Low];
            assert_eq!(urgencies.map(|urgency| Priority::of(impact, urgency)), row);
        }
    }

    #[test]
    fn a_switch_that_takes_a_classroom_along_during_class_comes_before_everything() {
        let night = Facts { outage: true, away: 48, ..facts(Class::Switch, Severity::Major) };
        assert_eq!(night.reckon().priority, Priority::P2);
        let class = Facts { met_class: true, ..night };
        let reckoned = class.reckon();
        assert_eq!(reckoned.priority, Priority::P1);
        assert_eq!(
            reckoned.because,
            "high impact: 48 devices are out of reach with it; high urgency: major, class is in session"
        );
    }

    #[test]
    fn one_persons_worn_battery_is_planned() {
        assert_eq!(facts(Class::Laptop, Severity::Minor).reckon().priority, Priority::P5);
        assert_eq!(facts(Class::Server, Severity::Critical).reckon().priority, Priority::P2);
        assert_eq!(facts(Class::Printer, Severity::Minor).reckon().priority, Priority::P4);
    }

    #[test]
    fn tests_press_only_what_hinders_work() {
        let testing = |severity| Facts { testing: Some("SAT".into()), ..facts(Class::AccessPoint, severity) };
        assert_eq!(testing(Severity::Minor).reckon().priority, Priority::P4);
        let reckoned = testing(Severity::Major).reckon();
        assert_eq!(reckoned.priority, Priority::P2);
        assert!(reckoned.because.ends_with("high urgency: major, testing (SAT)"), "{}", reckoned.because);
    }

    #[test]
    fn what_may_hurt_somebody_is_urgent_and_a_building_is_everyone() {
        let hot = Facts { safety: true, ..facts(Class::Sensor, Severity::Major) };
        assert_eq!((hot.reckon().priority, hot.reckon().urgency), (Priority::P3, Level::High));
        let dark = Facts { reach: Reach::Building, ..facts(Class::Switch, Severity::Critical) };
        assert_eq!(dark.reckon().priority, Priority::P1);
    }
}
