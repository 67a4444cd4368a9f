/// macOS does not report the state of a thread.
#[derive(Debug)]
pub(in crate::sys) struct Status;

impl Status {
    pub(in crate::sys) fn of_this_thread() -> Self {
        Self
    }

    pub(in crate::sys) fn current_wait(&self) -> Option<u64> {
        Some(0)
    }
}
