use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
};

use crate::sys::{failure::Failure, lane};

/// Packets that wait for room in a control socket.
#[derive(Debug, Default)]
pub struct Packets {
    waiting: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Packets {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many of them have a descriptor. Takes time linear in their number.
    pub fn count_descriptors(&self) -> usize {
        self.waiting.iter().filter(|(_, descriptor)| descriptor.is_some()).count()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Queues a packet, to be sent by [`flush`](Self::flush).
    pub fn push(&mut self, packet: Vec<u8>, descriptor: Option<OwnedFd>) {
        self.waiting.push_back((packet, descriptor));
    }

    /// Drops the packets that are not valid any more.
    pub fn retain(&mut self, mut is_valid: impl FnMut(&[u8]) -> bool) {
        self.waiting.retain(|(packet, _)| is_valid(packet));
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// Why the first waiting packet could not be sent. After [`Failure::Gone`] or [`Failure::Fault`]
    /// all packets are dropped.
    pub fn flush(&mut self, lane: impl AsFd) -> Result<(), Failure> {
        while let Some((packet, descriptor)) = self.waiting.front() {
            let sent = lane::send_packet(&lane, packet, descriptor.as_ref().map(AsFd::as_fd));
            match sent {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(Failure::WouldBlock | Failure::Shortage(_)) => return sent,
                Err(Failure::Gone | Failure::Fault(_)) => {
                    self.waiting.clear();
                    return sent;
                }
            }
        }
        Ok(())
    }
}
