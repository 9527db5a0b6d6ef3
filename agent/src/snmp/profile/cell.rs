//! Finds the value that a cell names in what a device answered, and turns it into what it means.

use std::net::{Ipv4Addr, Ipv6Addr};

use bellwether_logic::sample::Value as Sampled;
use bellwether_proto::schema::{Field, FieldKind};

use super::format::{Cell, Condition, Folded, Form};
use crate::snmp::{Answers, Oid, Value};

/// What the scales of ENTITY-SENSOR-MIB (RFC 3433, `EntitySensorDataScale`) begin with: 1 is 10^-24, and each further one
/// is a thousand times the one before.
const SMALLEST_EXPONENT: i32 = -24;

/// Longer texts are cut: a model name of 2,000 characters is a fault of the device.
const TEXT_MAX: usize = 200;

/// Whether any of `cells` can hold something in any row.
pub fn is_there(cells: &[Cell], answers: &Answers) -> bool {
    cells.iter().any(|cell| cell.oid.as_ref().is_none_or(|oid| answers.below(oid).next().is_some()))
}

/// The first of `cells` that holds something fit for `field`, in the row of `index`.
pub fn value(cells: &[Cell], answers: &Answers, index: &[u32], field: &Field) -> Option<Sampled> {
    cells.iter().find_map(|cell| one(cell, answers, index, field))
}

/// The first of `cells` that holds a text, in the row of `index`.
pub fn text(cells: &[Cell], answers: &Answers, index: &[u32]) -> Option<String> {
    cells.iter().find_map(|cell| text_of(cell, answers, index))
}

/// Whether the row of `index` counts.
pub fn holds(conditions: &[Condition], answers: &Answers, index: &[u32]) -> bool {
    conditions.iter().all(|condition| {
        let found = find(answers, &condition.oid, &condition.at, &condition.through, index);
        has_number(condition, found) && is_named(condition, found) && has_text(condition, found)
    })
}

fn has_number(condition: &Condition, found: Option<&Value>) -> bool {
    if condition.is.is_none() && condition.not.is_none() && condition.least.is_none() {
        return true;
    }
    let number = found.and_then(integer);
    let among = |list: &[i64]| number.is_some_and(|number| list.contains(&number));
    condition.is.as_deref().is_none_or(among)
        && condition.not.as_deref().is_none_or(|list| !among(list))
        && condition.least.is_none_or(|least| number.is_some_and(|number| number >= least))
}

fn is_named(condition: &Condition, found: Option<&Value>) -> bool {
    let Some(names) = &condition.is_oid else { return true };
    found.and_then(Value::as_oid).is_some_and(|oid| names.iter().any(|name| oid.starts_with(name)))
}

fn has_text(condition: &Condition, found: Option<&Value>) -> bool {
    let Condition { contains, lacks, starts, starts_not, .. } = condition;
    if [contains, lacks, starts, starts_not].iter().all(|list| list.is_none()) {
        return true;
    }
    let text = found.and_then(Value::as_text).unwrap_or_default().to_lowercase();
    let within = |list: &[Folded]| list.iter().any(|part| text.contains(part.as_str()));
    let begins = |list: &[Folded]| list.iter().any(|part| text.starts_with(part.as_str()));
    contains.as_deref().is_none_or(within)
        && !lacks.as_deref().is_some_and(within)
        && starts.as_deref().is_none_or(begins)
        && !starts_not.as_deref().is_some_and(begins)
}

fn one(cell: &Cell, answers: &Answers, index: &[u32], field: &Field) -> Option<Sampled> {
    if cell.count {
        let rows = answers.column(cell.oid.as_ref()?).count();
        return (rows > 0).then(|| i64::try_from(rows).map(Sampled::Integer).ok()).flatten();
    }
    match field.kind {
        FieldKind::Boolean => boolean(cell, found(cell, answers, index)?).map(Sampled::Boolean),
        FieldKind::Text if cell.words.is_some() => {
            let number = integer(found(cell, answers, index)?)?;
            cell.words.as_ref()?.get(&number.to_string()).cloned().map(Sampled::Text)
        }
        FieldKind::Text => text_of(cell, answers, index).map(Sampled::Text),
        FieldKind::Integer if is_plain(cell) => {
            let value = found(cell, answers, index)?;
            let number = value.as_unsigned().map(|value| i64::try_from(value).unwrap_or(i64::MAX));
            let number = number.or_else(|| integer(value)).filter(|number| !cell.ignore.contains(number))?;
            within(cell, as_float(number)).then_some(Sampled::Integer(number))
        }
        FieldKind::Integer => {
            let number = number(cell, answers, index)?.round();
            #[expect(clippy::cast_possible_truncation, reason = "checked to be within what a float holds exactly")]
            (number.abs() < 9e15).then_some(Sampled::Integer(number as i64))
        }
        FieldKind::Float => {
            let number = number(cell, answers, index)?;
            Some(Sampled::Float(quantise(number, field.unit)))
        }
    }
}

/// Whether a number is sent as it came.
fn is_plain(cell: &Cell) -> bool {
    cell.scale.is_none() && cell.offset.is_none() && cell.of.is_none() && cell.rest.is_none() && cell.times.is_none()
}

fn number(cell: &Cell, answers: &Answers, index: &[u32]) -> Option<f64> {
    let value = found(cell, answers, index)?;
    if integer(value).is_some_and(|number| cell.ignore.contains(&number)) {
        return None;
    }
    let mut number = float(value)?;
    let beside = |column: &Oid| find(answers, column, &cell.at, &[], index);
    if let Some(column) = &cell.of {
        let whole = beside(column).and_then(float).filter(|whole| *whole > 0.0)?;
        // A level below zero stands for a word, not for an amount.
        number = (number >= 0.0).then_some(number / whole * 100.0)?;
    }
    if let Some(column) = &cell.rest {
        let whole = number + beside(column).and_then(float)?;
        number = (number >= 0.0 && whole > 0.0).then_some(number / whole * 100.0)?;
    }
    if let Some(column) = &cell.times {
        number *= beside(column).and_then(float)?;
    }
    if let Some((scale, precision)) = &cell.entity_scale {
        let step = i32::try_from(beside(scale).and_then(integer)?).ok().filter(|step| (1..=17).contains(step))?;
        let places = beside(precision).and_then(integer).unwrap_or(0);
        let places = i32::try_from(places).ok().filter(|places| (-8..=9).contains(places))?;
        number *= 10_f64.powi(SMALLEST_EXPONENT + 3 * (step - 1) - places);
    }
    let number = (number + cell.offset.unwrap_or(0.0)) * cell.scale.unwrap_or(1.0);
    (number.is_finite() && within(cell, number)).then_some(number)
}

fn within(cell: &Cell, number: f64) -> bool {
    cell.between.is_none_or(|(low, high)| (low..=high).contains(&number))
}

fn boolean(cell: &Cell, value: &Value) -> Option<bool> {
    if let Some(bit) = cell.bit {
        // Octets that are cut off are zero.
        let octet = value.as_octets()?.get(bit / 8).copied().unwrap_or(0);
        return Some(octet & (0x80 >> (bit % 8)) != 0);
    }
    let number = integer(value)?;
    let among = |list: &Option<Vec<i64>>| list.as_ref().is_some_and(|list| list.contains(&number));
    match (among(&cell.yes), among(&cell.no)) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

fn text_of(cell: &Cell, answers: &Answers, index: &[u32]) -> Option<String> {
    if let Some(text) = &cell.text {
        return Some(text.clone());
    }
    if let Some(part) = cell.index {
        return index.get(part.checked_sub(1)?).map(u32::to_string);
    }
    if cell.form == Form::IndexMac {
        let parts = index.get(index.len().checked_sub(6)?..)?;
        let octets = parts.iter().map(|part| u8::try_from(*part).ok()).collect::<Option<Vec<u8>>>()?;
        return octets.try_into().ok().map(mac);
    }
    if cell.form == Form::IndexAddress {
        return address(index);
    }
    let value = found(cell, answers, index)?;
    if let Some(names) = &cell.names {
        let named = value.as_oid()?;
        // Names sort before what is below them: the last one is the longest.
        return names.iter().rfind(|(name, _)| named.starts_with(name)).map(|(_, text)| text.clone());
    }
    let text = cut(cell, written(value, cell.form)?)?;
    if cell.form == Form::Mac {
        return Value::Octets(text.into_bytes()).as_mac().and_then(a_card);
    }
    let fit = cell.starts.as_ref().is_none_or(|starts| starts.iter().any(|start| text.starts_with(start)));
    let lacks = cell.lacks.0.is_empty() || {
        let lower = text.to_lowercase();
        !cell.lacks.0.iter().any(|part| lower.contains(&part.to_lowercase()))
    };
    let digit = !cell.digit || text.bytes().any(|byte| byte.is_ascii_digit());
    (fit && lacks && digit && !text.is_empty()).then_some(text)
}

/// InetAddressType and IANA's AddressFamilyNumbers agree on 1 and 2; the length follows, then the octets.
fn address(index: &[u32]) -> Option<String> {
    let octets = |kind: u32, length: u8| {
        let tail = index.get(index.len().checked_sub(usize::from(length) + 2)?..)?;
        let octets = tail.strip_prefix(&[kind, u32::from(length)])?;
        octets.iter().map(|part| u8::try_from(*part).ok()).collect::<Option<Vec<u8>>>()
    };
    if let Some(v6) = octets(2, 16).and_then(|octets| <[u8; 16]>::try_from(octets).ok()) {
        let v6 = Ipv6Addr::from(v6);
        return (!v6.is_unicast_link_local()).then(|| v6.to_string());
    }
    let v4 = Ipv4Addr::from(<[u8; 4]>::try_from(octets(1, 4)?).ok()?);
    (!v4.is_link_local() && !v4.is_unspecified()).then(|| v4.to_string())
}

/// The part of a text that is meant.
fn cut(cell: &Cell, whole: String) -> Option<String> {
    let behind = |after: &String| whole.split_once(after.as_str()).map(|(_, behind)| behind);
    let text = if cell.after.0.is_empty() { whole.as_str() } else { cell.after.0.iter().find_map(behind)? };
    let until = |text, until: &String| str::split_once(text, until.as_str()).map_or(text, |(before, _)| before);
    let mut text = cell.until.0.iter().fold(text.trim_start(), until).trim().trim_matches('"').trim();
    if !cell.until.0.is_empty() {
        // What ended a sentence or led on to the next word.
        text = text.trim_end_matches([' ', '-', ',', ';', '.']);
    }
    if text.len() == whole.len() && whole.len() <= TEXT_MAX {
        return Some(whole);
    }
    Some(text.chars().take(TEXT_MAX).collect())
}

/// The address of a card, written; all the same octets are none, nor is one of a group.
fn a_card(octets: [u8; 6]) -> Option<String> {
    (octets[0] & 1 == 0 && octets.iter().any(|octet| *octet != octets[0])).then(|| mac(octets))
}

fn written(value: &Value, form: Form) -> Option<String> {
    match form {
        // What stands behind another text is cut out before it is read.
        Form::Mac => value.as_mac().and_then(a_card).or_else(|| value.as_text()),
        Form::Identifier => identifier(value),
        Form::Hex => value.as_octets().map(|octets| octets.iter().map(|octet| format!("{octet:02x}")).collect()),
        Form::Text | Form::IndexMac | Form::IndexAddress => value
            .as_text()
            .or_else(|| value.as_integer().map(|number| number.to_string()))
            .or_else(|| value.as_address().map(|address| address.to_string())),
    }
}

/// What a neighbour calls itself is six octets, or text, and only another column says which. Six letters are text.
fn identifier(value: &Value) -> Option<String> {
    let readable = value.as_octets().is_some_and(|octets| octets.iter().all(|octet| (b' '..=b'~').contains(octet)));
    if readable { value.as_text() } else { value.as_mac().map(mac).or_else(|| value.as_text()) }
}

fn mac(octets: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = octets;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

fn found<'a>(cell: &Cell, answers: &'a Answers, index: &[u32]) -> Option<&'a Value> {
    find(answers, cell.oid.as_ref()?, &cell.at, &cell.through, index)
}

/// The value in `column` to which the row's index leads. A column that is the whole name of a value is that value.
fn find<'a>(answers: &'a Answers, column: &Oid, at: &[usize], through: &[Oid], index: &[u32]) -> Option<&'a Value> {
    if at.is_empty() && through.is_empty() {
        return answers.cell(column, index).or_else(|| answers.get(column));
    }
    let mut key: Vec<u32> = if at.is_empty() {
        index.to_vec()
    } else {
        at.iter().map(|part| index.get(part.checked_sub(1)?).copied()).collect::<Option<_>>()?
    };
    for hop in through {
        key = next_key(first_below(answers, &hop.join(&key).ok()?)?)?;
    }
    answers.cell(column, &key).or_else(|| answers.get(column))
}

/// Some tables end their index with a part that is always the same (entAliasMappingIdentifier with 0).
fn first_below<'a>(answers: &'a Answers, name: &Oid) -> Option<&'a Value> {
    answers.range(name).next().filter(|(oid, _)| oid.starts_with(name)).map(|(_, value)| value)
}

/// The index that a value is: a number, or the last part of a name such as ifIndex.7.
fn next_key(value: &Value) -> Option<Vec<u32>> {
    match value {
        Value::ObjectId(oid) => oid.arcs().last().map(|last| vec![*last]),
        _ => value.as_integer().and_then(|number| u32::try_from(number).ok()).map(|number| vec![number]),
    }
}

/// A number, also if the device writes it as text.
fn integer(value: &Value) -> Option<i64> {
    value.as_integer().or_else(|| value.as_text()?.parse().ok())
}

/// A number, also if the device writes it as text, with its unit behind it or not.
fn float(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| {
        let text = value.as_text()?;
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
        text.get(..end)?.parse().ok().filter(|number: &f64| number.is_finite())
    })
}

#[expect(clippy::cast_precision_loss, reason = "compared with limits far below 2^53")]
const fn as_float(number: i64) -> f64 {
    number as f64
}

/// To what the thing can be known: most of the compression is won here.
fn quantise(number: f64, unit: &str) -> f64 {
    let steps = match unit {
        "percent" => 100.0,
        "celsius" | "volt" | "watt" => 10.0,
        _ => 1_000.0,
    };
    (number * steps).round() / steps
}
