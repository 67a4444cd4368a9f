//! Connections that waited for workers when their primary was killed: the service manager has kept the queues.

use std::os::fd::{AsFd, OwnedFd, RawFd};

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
struct Queue {
    name: String,
    socket: OwnedFd,
}

/// The queues, until supervision begins, and what waited in them.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: Vec<Queue>,
    connections: Vec<OwnedFd>,
    /// Until supervision begins: numbers that this process was started with, and does not need, with what they are.
    numbers: Vec<(RawFd, OwnedFd)>,
}

/// The name by which the hand-off queue of a worker is stored. Those of several primaries differ.
pub fn queue_name(worker: WorkerId) -> String {
    format!("{PREFIX}{}.{worker}", std::process::id())
}

/// Whether this is such a name.
pub fn is_queue_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

impl Queues {
    pub(super) fn add(&mut self, name: String, socket: OwnedFd) {
        self.queues.push(Queue { name, socket });
    }

    /// This number is not needed.
    pub(super) fn add_number(&mut self, fd: RawFd, socket: OwnedFd) {
        self.numbers.push((fd, socket));
    }

    /// Closes the connections that no listener has taken.
    pub(super) fn close_connections(&mut self) {
        self.connections.clear();
    }

    /// Takes what waits in the queues, and closes the numbers. Returns the names of what is of no use any more.
    pub(super) fn begin(&mut self) -> Vec<String> {
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

    /// Takes the connections of which this is true.
    pub(super) fn take_connections(
        &mut self,
        is_its: impl FnMut(&mut OwnedFd) -> bool,
    ) -> Vec<OwnedFd> {
        self.connections.extract_if(.., is_its).collect()
    }
}

/// Closes a number that this process was started with, if it is still that of the socket.
fn close_number(fd: RawFd, socket: impl AsFd) {
    if duplicate(fd).is_ok_and(|it| are_same(it, socket)) {
        close_inherited(fd);
    }
}
