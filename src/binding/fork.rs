use napi_derive::napi;

use crate::{error::Error, sys::errno};

/// Why a worker could not be started.
#[napi(object, object_from_js = false)]
pub struct ForkFailure {
    /// The system call that failed.
    pub syscall: String,
    /// Its negated errno.
    pub errno: i32,
}

impl From<Error> for ForkFailure {
    fn from(error: Error) -> Self {
        match error {
            Error::System { syscall, source } => {
                Self { syscall: syscall.into(), errno: errno(&source) }
            }
            // The engine has stopped, which happens only when its environment ends.
            _ => Self { syscall: "pthread_create".into(), errno: -libc::EAGAIN },
        }
    }
}
