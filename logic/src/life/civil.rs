//! Dates as people write them: year, month and day of a number of days, and back.
//!
//! The formulas are Howard Hinnant's `days_from_civil` and `civil_from_days`, for the Gregorian calendar.

use alloc::format;
use alloc::string::String;

use crate::calendar::Date;
use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// Year, month from 1 and day from 1.
#[must_use]
pub fn civil(date: Date) -> (i32, u8, u8) {
    let days = i64::from(date.0) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (i32::try_from(year).unwrap_or(i32::MAX), u8::try_from(month).unwrap_or(1), u8::try_from(day).unwrap_or(1))
}

/// The date of that year, month and day; none if there is no such day, or it lies beyond the years 1 to 9999.
#[must_use]
pub fn date(year: i32, month: u8, day: u8) -> Option<Date> {
    if !(1..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = i64::from(year) - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let date = Date(i32::try_from(era * 146_097 + of_era - 719_468).ok()?);
    (civil(date) == (year, month, day)).then_some(date)
}

/// The day of a moment, by universal time: a date that is off by hours matters to no warranty.
#[must_use]
pub fn day_of(at: Timestamp) -> Date {
    Date(i32::try_from(at.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX))
}

/// The same day so many years later; the last of February if there is no 29th.
#[must_use]
pub fn years_later(from: Date, years: u8) -> Date {
    let (year, month, day) = civil(from);
    let later = year.saturating_add(i32::from(years));
    date(later, month, day).or_else(|| date(later, month, day - 1)).unwrap_or(from)
}

/// As records, files and pages write it, such as `2027-06-30`.
#[must_use]
pub fn shown(date: Date) -> String {
    let (year, month, day) = civil(date);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads `2027-06-30`.
#[must_use]
pub fn read(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let mut part = |length: usize| parts.next().filter(|part| part.len() == length);
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_numbered_as_calendars_do() {
        // Checked with `date -u -d @SECONDS`.
        for (days, text) in [(0, "1970-01-01"), (-1, "1969-12-31"), (19_782, "2024-02-29"), (20_635, "2026-07-01")] {
            assert_eq!((shown(Date(days)).as_str(), read(text)), (text, Some(Date(days))));
        }
        for none in ["2025-02-29", "2025-13-01", "2025-00-01", "2025-1-1", "02/03/2025", "", "2025-04-31", "0000-01-01"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn every_day_of_a_thousand_years_is_itself() {
        for days in -180_000..180_000 {
            let (year, month, day) = civil(Date(days));
            assert_eq!(date(year, month, day), Some(Date(days)));
        }
    }

    #[test]
    fn a_leap_day_has_a_birthday_every_year() {
        let leap = read("2024-02-29").unwrap();
        assert_eq!(shown(years_later(leap, 3)), "2027-02-28");
        assert_eq!(shown(years_later(leap, 4)), "2028-02-29");
    }
}
