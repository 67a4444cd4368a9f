//! Planned failures of system calls, for tests. Never compiled into a release.

use std::{
    sync::{Mutex, PoisonError},
    thread::{self, ThreadId},
};

use super::call::Call;

/// Every errno of a shortage.
pub const SHORTAGES: [i32; 5] =
    [libc::ENOBUFS, libc::ENOMEM, libc::ETOOMANYREFS, libc::EMFILE, libc::ENFILE];

/// Every errno of a peer that is gone. A call that receives is made again after the first one.
pub const GONE: [i32; 2] = [libc::EPIPE, libc::ECONNRESET];

/// Some of the other errnos.
pub const FAULTS: [i32; 5] = [libc::EPERM, libc::EACCES, libc::EINVAL, libc::EBADF, libc::EIO];

/// Calls that are to fail.
struct Plan {
    call: Call,
    errno: i32,
    /// How many calls succeed first.
    skip: usize,
    /// How many calls then fail.
    count: usize,
    /// The thread whose calls fail; any thread if `None`.
    thread: Option<ThreadId>,
}

static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

fn add(plan: Plan) {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
}

/// The next `count` calls of this thread fail.
pub fn fail_here(call: Call, errno: i32, count: usize) {
    fail_in(thread::current().id(), call, errno, count);
}

/// After the next `skip` calls of this thread, `count` fail.
pub fn fail_here_after(call: Call, errno: i32, skip: usize, count: usize) {
    add(Plan { call, errno, skip, count, thread: Some(thread::current().id()) });
}

/// The next `count` calls of a thread fail.
pub fn fail_in(thread: ThreadId, call: Call, errno: i32, count: usize) {
    add(Plan { call, errno, skip: 0, count, thread: Some(thread) });
}

/// After the next `skip` calls of the process, `count` fail.
pub fn fail_anywhere(call: Call, errno: i32, skip: usize, count: usize) {
    add(Plan { call, errno, skip, count, thread: None });
}

/// Drops what is planned for a thread, and returns how many failures had not happened yet.
pub fn forget(thread: ThreadId) -> usize {
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    plans.extract_if(.., |it| it.thread == Some(thread)).map(|plan| plan.count).sum()
}

/// The errno of this call, if it is to fail.
pub(super) fn next(call: Call) -> Option<i32> {
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    let here = thread::current().id();
    let is_meant = |it: &Plan| it.call == call && it.thread.is_none_or(|it| it == here);
    let index = plans.iter().position(is_meant)?;
    let plan = &mut plans[index];
    if plan.skip > 0 {
        plan.skip -= 1;
        return None;
    }
    plan.count = plan.count.saturating_sub(1);
    let errno = plan.errno;
    if plan.count == 0 {
        plans.remove(index);
    }
    Some(errno)
}
