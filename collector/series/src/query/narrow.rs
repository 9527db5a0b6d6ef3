//! Which streams a condition can let through, by the catalogue's index of tags: a dashboard of one device should not look at the tags of
//! ten thousand. It may name more than the condition lets through, never fewer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::influxql::ast::{Cast, Expr, Op};
use crate::store::Measurement;

/// The streams of a measurement that can meet a condition, ascending. None: any of them can.
pub(crate) fn narrowed(measurement: &Measurement, condition: &Expr) -> Option<Vec<u32>> {
    match condition {
        Expr::Paren(inner) => narrowed(measurement, inner),
        Expr::Binary(Op::And, left, right) => match (narrowed(measurement, left), narrowed(measurement, right)) {
            (Some(left), Some(right)) => Some(common(left, &right)),
            (left, right) => left.or(right),
        },
        Expr::Binary(Op::Or, left, right) => {
            Some(ordered(narrowed(measurement, left)?.into_iter().chain(narrowed(measurement, right)?)))
        }
        Expr::Binary(Op::Equal, left, right) => match (&**left, &**right) {
            (Expr::Reference(name, cast), Expr::Text(text)) | (Expr::Text(text), Expr::Reference(name, cast)) => {
                let values = values(measurement, name, *cast).filter(|_| !text.is_empty())?;
                Some(values.get(text.as_str()).cloned().unwrap_or_default())
            }
            _ => None,
        },
        Expr::Binary(Op::Match, left, right) => match (&**left, &**right) {
            (Expr::Reference(name, cast), Expr::Regex(regex)) => {
                // A stream without the tag has the empty text, and stands under no value.
                let values = values(measurement, name, *cast).filter(|_| !regex.is_match(""))?;
                Some(ordered(
                    values.iter().filter(|(value, _)| regex.is_match(value)).flat_map(|(_, ids)| ids).copied(),
                ))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The streams by the values of a tag; none if the name is a field there, or nothing.
fn values<'a>(
    measurement: &'a Measurement,
    name: &str,
    cast: Option<Cast>,
) -> Option<&'a BTreeMap<Arc<str>, Vec<u32>>> {
    let is_tag = match cast {
        None => !measurement.fields.contains_key(name),
        Some(cast) => cast == Cast::Tag,
    };
    measurement.tag_keys.get(name).filter(|_| is_tag)
}

fn common(mut some: Vec<u32>, others: &[u32]) -> Vec<u32> {
    some.retain(|id| others.binary_search(id).is_ok());
    some
}

fn ordered(ids: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::influxql::ast::Statement;
    use crate::point::{FieldValue, Point};
    use crate::query::range;
    use crate::store::Store;

    const NAMES: [&str; 4] = ["a", "b", "c", ""];

    /// 24 streams: four hosts (one without the tag), three rooms, two floors; `load` is a field, and in some a tag as well.
    fn store(folder: &std::path::Path) -> Store {
        let store = Store::open(folder, Options::default()).unwrap();
        store.create_database("db");
        for at in 0..24usize {
            let (host, room, floor) = (NAMES[at % 4], format!("{}", at / 4 % 3), format!("{}", at / 12));
            let tags = [("floor", floor.as_str()), ("host", host), ("load", "x"), ("room", room.as_str())];
            let tags = tags.into_iter().filter(|(key, value)| !value.is_empty() && (*key != "load" || at % 5 == 0));
            let tags = tags.map(|(key, value)| (key.to_owned().into(), value.to_owned().into())).collect();
            let fields = vec![("load".into(), FieldValue::Integer(1))];
            store.apply(at as u64 + 1, "db", &[Point { measurement: "m".into(), tags, fields, time: 1 }]).unwrap();
        }
        store
    }

    /// How many of the streams are looked at, and how many the condition lets through.
    fn looked_at(store: &Store, condition: &str) -> (Option<usize>, usize) {
        let text = format!("SELECT load FROM m WHERE {condition}");
        let statements = crate::influxql::parse(&text, &Default::default(), 10, 50).unwrap();
        let Statement::Select(select) = &statements[0].0 else { panic!("{text}") };
        let condition = range::split(select.condition.as_ref(), 0, None).unwrap().0.unwrap();
        let count = {
            let memory = store.memory();
            narrowed(&memory.catalog.measurements[0], &condition).map(|ids| ids.len())
        };
        let answer = store.query("db", &format!("{text} GROUP BY *"), &crate::QueryOptions::at(0));
        (count, answer.results[0].series.len())
    }

    #[test]
    fn only_the_streams_are_looked_at_that_can_meet_the_condition() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        for (condition, expected) in [
            ("host = 'a'", (Some(6), 6)),
            ("'a' = host AND room = '1'", (Some(2), 2)),
            ("(host = 'a' OR host = 'b') AND floor =~ /^[1-9]$/", (Some(6), 6)),
            ("host =~ /^(a|c)$/ AND time > 0", (Some(12), 12)),
            ("host = 'nobody'", (Some(0), 0)),
            ("host = 'a' AND room != '1'", (Some(6), 4)),
            ("host::tag = 'a' AND load = 1", (Some(6), 6)),
            ("load::tag = 'x'", (Some(5), 5)),
            // No value of the index has these.
            ("host = ''", (None, 6)),
            ("host =~ /^(a|)$/", (None, 12)),
            ("host != 'a'", (None, 18)),
            ("host = 'a' OR load = 1", (None, 24)),
            ("load = 'x'", (None, 0)),
            ("nothing = 'a'", (None, 0)),
        ] {
            assert_eq!(looked_at(&store, condition), expected, "{condition}");
        }
    }

    #[test]
    fn a_stream_that_is_gone_is_in_no_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        {
            let mut memory = store.memory_mut();
            for id in [0, 4, 8, 12, 16, 20] {
                memory.catalog.forget_stream(id);
            }
        }
        assert_eq!(looked_at(&store, "host = 'a'"), (Some(0), 0));
        assert_eq!(looked_at(&store, "room = '0'"), (Some(6), 6));
    }
}
