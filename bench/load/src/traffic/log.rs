//! The file with a line for each request: its id, and how it ended.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// Writes nothing if no file was wanted.
#[derive(Debug, Default)]
pub(crate) struct Log(RefCell<Option<BufWriter<File>>>);

impl Log {
    pub(crate) fn create(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(File::create).transpose()?;
        Ok(Self(RefCell::new(file.map(BufWriter::new))))
    }

    pub(crate) fn write(&self, id: &str, outcome: &str) {
        if let Some(file) = self.0.borrow_mut().as_mut() {
            // A full disk shows when the file is flushed.
            let _ = writeln!(file, "{id} {outcome}");
        }
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.0.borrow_mut().as_mut().map_or(Ok(()), Write::flush)
    }
}
