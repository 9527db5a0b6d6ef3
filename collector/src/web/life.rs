//! What is known of a device's life on its page, the form that changes it, and lists that are uploaded.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::device::make;
use bellwether_logic::life::plan::{Assumed, Line};
use bellwether_logic::life::{Facts, Subject, civil, dollars, model_key};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{LifeFactsSet, Record, record};

use super::Desk;
use super::access::{Signed, Visitor};
use super::device::device_id;
use super::login::Nothing;
use super::page::{PageError, Shell, encode, render};
use super::upload::Uploaded;
use crate::life::import::{self, ERRORS_MAX, EXPECTED, Import, differences, put, told};
use crate::life::plan::{Plan, all_devices};
use crate::life::record_entry;
use crate::state::State as Database;
use crate::state::people::Deed;

/// Checked lists that wait to be imported, one a person. More people than this do not import at once.
const WAITING_MAX: usize = 16;

/// How long a checked list waits: long enough to read what it would change.
const WAITING_KEPT_MS: i64 = 30 * 60_000;

/// Changes and unknown rows of one list that the page shows.
const SHOWN: usize = 50;

/// One input of the form.
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    pub(super) value: String,
    /// What counts while it is empty.
    pub(super) hint: String,
}

/// The part of a device's page.
pub(super) struct View {
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) due: String,
    pub(super) remarks: Vec<String>,
    pub(super) model: String,
    pub(super) own: Vec<Input>,
    pub(super) of_model: Vec<Input>,
}

impl View {
    /// Of one device.
    pub(super) fn read(state: &Database, desk: &Desk, device: &str) -> Result<Option<Self>, PageError> {
        let now = desk.app.clock.now();
        let Some(row) = state.device(device)? else { return Ok(None) };
        let model = make(&row.vendor, &row.model);
        let all = state.life_facts_of(device, &model)?;
        let plan = Plan::of_device(state, now, desk.app.config.plan.budget(), row)?;
        let own = all.devices.get(device).map(|row| row.facts.clone()).unwrap_or_default();
        let of_model = all.models.get(&model_key(&model)).map(|row| row.facts.clone()).unwrap_or_default();
        let line = plan.lines.first();
        let facts = told(&own.or(&of_model)).into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Ok(Some(Self {
            facts,
            due: line.map(|line| due(line, &plan)).unwrap_or_default(),
            remarks: line.map(|line| line.remarks(plan.today)).unwrap_or_default(),
            own: inputs(&own, &of_model),
            of_model: inputs(&of_model, &Facts::default()),
            model,
        }))
    }
}

/// When it is due, in a sentence.
fn due(line: &Line, plan: &Plan) -> String {
    let when = crate::life::plan::slot_label(line.slot, plan.budget);
    let Some(day) = line.due else {
        return "Nobody has said when it was bought, so it stands in no budget year.".into();
    };
    let assumed = if line.assumed.contains(&Assumed::Years) { ", as is assumed of its kind" } else { "" };
    let price = line.price_cents.map(|cents| format!("; a new one costs about {}", dollars(cents.into())));
    let price = price.unwrap_or_default();
    let word = if line.is_overdue(plan.today) { "It was due for replacement" } else { "Due for replacement" };
    format!("{word} {}{assumed} (budget year {when}){price}.", civil::shown(day))
}

/// The inputs of a form, each by a name that lists know, too.
fn inputs(facts: &Facts, else_facts: &Facts) -> Vec<Input> {
    const FIELDS: [(&str, &str, &str); 8] = [
        ("purchased", "Bought", "date"),
        ("price", "Price", "text"),
        ("fund", "Fund", "text"),
        ("warranty", "Warranty until", "date"),
        ("plannedyears", "Planned life", "text"),
        ("updatesend", "Updates until", "date"),
        ("vendorrepairs", "Repaired by vendor", "flag"),
        ("erate", "E-rate", "flag"),
    ];
    let values = told(facts).into_iter().zip(told(else_facts));
    let fields = FIELDS.into_iter().zip(values);
    fields.map(|((name, label, kind), ((_, value), (_, hint)))| Input { name, label, kind, value, hint }).collect()
}

/// The form of one device or its model, as sent.
type Form = BTreeMap<String, String>;

/// Changes what is known of a device, or of its model.
pub(super) async fn edit(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Signed(visitor, form): Signed<Form>,
) -> Result<Response, PageError> {
    visitor.must(Deed::EditLife)?;
    let id = device_id(id)?;
    let asked = id.clone();
    let _alone = desk.app.clicks.alone().await;
    let (device, all) =
        desk.with_state(move |state| Ok::<_, PageError>((state.device(&asked)?, state.life_facts()?))).await?;
    let device = device.ok_or(PageError::NotFound)?;
    let model = make(&device.vendor, &device.model);
    let of_model = form.get("of").is_some_and(|of| of == "model") && !model.is_empty();
    let (subject, before) = if of_model {
        (Subject::Model(model.clone()), all.models.get(&model_key(&model)))
    } else {
        (Subject::Device(id.clone()), all.devices.get(&id))
    };
    let before = before.map(|row| row.facts.clone()).unwrap_or_default();
    let mut after = before.clone();
    for (name, text) in &form {
        let text = if text.trim().is_empty() { "none" } else { text.trim() };
        put(&mut after, name, text).map_err(|expected| {
            let text =
                format!("\u{201c}{text}\u{201d} was not understood: expected {expected}. Go back and try again.");
            PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, text)
        })?;
    }
    if !differences(&before, &after).is_empty() {
        let entries = vec![record_entry(&subject, &after)];
        let set = LifeFactsSet { entries, actor: visitor.person.login.clone(), source: String::new() };
        desk.app.clicks.submit(Record { body: Some(record::Body::LifeFacts(set)) }).await?;
    }
    Ok(Redirect::to(&format!("/devices/{}", encode(&id))).into_response())
}

/// A list that was checked and waits for its person's word.
#[derive(Debug)]
pub(super) struct Waiting {
    at: Timestamp,
    sets: Vec<LifeFactsSet>,
}

/// Checked lists by person.
pub(super) type Lists = BTreeMap<i64, Waiting>;

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    expected: &'static str,
    problem: Option<String>,
    file: String,
    list: Option<Import>,
    shown: usize,
    errors_max: usize,
    done: Option<usize>,
}

impl ImportPage {
    fn new(visitor: &Visitor) -> Self {
        Self {
            shell: Shell::new("Import a list", "plan", visitor),
            expected: EXPECTED,
            problem: None,
            file: String::new(),
            list: None,
            shown: SHOWN,
            errors_max: ERRORS_MAX,
            done: None,
        }
    }
}

/// The page.
pub(super) async fn show_import(visitor: Visitor) -> Result<Response, PageError> {
    visitor.must(Deed::EditLife)?;
    Ok(render(&ImportPage::new(&visitor)))
}

/// Says what a list would change. Nothing is changed yet.
pub(super) async fn check(State(desk): State<Desk>, upload: Uploaded) -> Result<Response, PageError> {
    let visitor = upload.visitor.clone();
    visitor.must(Deed::EditLife)?;
    let mut page = ImportPage::new(&visitor);
    let Some((file, bytes)) = upload.file("list").map(|(file, bytes)| (file.to_owned(), bytes.to_vec())) else {
        page.problem = Some("Choose a file first.".into());
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response());
    };
    let read = desk
        .with_state(move |state| {
            let (devices, known) = (all_devices(state)?, state.life_facts()?);
            Ok::<_, PageError>(import::read(&bytes, &devices, &known))
        })
        .await?;
    let list = match read {
        Ok(list) => list,
        Err(error) => {
            page.problem = Some(format!("This list can't be used: {error}."));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response());
        }
    };
    if list.is_sound() && !list.entries.is_empty() {
        let sets = list.records(&visitor.person.login, &file);
        keep(&desk, visitor.person.id, Waiting { at: desk.app.clock.now(), sets });
    }
    let status = if list.is_sound() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (page.file, page.list) = (file, Some(list));
    Ok((status, render(&page)).into_response())
}

/// Keeps a checked list; the oldest makes room.
fn keep(desk: &Desk, person: i64, waiting: Waiting) {
    let mut lists = desk.lists.lock().unwrap_or_else(PoisonError::into_inner);
    let now = waiting.at.0;
    lists.retain(|_, list| now - list.at.0 < WAITING_KEPT_MS);
    if lists.len() >= WAITING_MAX {
        let oldest = lists.iter().min_by_key(|(_, list)| list.at).map(|(person, _)| *person);
        oldest.map(|oldest| lists.remove(&oldest));
    }
    lists.insert(person, waiting);
}

/// Imports the list that was checked.
pub(super) async fn confirm(
    State(desk): State<Desk>,
    Signed(visitor, Nothing {}): Signed<Nothing>,
) -> Result<Response, PageError> {
    visitor.must(Deed::EditLife)?;
    let now = desk.app.clock.now();
    let waiting = desk.lists.lock().unwrap_or_else(PoisonError::into_inner).remove(&visitor.person.id);
    let mut page = ImportPage::new(&visitor);
    let Some(waiting) = waiting.filter(|waiting| now.0 - waiting.at.0 < WAITING_KEPT_MS) else {
        page.problem = Some("The list that was checked is too old: choose the file again.".into());
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response());
    };
    let count = waiting.sets.iter().map(|set| set.entries.len()).sum();
    for set in waiting.sets {
        desk.app.clicks.submit(Record { body: Some(record::Body::LifeFacts(set)) }).await?;
    }
    page.done = Some(count);
    Ok(render(&page))
}

/// The part of a list that a page shows.
fn first<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(SHOWN)]
}
