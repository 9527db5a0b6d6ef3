//! Calendars as programs write them.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

type Days<'list> = &'list [(i16, i8, i8)];

fn calendar(events: &[&str]) -> String {
    let events: String = events.iter().map(|event| format!("BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n")).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
}

fn chicago() -> TimeZone {
    TimeZone::get("America/Chicago").unwrap()
}

/// The first days of what takes place within a year.
fn begins(events: &[&str]) -> Vec<Date> {
    let events = read(&calendar(events)).unwrap();
    assert_eq!(events.faults, Vec::<String>::new());
    let found = events.between(date(2026, 8, 1), date(2027, 7, 31), &chicago());
    found.iter().map(|occurrence| occurrence.first).collect()
}

fn days(month_days: Days<'_>) -> Vec<Date> {
    month_days.iter().map(|(year, month, day)| date(*year, *month, *day)).collect()
}

#[test]
fn rules_repeat_as_the_standard_has_it() {
    let cases: [(&str, Days<'_>); 9] = [
        (
            "DTSTART;VALUE=DATE:20260904\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3",
            &[(2026, 9, 4), (2026, 9, 18), (2026, 10, 2)],
        ),
        (
            "DTSTART;VALUE=DATE:20260901\nRRULE:FREQ=WEEKLY;BYDAY=TU,TH;UNTIL=20260910",
            &[(2026, 9, 1), (2026, 9, 3), (2026, 9, 8), (2026, 9, 10)],
        ),
        (
            "DTSTART;VALUE=DATE:20260925\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
            &[(2026, 9, 25), (2026, 10, 30), (2026, 11, 27)],
        ),
        ("DTSTART;VALUE=DATE:20260831\nRRULE:FREQ=MONTHLY;COUNT=3", &[(2026, 8, 31), (2026, 10, 31), (2026, 12, 31)]),
        ("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=YEARLY", &[(2027, 1, 1)]),
        ("DTSTART;VALUE=DATE:20101125\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", &[(2026, 11, 26)]),
        ("DTSTART;VALUE=DATE:20260930\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=2", &[(2026, 9, 30), (2026, 10, 31)]),
        (
            "DTSTART;VALUE=DATE:20260930\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2",
            &[(2026, 9, 30), (2026, 10, 30)],
        ),
        ("DTSTART;VALUE=DATE:20260804\nRRULE:FREQ=DAILY;INTERVAL=10;COUNT=2;BYMONTH=8", &[(2026, 8, 4), (2026, 8, 14)]),
    ];
    for (event, expected) in cases {
        assert_eq!(begins(&[event]), days(expected), "{event}");
    }
}

/// RFC 5545, 3.8.5.3: an example in which the first day of the week makes the difference.
#[test]
fn the_first_day_of_the_week_counts() {
    let on = |week: &str| {
        let rule = format!("RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST={week}");
        begins(&[&format!("DTSTART;VALUE=DATE:20260804\n{rule}")])
    };
    assert_eq!(on("MO"), days(&[(2026, 8, 4), (2026, 8, 9), (2026, 8, 18), (2026, 8, 23)]));
    assert_eq!(on("SU"), days(&[(2026, 8, 4), (2026, 8, 16), (2026, 8, 18), (2026, 8, 30)]));
}

#[test]
fn exceptions_moved_and_cancelled_occurrences_are_heeded() {
    let series = "UID:a\nDTSTART;TZID=Central Standard Time:20260904T080000\nDTEND;TZID=Central Standard Time:20260904T100000\n\
        RRULE:FREQ=WEEKLY;COUNT=5\nEXDATE;TZID=Central Standard Time:20260911T080000\nRDATE;TZID=America/Chicago:20261231T080000";
    let moved = "UID:a\nRECURRENCE-ID:20260918T130000Z\nDTSTART;TZID=Central Standard Time:20260917T080000";
    let off = "UID:a\nSTATUS:CANCELLED\nRECURRENCE-ID;TZID=America/Chicago:20260925T080000\nDTSTART;TZID=America/Chicago:20260925T080000";
    let mut found = begins(&[series, moved, off]);
    found.sort();
    assert_eq!(found, days(&[(2026, 9, 4), (2026, 9, 17), (2026, 10, 2), (2026, 12, 31)]));
    let dates = "UID:b\nDTSTART;VALUE=DATE:20260904\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20260905";
    assert_eq!(begins(&[dates]), days(&[(2026, 9, 4), (2026, 9, 6)]));
}

#[test]
fn whole_days_end_before_their_end_and_times_are_told_in_the_building_s_dates() {
    let one = |event: &str| {
        let events = read(&calendar(&[event])).unwrap();
        let found = events.between(date(2026, 8, 1), date(2027, 7, 31), &chicago());
        (found[0].first, found[0].last, found[0].is_whole)
    };
    let whole = |first, last| (first, last, true);
    let (d25, d27) = (date(2026, 11, 25), date(2026, 11, 27));
    assert_eq!(one("DTSTART;VALUE=DATE:20261125\nDTEND;VALUE=DATE:20261128"), whole(d25, d27));
    assert_eq!(one("DTSTART;VALUE=DATE:20261125\nDURATION:P3D"), whole(d25, d27));
    assert_eq!(one("DTSTART;VALUE=DATE:20261125"), whole(d25, d25));
    // As Exchange writes whole days.
    let exchange =
        "DTSTART;TZID=Central Standard Time:20261125T000000\nDTEND;TZID=Central Standard Time:20261128T000000";
    assert_eq!(one(exchange), whole(d25, d27));
    assert_eq!(
        one("DTSTART:20261126T020000Z\nDTEND:20261126T030000Z"),
        (d25, d25, false),
        "eight in the evening before"
    );
    assert_eq!(one("DTSTART:20261125T080000"), (d25, d25, false));
}

#[test]
fn folded_lines_marks_and_quoted_names_are_read() {
    let text = "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:Our zone\r\nX-LIC-LOCATION:America/Denver\r\nBEGIN:STANDARD\r\nDTSTART:19701101T020000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n\
        BEGIN:VEVENT\r\nSUMMARY:No School\\, K\r\n -5\\; really\r\nDTSTART;TZID=\"Our zone\":20261125T233000\r\nBEGIN:VALARM\r\nDTSTART:19700101T000000\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let events = read(text).unwrap();
    let found = events.between(date(2026, 8, 1), date(2027, 7, 31), &chicago());
    assert_eq!((found[0].summary, found[0].first), ("No School, K-5; really", date(2026, 11, 26)));
}

#[test]
fn what_is_not_understood_is_named_with_its_line_and_the_rest_counts() {
    let events = read(&calendar(&[
        "DTSTART;TZID=Nowhere:20261125T080000",
        "DTSTART:tomorrow",
        "DTSTART;VALUE=DATE:20261125\nRRULE:FREQ=HOURLY",
        "DTSTART;VALUE=DATE:20261125\nRRULE:FREQ=DAILY;BYHOUR=7",
        "DTSTART;VALUE=DATE:20261127",
    ]))
    .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events.faults[0], "line 4: time zone `Nowhere` is not known: expected such as America/Chicago");
    assert!(events.faults[1].starts_with("line 7: `tomorrow` is no date"), "{:?}", events.faults);
    assert!(events.faults[2].contains("expected FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"), "{:?}", events.faults);
    assert!(events.faults[3].ends_with("`BYHOUR=7` is not understood"), "{:?}", events.faults);
    assert!(read("<html>").is_err());
}

proptest! {
    /// Weekly rules against a look at every day.
    #[test]
    fn weekly_rules_agree_with_looking_at_every_day(start in 0i32..60, interval in 1u32..4, picked in 1u8..128, count in 1usize..12) {
        const NAMES: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
        let first = date(2026, 8, 3);
        let begin = first.checked_add(jiff::Span::new().days(start)).unwrap();
        let names: Vec<&str> = (0..7).filter(|day| picked & (1 << day) != 0).map(|day| NAMES[day]).collect();
        let rule = format!("FREQ=WEEKLY;INTERVAL={interval};COUNT={count};BYDAY={}", names.join(","));
        let found = Rule::parse(&rule, None).unwrap().from(begin.at(8, 0, 0, 0), date(2030, 1, 1).at(0, 0, 0, 0));
        let week_of = |day: i32| day / 7;
        let expected: Vec<Date> = (start..2_000)
            .filter(|day| (week_of(*day) - week_of(start)) % interval as i32 == 0 && picked & (1 << (day % 7)) != 0)
            .take(count)
            .map(|day| first.checked_add(jiff::Span::new().days(day)).unwrap())
            .collect();
        prop_assert_eq!(found.iter().map(|at| at.date()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_that_is_read_is_too_much(text in "(BEGIN:|END:|VCALENDAR|VEVENT|DTSTART|RRULE|:|;|=|FREQ=|DAILY|20261125|T080000|Z|\r\n|[A-Z]|\\PC){0,60}") {
        let _ = read(&format!("BEGIN:VCALENDAR\r\n{text}\r\nEND:VCALENDAR"));
        let _ = read(&calendar(&[&text]));
        if let Ok(events) = read(&calendar(&[&format!("DTSTART:20261125T080000\r\n{text}")])) {
            let _ = events.between(date(2026, 8, 1), date(2027, 7, 31), &chicago());
        }
    }
}
