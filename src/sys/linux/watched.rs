/// The system call that makes what the engine waits by.
pub const NEW_WATCH: &str = "epoll_create";

/// The system call that adds a descriptor to it.
pub const ADD_WATCH: &str = "epoll_ctl";
