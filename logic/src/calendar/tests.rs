//! The answers against a reference that looks at every minute.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60_000;
/// Of the small worlds in which every minute is looked at: days of an hour.
const DAY_MINUTES: i64 = 60;

fn minute(minute: i64) -> Timestamp {
    Timestamp(minute * MINUTE_MS)
}

fn minutes(count: usize) -> Duration {
    Duration::from_secs(60 * count as u64)
}

fn day(date: i32, opens: i64, closes: i64) -> Day {
    Day { date: Date(date), opens: minute(opens), closes: minute(closes), kind: DayKind::Full, schedule: None }
}

/// Some days of an hour, each with its opening and closing minute.
fn worlds() -> impl Strategy<Value = (Calendar, Vec<Option<Change>>)> {
    let one = (any::<bool>(), 0i64..40, 1i64..20, 0u8..6);
    prop::collection::vec(one, 1..8).prop_map(|days| {
        let mut school = vec![];
        let mut changes = vec![];
        for (at, (open, opens, long, change)) in days.iter().enumerate() {
            let begin = at as i64 * DAY_MINUTES;
            if *open {
                school.push(day(at as i32, begin + opens, begin + opens + long));
            }
            changes.push(match change {
                0 => Some(Change::Closed),
                1 => Some(Change::Late { by_ms: 7 * 60_000 }),
                _ => None,
            });
        }
        let ends = minute(days.len() as i64 * DAY_MINUTES);
        let parts = Parts { begins: minute(0), ends, days: school, ..Parts::default() };
        (Calendar::new(parts).unwrap(), changes)
    })
}

/// Whether a minute counts, from the list alone.
fn counts(calendar: &Calendar, changes: &[Option<Change>], at: i64) -> bool {
    let parts = calendar.parts();
    if minute(at) < parts.begins || minute(at) >= parts.ends {
        return true;
    }
    parts.days.iter().any(|day| {
        let late = match changes[day.date.0 as usize] {
            Some(Change::Closed) => return false,
            Some(Change::Late { by_ms }) => i64::from(by_ms),
            None => 0,
        };
        day.opens.0 + late <= minute(at).0 && minute(at) < day.closes
    })
}

fn book(calendar: &Calendar, changes: &[Option<Change>]) -> Book {
    let mut book = Book::default();
    book.enter("", Some(calendar.clone())).unwrap();
    for (date, change) in changes.iter().enumerate() {
        book.say("Lincoln", Date(date as i32), *change).unwrap();
    }
    book
}

proptest! {
    #[test]
    fn agrees_with_looking_at_every_minute((calendar, changes) in worlds(), a in -30i64..500, b in -30i64..500, span in 0usize..90) {
        let book = book(&calendar, &changes);
        let school = book.school("Lincoln").unwrap();
        let counts = |at: &i64| counts(&calendar, &changes, *at);
        prop_assert_eq!(school.in_session(minute(a)), counts(&a));
        prop_assert_eq!(school.between(minute(a), minute(b)), minutes((a..b).filter(counts).count()));
        let opening = (a..).find(counts).unwrap();
        prop_assert_eq!(school.opening(minute(a)), minute(opening));
        let after = (a..).find(|at| (a..*at).filter(counts).count() == span).unwrap();
        prop_assert_eq!(school.after(minute(a), minutes(span)), minute(after));
        let opens: Vec<i64> = calendar.parts().days.iter().filter_map(|day| {
            let begin = day.opens.0 / MINUTE_MS;
            (begin..day.closes.0 / MINUTE_MS).find(counts)
        }).collect();
        let opened = opens.iter().filter(|at| a < **at && **at <= b).count();
        prop_assert_eq!(school.days_between(minute(a), minute(b)), opened);
    }

    /// Something that lasts and is looked for anew each morning counts when so many minutes of one day are over.
    #[test]
    fn begins_anew_with_each_opening((calendar, changes) in worlds(), a in 0i64..480, span in 1i64..30) {
        let book = book(&calendar, &changes);
        let school = book.school("Lincoln").unwrap();
        let mut run = 0;
        let end = calendar.parts().ends.0 / MINUTE_MS;
        let mut due = None;
        for at in a..end {
            let same_day = at == a || counts(&calendar, &changes, at - 1) && at % DAY_MINUTES != 0;
            run = if counts(&calendar, &changes, at) { if same_day { run + 1 } else { 1 } } else { 0 };
            if run == span {
                due = Some(at + 1);
                break;
            }
        }
        let expected = if a < end { due.unwrap_or(end + span) } else { a + span };
        prop_assert_eq!(school.after_opening(minute(a), minutes(span as usize)), minute(expected));
    }
}

#[test]
fn without_a_calendar_and_beyond_it_every_moment_counts() {
    assert!(Book::default().school("Lincoln").is_none());
    let parts = Parts { begins: minute(0), ends: minute(60), ..Parts::default() };
    let calendar = Calendar::new(parts).unwrap();
    let school = calendar.plain();
    assert!(school.in_session(minute(-1)) && school.in_session(minute(60)) && !school.in_session(minute(30)));
    assert_eq!(school.between(minute(-10), minute(80)), minutes(30));
    assert_eq!(school.after(minute(-10), minutes(15)), minute(65));
}

#[test]
fn the_district_s_calendar_is_that_of_whoever_has_none() {
    let open = |date| Calendar::new(Parts { ends: minute(600), days: vec![day(date, 100, 200)], ..Parts::default() });
    let mut book = Book::default();
    assert_eq!(book.enter("", Some(open(1).unwrap())), Ok(true));
    assert_eq!(book.enter("", Some(open(1).unwrap())), Ok(false));
    assert_eq!(book.enter("Adams", Some(open(2).unwrap())), Ok(true));
    assert_eq!(book.say("Lincoln", Date(1), Some(Change::Closed)), Ok(true));
    assert!(book.school("Adams").unwrap().day(Date(2)).is_some());
    assert!(book.school("Lincoln").unwrap().day(Date(1)).is_none());
    assert!(book.school("Madison").unwrap().day(Date(1)).is_some(), "what was said of Lincoln is not said of others");
    assert_eq!(book.enter("Adams", None), Ok(true));
    assert!(book.school("Adams").unwrap().day(Date(2)).is_none());
    assert_eq!(book.say("Lincoln", Date(1), None), Ok(true));
    assert_eq!(book.say("Lincoln", Date(1), Some(Change::Late { by_ms: u32::MAX })), Err(CalendarRefusal::TooLate));
}

#[test]
fn bells_and_tests_are_told_on_days_that_have_them() {
    let period = |name: &str, begin: i64, end: i64| Period {
        name: name.to_string(),
        begins_ms: begin * MINUTE_MS,
        ends_ms: end * MINUTE_MS,
    };
    let schedule = Schedule { periods: vec![period("1", 0, 45), period("2", 50, 95)] };
    let first = Day { schedule: Some(0), ..day(0, 480, 900) };
    let testing = Testing { name: "State tests".to_string(), begins: minute(500), ends: minute(600) };
    let parts = Parts {
        ends: minute(1440),
        days: vec![first],
        schedules: vec![schedule],
        tests: vec![testing],
        ..Parts::default()
    };
    let calendar = Calendar::new(parts).unwrap();
    let mut book = Book::default();
    book.enter("", Some(calendar)).unwrap();
    let told = |book: &Book, at| {
        let school = book.school("Lincoln").unwrap();
        (school.period(minute(at)).map(ToString::to_string), school.testing(minute(at)).map(ToString::to_string))
    };
    assert_eq!(told(&book, 480), (Some("1".to_string()), None));
    assert_eq!(told(&book, 527), (None, Some("State tests".to_string())));
    assert_eq!(told(&book, 530), (Some("2".to_string()), Some("State tests".to_string())));
    book.say("Lincoln", Date(0), Some(Change::Late { by_ms: 60 * 60_000 })).unwrap();
    assert_eq!(told(&book, 530), (None, None));
    assert_eq!(told(&book, 560), (None, Some("State tests".to_string())), "which classes are held is not known then");
}

#[test]
fn what_is_out_of_order_makes_no_calendar() {
    let with = |days: Vec<Day>| Calendar::new(Parts { ends: minute(10_000), days, ..Parts::default() });
    assert_eq!(with(vec![day(0, 10, 20), day(0, 30, 40)]), Err(CalendarError::Day(Date(0))));
    assert_eq!(with(vec![day(0, 10, 20), day(1, 15, 40)]), Err(CalendarError::Day(Date(1))));
    assert_eq!(with(vec![day(0, 20, 20)]), Err(CalendarError::Day(Date(0))));
    assert_eq!(with(vec![Day { schedule: Some(0), ..day(0, 1, 2) }]), Err(CalendarError::Schedule(Date(0))));
    let many = (0..=DAYS_MAX as i32).map(|at| day(at, i64::from(at) * 2, i64::from(at) * 2 + 1)).collect();
    assert!(matches!(with(many), Err(CalendarError::TooMany { what: "days", .. })));
    assert_eq!(Calendar::new(Parts { ends: minute(-1), ..Parts::default() }), Err(CalendarError::Backwards));
}
