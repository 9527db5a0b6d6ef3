//! Discovered devices: what closets have found and nobody watches yet. People accept or dismiss, one or many.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use bellwether_logic::device::{Class, make};
use bellwether_logic::discovery;
use bellwether_logic::time::Timestamp;
use bellwether_logic::topology::How;
use serde::Deserialize;

use super::access::{Signed, Visitor};
use super::device::text;
use super::page::{PageError, Pager, Shell, render};
use super::when::When;
use super::{Desk, words};
use crate::app::SubmitError;
use crate::proposals::{self, AcceptError, Place};
use crate::state::people::Deed;
use crate::state::proposals::{PROPOSALS_SHOWN, Proposal, Reach};
use crate::state::{State as Database, StateError};

/// Proposals on one page: a form of so many stays far below what a form may have.
const ROWS_PER_PAGE: usize = 50;

/// Devices that are accepted with one click; the next click takes the next. Each waits for the disk.
const AT_ONCE_MAX: usize = 200;

/// One proposal of the list.
struct Row {
    key: String,
    name: String,
    kind: &'static str,
    /// Maker and model.
    model: String,
    /// Where it says itself that it is.
    location: String,
    /// By which it will be known again.
    mark: String,
    address: String,
    /// Where switches tell that it hangs, if nobody has logged in to it: id and name of the switch, port, by which way.
    seen: Option<(String, String, String, &'static str)>,
    /// Who will ask it: name and id.
    closet: String,
    closet_id: String,
    /// How many others reach it.
    others: usize,
    first: When,
    building: String,
    room: String,
    dismissed_by: String,
}

#[derive(Template)]
#[template(path = "discovered.html")]
struct DiscoveredPage {
    shell: Shell,
    rows: Vec<Row>,
    total: usize,
    cut: bool,
    dismissed: bool,
    /// What was done just now.
    done: Option<String>,
    may_decide: bool,
    sites: Vec<String>,
    /// How many machines have found anything.
    closets: usize,
    pager: Pager,
    /// How many leave no doubt.
    clear: usize,
}

/// Asks whether all of them are meant.
#[derive(Template)]
#[template(path = "accept_all.html")]
struct AcceptAllPage {
    shell: Shell,
    count: usize,
    /// What they are, where, and how many.
    groups: Vec<(&'static str, String, usize)>,
    /// Those that a person must look at one by one.
    others: usize,
    /// What is found after this moment is not meant.
    until: i64,
}

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    show: String,
    confirm: String,
    page: Option<u32>,
    accepted: Option<u32>,
    dismissed: Option<u32>,
    gone: Option<u32>,
}

/// The page.
pub(super) async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    if wanted.confirm == "all" {
        return confirm(&desk, &visitor).await;
    }
    let dismissed = wanted.show == "dismissed";
    let query = if dismissed { "show=dismissed" } else { "" };
    let (now, zone, page) = (desk.app.clock.now(), desk.zone.clone(), wanted.page.unwrap_or(1));
    let (rows, total, clear, pager, sites, closets) = desk
        .with_state(move |state| {
            let mut all = state.proposals(dismissed)?;
            // What says more about itself comes first.
            all.sort_by_key(|proposal| proposal.heard.as_ref().map(|heard| heard.how == How::Power));
            let (total, clear) = (all.len(), all.iter().filter(|proposal| is_clear(proposal)).count());
            let pager = Pager::new(page, total, ROWS_PER_PAGE, query.to_owned());
            let shown = all.into_iter().skip(pager.skip(ROWS_PER_PAGE)).take(ROWS_PER_PAGE);
            let rows = shown.map(|proposal| row(state, proposal, |at| When::new(at, now, &zone)));
            let rows = rows.collect::<Result<Vec<Row>, StateError>>()?;
            let closets: BTreeSet<String> = state.sightings()?.into_iter().map(|sighting| sighting.agent).collect();
            Ok::<_, PageError>((rows, total, clear, pager, state.sites()?, closets.len()))
        })
        .await?;
    Ok(render(&DiscoveredPage {
        may_decide: visitor.person.role.may(Deed::ChangeDevicePlace),
        shell: Shell::new("Discovered devices", "discovered", &visitor),
        cut: total >= PROPOSALS_SHOWN as usize,
        done: done(&wanted),
        rows,
        total,
        dismissed,
        sites,
        closets,
        pager,
        clear,
    }))
}

/// Whether nobody needs to look at it: it can be known again wherever it is, and it is known what it is.
fn is_clear(proposal: &Proposal) -> bool {
    let kind: Class = proposal.facts.kind.parse().unwrap_or(Class::Other);
    proposal.facts.is_telling() && kind != Class::Other && !proposal.reaches.is_empty()
}

async fn confirm(desk: &Desk, visitor: &Visitor) -> Result<Response, PageError> {
    visitor.must(Deed::ChangeDevicePlace)?;
    let (groups, count, total) = desk
        .with_state(|state| {
            let all = state.proposals(false)?;
            let mut groups: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
            for proposal in all.iter().filter(|proposal| is_clear(proposal)).take(AT_ONCE_MAX) {
                let kind = words::class(proposal.facts.kind.parse().unwrap_or(Class::Other));
                let Some(reach) = proposals::best(state, proposal)? else { continue };
                let site = proposals::probable_place(state, proposal, &reach)?.site;
                *groups.entry((site, kind)).or_default() += 1;
            }
            let groups: Vec<_> = groups.into_iter().map(|((site, kind), count)| (kind, site, count)).collect();
            let count = groups.iter().map(|(.., count)| count).sum::<usize>();
            Ok::<_, PageError>((groups, count, all.len()))
        })
        .await?;
    Ok(render(&AcceptAllPage {
        shell: Shell::new("Accept all", "discovered", visitor),
        count,
        groups,
        others: total - count,
        until: desk.app.clock.now().0,
    }))
}

fn done(wanted: &Wanted) -> Option<String> {
    let gone = wanted.gone.filter(|gone| *gone > 0).map(|gone| {
        let devices = words::count(&(gone as usize), "device");
        format!(" {devices} had been decided on by somebody else.")
    });
    let gone = gone.unwrap_or_default();
    match (wanted.accepted, wanted.dismissed) {
        (Some(count), _) => {
            let devices = words::count(&(count as usize), "device");
            Some(format!("{devices} accepted. The first readings come within two minutes.{gone}"))
        }
        (_, Some(count)) => Some(format!("{} dismissed.{gone}", words::count(&(count as usize), "device"))),
        _ => None,
    }
}

fn row(state: &Database, proposal: Proposal, when: impl Fn(Timestamp) -> When) -> Result<Row, StateError> {
    let reach = proposals::best(state, &proposal)?.unwrap_or_default();
    let place = proposals::probable_place(state, &proposal, &reach)?;
    let Reach { address, agent, .. } = reach;
    let closet = state.device(&agent)?;
    let seen = match &proposal.heard {
        Some(heard) => {
            let by = match heard.how {
                How::Cdp => "by CDP",
                How::Power => "by the power that it draws",
                _ => "by LLDP",
            };
            let id = heard.on.switch.clone();
            let name = state.device(&id)?.map_or_else(|| id.clone(), |switch| switch.name);
            Some((id, name, heard.on.port.clone(), by))
        }
        None => None,
    };
    let facts = &proposal.facts;
    let mark = match (facts.serial.as_str(), facts.mac.as_str()) {
        ("", "") => String::new(),
        ("", mac) => mac.to_owned(),
        (serial, _) => format!("No. {serial}"),
    };
    Ok(Row {
        name: discovery::name(facts, &address),
        kind: words::class(facts.kind.parse().unwrap_or(Class::Other)),
        model: make(&facts.vendor, &facts.model),
        location: facts.location.clone(),
        mark,
        closet: closet.map_or_else(|| agent.clone(), |closet| closet.name),
        closet_id: agent,
        seen,
        address,
        others: proposal.reaches.len().saturating_sub(1),
        first: when(proposal.first_at),
        building: place.site,
        room: place.room,
        dismissed_by: proposal.dismissed_by,
        key: proposal.key,
    })
}

/// What a person decides, as sent: `pick` names rows; each row has its `key`, `building` and `room` with its number.
struct Decision {
    act: Act,
    picked: Vec<(String, Place)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Accept,
    /// All that leave no doubt and were found until then.
    AcceptAll(Timestamp),
    Dismiss,
    Restore,
}

impl Decision {
    fn of(form: Vec<(String, String)>) -> Result<Self, PageError> {
        let wrong = |said: &str| PageError::Plain(StatusCode::UNPROCESSABLE_ENTITY, said.to_owned());
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut picks = BTreeSet::new();
        for (name, value) in form {
            if name == "pick" {
                picks.insert(value);
            } else {
                fields.insert(name, value);
            }
        }
        let act = match fields.get("act").map(String::as_str) {
            Some("accept") => Act::Accept,
            Some("accept_all") => {
                let until = fields.get("until").and_then(|until| until.parse().ok());
                let act = Act::AcceptAll(Timestamp(until.ok_or_else(|| wrong("Ask for this page anew."))?));
                return Ok(Self { act, picked: Vec::new() });
            }
            Some("dismiss") => Act::Dismiss,
            Some("restore") => Act::Restore,
            _ => return Err(wrong("Say what is to be done with these devices.")),
        };
        if picks.is_empty() {
            return Err(wrong("Nothing was changed: check the devices that you mean first."));
        }
        if picks.len() > ROWS_PER_PAGE {
            return Err(wrong("These are more devices than one page lists."));
        }
        let picked = picks.iter().filter_map(|number| {
            let key = fields.get(&format!("key.{number}"))?.clone();
            let site = text("building", fields.get(&format!("building.{number}")).cloned(), "");
            let room = text("room", fields.get(&format!("room.{number}")).cloned(), "");
            Some(site.and_then(|site| Ok((key, Place { site, room: room? }))))
        });
        Ok(Self { act, picked: picked.collect::<Result<_, _>>()? })
    }
}

/// Accepts or dismisses.
pub(super) async fn decide(
    State(desk): State<Desk>,
    Signed(visitor, form): Signed<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    visitor.must(Deed::ChangeDevicePlace)?;
    let Decision { act, picked } = Decision::of(form)?;
    let mut picked: Vec<(String, Option<Place>)> = picked.into_iter().map(|(key, place)| (key, Some(place))).collect();
    if let Act::AcceptAll(until) = act {
        let all = desk.with_state(|state| Ok::<_, PageError>(state.proposals(false)?)).await?;
        let meant = all.into_iter().filter(|proposal| is_clear(proposal) && proposal.first_at <= until);
        picked = meant.take(AT_ONCE_MAX).map(|proposal| (proposal.key, None)).collect();
    }
    let actor = visitor.person.login.as_str();
    let (mut count, mut gone) = (0_u32, 0_u32);
    for (key, place) in picked {
        let done = match act {
            Act::Accept | Act::AcceptAll(_) => {
                match proposals::accept(&desk.app.state, &desk.app.clicks, key, place, actor).await {
                    Ok(_) => true,
                    Err(AcceptError::Gone) => false,
                    Err(AcceptError::State(error)) => return Err(error.into()),
                    Err(AcceptError::Submit(error)) => return Err(error.into()),
                    Err(AcceptError::Asked(error)) => return Err(error.into()),
                }
            }
            Act::Dismiss | Act::Restore => {
                proposals::judge(&desk.app.clicks, key, act == Act::Dismiss, actor).await.map_err(slow)?;
                true
            }
        };
        if done {
            count += 1;
        } else {
            gone += 1;
        }
    }
    Ok(Redirect::to(&match act {
        Act::Accept | Act::AcceptAll(_) => format!("/discovered?accepted={count}&gone={gone}"),
        Act::Dismiss => format!("/discovered?dismissed={count}"),
        Act::Restore => "/discovered".to_owned(),
    })
    .into_response())
}

fn slow(error: SubmitError) -> PageError {
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_checked_row_brings_its_own_place() {
        let sent = form(&[
            ("csrf", "x"),
            ("key.1", "serial/aruba/CN1"),
            ("building.1", "Lincoln"),
            ("room.1", " MDF "),
            ("key.2", "mac/3c"),
            ("building.2", "Adams"),
            ("pick", "2"),
            ("pick", "1"),
            ("act", "accept"),
        ]);
        let decision = Decision::of(sent).unwrap();
        let places: Vec<_> = decision
            .picked
            .iter()
            .map(|(key, place)| (key.as_str(), place.site.as_str(), place.room.as_str()))
            .collect();
        assert_eq!(places, [("serial/aruba/CN1", "Lincoln", "MDF"), ("mac/3c", "Adams", "")]);
    }

    #[test]
    fn nothing_checked_and_nothing_to_do_are_said() {
        assert!(Decision::of(form(&[("act", "accept")])).is_err());
        assert!(Decision::of(form(&[("pick", "1"), ("key.1", "x")])).is_err());
        let long = "x".repeat(81);
        assert!(Decision::of(form(&[("act", "accept"), ("pick", "1"), ("key.1", "x"), ("room.1", &long)])).is_err());
    }
}
