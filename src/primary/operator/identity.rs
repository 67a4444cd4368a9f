//! Which primary this is.

use std::time::{Instant, SystemTime};

/// What a primary is told of its program.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The version of Node, as `process.version` has it.
    pub node: String,
}

/// What operators know a primary by.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name of the program.
    pub name: String,
    /// The version of Node, as `process.version` has it.
    pub node: String,
    /// The path of the control socket, if there is one.
    pub control: Option<String>,
    /// The address of the admin endpoint, `127.0.0.1:9100` or a path, if there is one.
    pub admin: Option<String>,
    /// When supervision began.
    pub started: SystemTime,
    /// The same, on the clock that never goes back.
    pub since: Instant,
}
