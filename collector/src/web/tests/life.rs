//! Repair or replacement, the plan and lists, at the pages' own door.

use bellwether_logic::life::{Confidence, Course, Decision, Facts, Fix, Missing, Overruled, Subject};
use bellwether_proto::record::v1::LifeFactsSet;

use super::*;
use crate::life::record_entry;

/// A school with one laptop, and what is assumed as it is shipped.
fn school() -> School {
    let school = School::new();
    let laptop = DeviceChanged {
        device_id: "dlaptop".into(),
        name: "LHS-0001".into(),
        class: "laptop".into(),
        site: "Lincoln".into(),
        room: "214".into(),
        state: "in_use".into(),
        vendor: "Lenovo".into(),
        model: "100e".into(),
        serial: "PF1".into(),
        ..DeviceChanged::default()
    };
    let table = crate::life::record_table(&crate::life::load(std::path::Path::new("/nonexistent")).unwrap());
    school
        .state
        .commit_engine(|tx| {
            tx.put_device(NOW, &laptop)?;
            tx.put_life_table(NOW, &table)
        })
        .unwrap();
    school
}

fn know(school: &School, facts: &Facts) {
    let entries = vec![record_entry(&Subject::Device("dlaptop".into()), facts)];
    let set = LifeFactsSet { entries, ..LifeFactsSet::default() };
    school.state.commit_engine(|tx| tx.put_life_facts(NOW, &set)).unwrap();
}

fn bought(date: &str) -> Facts {
    Facts { purchased: bellwether_logic::life::civil::read(date), fund: "=Bond".into(), ..Facts::default() }
}

async fn upload(school: &School, visitor: &Visitor, csrf: &str, text: &str) -> Answer {
    let part = |name: &str, more: &str, content: &str| {
        format!("--XyZ\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
    };
    let list = part("list", "; filename=\"devices.csv\"", text);
    let body = part("csrf", "", csrf) + &list + "--XyZ--\r\n";
    let request = Request::post("/plan/import")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=XyZ")
        .header(header::COOKIE, &visitor.cookie)
        .body(Body::from(body))
        .unwrap();
    school.send(request).await
}

#[tokio::test]
async fn the_plan_says_what_is_due_and_what_is_only_assumed() {
    let school = school();
    let coordinator = school.visitor(Role::Coordinator);
    let unknown = school.get("/plan", Some(&coordinator)).await;
    assert_eq!(unknown.status, StatusCode::OK);
    assert!(unknown.text.contains("1 device stands in no year"), "{}", unknown.text);
    know(&school, &bought("2024-08-15"));
    let page = school.get("/plan?by=fund", Some(&coordinator)).await;
    for said in ["2028-29", "about $350", "Assumed from class: planned life, price", "<b>=Bond</b>", "LHS-0001"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let other = school.get("/plan?site=Oak", Some(&coordinator)).await;
    assert!(other.text.contains("No device is in use that fits."));
}

#[tokio::test]
async fn the_spreadsheet_holds_no_formula_and_programs_get_the_same() {
    let school = school();
    know(&school, &bought("2024-08-15"));
    let admin = school.visitor(Role::Admin);
    let sheet = school.get("/plan.csv", Some(&admin)).await;
    assert_eq!(sheet.header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    let line = sheet.text.lines().nth(1).unwrap();
    assert!(
        line.starts_with("2028-29,2028-08-15,no,planned life,Lincoln,214,LHS-0001,laptop,Lenovo 100e,'=Bond,350.00,"),
        "{line}"
    );
    assert_eq!(school.get("/api/v1/plan", None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(school.get("/api/v1/plan.csv", None).await.status, StatusCode::UNAUTHORIZED);
    let token = school.state.add_api_token("test", Role::Coordinator, NOW, None).unwrap();
    let viewers = school.state.add_api_token("grafana", Role::Viewer, NOW, None).unwrap();
    for path in ["/api/v1/plan", "/api/v1/plan.csv"] {
        let bearer = format!("Bearer {}", viewers.reveal());
        let request = Request::get(path).header(header::AUTHORIZATION, bearer).body(Body::empty()).unwrap();
        assert_eq!(school.send(request).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let ask = |path: &str| {
        Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(school.send(ask("/api/v1/plan.csv")).await.text, sheet.text);
    let plan: serde_json::Value = serde_json::from_str(&school.send(ask("/api/v1/plan")).await.text).unwrap();
    assert_eq!(plan["devices"][0]["year"], "2028");
    assert_eq!(plan["years"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_technician_sees_no_budget() {
    let school = school();
    let technician = school.visitor(Role::Technician);
    for path in ["/plan", "/plan.csv", "/plan/import"] {
        assert_eq!(school.get(path, Some(&technician)).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(!school.get("/", Some(&technician)).await.text.contains("href=\"/plan\""));
    let shows_cost = async |visitor| school.get("/devices/dlaptop", Some(visitor)).await.text.contains("Life and cost");
    assert!(shows_cost(&technician).await && !shows_cost(&school.visitor(Role::Viewer)).await);
    let refused = upload(&school, &technician, &technician.csrf, "Asset tag,Price\nLHS-0001,5\n").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let refused = school.post("/devices/dlaptop/life", &technician, "price=5").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_list_is_checked_first_and_imported_on_a_word() {
    let school = school();
    let admin = school.visitor(Role::Admin);
    let list = "Serial,Assigned to,Purchase date,Price\nPF1,Dana Doe,8/15/2024,$329\nXX,Lee,,1\n";
    let forged = upload(&school, &admin, "guess", list).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let checked = upload(&school, &admin, &admin.csrf, list).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.text);
    for said in ["<b>Assigned to</b>", "Bought: 2024-08-15", "Price: $329", "Row 3: XX", "Nothing has been changed yet"]
    {
        assert!(checked.text.contains(said), "{said}: {}", checked.text);
    }
    assert!(!checked.text.contains("Dana"), "nothing about a person comes back");
    assert!(school.state.life_facts().unwrap().devices.is_empty());
    let done = school.post("/plan/import/confirm", &admin, "").await;
    assert!(done.text.contains("Imported: 1 changed"), "{}", done.text);
    assert_eq!(school.state.life_facts().unwrap().devices["dlaptop"].facts.price_cents, Some(32_900));
    let again = school.post("/plan/import/confirm", &admin, "").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_list_that_is_wrong_changes_nothing_and_says_where() {
    let school = school();
    let admin = school.visitor(Role::Admin);
    let wrong = upload(&school, &admin, &admin.csrf, "Serial,Price\nPF1,<script>\n").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("row 2, column") && !wrong.text.contains("<script>,"), "{}", wrong.text);
    let confirmed = school.post("/plan/import/confirm", &admin, "").await;
    assert_eq!(confirmed.status, StatusCode::UNPROCESSABLE_ENTITY);
    let none = upload(&school, &admin, &admin.csrf, "Color\nred\n").await;
    assert!(none.text.contains("no column says which device a row means"), "{}", none.text);
}

#[tokio::test]
async fn facts_are_typed_on_the_devices_page_for_it_or_its_model() {
    let school = school();
    let admin = school.visitor(Role::Admin);
    let typed = school.post("/devices/dlaptop/life", &admin, "of=model&updatesend=2032-06-30&price=310").await;
    assert_eq!(typed.status, StatusCode::SEE_OTHER, "{}", typed.text);
    let typed = school.post("/devices/dlaptop/life", &admin, "of=device&purchased=2024-08-15&price=&erate=no").await;
    assert_eq!(typed.status, StatusCode::SEE_OTHER, "{}", typed.text);
    let facts = school.state.life_facts().unwrap().of("dlaptop", "Lenovo 100e");
    assert_eq!((facts.price_cents, facts.erate, facts.updates_end.is_some()), (Some(31_000), Some(false), true));
    let page = school.get("/devices/dlaptop", Some(&admin)).await;
    for said in
        ["Due for replacement 2028-08-15", "<dd>2032-06-30</dd>", "value=\"2024-08-15\"", "placeholder=\"$310\""]
    {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let wrong = school.post("/devices/dlaptop/life", &admin, "of=device&price=cheap").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("expected dollars"), "{}", wrong.text);
}

#[tokio::test]
async fn a_ticket_says_what_to_do_why_and_what_helped_before() {
    let school = school();
    let mut ticket = plain(7, TicketState::New);
    ticket.decision = Some(Box::new(Decision {
        course: Course::Device,
        part: "battery".into(),
        reasons: vec![NASTY.into()],
        missing: vec![Missing::Warranty],
        confidence: Confidence::Medium,
        cost_cents: Some(7_000),
        value_cents: Some(5_000),
        since: NOW,
        overruled: Some(Overruled { by: "kim".into(), at: NOW, because: NASTY.into(), advised: Some(Course::Part) }),
    }));
    ticket.fixes = vec![Fix { at: NOW, ticket: 3, action: "new battery".into(), part: NASTY.into(), ..Fix::default() }];
    school.state.commit_engine(|tx| tx.put_effect(&Effect::Ticket(Box::new(ticket)))).unwrap();
    let technician = school.visitor(Role::Technician);
    let page = school.get("/tickets/7", Some(&technician)).await;
    for said in [
        "<b>Replace the device</b>",
        "decided by a person",
        "Advised: Replace the battery.",
        "warranty end",
        "new battery",
    ] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    assert!(!page.text.contains("<script>"));
    let decided = school.post("/tickets/7/decide", &technician, "course=replace_part&because=it+is+new").await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "{}", decided.text);
    let champion = school.visitor(Role::Champion);
    let refused = school.post("/tickets/7/decide", &champion, "course=replace_part&because=x").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let unknown = school.post("/tickets/7/decide", &technician, "course=burn&because=x").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
