//! A timer for the starts of connections. It uses a timerfd, because the timeout of `epoll_wait` may
//! be late by 50 µs.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    Result,
    sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};

/// A descriptor that is readable from some moment on.
#[derive(Debug)]
pub(crate) struct Timer {
    descriptor: TimerFd,
}

impl Timer {
    pub(crate) fn new() -> Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { descriptor: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)? })
    }

    /// Sets the moment, instead of any earlier one.
    pub(crate) fn set(&self, moment: Instant) -> Result<()> {
        // A time of zero would disarm the timer.
        let left = moment.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        self.descriptor.set(Expiration::OneShot(left.into()), TimerSetTimeFlags::empty())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
