//! What a failed system call on a lane, or on a listening socket, means for its caller.
//!
//! [`Failure::of`] maps each errno; `ARCHITECTURE.md` shows the table. Calls go through `attempt`, so
//! a caller gets one of four outcomes instead of an errno, and the compiler makes it handle each.

use std::{fmt, io, time::Duration};

use nix::errno::Errno;

pub use super::call::Call;
use super::call::Lane;

/// How long to wait after a [`Failure::Shortage`] before trying again, because nothing signals its end.
pub const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// A system call, and why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The call.
    pub call: Call,
    /// Its errno.
    pub errno: i32,
}

impl Fault {
    /// The errno alone, as an error of the standard library.
    pub fn to_io(self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, errno } = self;
        match name(*errno) {
            Some(name) => write!(formatter, "{call}: {name}, {}", self.to_io()),
            None => write!(formatter, "{call}: {}", self.to_io()),
        }
    }
}

impl std::error::Error for Fault {}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Failure {
    /// There is no room to write, or nothing to read. The descriptor becomes ready when that changes.
    WouldBlock,
    /// The kernel or this process has run out of memory, buffers or descriptors. The caller tries again
    /// after [`SHORTAGE_PAUSE`].
    Shortage(Fault),
    /// The peer has closed its end, or died.
    Gone,
    /// Anything else. Trying again would not help, so the primary reports it.
    Fault(Fault),
}

impl Failure {
    /// Classifies the failure of `call` with `errno`.
    pub fn of(call: Call, errno: i32) -> Self {
        let fault = Fault { call, errno };
        match errno {
            // A poll that does not wait returns 0 when there is nothing; here the kernel is out of
            // memory.
            libc::EAGAIN if call == Call::Poll => Self::Shortage(fault),
            libc::EAGAIN if call != Call::Watch => Self::WouldBlock,
            libc::ENOBUFS | libc::ENOMEM | libc::ETOOMANYREFS | libc::EMFILE | libc::ENFILE => {
                Self::Shortage(fault)
            }
            // The user has as many watches as allowed.
            libc::ENOSPC if call == Call::Watch => Self::Shortage(fault),
            libc::EPIPE | libc::ECONNRESET => Self::Gone,
            // The peer is closing at this moment (`unix_dgram_sendmsg`).
            libc::ECONNREFUSED if matches!(call, Call::Send(_)) => Self::Gone,
            libc::ENOTCONN if matches!(call, Call::Shutdown(_)) => Self::Gone,
            _ => Self::Fault(fault),
        }
    }
}

/// The negated errno of `error`, as libuv and Node's handles return it; `-EIO` when it has none.
pub fn errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

/// The name of an error of a system call: `EACCES`.
pub fn errno_name(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

/// Makes a system call, and makes it again if a signal has interrupted it.
pub(super) fn attempt<T>(
    call: Call,
    mut run: impl FnMut() -> nix::Result<T>,
) -> Result<T, Failure> {
    loop {
        if let Some(failure) = injected(call) {
            return Err(failure);
        }
        match run() {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::of(call, errno as i32)),
            Ok(done) => return Ok(done),
        }
    }
}

/// Receives from a lane. If the peer left something unread, the kernel reports this once, for packets
/// before it delivers what the peer had sent; so the call is made again.
pub(super) fn attempt_to_receive<T>(
    lane: Lane,
    mut run: impl FnMut() -> nix::Result<T>,
) -> Result<T, Failure> {
    match attempt(Call::Receive(lane), &mut run) {
        Err(Failure::Gone) => attempt(Call::Receive(lane), run),
        received => received,
    }
}

/// The failure that a test has planned for this call.
#[cfg(any(test, feature = "inject"))]
pub(super) fn injected(call: Call) -> Option<Failure> {
    super::inject::next(call).map(|errno| Failure::of(call, errno))
}

/// Only tests plan failures.
#[cfg(not(any(test, feature = "inject")))]
#[inline]
pub(super) fn injected(_: Call) -> Option<Failure> {
    None
}

macro_rules! names {
    ($($name:ident)*) => {
        /// The name of an errno that a call on a socket may return.
        fn name(errno: i32) -> Option<&'static str> {
            match errno {
                $(libc::$name => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

names! {
    EPERM ENOENT EINTR EIO EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV EINVAL ENFILE EMFILE
    ENOSPC EPIPE ENOSYS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT EPROTO
    EOPNOTSUPP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET
    ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the table of `ARCHITECTURE.md` says of every call.
    fn expected(call: Call, errno: i32) -> Failure {
        let fault = Fault { call, errno };
        let (sends, shuts) = (matches!(call, Call::Send(_)), matches!(call, Call::Shutdown(_)));
        let watches = call == Call::Watch;
        match errno {
            libc::EAGAIN if call == Call::Poll => Failure::Shortage(fault),
            libc::EAGAIN if !watches => Failure::WouldBlock,
            libc::ENOBUFS => Failure::Shortage(fault),
            libc::ENOMEM => Failure::Shortage(fault),
            libc::ETOOMANYREFS => Failure::Shortage(fault),
            libc::EMFILE => Failure::Shortage(fault),
            libc::ENFILE => Failure::Shortage(fault),
            libc::ENOSPC if watches => Failure::Shortage(fault),
            libc::EPIPE => Failure::Gone,
            libc::ECONNRESET => Failure::Gone,
            libc::ECONNREFUSED if sends => Failure::Gone,
            libc::ENOTCONN if shuts => Failure::Gone,
            _ => Failure::Fault(fault),
        }
    }

    #[test]
    fn every_errno_of_every_call_has_one_outcome() {
        for call in Call::ALL {
            for errno in 1..200 {
                assert_eq!(Failure::of(call, errno), expected(call, errno), "{call}: {errno}");
            }
        }
    }

    #[test]
    fn a_fault_names_the_call_and_the_errno() {
        let fault = |call, errno| Fault { call, errno }.to_string();
        let denied = fault(Call::Send(Lane::Control), libc::EPERM);
        assert!(denied.starts_with("sendmsg on the control socket: EPERM, "), "{denied}");
        assert!(fault(Call::Accept, 4000).starts_with("accept: "));
    }

    #[test]
    fn a_call_that_a_signal_interrupts_is_made_again() {
        let mut results = [Err(Errno::EINTR), Err(Errno::EINTR), Ok(7)].into_iter();
        assert_eq!(attempt(Call::Accept, || results.next().unwrap()), Ok(7));
    }
}
