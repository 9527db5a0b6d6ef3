//! Civil time at the district, which lies in the Mountain zone of the United States: clocks are set back at 2:00 on the first
//! Sunday in November and forth at 2:00 on the second Sunday in March (Energy Policy Act of 2005).

/// Seconds since 1970-01-01T00:00:00Z, or a number of seconds.
pub type Sec = i64;

/// A minute.
pub const MINUTE: Sec = 60;
/// An hour.
pub const HOUR: Sec = 3_600;
/// A day without a change of clocks.
pub const DAY: Sec = 86_400;

/// Behind Greenwich in winter.
const BEHIND: Sec = 7 * HOUR;

/// Days since 1970-01-01 of a civil date.
#[must_use]
pub fn date(year: i32, month: i32, day: i32) -> i32 {
    // Years begin in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The year of a date.
#[must_use]
pub fn year_of(days: i32) -> i32 {
    let mut year = 1970 + days.div_euclid(366);
    while date(year + 1, 1, 1) <= days {
        year += 1;
    }
    year
}

/// Of a week that begins with Monday: 0 to 6.
#[must_use]
pub const fn weekday(days: i32) -> i32 {
    (days + 3).rem_euclid(7)
}

/// The moment of a time of day.
#[must_use]
pub fn at(days: i32, time: Sec) -> Sec {
    let in_winter = Sec::from(days) * DAY + time + BEHIND;
    if is_summer(in_winter - HOUR) { in_winter - HOUR } else { in_winter }
}

/// The date at a moment.
#[must_use]
pub fn date_at(moment: Sec) -> i32 {
    let behind = if is_summer(moment) { BEHIND - HOUR } else { BEHIND };
    i32::try_from((moment - behind).div_euclid(DAY)).unwrap_or(i32::MAX)
}

/// A moment as people there write it.
#[must_use]
pub fn written(moment: Sec) -> String {
    let days = date_at(moment);
    let since_midnight = moment - at(days, 0);
    let year = year_of(days);
    let month = (1..=12).rev().find(|month| date(year, *month, 1) <= days).unwrap_or(1);
    let day = days - date(year, month, 1) + 1;
    let (hours, minutes) = (since_midnight / HOUR, since_midnight % HOUR / MINUTE);
    format!("{year}-{month:02}-{day:02} {hours:02}:{minutes:02}")
}

fn is_summer(moment: Sec) -> bool {
    let year = year_of(i32::try_from(moment.div_euclid(DAY)).unwrap_or(0));
    let sunday = |month, after: i32| {
        let first = date(year, month, 1);
        first + (6 - weekday(first)) + after
    };
    let begins = Sec::from(sunday(3, 7)) * DAY + 2 * HOUR + BEHIND;
    let ends = Sec::from(sunday(11, 0)) * DAY + HOUR + BEHIND;
    begins <= moment && moment < ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar_on_the_wall() {
        assert_eq!(date(1970, 1, 1), 0);
        assert_eq!(date(2026, 8, 1), 20_666);
        assert_eq!(weekday(date(2026, 11, 22)), 6);
        assert_eq!(year_of(date(2027, 12, 31)), 2027);
        assert_eq!(written(at(date(2027, 2, 28), 9 * HOUR)), "2027-02-28 09:00");
    }

    #[test]
    fn clocks_change_twice_a_year() {
        let noon = |days| at(days, 12 * HOUR);
        assert_eq!(noon(date(2026, 11, 1)) - noon(date(2026, 10, 31)), DAY + HOUR);
        assert_eq!(noon(date(2027, 3, 14)) - noon(date(2027, 3, 13)), DAY - HOUR);
        for days in date(2026, 8, 1)..date(2027, 8, 1) {
            assert_eq!(date_at(at(days, 0)), days);
            assert_eq!(date_at(at(days, 23 * HOUR)), days);
        }
    }
}
