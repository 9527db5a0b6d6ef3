//! Stories at the pages' own door: requests in, pages out, without a network.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use bellwether_logic::engine::Effect;
use bellwether_logic::presence::{DeviceState, Presence};
use bellwether_logic::rules::Severity;
use bellwether_logic::tickets::{Actor, Refusal, TicketEvent, TicketState, What};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{AgentConnected, DeviceChanged, Record, TicketActed, record, ticket_acted};
use jiff::tz::TimeZone;
use tower::ServiceExt;

use super::readings::{Rows, Series, Told};
use crate::app::{App, Clicks, Connect, SubmitError};
use crate::clock::Clock;
use crate::config::Config;
use crate::health::Health;
use crate::state::State;
use crate::state::people::{Role, hash_password};
use crate::state::secret::Secret;
use crate::state::tickets::tests::plain;

mod calendar;
mod closets;
mod handling;
mod life;
mod network;
mod rules;
mod sight;

const NOW: Timestamp = Timestamp(1_795_212_000_000);
const PASSWORD: &str = "a few plain words";
const NASTY: &str = "<script>alert(1)</script>\"'&";

/// A school: its database, its pages, and someone who does what people click.
struct School {
    _folder: tempfile::TempDir,
    state: Arc<State>,
    clock: Clock,
    pages: Router,
    health: Arc<Health>,
}

/// Two readings of every measurement, for whoever asks.
struct Readings;

impl Series for Readings {
    fn ask(&self, query: &str, now: Timestamp) -> Vec<Rows> {
        let fields = query.split(" FROM ").next().map_or(0, |select| select.matches('(').count());
        let tags = [("device_id", "d000000001"), ("path", NASTY), ("target_id", "gateway"), ("interface", "eth0")];
        let tags: BTreeMap<String, String> = tags.map(|(key, value)| (key.into(), value.into())).into();
        let rows = [2, 1].map(|n| (now.0 - n * 300_000, vec![Some(40.0); fields]));
        vec![Rows { tags, rows: rows.to_vec() }]
    }

    fn tell(&self, query: &str, now: Timestamp) -> Vec<Told> {
        let selected = query.trim_start_matches("SELECT ").split(" FROM ").next().unwrap_or_default();
        let fields = selected.split(", ").map(|name| (name.replace('"', ""), NASTY.into())).collect();
        let tags = ["device", "mac", "slot"].map(|tag| (tag.into(), NASTY.into())).into();
        vec![Told { tags, rows: vec![(now.0 - 60_000, fields)] }]
    }
}

impl School {
    fn new() -> Self {
        let (folder, state) = crate::state::testing::fresh();
        let state = Arc::new(state);
        let (clicks, mut queue) = Clicks::channel();
        let applied = Arc::clone(&state);
        tokio::spawn(async move {
            while let Some(click) = queue.recv().await {
                let _ = click.done.send(apply(&applied, click.record));
            }
        });
        let clock = Clock::manual(NOW);
        let health: Arc<Health> = Arc::default();
        let app = App {
            state: Arc::clone(&state),
            clicks,
            config: Config::default(),
            clock: clock.clone(),
            connect: Connect {
                endpoint: "127.0.0.1:7443".into(),
                this_machine_only: true,
                pin: crate::app::Pin::Fixed([7; 32]),
            },
            health: Arc::clone(&health),
            agents: tokio::sync::watch::channel(Arc::default()).1,
            rules: Arc::new(crate::rules::load(std::path::Path::new("/nonexistent")).unwrap()),
        };
        let pages = super::router(Arc::new(app), Arc::new(Readings), TimeZone::UTC);
        Self { _folder: folder, state, clock, pages, health }
    }

    /// Someone with this role, and the cookie of their session.
    fn visitor(&self, role: Role) -> Visitor {
        let link = Secret::new();
        self.state.add_first_login(link.hash(), role, NOW, Timestamp(NOW.0 + 1)).unwrap();
        let person = self.state.add_person_by_link(link.hash(), role.as_str(), "no hash", NOW).unwrap();
        let session = self.state.begin_session(person.id, NOW).unwrap();
        Visitor {
            cookie: format!("bellwether_session={}", session.reveal()),
            csrf: super::access::form_token(session.reveal()),
        }
    }

    /// One device with a nasty name, and two tickets of it.
    fn fill(&self) {
        let device = DeviceChanged {
            device_id: "d000000001".into(),
            name: NASTY.into(),
            kind: "agent".into(),
            class: "server".into(),
            site: format!("Lincoln {NASTY}"),
            room: NASTY.into(),
            state: "in_use".into(),
            model: NASTY.into(),
            ..DeviceChanged::default()
        };
        let connected = AgentConnected { device_id: "d000000001".into(), interval_s: 60, ..AgentConnected::default() };
        let standing = DeviceState {
            device: "d000000001".into(),
            presence: Presence::Present,
            since: NOW,
            find: false,
            worst: Some(Severity::Major),
        };
        let mut ticket = plain(7, TicketState::New);
        ticket.title = NASTY.into();
        ticket.lines[0].advice = NASTY.into();
        let event = |text: &str| TicketEvent {
            ticket: 7,
            sequence: 1,
            at: NOW,
            actor: Actor::Person(NASTY.into()),
            what: What::Commented { text: text.into() },
        };
        self.state
            .commit_engine(|tx| {
                tx.put_device(NOW, &device)?;
                tx.put_connected(NOW, &connected)?;
                tx.put_effect(&Effect::DeviceState(standing))?;
                tx.put_effect(&Effect::Ticket(Box::new(ticket)))?;
                tx.put_effect(&Effect::Ticket(Box::new(plain(8, TicketState::Closed))))?;
                tx.put_effect(&Effect::TicketEvent(event(NASTY)))
            })
            .unwrap();
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.pages.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str, visitor: Option<&Visitor>) -> Answer {
        let mut request = Request::get(path);
        if let Some(visitor) = visitor {
            request = request.header(header::COOKIE, &visitor.cookie);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, visitor: &Visitor, form: &str) -> Answer {
        let form = format!("csrf={}&{form}", visitor.csrf);
        let request = form_request(path).header(header::COOKIE, &visitor.cookie).body(form.into()).unwrap();
        self.send(request).await
    }
}

struct Visitor {
    cookie: String,
    csrf: String,
}

struct Answer {
    status: StatusCode,
    headers: header::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn form_request(path: &str) -> axum::http::request::Builder {
    Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

/// What the engine reader does, as far as pages can tell.
fn apply(state: &State, record: Record) -> Result<(), SubmitError> {
    match record.body.unwrap() {
        record::Body::Raised(raised) => sight::raised(state, &raised),
        record::Body::Planned(planned) => sight::planned(state, planned),
        record::Body::PlanEnded(ended) => sight::ended(state, &ended),
        record::Body::Device(device) => state.commit_engine(|tx| tx.put_device(NOW, &device)).unwrap(),
        record::Body::Ticket(TicketActed { ticket: number, actor, action: Some(action) }) => {
            let mut ticket = state.ticket(number).unwrap().unwrap();
            if matches!(action, ticket_acted::Action::Take(_)) && ticket.assignee.is_some() {
                return Err(SubmitError::Refused(Refusal::YoursAlready.to_string()));
            }
            ticket.assignee = Some(actor.clone());
            ticket.state = TicketState::Assigned;
            if matches!(action, ticket_acted::Action::Close(_)) {
                ticket.state = TicketState::Closed;
                ticket.ended_at = Some(NOW);
            }
            let what = match action {
                ticket_acted::Action::Comment(comment) => What::Commented { text: comment.text },
                _ => What::Taken { from: None },
            };
            let event = TicketEvent { ticket: number, sequence: 2, at: NOW, actor: Actor::Person(actor), what };
            let effects = [Effect::Ticket(Box::new(ticket)), Effect::TicketEvent(event)];
            state.commit_engine(|tx| effects.iter().try_for_each(|effect| tx.put_effect(effect))).unwrap();
        }
        record::Body::Judged(judged) => state.commit_engine(|tx| tx.put_judged(&judged)).unwrap(),
        record::Body::Link(link) => state
            .commit_engine(|tx| {
                tx.put_link(NOW, &link)?;
                tx.draw_map(NOW)
            })
            .unwrap(),
        record::Body::LifeFacts(set) => state.commit_engine(|tx| tx.put_life_facts(NOW, &set)).unwrap(),
        record::Body::Day(day) => state.commit_engine(|tx| tx.put_day(NOW, &day)).unwrap(),
        other => panic!("no page submits {other:?}"),
    }
    Ok(())
}

const PAGES: [&str; 14] = [
    "/plan",
    "/plan/import",
    "/responsibilities",
    "/calendar",
    "/discovered",
    "/discovered?show=dismissed&page=3",
    "/network",
    "/",
    "/?show=ticket&building=Oak&state=spare",
    "/tickets",
    "/tickets?show=all&page=9",
    "/connect",
    "/connect/arrivals",
    "/tickets?show=ended",
];

#[tokio::test]
async fn every_page_renders_for_a_school_that_has_nothing_yet() {
    let school = School::new();
    let admin = school.visitor(Role::Admin);
    for path in PAGES {
        let page = school.get(path, Some(&admin)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.text.contains("</html>"), "{path}");
    }
    let fleet = school.get("/", Some(&admin)).await;
    assert!(fleet.text.contains("No device yet"));
    assert!(school.get("/tickets", Some(&admin)).await.text.contains("Nothing to do"));
}

#[tokio::test]
async fn hostile_text_is_inert_on_every_page() {
    let school = School::new();
    school.fill();
    school.fill_closet();
    let admin = school.visitor(Role::Admin);
    for path in PAGES.iter().chain(&[
        "/devices/d000000001",
        "/devices/dswitch",
        "/tickets/7",
        "/tickets/8",
        "/tickets?building=%3Cscript%3E",
    ]) {
        let page = school.get(path, Some(&admin)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("<script>"), "{path}");
        assert!(!page.text.contains(" style="), "{path}");
    }
    let device = school.get("/devices/d000000001", Some(&admin)).await;
    assert!(device.text.contains("&#60;script&#62;") || device.text.contains("&lt;script&gt;"));
    assert!(device.text.contains("<path class=\"line s1\""), "a chart is drawn");
    assert!(device.text.contains("<h2>Hardware and system</h2>") && device.text.contains("<th>Part number</th>"));
}

#[tokio::test]
async fn headers_tie_the_browsers_hands_on_every_answer() {
    let school = School::new();
    for path in ["/", "/login", "/nowhere", "/assets/desk.css", "/api/v1/devices"] {
        let answer = school.get(path, None).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
    }
    let style = school.get("/assets/desk.css", None).await;
    assert_eq!(style.header(header::CONTENT_TYPE), "text/css; charset=utf-8");
    assert_eq!(school.get("/login", None).await.header(header::CACHE_CONTROL), "no-store");
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_sent_to_the_login_and_back() {
    let school = School::new();
    for path in ["/", "/tickets/7", "/devices/d1", "/connect"] {
        let answer = school.get(path, None).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.header(header::LOCATION).starts_with("/login"), "{path}");
    }
    let answer = school.get("/tickets?show=all", None).await;
    assert_eq!(answer.header(header::LOCATION), "/login?next=/tickets%3Fshow%3Dall");
    let stale = Visitor { cookie: "bellwether_session=guess".into(), csrf: String::new() };
    assert_eq!(school.get("/", Some(&stale)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_first_login_link_makes_the_admin_who_then_logs_in_and_out() {
    let school = School::new();
    let link = Secret::new();
    school.state.add_first_login(link.hash(), Role::Admin, NOW, Timestamp(NOW.0 + 1_000)).unwrap();
    assert!(school.get("/login", None).await.text.contains("first-login.txt"));
    let path = format!("/welcome/{}", link.reveal());
    assert_eq!(school.get(&path, None).await.status, StatusCode::OK);
    let form =
        |login: &str, password: &str| Body::from(format!("login={login}&password={}", password.replace(' ', "+")));
    let weak = school.send(form_request(&path).body(form("rivera", "short")).unwrap()).await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    let made = school.send(form_request(&path).body(form("rivera", PASSWORD)).unwrap()).await;
    assert_eq!((made.status, made.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let cookie = made.header(header::SET_COOKIE).to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Lax") && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(school.get(&path, None).await.status, StatusCode::GONE);

    let wrong = school.send(form_request("/login").body(form("rivera", "wrong")).unwrap()).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let right = school.send(form_request("/login").body(form("Rivera", PASSWORD)).unwrap()).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    let secret = cookie.split([';', '=']).nth(1).unwrap();
    let visitor = Visitor { cookie: format!("bellwether_session={secret}"), csrf: super::access::form_token(secret) };
    assert_eq!(school.get("/connect", Some(&visitor)).await.status, StatusCode::OK);
    let out = school.post("/logout", &visitor, "").await;
    assert!(out.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(school.get("/", Some(&visitor)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn guessing_passwords_is_stopped_and_waiting_helps() {
    let school = School::new();
    let link = Secret::new();
    school.state.add_first_login(link.hash(), Role::Viewer, NOW, Timestamp(NOW.0 + 1)).unwrap();
    let hash = hash_password(PASSWORD).unwrap();
    school.state.add_person_by_link(link.hash(), "rivera", &hash, NOW).unwrap();
    let attempt = |password: &str| {
        form_request("/login")
            .body(Body::from(format!("login=rivera&password={}", password.replace(' ', "+"))))
            .unwrap()
    };
    for _ in 0..super::limiter::FAILURES_MAX {
        assert_eq!(school.send(attempt("guess")).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(school.send(attempt(PASSWORD)).await.status, StatusCode::TOO_MANY_REQUESTS);
    school.clock.set(NOW + super::limiter::WINDOW);
    assert_eq!(school.send(attempt(PASSWORD)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_of_another_site_or_without_its_token_changes_nothing() {
    let school = School::new();
    school.fill();
    let technician = school.visitor(Role::Technician);
    let take = || form_request("/tickets/7/take").header(header::COOKIE, &technician.cookie);
    let signed = format!("csrf={}", technician.csrf);
    for request in [
        take().body(Body::empty()).unwrap(),
        take().body("csrf=guess".into()).unwrap(),
        take().header("sec-fetch-site", "cross-site").body(signed.clone().into()).unwrap(),
        take().header(header::ORIGIN, "http://evil.example").header(header::HOST, "bw").body(signed.into()).unwrap(),
    ] {
        assert_eq!(school.send(request).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(school.state.ticket(7).unwrap().unwrap().assignee, None);
}

#[tokio::test]
async fn a_technician_takes_comments_and_closes_and_hears_why_not() {
    let school = School::new();
    school.fill();
    let technician = school.visitor(Role::Technician);
    let taken = school.post("/tickets/7/take", &technician, "").await;
    assert_eq!((taken.status, taken.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/tickets/7"));
    let again = school.post("/tickets/7/take", &technician, "").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text.contains("you have this ticket already"));
    assert_eq!(school.post("/tickets/7/comment", &technician, "text=On+my+way").await.status, StatusCode::SEE_OTHER);
    let incomplete = school.post("/tickets/7/close", &technician, "fault=full+of+logs&action=").await;
    assert_eq!(incomplete.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(incomplete.text.contains("value=\"full of logs\""), "what was typed is kept");
    let slip = school.post("/tickets/7/close", &technician, "fault=a&action=b&minutes=99999999").await;
    assert_eq!(slip.status, StatusCode::UNPROCESSABLE_ENTITY);
    let closed = school.post("/tickets/7/close", &technician, "fault=a&action=b&part=&minutes=15").await;
    assert_eq!(closed.status, StatusCode::SEE_OTHER);
    assert_eq!(school.state.ticket(7).unwrap().unwrap().state, TicketState::Closed);
}

#[tokio::test]
async fn roles_are_enforced_by_the_server() {
    let school = School::new();
    school.fill();
    let everyone = Role::ALL.map(|role| (role, school.visitor(role)));
    for (role, visitor) in &everyone {
        let tried = [
            ("/tickets/7/comment", "text=hello", Role::Champion),
            ("/tickets/7/reopen", "text=again", Role::Technician),
            ("/tickets/7/close", "fault=a&action=b", Role::Technician),
            ("/devices/d000000001", "room=12", Role::Technician),
            ("/devices/d000000001", "name=LHS-1", Role::Coordinator),
            ("/connect", "building=Oak&uses=1&days=1", Role::Admin),
        ];
        for (path, form, least) in tried {
            // Devices are put back, so that each role finds something to change.
            school.fill();
            let status = school.post(path, visitor, form).await.status;
            assert_eq!(status == StatusCode::FORBIDDEN, *role < least, "{role} {path} {form}: {status}");
        }
        let connect = school.get("/connect", Some(visitor)).await.status;
        assert_eq!(connect == StatusCode::OK, *role == Role::Admin, "{role}");
        assert_eq!(school.get("/", Some(visitor)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_device_is_edited_by_its_form() {
    let school = School::new();
    school.fill();
    let coordinator = school.visitor(Role::Coordinator);
    let form = "name=LHS-SRV-01&building=Oak+Elementary&room=+12+&class=closet&state=in_repair";
    assert_eq!(school.post("/devices/d000000001", &coordinator, form).await.status, StatusCode::SEE_OTHER);
    let device = school.state.device("d000000001").unwrap().unwrap();
    assert_eq!(
        (device.name.as_str(), device.site.as_str(), device.room.as_str()),
        ("LHS-SRV-01", "Oak Elementary", "12")
    );
    assert_eq!((device.class.as_str(), device.state.as_str()), ("closet", "in_repair"));
    for wrong in ["state=eaten", "class=toaster", "name=", "room=a%0Ab", &format!("room={}", "x".repeat(100))] {
        let status = school.post("/devices/d000000001", &coordinator, wrong).await.status;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_with_the_command_that_uses_it() {
    let school = School::new();
    let admin = school.visitor(Role::Admin);
    let page = school.post("/connect", &admin, "building=Oak&room=&class=desktop&uses=30&days=7").await;
    let command = |way: &str| {
        let begin = format!("id=\"command-{way}\" tabindex=\"0\">");
        page.text.split(&begin).nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let token = command("hand").split("--token ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(command("linux").contains(&format!("--token {token} --state /var/lib/bellwether-agent ")));
    assert!(command("windows").starts_with("msiexec /i ") && command("windows").ends_with(&format!(" TOKEN={token}")));
    let token: bellwether_proto::token::EnrolToken = token.parse().unwrap();
    let hash = crate::state::secret::SecretHash::of_bytes(&token.secret);
    assert_eq!(school.state.consume_enrol_token(hash, NOW).unwrap().site, "Oak");
    assert!(page.text.contains("This machine only"));
    assert!(!school.get("/connect", Some(&admin)).await.text.contains("bw1."));
    for wrong in ["building=&uses=1&days=1", "building=Oak&uses=0&days=1", "building=Oak&uses=1&days=900"] {
        assert_eq!(school.post("/connect", &admin, wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn the_collectors_own_troubles_are_told_to_admins_alone() {
    let school = School::new();
    school.health.trouble("journal", "cannot write /data/journal: <no space>".into());
    let told = |page: &Answer| page.text.contains("cannot write /data/journal");
    assert!(told(&school.get("/", Some(&school.visitor(Role::Admin))).await));
    assert!(!told(&school.get("/", Some(&school.visitor(Role::Coordinator))).await));
}

#[tokio::test]
async fn what_does_not_exist_says_so() {
    let school = School::new();
    let viewer = school.visitor(Role::Viewer);
    for path in [
        "/nowhere",
        "/devices/d9",
        "/devices/..%2F..%2Fetc",
        "/tickets/99",
        "/tickets/x",
        "/assets/x",
        "/devices/%27%20OR%201",
    ] {
        assert_eq!(school.get(path, Some(&viewer)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let large = form_request("/login").body(Body::from("x".repeat(200_000))).unwrap();
    assert_eq!(school.send(large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_api_lists_devices_and_tickets_for_a_token_and_no_one_else() {
    let school = School::new();
    school.fill();
    let token = school.state.add_api_token("report", Role::Viewer, NOW, None).unwrap();
    let ask = |path: &str, token: &str| {
        Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    let json = |answer: &Answer| -> serde_json::Value { serde_json::from_str(&answer.text).unwrap() };
    let devices = json(&school.send(ask("/api/v1/devices", token.reveal())).await);
    assert_eq!((&devices["total"], &devices["devices"][0]["id"]), (&1.into(), &"d000000001".into()));
    assert_eq!(devices["devices"][0]["name"], NASTY);
    assert_eq!(devices["devices"][0]["last_seen_at"], "2026-11-20T22:00:00Z");
    let tickets = json(&school.send(ask("/api/v1/tickets?state=open&limit=1", token.reveal())).await);
    assert_eq!((&tickets["total"], &tickets["tickets"][0]["number"]), (&1.into(), &7.into()));
    assert_eq!(tickets["tickets"][0]["lines"][0]["readings"][0], "97% used");
    let visitor = school.visitor(Role::Admin);
    for refused in [
        school.send(ask("/api/v1/devices", "guess")).await,
        school.get("/api/v1/devices", None).await,
        school.get("/api/v1/tickets", Some(&visitor)).await,
    ] {
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.header(header::CONTENT_TYPE), "application/problem+json");
        assert_eq!(json(&refused)["status"], 401);
    }
    for wrong in ["limit=0", "limit=501", "offset=-1", "limit=x"] {
        let answer = school.send(ask(&format!("/api/v1/devices?{wrong}"), token.reveal())).await;
        assert_eq!((answer.status, json(&answer)["status"].clone()), (StatusCode::BAD_REQUEST, 400.into()), "{wrong}");
    }
    let unknown = school.send(ask("/api/v1/tickets?state=eaten", token.reveal())).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let nowhere = school.send(ask("/api/v1/nowhere", token.reveal())).await;
    assert_eq!((nowhere.status, json(&nowhere)["status"].clone()), (StatusCode::NOT_FOUND, 404.into()));
}

#[tokio::test]
async fn guesses_that_come_all_at_once_are_no_more_than_those_that_come_in_turn() {
    let school = School::new();
    let link = Secret::new();
    school.state.add_first_login(link.hash(), Role::Admin, NOW, Timestamp(NOW.0 + 1)).unwrap();
    let hash = hash_password(PASSWORD).unwrap();
    school.state.add_person_by_link(link.hash(), "rivera", &hash, NOW).unwrap();
    let guesses = (0..20).map(|n| {
        let request = Request::post("/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("login=rivera&password=guess+number+{n}")))
            .unwrap();
        school.send(request)
    });
    let answers = futures_util::future::join_all(guesses).await;
    let tried = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    assert!((5..=6).contains(&tried), "{tried} guesses were looked at");
}
