//! What Linux has and other systems do not. `macos` has the same names.

pub(super) mod exit;
pub(super) mod family;
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

/// Puts the calling thread into the class `SCHED_BATCH`: when it wakes, it waits for its turn instead
/// of preempting the thread that runs. Does nothing if the user has chosen another class than
/// `SCHED_OTHER`, which threads inherit.
///
/// A thread that is often woken for little work then switches less often, and does more work each time.
pub fn use_batch_scheduling() {
    // The kernel takes one number; musl's structure has more fields.
    let priority: libc::c_int = 0;
    // SAFETY: the calling thread, and a number that lives. Every thread may do so, and where it fails
    // nothing is lost but speed. These are not the functions of the library, because those of musl do
    // nothing.
    unsafe {
        let class = libc::syscall(libc::SYS_sched_getscheduler, 0);
        if class == libc::c_long::from(libc::SCHED_OTHER) {
            libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_BATCH, &raw const priority);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class that a thread of this class has after `use_batch_scheduling`.
    fn class_after(class: libc::c_int) -> libc::c_int {
        let thread = std::thread::spawn(move || {
            let priority = libc::sched_param { sched_priority: 0 };
            // SAFETY: the calling thread, and a structure that lives.
            unsafe { libc::sched_setscheduler(0, class, &raw const priority) };
            use_batch_scheduling();
            // SAFETY: the calling thread.
            unsafe { libc::sched_getscheduler(0) }
        });
        thread.join().unwrap()
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn a_scheduling_class_that_the_user_has_chosen_stays() {
        assert_eq!(class_after(libc::SCHED_OTHER), libc::SCHED_BATCH);
        assert_eq!(class_after(libc::SCHED_IDLE), libc::SCHED_IDLE);
    }
}
