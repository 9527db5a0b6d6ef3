//! How tickets are handled on their pages: who has them, how soon, who may do what; and who looks after what.

use super::*;
use crate::responsibilities::{Form, record_of};
use bellwether_logic::responsibilities::{Cell, Responsibilities};
use bellwether_logic::tickets::{Priority, WaitFor, Waiting};
use std::path::Path;

fn matrix(text: &str) -> Responsibilities {
    Form::parse(Path::new("responsibilities.toml"), text, &TimeZone::UTC).unwrap()
}

/// A school with ticket 7, which is kim's.
fn school() -> School {
    let school = School::new();
    school.fill();
    let matrix = matrix(&format!(
        "[[person]]\nlogin = \"kim\"\n[[team]]\nname = \"Networks\"\nmembers = [\"kim\"]\n\
         [[vendor]]\nname = \"{}\"\ncovers = \"copiers\"\ncontract_ends = \"2026-01-01\"\n\
         [[owner]]\ncategories = [\"storage\"]\nwho = \"kim\"\n",
        NASTY.replace('"', "\\\"")
    ));
    let mut ticket = school.state.ticket(7).unwrap().unwrap();
    ticket.handling.owner = Some(matrix.owner(NOW, Cell { site: "Lincoln", class: None, category: "storage" }));
    ticket.handling.priority = Priority::P2;
    ticket.handling.because = format!("high impact: {NASTY}");
    school
        .state
        .commit_engine(|tx| {
            tx.put_responsibilities(NOW, &record_of(&matrix))?;
            tx.put_ticket(&ticket)
        })
        .unwrap();
    school
}

#[tokio::test]
async fn each_role_sees_what_it_may_do_and_nothing_else_is_done() {
    let school = school();
    let viewer = school.visitor(Role::Viewer);
    let champion = school.visitor(Role::Champion);
    let technician = school.visitor(Role::Technician);
    let coordinator = school.visitor(Role::Coordinator);
    let forms = |text: &str| -> Vec<&'static str> {
        let all = ["take", "start", "comment", "wait", "priority", "close", "assign", "merge"];
        all.into_iter().filter(|act| text.contains(&format!("action=\"/tickets/7/{act}\""))).collect()
    };
    for (who, expected) in [
        (&viewer, vec![]),
        (&champion, vec!["comment"]),
        (&technician, vec!["take", "start", "comment", "wait", "priority", "close"]),
        (&coordinator, vec!["take", "start", "comment", "wait", "priority", "close", "assign", "merge"]),
    ] {
        assert_eq!(forms(&school.get("/tickets/7", Some(who)).await.text), expected);
    }
    for (path, form) in [
        ("/tickets/7/start", ""),
        ("/tickets/7/wait", "for=part&text=fan"),
        ("/tickets/7/resume", ""),
        ("/tickets/7/priority", "priority=P1&note=now"),
        ("/tickets/7/assign", "to=technician"),
        ("/tickets/7/merge", "into=8"),
        ("/tickets/7/split", ""),
    ] {
        assert_eq!(school.post(path, &champion, form).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    for (path, form) in [("/tickets/7/assign", "to=technician"), ("/tickets/7/merge", "into=8")] {
        assert_eq!(school.post(path, &technician, form).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    for (path, form) in [
        ("/tickets/7/assign", "to=nobody"),
        ("/tickets/7/wait", "for=rain&text=x"),
        ("/tickets/7/wait", "for=part&text=x&until=soon"),
        ("/tickets/7/priority", "priority=P9&note=x"),
        ("/tickets/7/merge", "into=x"),
        ("/tickets/7/close", "fault=a&action=b&cost=much"),
    ] {
        assert_eq!(
            school.post(path, &coordinator, form).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path} {form}"
        );
    }
    let given = school.post("/tickets/7/assign", &coordinator, "to=technician").await;
    assert_eq!((given.status, given.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/tickets/7"));
}

#[tokio::test]
async fn the_page_says_who_has_it_how_soon_and_what_it_waits_for() {
    let school = school();
    let mut ticket = school.state.ticket(7).unwrap().unwrap();
    ticket.state = TicketState::Waiting;
    ticket.handling.waiting =
        Some(Waiting { r#for: WaitFor::Part, text: NASTY.into(), until: Some(Timestamp(NOW.0 + 1)), since: NOW });
    school.state.commit_engine(|tx| tx.put_ticket(&ticket)).unwrap();
    let technician = school.visitor(Role::Technician);
    let page = school.get("/tickets/7", Some(&technician)).await.text;
    for said in [
        "<dt>Responsible</dt><dd>kim",
        "storage (line 10 of responsibilities.toml)",
        "Waits for a part:",
        "/tickets/7/resume",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains(NASTY), "{page}");
    let list = school.get("/tickets?priority=P2&owner=kim", Some(&technician)).await.text;
    assert!(list.contains("/tickets/7\"") && list.contains("for kim"), "{list}");
    let none = school.get("/tickets?priority=P1", Some(&technician)).await.text;
    assert!(!none.contains("/tickets/7\""), "{none}");
    let mine = school.get("/tickets?show=mine", Some(&technician)).await.text;
    assert!(!mine.contains("/tickets/7\""), "kim is somebody else: {mine}");
}

#[tokio::test]
async fn what_nobody_looks_after_is_marked() {
    let school = school();
    let viewer = school.visitor(Role::Viewer);
    let page = school.get("/responsibilities", Some(&viewer)).await;
    assert_eq!(page.status, StatusCode::OK);
    for said in ["nobody named", "IT gets it", "contract over", "Networks"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    assert!(!page.text.contains(NASTY), "{}", page.text);
    let assumed = School::new();
    assumed.fill();
    let admin = assumed.visitor(Role::Admin);
    let page = assumed.get("/responsibilities", Some(&admin)).await.text;
    assert!(page.contains("<b>Assumed.</b>") && !page.contains("nobody named"), "{page}");
}
