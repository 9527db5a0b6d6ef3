//! Calendars as schools write them, and what becomes of their days.

use bellwether_logic::calendar::Day;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::*;
use crate::health::chain;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn chicago() -> TimeZone {
    TimeZone::get("America/Chicago").unwrap()
}

fn today() -> jiff::Timestamp {
    "2026-11-22T18:00:00Z".parse().unwrap()
}

fn load(files: &[(&str, &str)]) -> Calendars {
    Calendars::load(folder(files).path(), chicago()).unwrap()
}

fn expand(files: &[(&str, &str)], site: &str) -> Expanded {
    load(files).expand(site, today()).unwrap()
}

fn day(expanded: &Expanded, date: Date) -> Option<Day> {
    expanded.calendar.plain().day(days_since_epoch(date))
}

/// A day's kind and hours as they are in its zone.
fn shown(expanded: &Expanded, date: Date) -> String {
    let zone = zone_named(&expanded.zone).unwrap();
    let Some(day) = day(expanded, date) else { return "closed".into() };
    let at = |at: bellwether_logic::time::Timestamp| {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap().to_zoned(zone.clone());
        at.strftime("%H:%M").to_string()
    };
    format!("{} {}-{}", day.kind, at(day.opens), at(day.closes))
}

fn why(expanded: &Expanded, date: Date) -> String {
    expanded.notes.get(&date).map(|note| format!("{} ({})", note.why, note.source)).unwrap_or_default()
}

const YEAR: &str = r#"
zone = "America/Chicago"
hours = "08:00-15:00"
half_day_hours = "08:00-11:30"

[[term]]
name = "Fall"
days = "2026-08-17..2026-12-18"
[[term]]
name = "Spring"
days = "2027-01-04..2027-05-28"

[[holiday]]
name = "Thanksgiving"
days = "2026-11-25..2026-11-29"

[[half_day]]
name = "Conferences"
days = "2026-12-04"
bells = "half"

[[late_start]]
name = "Staff development"
days = "2026-12-09"

[[school_day]]
name = "Make-up day"
days = "2026-12-05"

[[summer]]
name = "Summer school"
days = "2027-06-07..2027-07-30"
hours = "08:30-12:00"
weekdays = ["mon", "tue", "wed", "thu"]

[[testing]]
name = "State tests"
days = "2027-04-12..2027-04-18"
hours = "08:30-11:30"

[[bells]]
name = "regular"
weekdays = ["mon", "tue", "wed", "thu", "fri"]
periods = ["Period 1 08:00-08:50", "Period 2 08:55-09:45"]

[[bells]]
name = "half"
periods = ["Block 1 08:00-09:40"]
"#;

#[test]
fn before_anyone_enters_one_workdays_from_seven_to_four_are_assumed_without_federal_holidays() {
    let assumed = expand(&[], "Lincoln");
    assert!(assumed.calendar.parts().assumed);
    assert_eq!(assumed.zone, "America/Chicago");
    assert_eq!(shown(&assumed, date(2026, 11, 23)), "full 07:00-16:00");
    assert_eq!(shown(&assumed, date(2026, 11, 22)), "closed");
    assert_eq!(shown(&assumed, date(2026, 11, 26)), "closed");
    assert_eq!(why(&assumed, date(2026, 11, 26)), "Thanksgiving Day (federal holidays)");
    let west = expand(&[("west.toml", "sites = [\"West\"]\nzone = \"America/Denver\"\n")], "West");
    assert!(west.calendar.parts().assumed, "a zone alone says nothing of school");
    assert_eq!(shown(&west, date(2026, 11, 23)), "full 07:00-16:00");
    assert_eq!(
        day(&west, date(2026, 11, 23)).unwrap().opens.0 - day(&assumed, date(2026, 11, 23)).unwrap().opens.0,
        3_600_000
    );
}

#[test]
fn a_school_year_has_terms_holidays_half_days_late_starts_summer_and_tests() {
    let year = expand(&[("district.toml", YEAR)], "Lincoln");
    assert!(!year.calendar.parts().assumed);
    for (at, expected, because) in [
        (date(2026, 11, 23), "full 08:00-15:00", ""),
        (date(2026, 11, 26), "closed", "Thanksgiving (district.toml)"),
        (date(2026, 11, 28), "closed", ""),
        (date(2026, 12, 4), "half 08:00-11:30", "Conferences (district.toml)"),
        (date(2026, 12, 5), "full 08:00-15:00", "Make-up day (district.toml)"),
        (date(2026, 12, 9), "late 10:00-15:00", "Staff development (district.toml)"),
        (date(2026, 12, 21), "closed", "Outside of all terms (district.toml)"),
        (date(2027, 1, 18), "full 08:00-15:00", ""),
        (date(2027, 6, 8), "summer 08:30-12:00", "Summer school (district.toml)"),
        (date(2027, 6, 11), "closed", ""),
        (date(2027, 8, 2), "closed", "Outside of all terms (district.toml)"),
    ] {
        assert_eq!(shown(&year, at), expected, "{at}");
        assert_eq!(why(&year, at), because, "{at}");
    }
    let school = year.calendar.plain();
    let at = |text: &str| record::timestamp(text.parse::<jiff::Timestamp>().unwrap());
    assert_eq!(school.period(at("2026-11-23T08:10:00-06:00")), Some("Period 1"));
    assert_eq!(school.period(at("2026-11-23T08:52:00-06:00")), None);
    assert_eq!(school.period(at("2026-12-04T09:00:00-06:00")), Some("Block 1"));
    assert_eq!(school.testing(at("2027-04-13T09:00:00-05:00")), Some("State tests"));
    assert_eq!(school.testing(at("2027-04-13T12:00:00-05:00")), None);
    assert_eq!(school.testing(at("2027-04-17T09:00:00-05:00")), None, "nobody is tested on a Saturday");
    assert_eq!(year.calendar.parts().schedules.len(), 2, "equal bells are kept once");
}

#[test]
fn school_opens_at_the_same_hour_before_and_after_a_night_on_which_clocks_change() {
    let year = expand(&[], "Lincoln");
    for (friday, monday) in [(date(2026, 10, 30), date(2026, 11, 2)), (date(2027, 3, 12), date(2027, 3, 15))] {
        assert_eq!(shown(&year, friday), shown(&year, monday));
        let hours = (day(&year, monday).unwrap().opens.0 - day(&year, friday).unwrap().opens.0) / 3_600_000;
        assert_eq!(hours, if friday.month() == 10 { 73 } else { 71 });
    }
    // A place that is open through the very hour that is left out, and the one that is there twice.
    let night = expand(&[("night.toml", "hours = \"01:00-04:00\"\nweekdays = [\"sun\"]\n")], "");
    let long = |date| {
        let day = day(&night, date).unwrap();
        (day.closes.0 - day.opens.0) / 3_600_000
    };
    assert_eq!((long(date(2026, 10, 25)), long(date(2026, 11, 1)), long(date(2027, 3, 14))), (3, 4, 2));
}

#[test]
fn what_becomes_a_record_comes_back_as_it_was() {
    let year = expand(&[("district.toml", YEAR)], "");
    let set = record_of("Lincoln", &year);
    assert_eq!(calendar_of(&set).as_ref(), Some(&year.calendar));
    assert!(prost::Message::encoded_len(&set) < 32 * 1024, "{}", prost::Message::encoded_len(&set));
    let mut broken = set;
    broken.days.swap(0, 1);
    assert_eq!(calendar_of(&broken), None);
}

#[test]
fn federal_holidays_are_observed_on_workdays() {
    let named = |year| federal::holidays(year).into_iter().map(|(date, _)| date).collect::<Vec<_>>();
    // As the Office of Personnel Management lists them.
    assert_eq!(
        named(2026),
        [(1, 1), (1, 19), (2, 16), (5, 25), (6, 19), (7, 3), (9, 7), (10, 12), (11, 11), (11, 26), (12, 25)]
            .map(|(month, day)| date(2026, month, day))
    );
    // The fourth of July 2027 is a Sunday; Christmas and New Year's Day 2028 are Saturdays.
    assert_eq!(
        named(2027),
        [(1, 1), (1, 18), (2, 15), (5, 31), (6, 18), (7, 5), (9, 6), (10, 11), (11, 11), (11, 25), (12, 24), (12, 31)]
            .map(|(month, day)| date(2027, month, day))
    );
}

#[test]
fn what_is_not_understood_is_named_with_file_line_key_value_and_what_was_expected() {
    let refusal = |text: &str| {
        let folder = folder(&[("a.toml", text)]);
        chain(&Calendars::load(folder.path(), chicago()).unwrap_err())
            .replace(&format!("{}/", folder.path().display()), "")
    };
    let said = refusal("zone = \"America/Chicagoo\"\n");
    assert_eq!(
        said,
        "a.toml, line 1: `zone = \"America/Chicagoo\"`: `America/Chicagoo`: expected a time zone such as America/Chicago"
    );
    let said = refusal("[[holiday]]\nname = \"x\"\ndays = \"2026-12-21..2026-12-01\"\n");
    assert!(
        said.starts_with("a.toml, line 3: `days = ") && said.ends_with("expected the earlier date first"),
        "{said}"
    );
    assert!(refusal("hours = \"15:00-08:00\"\n").contains("the earlier first, such as 08:00-15:00"));
    assert!(refusal("hours = \"8-15\"\n").contains("such as 08:00-15:00"));
    assert!(refusal("holidays = []\n").contains("line 1: `holidays = []`: unknown field `holidays`, expected one of"));
    assert!(refusal("weekdays = [\"mo\"]\n").contains("expected one of mon, tue"));
    let said = refusal("[[half_day]]\nname = \"x\"\ndays = \"2026-12-04\"\nbells = \"hlaf\"\n");
    assert!(said.starts_with("a.toml, line 4: `bells = \"hlaf\"`: expected the name of one of this file's"), "{said}");
    assert!(refusal("[[feed]]\nurl = \"webcal://x\"\n").contains("an address of http:// or https://"));
    let both = folder(&[("a.toml", "sites = [\"West\"]\n"), ("b.toml", "sites = [\"West\"]\n")]);
    let said = Calendars::load(both.path(), chicago()).unwrap_err().to_string();
    assert!(said.contains("are both for building `West`"), "{said}");
}

#[test]
fn a_feed_closes_shortens_and_delays_days_and_the_file_has_the_last_word() {
    let ics = "BEGIN:VCALENDAR\r\n\
        BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:No School - Thanksgiving Break\r\nDTSTART;VALUE=DATE:20261125\r\nDTEND;VALUE=DATE:20261128\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Early Release before Winter Break\r\nDTSTART;VALUE=DATE:20261218\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:3\r\nSUMMARY:Two-Hour Delay\r\nDTSTART;TZID=Central Standard Time:20261207T080000\r\nDTEND;TZID=Central Standard Time:20261207T100000\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:4\r\nSUMMARY:Holiday Concert\r\nDTSTART;VALUE=DATE:20261210\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:5\r\nSUMMARY:Holiday breakfast\r\nDTSTART;TZID=America/Chicago:20261211T070000\r\nDTEND;TZID=America/Chicago:20261211T080000\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:6\r\nSUMMARY:No School\r\nDTSTART;VALUE=DATE:20261214\r\nEND:VEVENT\r\n\
        END:VCALENDAR\r\n";
    let toml = "hours = \"08:00-15:00\"\n[[feed]]\nfile = \"district.ics\"\n[[half_day]]\nname = \"Ours\"\ndays = \"2026-12-08\"\n\
        [[school_day]]\nname = \"Open after all\"\ndays = \"2026-12-14\"\n";
    let year = expand(&[("district.toml", toml), ("district.ics", ics)], "Lincoln");
    assert_eq!(shown(&year, date(2026, 11, 25)), "closed");
    assert_eq!(why(&year, date(2026, 11, 27)), "No School - Thanksgiving Break (district.ics)");
    assert_eq!(shown(&year, date(2026, 12, 18)), "half 08:00-11:30");
    assert_eq!(shown(&year, date(2026, 12, 7)), "late 10:00-15:00");
    assert_eq!(shown(&year, date(2026, 12, 8)), "half 08:00-11:30");
    assert_eq!(shown(&year, date(2026, 12, 10)), "full 08:00-15:00", "a concert closes no school");
    assert_eq!(shown(&year, date(2026, 12, 11)), "full 08:00-15:00", "nor does an hour before it");
    assert_eq!(shown(&year, date(2026, 12, 14)), "full 08:00-15:00");
}

#[test]
fn a_broken_feed_is_a_fault_and_its_last_good_content_stays() {
    let toml = "hours = \"08:00-15:00\"\n[[feed]]\nfile = \"d.ics\"\n";
    let good =
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:No School\nDTSTART;VALUE=DATE:20261207\nEND:VEVENT\nEND:VCALENDAR\n";
    let folder = folder(&[("d.toml", toml), ("d.ics", good)]);
    let calendars = Calendars::load(folder.path(), chicago()).unwrap();
    std::fs::write(folder.path().join("d.ics"), &good[..40]).unwrap();
    let kept = calendars.with_feeds_of(folder.path());
    assert_eq!(shown(&kept.expand("", today()).unwrap(), date(2026, 12, 7)), "closed");
    let anew = Calendars::load(folder.path(), chicago()).unwrap();
    assert_eq!(anew.lacking_feeds("Lincoln").into_iter().collect::<Vec<_>>(), ["d.ics"]);
    assert_eq!(anew.faults(), ["d.ics: it is cut off: END:VCALENDAR is missing"]);
}

#[test]
fn what_is_written_while_a_feed_cannot_be_read_is_in_force_and_the_days_of_the_feed_stay() {
    let toml = "hours = \"08:00-15:00\"\n[[feed]]\nfile = \"d.ics\"\n";
    let event = |date: u32| format!("BEGIN:VEVENT\nSUMMARY:No School\nDTSTART;VALUE=DATE:{date}\nEND:VEVENT\n");
    let good = format!("BEGIN:VCALENDAR\n{}{}END:VCALENDAR\n", event(20_261_207), event(20_261_214));
    let folder = folder(&[("d.toml", toml), ("d.ics", &good)]);
    let load = || Calendars::load(folder.path(), chicago()).unwrap();
    let known = super::record_of("", &load().expand("", today()).unwrap());
    std::fs::write(folder.path().join("d.ics"), &good[..40]).unwrap();
    let edited = format!(
        "{toml}[[holiday]]\nname = \"Ours\"\ndays = \"2026-12-09\"\n[[school_day]]\nname = \"Made up\"\ndays = \"2026-12-14\"\n"
    );
    std::fs::write(folder.path().join("d.toml"), edited).unwrap();
    let now = load();
    let mut set = super::record_of("", &now.expand("", today()).unwrap());
    super::record::keep_days_of(&mut set, &known, &now.lacking_feeds(""));
    let is_open = |day: i8| {
        let date = days_since_epoch(date(2026, 12, day)).0;
        set.days.iter().any(|open| open.date == date)
    };
    assert_eq!([7, 8, 9, 14].map(is_open), [false, true, false, true]);
    assert!(super::calendar_of(&set).is_some(), "it stays a calendar");
    let again = set.clone();
    super::record::keep_days_of(&mut set, &again, &now.lacking_feeds(""));
    assert_eq!(set, again, "and says the same again");
}

/// A server that answers each of these bodies once, in turn.
async fn server(answers: Vec<String>) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let _ = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_feed_is_fetched_and_its_last_good_copy_survives_what_is_no_calendar() {
    let answer = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let good =
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:No School\nDTSTART;VALUE=DATE:20261207\nEND:VEVENT\nEND:VCALENDAR\n";
    let answers = [("200 OK", good), ("200 OK", good), ("200 OK", "<html>log in</html>"), ("503 Away", "")];
    let address = server(answers.map(|(status, body)| answer(status, body)).to_vec()).await;
    let url = format!("http://{address}/private-key/calendar.ics");
    let folder = folder(&[("d.toml", &format!("hours = \"08:00-15:00\"\n[[feed]]\nurl = \"{url}\"\n"))]);
    let before = Calendars::load(folder.path(), chicago()).unwrap();
    assert_eq!(before.faults(), [format!("{address}: it has not been fetched yet")]);
    let fetcher = Fetcher::new(folder.path()).unwrap();
    assert_eq!(fetcher.fetch(&url).await, Fetched::New);
    assert_eq!(fetcher.fetch(&url).await, Fetched::Same);
    for expected in ["it is no iCalendar", "the server answered 503"] {
        let Fetched::Fault(fault) = fetcher.fetch(&url).await else { panic!("{expected}") };
        assert!(fault.starts_with(&format!("{address}: ")) && fault.contains(expected), "{fault}");
        assert!(!fault.contains("private-key"), "the address may be a secret: {fault}");
    }
    let Fetched::Fault(fault) = fetcher.fetch(&url).await else { panic!("nobody answers any more") };
    assert!(!fault.contains("private-key"), "{fault}");
    let after = before.with_feeds_of(folder.path());
    assert_eq!(shown(&after.expand("", today()).unwrap(), date(2026, 12, 7)), "closed");
}

#[test]
fn zones_are_known_by_the_names_that_programs_give_them() {
    for (name, iana) in [
        ("America/Chicago", "America/Chicago"),
        ("Central Standard Time", "America/Chicago"),
        ("US Mountain Standard Time", "America/Phoenix"),
        ("/freeassociation.sourceforge.net/America/New_York", "America/New_York"),
        ("\"Eastern Standard Time\"", "America/New_York"),
    ] {
        assert_eq!(zone_named(name).unwrap().iana_name(), Some(iana), "{name}");
    }
    assert!(zone_named("Somewhere").is_none() && zone_named("").is_none());
    // Each of Windows' names leads to a zone that is known.
    let all = include_str!("windows_zones.tsv").lines().filter(|line| !line.starts_with('#'));
    for name in all.map(|line| line.split('\t').next().unwrap()) {
        assert!(zone_named(name).is_some(), "{name}");
    }
}
