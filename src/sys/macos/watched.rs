/// The system call that makes what the engine waits by.
pub const NEW_WATCH: &str = "kqueue";

/// The system call that adds a descriptor to it.
pub const ADD_WATCH: &str = "kevent";
