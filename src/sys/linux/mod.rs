//! What Linux has and other systems do not. `macos` has the same names.

pub(super) mod children;
pub(super) mod exit;
pub(super) mod lane;
pub(super) mod listen;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod message;
pub(super) mod orphans;
pub(super) mod pipe;
pub(super) mod readiness_set;
pub(super) mod socket;
pub(super) mod socket_file;
pub(super) mod spawn;
pub(super) mod thread;
pub(super) mod transit;
pub(super) mod unread;
pub(super) mod usage;
pub(super) mod watched;

use std::{cell::Cell, marker::PhantomData};

/// Whether the calling thread is in the class `SCHED_BATCH`: when it wakes, it waits for its turn instead of
/// preempting the thread that runs. Does nothing if the user has chosen another class than `SCHED_OTHER`, which
/// threads inherit.
///
/// A thread that is often woken for little work then switches less often, and does more work each time.
#[derive(Debug)]
pub struct BatchScheduling {
    is_on: Cell<bool>,
    may_change: bool,
    /// Binds the value to the thread that made it.
    thread: PhantomData<*const ()>,
}

impl BatchScheduling {
    /// That of the calling thread, which is not in this class.
    pub fn of_this_thread() -> Self {
        // SAFETY: the calling thread. These are not the functions of the library, because those of musl do
        // nothing.
        let class = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
        let may_change = class == libc::c_long::from(libc::SCHED_OTHER);
        Self { is_on: Cell::new(false), may_change, thread: PhantomData }
    }

    /// Puts the thread into the class, or back into `SCHED_OTHER`.
    pub fn set(&self, is_on: bool) {
        if self.is_on.replace(is_on) == is_on || !self.may_change {
            return;
        }
        let class = if is_on { libc::SCHED_BATCH } else { libc::SCHED_OTHER };
        // The kernel takes one number; musl's structure has more fields.
        let priority: libc::c_int = 0;
        // SAFETY: the calling thread, and a number that lives. Every thread may do so, and where it fails
        // nothing is lost but speed.
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, class, &raw const priority) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes that a thread of this class has with batch scheduling, and after it.
    fn classes_of(class: libc::c_int) -> [libc::c_int; 2] {
        let thread = std::thread::spawn(move || {
            let priority: libc::c_int = 0;
            // As in `set()`, because musl's own functions do nothing.
            // SAFETY: the calling thread, and a number that lives.
            unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, class, &raw const priority) };
            let batch = BatchScheduling::of_this_thread();
            [true, false].map(|is_on| {
                batch.set(is_on);
                // SAFETY: the calling thread.
                let class = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
                class as libc::c_int
            })
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_scheduling_class_that_the_user_has_chosen_stays() {
        assert_eq!(classes_of(libc::SCHED_OTHER), [libc::SCHED_BATCH, libc::SCHED_OTHER]);
        assert_eq!(classes_of(libc::SCHED_IDLE), [libc::SCHED_IDLE; 2]);
    }
}
