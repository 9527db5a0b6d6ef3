//! The federal holidays of the United States: 5 U.S.C. 6103(a), and the days on which they are observed, (b) and
//! Executive Order 11582: one on a Saturday on the Friday before, one on a Sunday on the Monday after.

use jiff::civil::{Date, Weekday};

/// The holidays whose observed days lie in a year, with names as the law has them. January 1st of the next year may be
/// observed in this one.
#[must_use]
pub fn holidays(year: i16) -> Vec<(Date, &'static str)> {
    let mut days = vec![
        fixed(year, 1, 1, "New Year's Day"),
        nth(year, 1, 3, Weekday::Monday, "Birthday of Martin Luther King, Jr."),
        nth(year, 2, 3, Weekday::Monday, "Washington's Birthday"),
        nth(year, 5, -1, Weekday::Monday, "Memorial Day"),
        fixed(year, 6, 19, "Juneteenth National Independence Day"),
        fixed(year, 7, 4, "Independence Day"),
        nth(year, 9, 1, Weekday::Monday, "Labor Day"),
        nth(year, 10, 2, Weekday::Monday, "Columbus Day"),
        fixed(year, 11, 11, "Veterans Day"),
        nth(year, 11, 4, Weekday::Thursday, "Thanksgiving Day"),
        fixed(year, 12, 25, "Christmas Day"),
        fixed(year + 1, 1, 1, "New Year's Day"),
    ];
    days.retain(|day| day.as_ref().is_some_and(|(date, _)| date.year() == year));
    days.into_iter().flatten().collect()
}

fn fixed(year: i16, month: i8, day: i8, name: &'static str) -> Option<(Date, &'static str)> {
    let date = Date::new(year, month, day).ok()?;
    let observed = match date.weekday() {
        Weekday::Saturday => date.yesterday().ok()?,
        Weekday::Sunday => date.tomorrow().ok()?,
        _ => date,
    };
    Some((observed, name))
}

fn nth(year: i16, month: i8, nth: i8, weekday: Weekday, name: &'static str) -> Option<(Date, &'static str)> {
    Some((Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()?, name))
}
