//! The plan: what has to be bought in which budget year, by building, model and fund, and the same as a spreadsheet.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bellwether_logic::life::dollars;
use bellwether_logic::life::plan::{By, Line, Slot, Total, totals};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Visitor;
use super::api::{Caller, Problem};
use super::page::{PageError, Shell, encode, render};
use super::{Desk, words};
use crate::life::plan::{Filter, Plan, slot_label, slot_word};
use crate::state::people::Deed;

/// Devices on one page; the spreadsheet has all.
const LINES_SHOWN: usize = 200;

/// Groups of one table on the page, those with the highest cost first.
const GROUPS_SHOWN: usize = 30;

/// What the page's address asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    site: Option<String>,
    model: Option<String>,
    fund: Option<String>,
    year: Option<String>,
    by: Option<String>,
}

impl Asked {
    /// What is asked; a field that was left empty asks nothing, except of the fund whose name is `none`.
    fn filter(&self) -> Filter {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let fund = some(&self.fund).map(|fund| if fund == NO_FUND { String::new() } else { fund });
        Filter { site: some(&self.site), model: some(&self.model), fund, year: some(&self.year) }
    }

    fn by(&self) -> By {
        match self.by.as_deref() {
            Some("model") => By::Model,
            Some("fund") => By::Fund,
            Some("class") => By::Class,
            _ => By::Site,
        }
    }

    /// The address that asks the same with one answer another.
    fn href(&self, change: impl Fn(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let Self { site, model, fund, year, by } = asked;
        let parts = [("site", site), ("model", model), ("fund", fund), ("year", year), ("by", by)];
        let part = |(name, value): (&str, Option<String>)| {
            value.filter(|value| !value.is_empty()).map(|value| format!("{name}={}", encode(&value)))
        };
        parts.into_iter().filter_map(part).collect::<Vec<_>>().join("&")
    }
}

/// What stands for devices without a fund in addresses.
const NO_FUND: &str = "none";

/// One of a list of choices.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

/// A cell of a table of sums.
struct Cell {
    label: String,
    devices: u64,
    cost: String,
    more: Vec<String>,
}

/// One group's row.
struct Row {
    name: String,
    cells: Vec<Cell>,
}

/// A year's tile.
struct Tile {
    label: String,
    href: String,
    chosen: bool,
    cost: String,
    notes: Vec<String>,
}

/// One device's row.
struct Shown {
    device: String,
    name: String,
    what: String,
    place: String,
    when: String,
    due: String,
    overdue: bool,
    because: &'static str,
    price: String,
    assumed_price: bool,
    fund: String,
    erate: bool,
    remarks: Vec<String>,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    shell: Shell,
    tiles: Vec<Tile>,
    sites: Vec<Choice>,
    models: Vec<Choice>,
    funds: Vec<Choice>,
    years: Vec<Choice>,
    /// Each way to sum up, its address, and whether it is the one that is shown.
    ways: Vec<(&'static str, String, bool)>,
    by: String,
    heads: Vec<String>,
    rows: Vec<Row>,
    rows_more: usize,
    lines: Vec<Shown>,
    lines_more: usize,
    count: usize,
    unknown: usize,
    csv: String,
    as_of: String,
    is_filtered: bool,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    visitor.must(Deed::SeePlan)?;
    let plan = read(&desk).await?;
    let filter = asked.filter();
    let lines: Vec<Line> = plan.filtered(&filter).cloned().collect();
    let (heads, rows, rows_more) = table(&plan, &lines, asked.by());
    let ways = [("Building", "site"), ("Model", "model"), ("Fund", "fund"), ("Kind", "class")];
    let by = ways.map(|(_, word)| word).into_iter().find(|word| asked.by.as_deref() == Some(*word)).unwrap_or("site");
    Ok(render(&PlanPage {
        shell: Shell::new("Plan", "plan", &visitor),
        tiles: tiles(&plan, &asked),
        sites: choices(&plan, &filter.site, |line| line.item.site.clone()),
        models: choices(&plan, &filter.model, |line| line.item.model.clone()),
        funds: funds(&plan, &filter.fund),
        years: plan
            .slots()
            .into_iter()
            .map(|slot| Choice {
                chosen: filter.year.as_deref() == Some(&slot_word(slot)),
                value: slot_word(slot),
                label: slot_label(slot, plan.budget),
            })
            .collect(),
        ways: ways
            .into_iter()
            .map(|(label, word)| (label, asked.href(|asked| asked.by = Some(word.into())), word == by))
            .collect(),
        by: by.to_owned(),
        heads,
        rows,
        rows_more,
        lines_more: lines.len().saturating_sub(LINES_SHOWN),
        count: lines.len(),
        unknown: lines.iter().filter(|line| line.slot == Slot::Unknown).count(),
        lines: lines.iter().take(LINES_SHOWN).map(|line| shown(line, &plan)).collect(),
        csv: format!("/plan.csv?{}", asked.href(|asked| asked.by = None)),
        as_of: plan.table.as_of.map(bellwether_logic::life::civil::shown).unwrap_or_default(),
        is_filtered: filter != Filter::default(),
    }))
}

async fn read(desk: &Desk) -> Result<Plan, PageError> {
    let (now, budget) = (desk.app.clock.now(), desk.app.config.plan.budget());
    desk.with_state(move |state| Plan::read(state, now, budget)).await
}

/// A tile for each year, whatever year is chosen.
fn tiles(plan: &Plan, asked: &Asked) -> Vec<Tile> {
    let filter = Filter { year: None, ..asked.filter() };
    let lines: Vec<Line> = plan.filtered(&filter).cloned().collect();
    let all = totals(plan.today, &lines, By::All, plan.budget).remove("").unwrap_or_default();
    let tile = |slot: Slot| {
        let total = all.get(&slot).copied().unwrap_or_default();
        let word = slot_word(slot);
        let chosen = asked.year.as_deref() == Some(&word);
        let year = if chosen { None } else { Some(word) };
        Tile {
            label: slot_label(slot, plan.budget),
            href: format!("/plan?{}", asked.href(|asked| asked.year.clone_from(&year))),
            chosen,
            cost: dollars(total.cost_cents + total.battery_cents),
            notes: [vec![words::count(&to_usize(total.devices), "device")], notes(&total)].concat(),
        }
    };
    plan.slots().into_iter().map(tile).collect()
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn notes(total: &Total) -> Vec<String> {
    let mut notes = Vec::new();
    if total.overdue > 0 {
        notes.push(format!("{} overdue", total.overdue));
    }
    if total.batteries > 0 {
        let word = if total.batteries == 1 { "battery" } else { "batteries" };
        notes.push(format!("{} {word} instead, {}", total.batteries, dollars(total.battery_cents)));
    }
    if total.erate_cents > 0 {
        notes.push(format!("E-rate may help with {}", dollars(total.erate_cents)));
    }
    if total.unpriced > 0 {
        notes.push(format!("{} without a price", total.unpriced));
    }
    notes
}

fn table(plan: &Plan, lines: &[Line], by: By) -> (Vec<String>, Vec<Row>, usize) {
    let groups = totals(plan.today, lines, by, plan.budget);
    let slots = plan.slots();
    let mut groups: Vec<_> = groups.into_iter().collect();
    let cost = |sums: &std::collections::BTreeMap<Slot, Total>| {
        sums.values().map(|total| total.cost_cents + total.battery_cents).sum::<u64>()
    };
    groups.sort_by_key(|(_, sums)| std::cmp::Reverse(cost(sums)));
    let more = groups.len().saturating_sub(GROUPS_SHOWN);
    let row = |(name, sums): (String, std::collections::BTreeMap<Slot, Total>)| Row {
        cells: slots
            .iter()
            .map(|slot| {
                let total = sums.get(slot).copied().unwrap_or_default();
                Cell {
                    label: slot_label(*slot, plan.budget),
                    devices: total.devices,
                    cost: dollars(total.cost_cents),
                    more: if total.batteries > 0 { vec![format!("+ {} batt.", total.batteries)] } else { Vec::new() },
                }
            })
            .collect(),
        name: group_name(by, name),
    };
    let rows = groups.into_iter().take(GROUPS_SHOWN).map(row).collect();
    (slots.iter().map(|slot| slot_label(*slot, plan.budget)).collect(), rows, more)
}

fn group_name(by: By, name: String) -> String {
    match (by, name.as_str()) {
        (By::Site, "") => "No building".into(),
        (By::Model, "") => "Model not known".into(),
        (By::Fund, "") => "No fund".into(),
        (By::Class, word) => word.parse().map(words::class).unwrap_or_default().into(),
        _ => name,
    }
}

fn choices(plan: &Plan, chosen: &Option<String>, of: impl Fn(&Line) -> String) -> Vec<Choice> {
    let values: std::collections::BTreeSet<String> =
        plan.lines.iter().map(of).filter(|value| !value.is_empty()).collect();
    values
        .into_iter()
        .map(|value| Choice { chosen: chosen.as_deref() == Some(&value), label: value.clone(), value })
        .collect()
}

fn funds(plan: &Plan, chosen: &Option<String>) -> Vec<Choice> {
    let mut all = choices(plan, chosen, |line| line.item.facts.fund.clone());
    let is_chosen = chosen.as_deref() == Some("");
    all.push(Choice { value: NO_FUND.into(), label: "No fund".into(), chosen: is_chosen });
    all
}

fn shown(line: &Line, plan: &Plan) -> Shown {
    use bellwether_logic::life::civil;
    use bellwether_logic::life::plan::{Assumed, Because};
    let item = &line.item;
    let what = if item.model.is_empty() { words::class(item.class).to_owned() } else { item.model.clone() };
    let place = [item.site.as_str(), item.room.as_str()];
    Shown {
        device: item.device.clone(),
        name: item.name.clone(),
        what,
        place: place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "),
        when: slot_label(line.slot, plan.budget),
        due: line.due.map(civil::shown).unwrap_or_default(),
        overdue: line.is_overdue(plan.today),
        because: match line.because {
            Because::Lemon => "repaired again and again",
            Because::Updates => "updates end",
            Because::Planned => "planned life ends",
            Because::Nothing => "",
        },
        price: line.price_cents.map(|cents| dollars(cents.into())).unwrap_or_default(),
        assumed_price: line.assumed.contains(&Assumed::Price),
        fund: item.facts.fund.clone(),
        erate: line.erate,
        remarks: line.remarks(plan.today),
    }
}

fn spreadsheet(text: String) -> Response {
    let name = HeaderValue::from_static("attachment; filename=\"plan.csv\"");
    (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
            (header::CONTENT_DISPOSITION, name),
        ],
        text,
    )
        .into_response()
}

/// The same lines as the page, all of them, for a spreadsheet.
pub(super) async fn csv(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    visitor.must(Deed::SeePlan)?;
    Ok(spreadsheet(read(&desk).await?.csv(&asked.filter())))
}

/// The spreadsheet for programs.
pub(super) async fn api_csv(
    State(desk): State<Desk>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    caller.must(Deed::SeePlan)?;
    Ok(spreadsheet(read(&desk).await?.csv(&asked.filter())))
}

/// Sums and lines for programs.
pub(super) async fn api(
    State(desk): State<Desk>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    caller.must(Deed::SeePlan)?;
    use bellwether_logic::life::civil;
    let plan = read(&desk).await?;
    let lines: Vec<Line> = plan.filtered(&asked.filter()).cloned().collect();
    let all = totals(plan.today, &lines, By::All, plan.budget).remove("").unwrap_or_default();
    let years = plan.slots().into_iter().map(|slot| {
        let total = all.get(&slot).copied().unwrap_or_default();
        json!({
            "year": slot_word(slot),
            "label": slot_label(slot, plan.budget),
            "devices": total.devices,
            "overdue": total.overdue,
            "cost_cents": total.cost_cents,
            "unpriced": total.unpriced,
            "erate_cents": total.erate_cents,
            "batteries": total.batteries,
            "battery_cents": total.battery_cents,
        })
    });
    let device = |line: &Line| {
        json!({
            "device": line.item.device,
            "name": line.item.name,
            "class": line.item.class.as_str(),
            "model": line.item.model,
            "site": line.item.site,
            "room": line.item.room,
            "fund": line.item.facts.fund,
            "year": slot_word(line.slot),
            "due": line.due.map(civil::shown),
            "overdue": line.is_overdue(plan.today),
            "because": line.because.as_str(),
            "price_cents": line.price_cents,
            "erate": line.erate,
            "battery_instead_cents": line.battery_cents,
            "battery_percent": line.item.battery_percent,
            "repairs_12_months": line.item.repairs.count,
            "repair_cents_12_months": line.item.repairs.cost_cents,
            "assumed": line.assumed.iter().map(|assumed| assumed.as_str()).collect::<Vec<_>>(),
        })
    };
    Ok(Json(json!({
        "today": civil::shown(plan.today),
        "assumed_as_of": plan.table.as_of.map(civil::shown),
        "years": years.collect::<Vec<_>>(),
        "devices": lines.iter().map(device).collect::<Vec<_>>(),
    })))
}
