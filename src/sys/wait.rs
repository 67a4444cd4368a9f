//! `waitid`. By `libc`, because `nix` can't tell that a real-time signal has ended a process.

use std::mem::MaybeUninit;

use nix::errno::Errno;

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A child that has ended, and is not reaped by this.
#[cfg(target_os = "linux")]
pub(super) fn first_ended() -> nix::Result<Option<i32>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: numbers, and the kernel writes no more than the structure.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
    Errno::result(result)?;
    // SAFETY: numbers, for which zeros do.
    let info = unsafe { info.assume_init() };
    // SAFETY: the kernel has filled in what belongs to an exit, or nothing.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(pid))
}

/// How a child ended; `None` if it has not ended and `options` has `WNOHANG`. `kind` says what `number`
/// is.
pub(super) fn waitid(
    kind: libc::idtype_t,
    number: i32,
    options: libc::c_int,
) -> nix::Result<Option<Exit>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let (number, options) = (number.cast_unsigned(), options | libc::WEXITED);
    // SAFETY: numbers, and the kernel writes no more than the structure.
    let result = unsafe { libc::waitid(kind, number, info.as_mut_ptr(), options) };
    Errno::result(result)?;
    // SAFETY: numbers, for which zeros do.
    let info = unsafe { info.assume_init() };
    // SAFETY: the kernel has filled in what belongs to an exit, or nothing.
    let status = unsafe { info.si_status() };
    Ok(match info.si_code {
        libc::CLD_EXITED => Some(Exit::Code(status)),
        libc::CLD_KILLED | libc::CLD_DUMPED => Some(Exit::Signal(status)),
        _ => None,
    })
}
