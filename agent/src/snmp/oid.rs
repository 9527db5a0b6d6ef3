//! Object identifiers: the names of what a device can be asked.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

/// The most arcs that a name may have (RFC 2578, 3.5).
pub const ARCS_MAX: usize = 128;

/// Names with so many arcs take no memory of their own: those of most tables' cells.
const ARCS_USUAL: usize = 12;

/// A name: numbers in the order in which devices sort them.
#[derive(Clone, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Oid(SmallVec<[u32; ARCS_USUAL]>);

/// Arcs that are compared at once.
const ARCS_AT_ONCE: usize = 4;

/// As slices are ordered. All names of a table begin alike, and each is compared with a dozen others before it has its place:
/// what is alike is skipped in steps of several arcs.
impl Ord for Oid {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut own, mut others) = (self.arcs(), other.arcs());
        while let (Some((begin, rest)), Some((other_begin, other_rest))) =
            (own.split_first_chunk::<ARCS_AT_ONCE>(), others.split_first_chunk::<ARCS_AT_ONCE>())
            && begin == other_begin
        {
            (own, others) = (rest, other_rest);
        }
        own.cmp(others)
    }
}

impl PartialOrd for Oid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Why something is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidError {
    /// More arcs than a name may have.
    #[error("an object identifier of {0} numbers; {ARCS_MAX} are allowed")]
    TooLong(usize),
    /// Not numbers with dots between them.
    #[error("{0:?} is no object identifier; expected numbers with dots between them, such as 1.3.6.1.2.1.1.1.0")]
    NotDotted(String),
}

impl Oid {
    /// A name of these arcs.
    ///
    /// # Errors
    /// If there are too many.
    pub fn new(arcs: &[u32]) -> Result<Self, OidError> {
        if arcs.len() > ARCS_MAX { Err(OidError::TooLong(arcs.len())) } else { Ok(Self(SmallVec::from_slice(arcs))) }
    }

    /// The numbers.
    #[must_use]
    pub fn arcs(&self) -> &[u32] {
        &self.0
    }

    /// Whether `prefix` is the beginning of this name, or all of it.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// What follows `prefix`, if this name begins with it: the index of a row below a column.
    #[must_use]
    pub fn strip_prefix(&self, prefix: &Self) -> Option<Self> {
        self.0.strip_prefix(&*prefix.0).map(|rest| Self(SmallVec::from_slice(rest)))
    }

    /// This name with `arcs` after it: a column's name with a row's index.
    ///
    /// # Errors
    /// If that is too long.
    pub fn join(&self, arcs: &[u32]) -> Result<Self, OidError> {
        let length = self.0.len() + arcs.len();
        if length > ARCS_MAX {
            return Err(OidError::TooLong(length));
        }
        let mut whole = SmallVec::with_capacity(length);
        whole.extend_from_slice(&self.0);
        whole.extend_from_slice(arcs);
        Ok(Self(whole))
    }
}

/// A name that is written in the code: that it is short enough is checked when that is compiled.
impl<const N: usize> From<[u32; N]> for Oid {
    fn from(arcs: [u32; N]) -> Self {
        const { assert!(N <= ARCS_MAX, "too long for an object identifier") };
        Self(SmallVec::from_slice(&arcs))
    }
}

impl FromStr for Oid {
    type Err = OidError;

    /// Reads the dotted form, with or without a dot in front.
    fn from_str(text: &str) -> Result<Self, OidError> {
        let refused = || OidError::NotDotted(text.to_owned());
        // `u32::from_str` would let a plus sign pass.
        let arc = |part: &str| if part.starts_with('+') { None } else { part.parse().ok() };
        let arcs = text.strip_prefix('.').unwrap_or(text).split('.').map(arc).collect::<Option<Vec<u32>>>();
        Self::new(&arcs.ok_or_else(refused)?)
    }
}

impl TryFrom<String> for Oid {
    type Error = OidError;

    fn try_from(text: String) -> Result<Self, OidError> {
        text.parse()
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, arc) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            write!(f, "{arc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn oid(text: &str) -> Oid {
        text.parse().unwrap()
    }

    /// Few numbers, so that many names begin alike.
    fn arcs() -> impl Strategy<Value = Vec<u32>> {
        proptest::collection::vec(prop_oneof![9 => Just(1), 1 => any::<u32>()], 0..16)
    }

    #[test]
    fn names_sort_as_devices_walk_them() {
        let mut names = ["1.3.6.10", "1.3.6.2.1", "1.3.6.2", "1.3.6", "1.3.6.2.0.5"].map(oid);
        names.sort();
        assert_eq!(names, ["1.3.6", "1.3.6.2", "1.3.6.2.0.5", "1.3.6.2.1", "1.3.6.10"].map(oid));
    }

    #[test]
    fn the_index_of_a_row_is_what_follows_the_column() {
        let column = Oid::from([1, 3, 6, 1, 2, 1, 2, 2, 1, 2]);
        let cell = oid(".1.3.6.1.2.1.2.2.1.2.10101");
        assert!(cell.starts_with(&column) && !column.starts_with(&cell));
        assert_eq!(cell.strip_prefix(&column), Some(Oid::from([10101])));
        assert_eq!(oid("1.3.6.1.2.1.2.2.1.20").strip_prefix(&column), None, "20 is not 2 and a row");
        assert_eq!(column.join(&[10101]), Ok(cell));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", ".", "1..3", "1.3.", "1.-3", "1.+3", "sysDescr.0", "1.4294967296", "1. 3"] {
            assert!(matches!(text.parse::<Oid>(), Err(OidError::NotDotted(_))), "{text:?}");
        }
        let long = vec!["1"; ARCS_MAX + 1].join(".");
        assert_eq!(long.parse::<Oid>(), Err(OidError::TooLong(ARCS_MAX + 1)));
        assert!(vec!["1"; ARCS_MAX].join(".").parse::<Oid>().unwrap().join(&[1]).is_err());
    }

    proptest! {
        #[test]
        fn a_printed_name_reads_as_itself(arcs in proptest::collection::vec(any::<u32>(), 1..=ARCS_MAX)) {
            let name = Oid::new(&arcs).unwrap();
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn names_are_ordered_as_their_numbers_are(one in arcs(), other in arcs()) {
            let (first, second) = (Oid::new(&one).unwrap(), Oid::new(&other).unwrap());
            prop_assert_eq!(first.cmp(&second), one.cmp(&other));
        }

        #[test]
        fn any_text_is_a_name_or_refused(text in ".{0,40}") {
            if let Ok(name) = text.parse::<Oid>() {
                prop_assert_eq!(name.arcs().len(), text.trim_start_matches('.').split('.').count());
            }
        }
    }
}
