//! What Linux has and other systems do not. `macos` has the same names.

pub(super) mod exit;
pub(super) mod lane;
pub(super) mod listen;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod socket;
pub(super) mod spawn;
pub(super) mod transit;
pub(super) mod watched;

/// Has the calling thread wait for its turn when it wakes, rather than interrupt whoever runs.
///
/// For a thread that many wake for little work each, that is fewer switches with more work done in
/// each of them.
pub fn wake_politely() {
    // What the kernel takes; the structure of musl has more in it.
    let priority: libc::c_int = 0;
    // SAFETY: the calling thread, and a number that lives. Everybody may do so, and where it fails
    // nothing is lost but speed. It is no call of the library, because that of musl does nothing.
    unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_BATCH, &raw const priority);
    }
}
