//! What the committer writes to: a file, or in tests one that fails when it is told to.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

/// The end of a segment that is being written.
pub(crate) trait Medium: Send {
    /// Adds to the end.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts off everything after the first `length` bytes, on the disk too.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// Makes the medium of a file whose position is its end. Not one opened for appending: Windows lets nobody cut such a
/// file.
pub(crate) type MediumMaker = Arc<dyn Fn(File) -> Box<dyn Medium> + Send + Sync>;

/// The real one.
pub(crate) fn plain_file() -> MediumMaker {
    Arc::new(|file| Box::new(file))
}

impl Medium for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length))?;
        self.sync_all()
    }
}
