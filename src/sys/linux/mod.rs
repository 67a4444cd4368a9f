//! What Linux has and other systems do not. `macos` has the same names.

pub(super) mod exit;
pub(super) mod lane;
pub(super) mod listen;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod message;
pub(super) mod socket;
pub(super) mod socket_file;
pub(super) mod spawn;
pub(super) mod thread;
pub(super) mod transit;
pub(super) mod watched;

/// Makes the calling thread wait for its turn when it wakes, instead of interrupting the thread that
/// runs; unless the user has chosen another scheduling class, which threads inherit.
///
/// For a thread that many wake for little work each, that is fewer switches with more work done in
/// each of them.
pub fn use_batch_scheduling() {
    // What the kernel takes; the structure of musl has more in it.
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
