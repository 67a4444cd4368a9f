use napi_derive::napi;

use crate::sys::{failure::Call, inject};

/// Plans failures of system calls: see `src/sys/inject.rs`.
#[napi]
pub struct FailingCalls {}

#[napi]
impl FailingCalls {
    /// After the next `skip` of these calls of this process, `count` fail. Returns whether there is
    /// such a call.
    #[napi]
    pub fn plan(call: String, errno: i32, skip: u32, count: u32) -> bool {
        let call = Call::ALL.into_iter().find(|it| it.to_string() == call);
        let planned =
            call.map(|it| inject::fail_anywhere(it, errno, skip as usize, count as usize));
        planned.is_some()
    }
}
