//! Who looks after what as the journal holds it, and back.

use bellwether_logic::responsibilities::{Party, Responsibilities, Row, VENDOR_TIME};
use bellwether_logic::time::Timestamp;
use bellwether_proto::record::v1::{self as record, ResponsibilitiesSet, ResponsibilityRow};

/// The record that says it.
#[must_use]
pub fn record_of(matrix: &Responsibilities) -> ResponsibilitiesSet {
    if matrix.assumed {
        return ResponsibilitiesSet { assumed: true, ..ResponsibilitiesSet::default() };
    }
    ResponsibilitiesSet {
        assumed: false,
        source: matrix.source.clone(),
        parties: matrix.parties.iter().map(party).collect(),
        rows: matrix.rows.iter().map(row).collect(),
        coordinator: matrix.coordinator.clone(),
        lead: matrix.lead.clone(),
    }
}

fn party(party: &Party) -> record::Party {
    record::Party {
        key: party.key.clone(),
        kind: party.kind.as_str().into(),
        name: party.name.clone(),
        lane: party.lane.as_str().into(),
        members: party.members.clone(),
        email: party.email.clone(),
        phone: party.phone.clone(),
        covers: party.covers.clone(),
        contract_ends_ms: party.contract_ends.map_or(0, |ends| ends.0),
        time: if party.time == VENDOR_TIME { String::new() } else { party.time.to_string() },
    }
}

fn row(row: &Row) -> ResponsibilityRow {
    ResponsibilityRow {
        buildings: row.buildings.clone(),
        classes: row.classes.iter().map(|class| class.as_str().into()).collect(),
        categories: row.categories.clone(),
        who: row.who.clone(),
        then: row.then.clone(),
        line: row.line,
    }
}

/// The matrix that a record says; none if it can't be followed, or is of words that this version does not know.
#[must_use]
pub fn matrix_of(set: &ResponsibilitiesSet) -> Option<Responsibilities> {
    if set.assumed {
        return Some(Responsibilities::default());
    }
    let party = |party: &record::Party| {
        Some(Party {
            key: party.key.clone(),
            kind: party.kind.parse().ok()?,
            name: party.name.clone(),
            lane: party.lane.parse().ok()?,
            members: party.members.clone(),
            email: party.email.clone(),
            phone: party.phone.clone(),
            covers: party.covers.clone(),
            contract_ends: (party.contract_ends_ms != 0).then_some(Timestamp(party.contract_ends_ms)),
            time: if party.time.is_empty() { VENDOR_TIME } else { party.time.parse().ok()? },
        })
    };
    let row = |row: &ResponsibilityRow| {
        Some(Row {
            buildings: row.buildings.clone(),
            classes: row.classes.iter().map(|class| class.parse().ok()).collect::<Option<_>>()?,
            categories: row.categories.clone(),
            who: row.who.clone(),
            then: row.then.clone(),
            line: row.line,
        })
    };
    let matrix = Responsibilities {
        assumed: false,
        source: set.source.clone(),
        parties: set.parties.iter().map(party).collect::<Option<_>>()?,
        rows: set.rows.iter().map(row).collect::<Option<_>>()?,
        coordinator: set.coordinator.clone(),
        lead: set.lead.clone(),
    };
    matrix.is_sound().then_some(matrix)
}
