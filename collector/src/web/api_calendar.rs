//! `/api/v1/calendar`: a building's school time as JSON.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Desk;
use super::api::{Asked, Caller, Part, Problem, time};
use super::calendar::{DayRow, View};
use crate::calendar::CALENDAR;
use bellwether_logic::calendar::Change;

/// So many days of the building `site` from today on.
pub(super) async fn calendar(State(desk): State<Desk>, _: Caller, asked: Asked) -> Result<Json<Value>, Problem> {
    let part = Part::of(asked)?;
    let count = i32::try_from(part.limit()?).unwrap_or(i32::MAX);
    let (now, zone, building) = (desk.app.clock.now(), desk.zone.clone(), part.site().to_owned());
    let view = desk.with_state(move |state| View::read(state, &building, now, &zone, count)).await?;
    let set = view.set.as_ref();
    let is_well = desk.app.health.troubles().iter().all(|(part, _)| *part != CALENDAR);
    Ok(Json(json!({
        "site": view.building,
        "zone": view.zone.iana_name(),
        "assumed": set.map(|set| set.assumed),
        "source": set.map(|set| set.source.clone()),
        "well": is_well,
        "days": view.rows.iter().map(day).collect::<Vec<_>>(),
    })))
}

fn day(row: &DayRow) -> Value {
    json!({
        "date": row.date.to_string(),
        "kind": row.day.map_or("closed", |day| day.kind.as_str()),
        "opens_at": row.day.map(|day| time(day.opens)),
        "closes_at": row.day.map(|day| time(day.closes)),
        "why": row.note.as_ref().map(|note| note.why.clone()),
        "source": row.note.as_ref().map(|note| note.source.clone()),
        "changed": row.word.as_ref().map(|word| json!({
            "closed": word.change == Some(Change::Closed),
            "late_ms": match word.change { Some(Change::Late { by_ms }) => Some(by_ms), _ => None },
            "by": word.actor,
            "at": time(word.at),
        })),
    })
}
