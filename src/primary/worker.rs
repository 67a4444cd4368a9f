use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use tokio::{io::unix::AsyncFd, sync::Notify};

use crate::{
    protocol::{ListenerId, connection},
    sys::lane,
};

/// Whether a worker took a connection into its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handover {
    /// It is in the lane: the worker's, as soon as the worker takes it.
    Done,
    /// No room now; the worker's task watches for it.
    Full,
    /// The worker is gone, which its task is about to see.
    Gone,
}

/// One worker, as the engine sees it.
pub(super) struct Worker {
    pub(super) pid: i32,
    /// Shared with the worker's task, which waits on it.
    pub(super) control: Rc<AsyncFd<OwnedFd>>,
    lane: Rc<AsyncFd<OwnedFd>>,
    reclaim: OwnedFd,
    /// Set while the lane has no room, and for good when the worker is gone.
    full: Cell<bool>,
    /// Rouses the worker's task to wait for room.
    filled: Rc<Notify>,
    /// Out of every rotation, for good.
    pub(super) retired: bool,
}

impl Worker {
    pub(super) fn new(
        pid: i32,
        control: Rc<AsyncFd<OwnedFd>>,
        lane: Rc<AsyncFd<OwnedFd>>,
        reclaim: OwnedFd,
        filled: Rc<Notify>,
    ) -> Self {
        Self { pid, control, lane, reclaim, full: Cell::new(false), filled, retired: false }
    }

    /// How many connections wait in the lane, or `None` when it has no room for another.
    pub(super) fn waiting(&self) -> Option<usize> {
        if self.full.get() {
            return None;
        }
        lane::unread(&self.reclaim).ok().map(connection::waiting)
    }

    /// Puts a connection into the lane. The caller's descriptor stays open.
    pub(super) fn hand_over(&self, listener: ListenerId, accepted: impl AsFd) -> Handover {
        let packet = connection::encode(listener);
        match lane::send_packet(&*self.lane, &packet, Some(accepted.as_fd())) {
            Ok(()) => Handover::Done,
            Err(error) => match error.kind() {
                // ETOOMANYREFS: too many descriptors of this user in flight, also a matter of time.
                _ if error.raw_os_error() == Some(libc::ETOOMANYREFS) => self.fill(),
                io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => self.fill(),
                _ => {
                    self.full.set(true);
                    Handover::Gone
                }
            },
        }
    }

    fn fill(&self) -> Handover {
        self.full.set(true);
        // The runtime believes the lane writable until it is shown otherwise.
        let blocked = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = self.lane.try_io(tokio::io::Interest::WRITABLE, blocked);
        self.filled.notify_one();
        Handover::Full
    }

    /// The lane has room again.
    pub(super) fn drained(&self) {
        self.full.set(false);
    }

    /// Takes back the first connection that waits in the lane.
    pub(super) fn take_back(&self) -> Option<(ListenerId, OwnedFd)> {
        loop {
            let mut buffer = [0; connection::PACKET];
            let packet = lane::receive_packet(&self.reclaim, &mut buffer).ok()?;
            if packet.length == 0 {
                return None;
            }
            // Without a descriptor the kernel had none left for us: that connection is closed.
            let listener = connection::decode(&buffer[..packet.length]);
            if let Some(taken) = listener.zip(packet.descriptor) {
                return Some(taken);
            }
        }
    }
}
