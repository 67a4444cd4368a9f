/// The system call that creates the engine's event queue.
pub const NEW_WATCH: &str = "kqueue";

/// The system call that adds a descriptor to the engine's event queue.
pub const ADD_WATCH: &str = "kevent";
