//! For tests of the whole: a reader that stops where it is told to.

use super::*;

impl EngineReader {
    /// Reads record by record up to `end`, and commits.
    pub(crate) fn read_until(&mut self, end: Position) {
        while self.position < end {
            let entries = self.journal.read(self.position, 1).unwrap();
            self.feed(&entries[..1]).unwrap();
        }
    }
}
