//! School time on its page, and "closed today" by one tap.

use bellwether_logic::calendar::Change;

use super::*;
use crate::calendar::{CALENDAR, Calendars, days_since_epoch, record_of};

/// A school of one device whose calendar is what this folder says.
fn school(files: &[(&str, &str)]) -> School {
    let school = School::new();
    let device = |id: &str, site: &str| DeviceChanged {
        device_id: id.into(),
        name: id.into(),
        class: "desktop".into(),
        site: site.into(),
        state: "in_use".into(),
        ..DeviceChanged::default()
    };
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    let calendars = Calendars::load(folder.path(), TimeZone::get("America/Chicago").unwrap()).unwrap();
    let now = jiff::Timestamp::from_millisecond(NOW.0).unwrap();
    school
        .state
        .commit_engine(|tx| {
            tx.put_device(NOW, &device("d1", "Lincoln"))?;
            tx.put_device(NOW, &device("d2", "Adams"))?;
            let expanded = calendars.sites().map(|site| record_of(site, &calendars.expand(site, now).unwrap()));
            expanded.collect::<Vec<_>>().iter().try_for_each(|set| tx.put_calendar(NOW, set))
        })
        .unwrap();
    school
}

fn number(text: &str) -> i32 {
    days_since_epoch(text.parse().unwrap()).0
}

#[tokio::test]
async fn the_page_says_what_is_assumed_and_why_days_are_otherwise() {
    let school = school(&[]);
    let viewer = school.visitor(Role::Viewer);
    let page = school.get("/calendar?building=Lincoln", Some(&viewer)).await;
    for said in [
        "at Lincoln, by the clock of America/Chicago",
        "<b>Assumed.</b>",
        "Today, Friday, November 20",
        "7:00 AM to 4:00 PM",
        "Thanksgiving Day <span class=\"soft small\">from federal holidays</span>",
        "href=\"/calendar?building=Adams\"",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    assert!(!page.text.contains("Closed today"), "a viewer changes nothing");
    let form = format!("building=Lincoln&date={}&act=closed", number("2026-11-20"));
    assert_eq!(school.post("/calendar", &viewer, &form).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn closed_and_late_are_one_tap_and_taken_back_by_another_and_all_of_it_stays_on_record() {
    let school = school(&[("d.toml", "hours = \"08:00-15:00\"\n")]);
    let kim = school.visitor(Role::Coordinator);
    let monday = number("2026-11-23");
    let path = "/calendar?building=Lincoln";
    let say = |act: &str| format!("building=Lincoln&date={monday}&act={act}");
    let done = school.post("/calendar", &kim, &say("late")).await;
    assert_eq!((done.status, done.header(header::LOCATION)), (StatusCode::SEE_OTHER, path));
    let page = school.get(path, Some(&kim)).await.text;
    assert!(page.contains("10:00 AM to 3:00 PM") && page.contains("coordinator said “2 hours late”"), "{page}");
    let adams = school.get("/calendar?building=Adams", Some(&kim)).await.text;
    assert!(!adams.contains("10:00 AM to 3:00 PM"));
    school.post("/calendar", &kim, &say("planned")).await;
    assert!(!school.get(path, Some(&kim)).await.text.contains("10:00 AM to 3:00 PM"));
    let everywhere = format!("{}&everywhere=yes", say("closed"));
    school.post("/calendar", &kim, &everywhere).await;
    let words = school.state.day_words(bellwether_logic::calendar::Date(monday)).unwrap();
    assert_eq!(
        words.iter().map(|word| (word.site.as_str(), word.change)).collect::<Vec<_>>(),
        [("Adams", Some(Change::Closed)), ("Lincoln", Some(Change::Closed)),]
    );
    assert_eq!(school.state.day_history(9).unwrap().len(), 4, "nothing that was said is forgotten");
    for wrong in [
        format!("building=Nowhere&date={monday}&act=closed"),
        format!("building=Lincoln&date={}&act=closed", number("2026-11-01")),
        format!("building=Lincoln&date={}&act=closed", number("2027-11-01")),
        format!("building=Lincoln&date={monday}&act=burn"),
    ] {
        assert_eq!(school.post("/calendar", &kim, &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn a_fault_is_shown_to_whoever_can_do_something_about_it() {
    let school = school(&[]);
    school.health.trouble(CALENDAR, format!("d.toml, line 3: {NASTY}"));
    let admin = school.get("/calendar", Some(&school.visitor(Role::Admin))).await.text;
    assert!(
        admin.contains("d.toml, line 3: ") && admin.contains("is not understood") && !admin.contains(NASTY),
        "{admin}"
    );
    let viewer = school.get("/calendar", Some(&school.visitor(Role::Viewer))).await.text;
    assert!(!viewer.contains("d.toml, line 3"));
}

#[tokio::test]
async fn a_program_reads_the_same() {
    let school = school(&[("d.toml", "hours = \"08:00-15:00\"\nfederal_holidays = true\n")]);
    let kim = school.visitor(Role::Coordinator);
    school.post("/calendar", &kim, &format!("building=Lincoln&date={}&act=closed", number("2026-11-23"))).await;
    let token = school.state.add_api_token("report", Role::Viewer, NOW, None).unwrap();
    let request = Request::get("/api/v1/calendar?site=Lincoln&limit=7")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
        .body(Body::empty())
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&school.send(request).await.text).unwrap();
    assert_eq!(
        (&told["zone"], &told["assumed"], &told["source"]),
        (&"America/Chicago".into(), &false.into(), &"d.toml".into())
    );
    let day = |at: usize| &told["days"][at];
    assert_eq!((&day(0)["date"], &day(0)["kind"]), (&"2026-11-20".into(), &"full".into()));
    assert_eq!(
        (&day(0)["opens_at"], &day(0)["closes_at"]),
        (&"2026-11-20T14:00:00Z".into(), &"2026-11-20T21:00:00Z".into())
    );
    assert_eq!((&day(3)["kind"], &day(3)["changed"]["closed"]), (&"closed".into(), &true.into()));
    assert_eq!((&day(6)["kind"], &day(6)["why"]), (&"closed".into(), &"Thanksgiving Day".into()));
    assert_eq!(told["days"].as_array().unwrap().len(), 7);
}
