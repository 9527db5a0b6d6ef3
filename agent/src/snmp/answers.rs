//! What a device answered: names and values, bounded.

use std::collections::BTreeMap;

use super::{Oid, Value};

/// The most values that are kept of one device: a core switch with 30,000 addresses in its forwarding table and all
/// else that it has is below it.
pub const VALUES_MAX: usize = 200_000;

/// The most memory, about, that the values of one device may take, in bytes.
pub const BYTES_MAX: usize = 24 << 20;

/// What a device answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    values: BTreeMap<Oid, Value>,
    bytes: usize,
}

/// There is no room for more of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {VALUES_MAX} values or {} MiB of one device", BYTES_MAX >> 20)]
pub struct Full;

impl Answers {
    /// Keeps a value; a later one of the same name replaces it.
    ///
    /// # Errors
    /// If there is no room; what was there before stays.
    pub fn insert(&mut self, oid: Oid, value: Value) -> Result<(), Full> {
        let name = size_of::<Oid>() + size_of_val(oid.arcs());
        let more = name + value.weight();
        let is_full = || self.bytes + more > BYTES_MAX || self.values.len() >= VALUES_MAX;
        // Looked for only where it matters: this is done for each value.
        if is_full() {
            let old = self.values.get(&oid).map(|old| name + old.weight()).ok_or(Full)?;
            if self.bytes - old + more > BYTES_MAX {
                return Err(Full);
            }
        }
        self.bytes += more;
        if let Some(old) = self.values.insert(oid, value) {
            self.bytes -= name + old.weight();
        }
        Ok(())
    }

    /// Forgets everything that is not at or below `prefix`.
    pub fn keep_only(&mut self, prefix: &Oid) {
        self.values.retain(|oid, _| oid.starts_with(prefix));
        self.bytes = self.values.iter().map(|(oid, value)| weight(oid, value)).sum();
    }

    /// Forgets everything at or below `prefix`.
    pub fn remove_below(&mut self, prefix: &Oid) {
        let gone: Vec<Oid> = self.below(prefix).map(|(oid, _)| oid.clone()).collect();
        for oid in gone {
            if let Some(value) = self.values.remove(&oid) {
                self.bytes -= weight(&oid, &value);
            }
        }
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, oid: &Oid) -> Option<&Value> {
        self.values.get(oid)
    }

    /// The value below `column` in the row of `index`.
    #[must_use]
    pub fn cell(&self, column: &Oid, index: &[u32]) -> Option<&Value> {
        self.values.get(&column.join(index).ok()?)
    }

    /// All values below `prefix`, in order, each with what follows the prefix in its name: a column's rows.
    pub fn column<'a>(&'a self, prefix: &'a Oid) -> impl Iterator<Item = (Oid, &'a Value)> + use<'a> {
        self.below(prefix).filter_map(|(oid, value)| oid.strip_prefix(prefix).map(|index| (index, value)))
    }

    /// All values at or below `prefix`, in order, with their whole names.
    pub fn below<'a>(&'a self, prefix: &'a Oid) -> impl Iterator<Item = (&'a Oid, &'a Value)> + use<'a> {
        self.values.range(prefix..).take_while(move |(oid, _)| oid.starts_with(prefix))
    }

    /// Everything from this name on, in order.
    pub fn range(&self, from: &Oid) -> impl Iterator<Item = (&Oid, &Value)> {
        self.values.range(from..)
    }

    /// Everything, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Oid, &Value)> {
        self.values.iter()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// About how much memory a value takes with its name.
fn weight(oid: &Oid, value: &Value) -> usize {
    size_of::<Oid>() + size_of_val(oid.arcs()) + value.weight()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column() -> Oid {
        Oid::from([1, 3, 6, 1, 2, 1, 2, 2, 1, 2])
    }

    fn text(text: &str) -> Value {
        Value::Octets(text.into())
    }

    #[test]
    fn a_column_has_its_rows_and_nothing_beside_them() {
        let mut answers = Answers::default();
        for (name, value) in [("1.9", "before"), ("2.1", "lo"), ("2.10101", "Gi0/1"), ("20.1", "beside")] {
            let name = format!("1.3.6.1.2.1.2.2.1.{name}");
            answers.insert(name.parse().unwrap(), text(value)).unwrap();
        }
        let column = column();
        let rows: Vec<(Oid, &Value)> = answers.column(&column).collect();
        assert_eq!(rows, [(Oid::from([1]), &text("lo")), (Oid::from([10101]), &text("Gi0/1"))]);
    }

    #[test]
    fn a_device_that_never_ends_is_cut_and_keeps_what_it_said() {
        let mut answers = Answers::default();
        let big = Value::Octets(vec![0; 1 << 20]);
        let kept =
            (0..100).take_while(|&row| answers.insert(column().join(&[row]).unwrap(), big.clone()).is_ok()).count();
        assert_eq!(kept, 23, "what names and values take beside the octets is counted too");
        assert_eq!(answers.len(), kept);
        let first = column().join(&[0]).unwrap();
        answers.insert(first.clone(), Value::Integer(1)).expect("a smaller value in its place has room");
        assert_eq!(answers.get(&first), Some(&Value::Integer(1)));
    }
}
