//! Streams of rows as one, in order of time.
//!
//! Rows of one time have no order that means anything, but a LIMIT cuts between them. So that it leaves the same rows as InfluxDB, the
//! streams are merged by the very heap that it uses, Go's `container/heap`, with its rule that equal rows are not less.

use std::cmp::Ordering;

use crate::query::Value;

pub(crate) struct Row {
    pub(crate) time: i64,
    /// What orders rows of one time, as far as both have a text.
    pub(crate) texts: Vec<Value>,
    pub(crate) values: Vec<Value>,
}

/// The rows of streams, each of which is in the order of the answer. Of each, no more than the next row is held here.
pub(crate) fn merged<I: Iterator<Item = Row>>(
    streams: impl Iterator<Item = I>,
    descending: bool,
) -> impl Iterator<Item = Vec<Value>> {
    let mut items = Vec::new();
    for mut rows in streams {
        items.extend(rows.next().map(|next| Item { next, rows }));
    }
    let mut heap = Heap { items, descending };
    for at in (0..heap.items.len() / 2).rev() {
        heap.down(at, heap.items.len());
    }
    std::iter::from_fn(move || heap.pop())
}

struct Item<I> {
    next: Row,
    rows: I,
}

struct Heap<I> {
    items: Vec<Item<I>>,
    descending: bool,
}

impl<I: Iterator<Item = Row>> Heap<I> {
    /// The first row, and its stream goes back with the one behind it.
    fn pop(&mut self) -> Option<Vec<Value>> {
        let last = self.items.len().checked_sub(1)?;
        self.items.swap(0, last);
        self.down(0, last);
        let mut item = self.items.pop()?;
        match item.rows.next() {
            Some(next) => {
                let row = std::mem::replace(&mut item.next, next);
                self.items.push(item);
                self.up(last);
                Some(row.values)
            }
            None => Some(item.next.values),
        }
    }

    fn up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.less(at, parent) {
                return;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    fn down(&mut self, mut at: usize, end: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= end {
                return;
            }
            let child = if right < end && self.less(right, left) { right } else { left };
            if !self.less(child, at) {
                return;
            }
            self.items.swap(at, child);
            at = child;
        }
    }

    fn less(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.items[a].next, &self.items[b].next);
        let order = a.time.cmp(&b.time).then_with(|| by_texts(&a.texts, &b.texts));
        if self.descending { order.is_gt() } else { order.is_lt() }
    }
}

fn by_texts(a: &[Value], b: &[Value]) -> Ordering {
    for pair in a.iter().zip(b) {
        match pair {
            (Value::Text(a), Value::Text(b)) if a != b => return a.cmp(b),
            (Value::Text(_), Value::Text(_)) => {}
            _ => return Ordering::Equal,
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which a real InfluxDB 1.6.7 answered with three series of the same times.
    #[test]
    fn rows_of_one_time_come_as_influxdbs_heap_gives_them() {
        let stream = |name: &str| {
            let row = |time| Row { time, texts: Vec::new(), values: vec![Value::Text(format!("{name}{time}").into())] };
            [1, 2].map(row).into_iter().collect::<Vec<_>>()
        };
        let streams = ["a", "b", "c"].map(stream).into_iter().map(Vec::into_iter);
        let rows = merged(streams, false);
        let names: Vec<String> = rows
            .map(|row| match &row[0] {
                Value::Text(text) => text.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["a1", "c1", "b1", "c2", "b2", "a2"]);
    }
}
