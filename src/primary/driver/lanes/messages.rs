//! What a worker is told on its control socket. Messages for which it has no room wait.

use std::{os::fd::OwnedFd, time::Instant};

use tokio::io::Interest;

use super::WorkerLanes;
use crate::{
    primary::core::{driver::Unread, quota::MAX_LISTENERS},
    protocol::control::{self, DrainOrder, ToWorker},
    sys::{
        failure::{Failure, SHORTAGE_PAUSE},
        watched,
    },
};

/// Messages that may wait for a worker to read those before them. One that asks more often without
/// reading the replies breaks the protocol.
const MAX_MESSAGES: usize = 4096;

/// How a [`ToWorker::Drain`] begins.
const DRAIN: &[u8] = br#"{"act":"drain","#;

/// Sockets among them: each is a descriptor of this process.
const MAX_SOCKETS: usize = MAX_LISTENERS;

impl WorkerLanes {
    /// When to [`flush`](Self::flush), at the earliest, if messages wait for room.
    pub(in crate::primary::driver) fn flush_at(&self) -> Option<Instant> {
        (!self.outgoing.borrow().is_empty()).then(|| self.flush.get())
    }

    /// Sends the messages that wait, until the control socket is full.
    pub(in crate::primary::driver) fn flush(&self) {
        let flushed = self.outgoing.borrow_mut().flush(&self.control);
        match flushed {
            Ok(()) => {}
            Err(Failure::WouldBlock) => {
                watched::show_blocked(&self.control, Interest::WRITABLE);
                self.changed.notify_one();
            }
            // Nothing tells when it is over.
            Err(Failure::Shortage(_)) => {
                self.flush.set(Instant::now() + SHORTAGE_PAUSE);
                self.changed.notify_one();
            }
            // The worker's task sees the end of the socket, and waits for the exit.
            Err(Failure::Gone) => {}
            Err(Failure::Fault(fault)) => self.give_up(fault),
        }
    }

    /// Sends a message, and drops those that wait for room and mean nothing after it.
    fn push_in_place_of(&self, packet: Vec<u8>, is_replaced: impl Fn(&[u8]) -> bool) {
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.retain(|unsent| !is_replaced(unsent));
        outgoing.push(packet, None);
        drop(outgoing);
        self.flush();
    }

    /// Sends a message, with a socket or without, behind those that wait for room already.
    ///
    /// # Errors
    /// When too many wait.
    pub(super) fn push(&self, message: &ToWorker, socket: Option<OwnedFd>) -> Result<(), Unread> {
        // Encoding fails only for what is too long, which replies are not: `data` is checked.
        let packet = control::encode(message).map_err(|_| Unread)?;
        let outgoing = self.outgoing.borrow();
        let has_room = socket.is_none() || outgoing.count_descriptors() < MAX_SOCKETS;
        if outgoing.len() >= MAX_MESSAGES || !has_room {
            return Err(Unread);
        }
        drop(outgoing);
        self.outgoing.borrow_mut().push(packet, socket);
        self.flush();
        Ok(())
    }

    /// Tells the worker to drain, in place of any such order that it has not read.
    pub(super) fn push_drain(&self, order: DrainOrder) {
        // Encoding fails only for what is too long.
        let packet = control::encode(&ToWorker::Drain(order)).unwrap_or_default();
        self.push_in_place_of(packet, |unsent| unsent.starts_with(DRAIN));
    }

    /// Tells the worker whether it may accept from sockets of its own, in place of whatever it was told about that
    /// and has not read.
    pub(super) fn push_accepting(&self, is_accepting: bool) {
        // Encoding fails only for what is too long.
        let told =
            [ToWorker::Pause, ToWorker::Resume].map(|it| control::encode(&it).unwrap_or_default());
        let packet = told[usize::from(is_accepting)].clone();
        self.push_in_place_of(packet, |unsent| told.iter().any(|told| told == unsent));
    }
}
