//! Connections that waited for workers when their primary was killed: the service manager has kept the queues.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use super::Inherited;
use crate::{
    protocol::{WorkerId, connection::PACKET},
    sys::{
        adopt::are_same, close_inherited, duplicate, lane::receive_packet_with_descriptor,
        listen::reset_options,
    },
};

/// What the name of a stored queue begins with.
const PREFIX: &str = "rs-cluster queue ";

/// A queue of a primary that was killed.
#[derive(Debug)]
pub(super) struct Queue {
    name: String,
    socket: OwnedFd,
}

/// The name by which the hand-off queue of a worker is stored. Those of several primaries differ.
pub fn queue_name(worker: WorkerId) -> String {
    format!("{PREFIX}{}.{worker}", std::process::id())
}

/// Whether this is such a name.
pub fn is_queue_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

impl Inherited {
    pub(super) fn add_queue(&mut self, name: String, socket: OwnedFd) {
        self.queues.push(Queue { name, socket });
    }

    /// Supervision begins: takes what waits in queues, and closes the numbers that no program knows. Returns the names
    /// of what is of no use any more.
    pub fn begin(&mut self) -> Vec<String> {
        for (fd, socket) in self.numbers.drain(..) {
            close_number(fd, &socket);
        }
        let queues = self.queues.drain(..).map(|Queue { name, socket }| {
            while let Ok(packet) = receive_packet_with_descriptor(&socket, PACKET) {
                if packet.is_end {
                    break;
                }
                let usable = packet.descriptor.filter(|it| reset_options(it).is_ok());
                self.connections.extend(usable);
            }
            name
        });
        queues.collect()
    }

    /// The connections of which this is true: a listener is there for them.
    pub fn take_connections(&mut self, is_its: impl FnMut(&mut OwnedFd) -> bool) -> Vec<OwnedFd> {
        self.connections.extract_if(.., is_its).collect()
    }
}

/// Closes a number that this process was started with, if it is still that of the socket.
fn close_number(fd: RawFd, socket: impl AsFd) {
    if duplicate(fd).is_ok_and(|it| are_same(it, socket)) {
        close_inherited(fd);
    }
}
