//! Descriptors, when this process has none left.
//!
//! A descriptor that is received without a free number is lost, so what receives one looks for a number
//! first. Between the look and the receipt another thread may take the number: there is no system call
//! for both.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockType};

use super::{descriptor::duplicate, platform::listen::socket};

/// Whether this process has a number for another descriptor. `open` is any that it has.
pub fn has_free_descriptor(open: impl AsFd) -> bool {
    let duplicate = duplicate(open.as_fd().as_raw_fd());
    duplicate.map_or_else(|error| error.raw_os_error() != Some(libc::EMFILE), |_| true)
}

/// A number that is kept for when there is no other.
#[derive(Debug)]
pub struct Reserve {
    spare: Option<OwnedFd>,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { spare: spare() }
    }
}

impl Reserve {
    /// Runs `receive` with a number free for one descriptor, if there is one. If no descriptor came, or
    /// there are other numbers, it is kept again at once; otherwise it is to be [`refill`](Self::refill)ed
    /// when that descriptor is closed.
    pub fn lend<T>(&mut self, receive: impl FnOnce() -> T) -> Option<T> {
        self.refill();
        drop(self.spare.take()?);
        let received = receive();
        self.refill();
        Some(received)
    }

    /// Keeps a number again, if there is one.
    pub fn refill(&mut self) {
        if self.spare.is_none() {
            self.spare = spare();
        }
    }
}

/// A socket that serves nothing: unlike a file, there can always be one.
fn spare() -> Option<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Datagram).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_nothing_came_for_is_kept_again() {
        let mut reserve = Reserve::default();
        for _ in 0..2 {
            assert_eq!(reserve.lend(|| "nothing"), Some("nothing"));
            assert!(reserve.spare.is_some());
        }
    }
}
