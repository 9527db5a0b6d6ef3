//! The planning list, planned changes and laptops to find, on their pages and in the API.

use bellwether_logic::engine::Listing;
use bellwether_logic::incidents::{Fault, Quiet};
use bellwether_logic::plans::{Plan, Scope, Silenced};
use bellwether_logic::rules::TicketKind;
use bellwether_logic::usual::UsualHours;
use bellwether_proto::record::v1::{ChangeEnded, ChangePlanned, ListRaised};

use super::*;

fn fault(path: &str) -> Fault {
    Fault { rule: "disk.full.server".into(), tags: vec![("path".into(), path.into())] }
}

/// What the engine makes of it, as far as pages can tell.
pub(super) fn raised(state: &State, raised: &ListRaised) {
    for listed in &raised.faults {
        let tags = listed.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        let fault = Fault { rule: listed.rule.clone(), tags };
        let gone = Effect::Unlisted { device: listed.device_id.clone(), fault };
        state.commit_engine(|tx| tx.put_effect(&gone)).unwrap();
    }
}

pub(super) fn planned(state: &State, planned: ChangePlanned) {
    let named = Silenced { device: "d000000001".into(), title: NASTY.into(), at: NOW };
    let plan = Plan {
        number: 1,
        scope: Scope {
            site: planned.site,
            room: planned.room,
            class: planned.class.parse().ok(),
            device: planned.device_id,
            rule: planned.rule,
        },
        from: Timestamp(planned.from_ms),
        until: Timestamp(planned.until_ms),
        why: planned.why,
        actor: planned.actor,
        made_at: NOW,
        ended_by: None,
        taken_back: false,
        silenced: 12,
        named: vec![named],
        left: 0,
        over: false,
    };
    state.commit_engine(|tx| tx.put_effect(&Effect::Plan(Box::new(plan)))).unwrap();
}

pub(super) fn ended(state: &State, ended: &ChangeEnded) {
    let mut plan = state.plan(ended.number).unwrap().unwrap();
    (plan.over, plan.taken_back, plan.ended_by) = (true, ended.takes_back, Some(ended.actor.clone()));
    state.commit_engine(|tx| tx.put_effect(&Effect::Plan(Box::new(plan)))).unwrap();
}

/// A school that was first looked at with three full disks.
fn school() -> School {
    let school = School::new();
    school.fill();
    let listing = |path: &str, because| Listing {
        device: "d000000001".into(),
        fault: fault(path),
        because,
        title: format!("{NASTY}: {path} is almost full"),
        advice: NASTY.into(),
        severity: Severity::Major,
        kind: TicketKind::Repair,
        category: "disk".into(),
        since: NOW,
        readings: vec![NASTY.into()],
    };
    for path in ["/", "/data", "/data"] {
        let listed = Effect::Listed(Box::new(listing(path, Quiet::FirstSight)));
        school.state.commit_engine(|tx| tx.put_effect(&listed)).unwrap();
    }
    school
}

fn encoded(text: &str) -> String {
    crate::web::page::encode(text)
}

#[tokio::test]
async fn what_was_found_is_listed_by_rule_and_model_and_becomes_tickets_one_by_one_or_by_the_row() {
    let school = school();
    let (viewer, technician) = (school.visitor(Role::Viewer), school.visitor(Role::Technician));
    let page = school.get("/findings", Some(&viewer)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("2 findings") && page.text.contains("disk.full.server"), "{}", page.text);
    assert!(!page.text.contains(NASTY) && !page.text.contains("Make a ticket"), "{}", page.text);
    let one = format!(
        "building=&rule=disk.full.server&model=x&device=d000000001&fault={}",
        encoded(&serde_json::to_string(&fault("/")).unwrap())
    );
    assert_eq!(school.post("/findings", &viewer, &one).await.status, StatusCode::FORBIDDEN);
    let done = school.post("/findings", &technician, &one).await;
    assert_eq!((done.status, done.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/findings?building=&done=yes"));
    assert_eq!(school.state.listing_count().unwrap(), 1);
    let at = encoded(&format!("Lincoln {NASTY}"));
    let row = format!("building={at}&rule=disk.full.server&model={}&at={at}", encoded(NASTY));
    assert_eq!(school.post("/findings", &technician, &row).await.status, StatusCode::SEE_OTHER);
    assert_eq!(school.state.listing_count().unwrap(), 0);
    let page = school.get("/findings", Some(&technician)).await;
    assert!(page.text.contains("Nothing to plan"), "{}", page.text);
}

#[tokio::test]
async fn a_change_is_planned_by_technicians_and_ended_and_says_what_it_silenced() {
    let school = school();
    let (champion, technician) = (school.visitor(Role::Champion), school.visitor(Role::Technician));
    let form = "why=New+switch&site=&room=&class=switch&device=&rule=&from=2026-11-20T23%3A00&until=2026-11-21T01%3A00";
    assert_eq!(school.post("/changes", &champion, form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(school.post("/changes", &technician, form).await.status, StatusCode::SEE_OTHER);
    let plan = school.state.plan(1).unwrap().unwrap();
    assert_eq!((plan.from.0 - NOW.0, plan.until.0 - NOW.0), (3_600_000, 3 * 3_600_000));
    let page = school.get("/changes", Some(&technician)).await;
    for said in ["#1 New switch", "every switch", "Silenced: 12 faults", "and 11 more", "Take it back"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    assert!(!page.text.contains(NASTY));
    for (wrong, why) in [
        (form.replace("class=switch", "class="), "needs a building"),
        (form.replace("2026-11-21T01", "2025-11-21T01"), "ends after now"),
        (form.replace("New+switch", "+"), "needs a reason"),
        (form.replace("device=", "device=nothing"), "no device of that name"),
        (form.replace("from=2026", "from=soon"), "Write times"),
    ] {
        let answer = school.post("/changes", &technician, &wrong).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(why), "{why}: {}", answer.text);
    }
    assert_eq!(school.post("/changes/9/end", &technician, "act=end").await.status, StatusCode::NOT_FOUND);
    assert_eq!(school.post("/changes/1/end", &technician, "act=back").await.status, StatusCode::SEE_OTHER);
    assert!(school.state.plan(1).unwrap().unwrap().taken_back);
    let again = school.post("/changes/1/end", &technician, "act=end").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn programs_read_and_change_the_same_with_a_token_of_the_right_role() {
    let school = school();
    let token = |role: Role| school.state.add_api_token(role.as_str(), role, NOW, None).unwrap();
    let (viewer, technician) = (token(Role::Viewer), token(Role::Technician));
    let ask = |path: &str, token: &Secret, body: Option<&str>| {
        let request = if body.is_some() { Request::post(path) } else { Request::get(path) };
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        school.send(request.body(body.unwrap_or_default().to_owned().into()).unwrap())
    };
    let json = |answer: &Answer| -> serde_json::Value { serde_json::from_str(&answer.text).unwrap() };
    let found = json(&ask("/api/v1/findings?limit=1", &viewer, None).await);
    assert_eq!((&found["total"], &found["findings"][0]["subject"]["path"]), (&2.into(), &"/".into()));
    let wanted = r#"{"findings":[{"device":"d000000001","rule":"disk.full.server","subject":{"path":"/"}},
        {"device":"d000000001","rule":"none"}]}"#;
    assert_eq!(ask("/api/v1/findings/tickets", &viewer, Some(wanted)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(json(&ask("/api/v1/findings/tickets", &technician, Some(wanted)).await)["raised"], 1);
    assert_eq!(json(&ask("/api/v1/findings", &viewer, None).await)["total"], 1);
    let change = r#"{"class":"switch","until":"2026-11-21T01:00:00Z","why":"new switch"}"#;
    assert_eq!(ask("/api/v1/changes", &viewer, Some(change)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask("/api/v1/changes", &technician, Some("{}")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ask("/api/v1/changes", &technician, Some(change)).await.status, StatusCode::CREATED);
    let changes = json(&ask("/api/v1/changes", &viewer, None).await);
    assert_eq!((&changes["changes"][0]["state"], &changes["changes"][0]["silenced"]), (&"now".into(), &12.into()));
    assert_eq!(ask("/api/v1/changes/1/end", &technician, Some("{}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(json(&ask("/api/v1/find", &viewer, None).await)["total"], 0);
}

#[tokio::test]
async fn laptops_to_find_and_usual_hours_are_told_in_words() {
    let school = school();
    let viewer = school.visitor(Role::Viewer);
    let standing =
        DeviceState { device: "d000000001".into(), presence: Presence::Absent, since: NOW, find: true, worst: None };
    let hours = UsualHours {
        site: "Adams".into(),
        class: bellwether_logic::device::Class::Desktop,
        school_known: 0x00ff_ffff,
        school: 0b111_1111_1110_0000,
        other_known: 0x00ff_ffff,
        other: 0,
    };
    let device = DeviceChanged {
        device_id: "d2".into(),
        class: "desktop".into(),
        site: "Adams".into(),
        state: "in_use".into(),
        ..DeviceChanged::default()
    };
    school
        .state
        .commit_engine(|tx| {
            tx.put_device(NOW, &device)?;
            tx.put_effect(&Effect::DeviceState(standing))?;
            tx.put_effect(&Effect::UsualHours(Box::new(hours)))
        })
        .unwrap();
    let page = school.get("/findings", Some(&viewer)).await;
    assert!(page.text.contains("Find these") && page.text.contains("1 laptop"), "{}", page.text);
    let page = school.get("/calendar?building=Adams", Some(&viewer)).await;
    let said = "on school days from 1 hour before the opening to 9 hours after the opening; mostly off on other days";
    assert!(page.text.contains(said), "{}", page.text);
}
