//! Lines on their way to one place of an InfluxDB.

use std::borrow::Cow;
use std::ops::Range;

use bellwether_series::{FieldValue, Point, write_line};

use super::{BATCH_BYTES, BATCH_POINTS};

/// Where lines go, in the collector's own names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The database.
    pub database: String,
    /// The retention policy; empty for the default one.
    pub policy: String,
}

/// Lines for one place, in the order of their records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where they go.
    pub place: Place,
    text: String,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Batch {
    /// No lines.
    #[must_use]
    pub const fn new(place: Place) -> Self {
        Self { place, text: String::new(), ends: Vec::new() }
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether it is as large as a request may be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH_POINTS || self.text.len() >= BATCH_BYTES
    }

    /// All lines, each with its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A line, with its end.
    #[must_use]
    pub fn line(&self, at: usize) -> &str {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[from..self.ends[at]]
    }

    /// The lines, with their ends.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.line(at))
    }

    /// Adds a point as far as line protocol can say it. Says whether it was changed or left out for that.
    pub fn push(&mut self, point: &Point<'_>) -> bool {
        let (point, changed) = sayable(point);
        if !point.fields.is_empty() {
            write_line(&mut self.text, &point);
            self.ends.push(self.text.len());
        }
        changed
    }

    /// Some of the lines.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        self.only(|at| range.contains(&at))
    }

    /// The lines whose number is wanted.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let mut part = Self::new(self.place.clone());
        for at in (0..self.len()).filter(|at| wanted(*at)) {
            part.text.push_str(self.line(at));
            part.ends.push(part.text.len());
        }
        part
    }

    /// The two halves of at least two lines.
    #[must_use]
    pub fn halves(&self) -> [Self; 2] {
        let middle = self.len() / 2;
        [self.part(0..middle), self.part(middle..self.len())]
    }
}

/// Line protocol has no way to write a name or a tag with a line break in it, or with a backslash at its end, where Windows
/// puts one (`C:\`): the break would begin a line of somebody else's choice, the backslash swallow what follows.
fn sayable<'a>(point: &'a Point<'a>) -> (Cow<'a, Point<'a>>, bool) {
    let awkward = |name: &str| name.ends_with('\\') || name.contains(['\n', '\r']);
    let is_lost = |value: &FieldValue| matches!(value, FieldValue::Float(value) if !value.is_finite());
    let fine = !awkward(&point.measurement)
        && !point.tags.iter().any(|(key, value)| awkward(key) || awkward(value))
        && !point.fields.iter().any(|(name, value)| awkward(name) || is_lost(value));
    if fine {
        return (Cow::Borrowed(point), false);
    }
    let plain = |name: &str| Cow::Owned(name.replace(['\n', '\r'], " ").trim_end_matches('\\').to_owned());
    let mut said = Point {
        measurement: plain(&point.measurement),
        tags: point.tags.iter().map(|(key, value)| (plain(key), plain(value))).collect(),
        time: point.time,
        fields: point.fields.iter().map(|(name, value)| (plain(name), value.clone())).collect(),
    };
    said.tags.retain(|(key, value)| !key.is_empty() && !value.is_empty());
    said.fields.retain(|(name, value)| !name.is_empty() && !is_lost(value));
    if said.measurement.is_empty() {
        said.fields.clear();
    }
    (Cow::Owned(said), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { database: "db".into(), policy: String::new() }
    }

    fn point<'a>(tag: &'a str, value: f64) -> Point<'a> {
        Point {
            measurement: "disk".into(),
            tags: vec![("path".into(), tag.into())],
            time: 7,
            fields: vec![("used".into(), FieldValue::Float(value))],
        }
    }

    #[test]
    fn what_line_protocol_cannot_say_never_spoils_another_line() {
        let mut batch = Batch::new(place());
        assert!(!batch.push(&point("a b", 1.0)));
        assert!(batch.push(&point("C:\\", 2.0)));
        assert!(batch.push(&point("x\ny v=1", 3.0)));
        assert!(batch.push(&point("\\", 4.0)));
        assert!(batch.push(&point("n", f64::NAN)), "left out: it has no value");
        let lines: Vec<_> = batch.lines().collect();
        assert_eq!(
            lines,
            [
                "disk,path=a\\ b used=1.0 7\n",
                "disk,path=C: used=2.0 7\n",
                "disk,path=x\\ y\\ v\\=1 used=3.0 7\n",
                "disk used=4.0 7\n"
            ]
        );
    }

    #[test]
    fn parts_of_a_batch_are_its_lines_in_their_order() {
        let mut batch = Batch::new(place());
        for value in 0..5 {
            batch.push(&point("a", f64::from(value)));
        }
        let [first, second] = batch.halves();
        assert_eq!((first.len(), second.len()), (2, 3));
        assert_eq!(format!("{}{}", first.text(), second.text()), batch.text());
        assert_eq!(batch.only(|at| at != 1).line(1), batch.line(2));
    }
}
