//! The worker's side: its ends of the lanes.
//!
//! Node's own event loop polls them. Only the [`Watchdog`], which must work while JavaScript is stuck,
//! has a thread.

mod watchdog;

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

pub use watchdog::Watchdog;

use crate::{
    error::{Error, Result},
    ipc::Packets,
    protocol::{
        ListenerId,
        connection::{self, PACKET},
        control::{self, DrainOrder, MAX_PACKET, Reply, ToPrimary, ToWorker},
        secret::Secret,
    },
    sys::{
        failure::{Failure, Fault},
        free_descriptors::FreeDescriptors,
        lane,
        reserve::has_free_descriptor,
    },
};

/// The worker's end of the control socket.
pub struct Control {
    socket: OwnedFd,
    /// Requests for which the socket had no room.
    outgoing: Packets,
    sends_later: bool,
    broken: Option<Fault>,
}

impl Control {
    /// `socket` is one end of a [`lane::packet_pair`].
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, outgoing: Packets::default(), sends_later: false, broken: None }
    }

    /// The descriptor, to poll it.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether nothing waits for room.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Whether to [`flush`](Self::flush) what waits after
    /// [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE), instead of when the socket is writable.
    pub fn sends_later(&self) -> bool {
        self.sends_later
    }

    /// The fault after which nothing can be sent, if any: this worker must exit.
    pub fn fault(&self) -> Option<Fault> {
        self.broken
    }

    /// Sends a request behind those already waiting.
    ///
    /// # Errors
    /// When the request is too long. A primary that is gone is not an error here: the IPC channel
    /// reports it.
    pub fn send(&mut self, request: &ToPrimary, descriptor: Option<OwnedFd>) -> Result<()> {
        self.outgoing.push(control::encode(request)?, descriptor);
        self.flush();
        Ok(())
    }

    /// Sends a request with a descriptor now, or not at all. Returns false if the socket has no room, or
    /// the kernel has no memory or too many descriptors in flight.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn try_send(&mut self, request: &ToPrimary, descriptor: &OwnedFd) -> Result<bool> {
        if !self.is_idle() || self.broken.is_some() {
            return Ok(false);
        }
        let packet = control::encode(request)?;
        match lane::send_packet(&self.socket, &packet, Some(descriptor.as_fd())) {
            Ok(()) => Ok(true),
            Err(Failure::WouldBlock | Failure::Shortage(_) | Failure::Gone) => Ok(false),
            Err(Failure::Fault(fault)) => {
                self.broken = Some(fault);
                Ok(false)
            }
        }
    }

    /// Sends what waits, until the socket is full.
    pub fn flush(&mut self) {
        let flushed = self.outgoing.flush(&self.socket);
        self.sends_later = matches!(flushed, Err(Failure::Shortage(_)));
        match flushed {
            Ok(()) | Err(Failure::WouldBlock | Failure::Shortage(_)) => {}
            // The primary is gone, which the IPC channel reports.
            Err(Failure::Gone) => {}
            Err(Failure::Fault(fault)) => self.broken = Some(fault),
        }
    }

    /// Receives the next message of the engine.
    ///
    /// # Errors
    /// When the primary sent something else, or the socket can't be read.
    pub fn receive(&self) -> Result<Received> {
        let packet = match lane::receive_whole_packet(&self.socket, MAX_PACKET) {
            Ok(packet) if !packet.is_end => packet,
            Ok(_) | Err(Failure::Gone) => return Ok(Received::Ended),
            Err(Failure::WouldBlock) => return Ok(Received::Empty),
            Err(Failure::Shortage(_)) => return Ok(Received::Later),
            Err(Failure::Fault(fault)) => return Err(fault.into()),
        };
        match control::decode(&packet.bytes, packet.length)? {
            ToWorker::Reply(reply) => Ok(Received::Reply(reply, packet.descriptor)),
            ToWorker::Closed { listener } => Ok(Received::Closed(listener)),
            ToWorker::Socket { listener, slot } => {
                Ok(Received::Socket { listener, slot, socket: packet.descriptor })
            }
            ToWorker::Probe => Ok(Received::Probe),
            ToWorker::Pause => Ok(Received::Pause),
            ToWorker::Resume => Ok(Received::Resume),
            ToWorker::Withhold => Ok(Received::Withhold),
            ToWorker::Admit => Ok(Received::Admit),
            ToWorker::TicketKeys { keys } => Ok(Received::TicketKeys(keys)),
            ToWorker::Drain(order) => Ok(Received::Drain(order)),
        }
    }
}

/// What [`Control::receive`] found.
#[derive(Debug)]
pub enum Received {
    /// A reply, with its socket if it has one.
    Reply(Reply, Option<OwnedFd>),
    /// The engine has closed what it had open of this listener for this worker alone.
    Closed(ListenerId),
    /// Another socket of the worker's own, which replaces one that it has lost.
    Socket {
        /// The listener.
        listener: ListenerId,
        /// As in [`SocketKind::Own`](control::SocketKind::Own).
        slot: Option<u8>,
        /// The socket; `None` if this process had no descriptor left for it.
        socket: Option<OwnedFd>,
    },
    /// The engine asks whether this event loop runs, which this call proves.
    Probe,
    /// Stop accepting from sockets of the worker's own.
    Pause,
    /// Accept from them again.
    Resume,
    /// Receive no datagrams.
    Withhold,
    /// Receive them again.
    Admit,
    /// The keys of TLS session tickets, the current one first.
    TicketKeys(Vec<Secret>),
    /// Finish what there is, and leave.
    Drain(DrainOrder),
    /// Nothing yet.
    Empty,
    /// Nothing for now: the kernel has run out of memory or descriptors, and the socket does not signal
    /// when that ends. Try again after [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE).
    Later,
    /// Nothing any more: the primary is gone.
    Ended,
}

/// The worker's end of the hand-off queue.
pub struct Connections {
    socket: OwnedFd,
    free: FreeDescriptors,
}

/// What [`Connections::take`] found.
#[derive(Debug)]
pub enum Taken {
    /// A connection, which only this worker has from now on.
    Connection(ListenerId, OwnedFd),
    /// A connection was lost, because another thread took the last descriptor at this moment. Its
    /// client sees it closed.
    Lost,
    /// Nothing, because this process has no descriptor left. The engine can take back what waits.
    Exhausted,
    /// Nothing yet.
    Empty,
    /// Nothing for now: the kernel has run out of memory or descriptors, and the socket does not signal
    /// when that ends. Try again after [`SHORTAGE_PAUSE`](crate::sys::failure::SHORTAGE_PAUSE).
    Later,
    /// Nothing any more: the primary is gone.
    Ended,
}

impl Connections {
    /// `socket` is the receiving end of a [`lane::packet_pair`].
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, free: FreeDescriptors::default() }
    }

    /// The descriptor, to poll it.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether there is no descriptor left for another connection.
    pub fn is_exhausted(&self) -> bool {
        !has_free_descriptor(&self.socket)
    }

    /// Takes the next connection. Before that, the primary can still give it to another worker.
    ///
    /// # Errors
    /// When the primary sent something that is not a connection, or the socket can't be read.
    pub fn take(&self) -> Result<Taken> {
        if !self.free.has_one(&self.socket) {
            return Ok(Taken::Exhausted);
        }
        let mut buffer = [0; PACKET];
        let packet = match lane::receive_fixed_packet(&self.socket, &mut buffer) {
            Ok(packet) if packet.length > 0 => packet,
            Ok(_) | Err(Failure::Gone) => return Ok(Taken::Ended),
            Err(Failure::WouldBlock) => return Ok(Taken::Empty),
            Err(Failure::Shortage(_)) => return Ok(Taken::Later),
            Err(Failure::Fault(fault)) => return Err(fault.into()),
        };
        match (connection::decode(&buffer[..packet.length]), packet.descriptor) {
            (Some(listener), Some(accepted)) => Ok(Taken::Connection(listener, accepted)),
            (Some(_), None) if packet.truncated => {
                self.free.was_wrong();
                Ok(Taken::Lost)
            }
            _ => Err(Error::Connection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::control::encode,
        sys::{
            failure::Call,
            inject::{FAULTS, GONE, SHORTAGES, fail_here},
            lane::Lane,
        },
    };

    const SENDING: Call = Call::Send(Lane::Control);
    const RECEIVING: Call = Call::Receive(Lane::Control);
    const TAKING: Call = Call::Receive(Lane::HandOff);

    /// A worker's end, and its primary's.
    fn control() -> (Control, OwnedFd) {
        let (ours, theirs) = lane::packet_pair().unwrap();
        (Control::new(ours), theirs)
    }

    /// The listeners of which the worker has closed its server.
    fn closed(primary: &OwnedFd) -> Vec<u32> {
        let mut closed = Vec::new();
        while let Ok(packet) = lane::receive_whole_packet(primary, MAX_PACKET) {
            match control::decode(&packet.bytes, packet.length).unwrap() {
                ToPrimary::Close { listener } => closed.push(listener),
                other => panic!("{other:?}"),
            }
        }
        closed
    }

    #[test]
    fn requests_that_meet_a_shortage_are_sent_later_in_order() {
        for errno in SHORTAGES {
            let (mut control, primary) = control();
            fail_here(SENDING, errno, 2);
            for listener in [1, 2] {
                control.send(&ToPrimary::Close { listener }, None).unwrap();
                assert!(control.sends_later() && !control.is_idle(), "errno {errno}");
            }
            control.flush();
            assert!(control.is_idle() && !control.sends_later() && control.fault().is_none());
            assert_eq!(closed(&primary), [1, 2]);
        }
    }

    #[test]
    fn requests_wait_for_room() {
        let (mut control, primary) = control();
        fail_here(SENDING, libc::EAGAIN, 1);
        control.send(&ToPrimary::Close { listener: 7 }, None).unwrap();
        assert!(!control.is_idle() && !control.sends_later());
        control.flush();
        assert_eq!(closed(&primary), [7]);
    }

    #[test]
    fn a_control_socket_without_a_primary_is_no_fault() {
        for errno in GONE {
            let (mut control, primary) = control();
            fail_here(SENDING, errno, 1);
            control.send(&ToPrimary::Alive, None).unwrap();
            assert!(control.is_idle() && control.fault().is_none());
            fail_here(RECEIVING, errno, 2);
            assert!(matches!(control.receive(), Ok(Received::Ended)));
            drop(primary);
            assert!(matches!(control.receive(), Ok(Received::Ended)));
        }
    }

    #[test]
    fn a_control_socket_that_fails_otherwise_is_a_fault() {
        for errno in FAULTS {
            let (mut control, _primary) = control();
            fail_here(SENDING, errno, 1);
            control.send(&ToPrimary::Alive, None).unwrap();
            assert_eq!(control.fault(), Some(Fault { call: SENDING, errno }));
            fail_here(RECEIVING, errno, 1);
            let fault = control.receive().unwrap_err();
            assert!(matches!(fault, Error::Fault(it) if it == Fault { call: RECEIVING, errno }));
        }
    }

    #[test]
    fn an_order_that_meets_a_shortage_is_read_later() {
        for errno in SHORTAGES {
            let (control, primary) = control();
            lane::send_packet(&primary, &encode(&ToWorker::Resume).unwrap(), None).unwrap();
            fail_here(RECEIVING, errno, 1);
            assert!(matches!(control.receive(), Ok(Received::Later)), "errno {errno}");
            assert!(matches!(control.receive(), Ok(Received::Resume)));
            assert!(matches!(control.receive(), Ok(Received::Empty)));
        }
    }

    #[test]
    fn each_failure_of_the_hand_off_queue_has_its_outcome() {
        let (ours, theirs) = lane::packet_pair().unwrap();
        let connections = Connections::new(theirs);
        lane::send_fixed_packet(&ours, &connection::encode(7), Some(ours.as_fd())).unwrap();
        for errno in SHORTAGES {
            fail_here(TAKING, errno, 1);
            assert!(matches!(connections.take(), Ok(Taken::Later)), "errno {errno}");
        }
        for errno in GONE {
            fail_here(TAKING, errno, 2);
            assert!(matches!(connections.take(), Ok(Taken::Ended)), "errno {errno}");
        }
        for errno in FAULTS {
            fail_here(TAKING, errno, 1);
            let fault = connections.take().unwrap_err();
            assert!(matches!(fault, Error::Fault(it) if it == Fault { call: TAKING, errno }));
        }
        fail_here(TAKING, libc::EAGAIN, 1);
        assert!(matches!(connections.take(), Ok(Taken::Empty)));
        assert!(matches!(connections.take(), Ok(Taken::Connection(7, _))));
    }
}
