//! A program to start, and the reason why it could not be started.

use std::{
    ffi::{CString, c_char},
    io,
    os::fd::RawFd,
    ptr,
};

/// What to start.
#[derive(Debug)]
pub struct Program {
    /// Path of the executable.
    pub file: CString,
    /// All arguments, the first being the program's own name.
    pub args: Vec<CString>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// The directory to start in; the parent's if `None`.
    pub cwd: Option<CString>,
    /// The child's descriptors, by number; `None` leaves a number closed.
    pub descriptors: Vec<Option<RawFd>>,
    /// The user to become.
    pub uid: Option<u32>,
    /// The group to become.
    pub gid: Option<u32>,
    /// Whether it leads a process group of its own, whose number is its pid.
    pub own_group: bool,
}

/// Why a process could not be started.
#[derive(Debug)]
pub struct Refused {
    /// The system call that failed.
    pub syscall: &'static str,
    /// Its error, with the errno.
    pub source: io::Error,
}

impl Refused {
    /// Names the system call that failed.
    pub(super) fn by(syscall: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { syscall, source }
    }
}

#[cfg(test)]
impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        refused.source
    }
}

/// An array of C strings as the kernel takes it, which ends with a null pointer.
pub(super) fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}
