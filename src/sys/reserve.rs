//! What to do when this process has no descriptors left: keep a spare one.
//!
//! A descriptor that is received without a free number is lost, so the receiver checks for a free
//! number first. Another thread may take the number between the check and the receipt; no system call
//! does both.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockType};

use super::{descriptor::duplicate, platform::listen::socket};

/// Whether this process has a number for another descriptor. `open` is any open descriptor.
pub fn has_free_descriptor(open: impl AsFd) -> bool {
    let duplicate = duplicate(open.as_fd().as_raw_fd());
    duplicate.map_or_else(|error| error.raw_os_error() != Some(libc::EMFILE), |_| true)
}

/// A spare descriptor, whose number is used when there is no other.
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
    /// Closes the spare descriptor and runs `receive`, which then has a number for one descriptor;
    /// `None` if there is no spare. The spare is opened again at once if a number is left; otherwise
    /// call [`refill`](Self::refill) when the received descriptor is closed.
    pub fn lend<T>(&mut self, receive: impl FnOnce() -> T) -> Option<T> {
        self.refill();
        drop(self.spare.take()?);
        let received = receive();
        self.refill();
        Some(received)
    }

    /// Opens the spare descriptor again, if there is a number for it.
    pub fn refill(&mut self) {
        if self.spare.is_none() {
            self.spare = spare();
        }
    }
}

/// A socket that is never used: unlike a file, it can always be opened.
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
