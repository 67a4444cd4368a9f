//! The hand-off queue of a worker: connections are put into it, and taken back from it.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use super::WorkerLanes;
use crate::{
    primary::core::driver::{HandOver, TakenBack},
    protocol::{ListenerId, connection},
    sys::{
        failure::{Call, Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Lane},
        listen,
    },
};

impl WorkerLanes {
    /// Puts a connection into the queue, and counts it there before the worker can see it.
    pub(super) fn put(&self, listener: ListenerId, connection: &OwnedFd) -> HandOver {
        self.transit.release_received(|| self.view.queued());
        self.view.change_handed(|handed| handed + 1);
        let handed_over = self.put_into_queue(connection::encode(listener), connection.as_fd());
        if handed_over != HandOver::Done {
            self.view.change_handed(|handed| handed.saturating_sub(1));
        }
        handed_over
    }

    fn put_into_queue(
        &self,
        packet: [u8; connection::PACKET],
        accepted: BorrowedFd<'_>,
    ) -> HandOver {
        match lane::send_fixed_packet(&self.queue, &packet, Some(accepted)) {
            Ok(()) => {
                self.transit.keep(accepted);
                self.tell_handed();
                HandOver::Done
            }
            Err(Failure::WouldBlock) => {
                self.queue.show_full();
                self.fill(Duration::ZERO)
            }
            // Nothing tells when it is over.
            Err(Failure::Shortage(_)) => self.fill(SHORTAGE_PAUSE),
            // Its receiving end is ours as well, so a worker that dies does not close it.
            Err(Failure::Gone) => {
                self.lose(Fault { call: Call::Send(Lane::HandOff), errno: libc::EPIPE })
            }
            Err(Failure::Fault(fault)) => self.lose(fault),
        }
    }

    fn fill(&self, pause: Duration) -> HandOver {
        self.full.set(Some(Instant::now() + pause));
        self.changed.notify_one();
        HandOver::Full
    }

    fn lose(&self, fault: Fault) -> HandOver {
        self.give_up(fault);
        HandOver::Lost
    }

    /// Lets the worker know how many connections it was given.
    fn tell_handed(&self) {
        self.view.counters.set_handed(self.view.handed() as u32);
    }

    /// Takes the first connection out of the queue.
    pub(super) fn take_back_next(&self) -> TakenBack<OwnedFd> {
        let mut buffer = [0; connection::PACKET];
        loop {
            let received = self
                .reserve
                .borrow_mut()
                .lend(|| lane::receive_shared(&self.view.reclaim, &mut buffer));
            let packet = match received {
                Some(Ok(packet)) if packet.length > 0 => packet,
                Some(Ok(_) | Err(Failure::WouldBlock | Failure::Gone)) => {
                    return TakenBack::Nothing;
                }
                None | Some(Err(Failure::Shortage(_))) => return TakenBack::Later,
                Some(Err(Failure::Fault(fault))) => {
                    self.give_up(fault);
                    return TakenBack::Nothing;
                }
            };
            self.view.change_handed(|handed| handed.saturating_sub(1));
            self.tell_handed();
            // Without a descriptor another thread took the number: that connection is closed.
            let listener = connection::decode(&buffer[..packet.length]);
            match (listener, packet.descriptor) {
                (Some(listener), Some(connection)) => {
                    // The worker may have looked at the packet, and so have a duplicate. It fails only for
                    // what is not a socket, which the engine has put there itself.
                    let _ = listen::reset_options(&connection);
                    return TakenBack::Connection(listener, connection);
                }
                (Some(listener), None) => return TakenBack::Closed(listener),
                (None, _) => {}
            }
        }
    }
}
