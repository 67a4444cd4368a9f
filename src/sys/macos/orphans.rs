/// macOS has no process that inherits those of others, except for the first.
#[derive(Debug, Default)]
pub struct Orphans(());

impl Orphans {
    /// Does nothing.
    pub fn reap(&mut self) -> Vec<i32> {
        Vec::new()
    }
}

/// Does nothing: process 1 inherits all processes whose parents have ended.
pub fn become_subreaper() -> bool {
    false
}

/// Whether children run that something else has started: there are none.
pub fn orphans_run() -> bool {
    false
}
