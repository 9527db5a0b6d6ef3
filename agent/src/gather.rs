//! Collects into ordered maps and sets one by one.

/// What the standard library's `collect` does, in a smaller program: that sorts what goes into an ordered map before, and
/// the sort is 6 KB for each type of key and value. Most of our maps have a dozen entries.
pub trait Gather: Iterator + Sized {
    /// All items.
    fn gather<C: Default + Extend<Self::Item>>(self) -> C {
        let mut all = C::default();
        all.extend(self);
        all
    }
}

impl<I: Iterator> Gather for I {}
