use std::{fs::File, os::unix::fs::FileExt};

/// Enough for the status file of a thread.
const LENGTH: usize = 4096;

/// What the kernel reports about a thread, in `/proc`.
#[derive(Debug)]
pub(in crate::sys) struct Status {
    /// Opened at the start, because there may be no free descriptor later.
    file: Option<File>,
}

impl Status {
    pub(in crate::sys) fn of_this_thread() -> Self {
        Self { file: File::open("/proc/thread-self/status").ok() }
    }

    pub(in crate::sys) fn current_wait(&self) -> Option<u64> {
        let mut bytes = [0; LENGTH];
        let length = self.file.as_ref().and_then(|file| file.read_at(&mut bytes, 0).ok());
        let status = String::from_utf8_lossy(&bytes[..length.unwrap_or(0)]);
        match field(&status, "State:") {
            // The count of voluntary context switches identifies the wait.
            Some(state) if state.starts_with('S') => {
                Some(field(&status, "voluntary_ctxt_switches:")?.parse().unwrap_or(0))
            }
            Some(_) => None,
            None => Some(0),
        }
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
