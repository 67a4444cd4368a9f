use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId, connection,
        control::{self, Reply},
    },
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

/// Replies that may wait for a worker to read those before them. One that asks more often without
/// reading breaks the protocol.
const MAX_REPLIES: usize = 4096;

/// Whether a worker's lane takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Free,
    /// Until the worker's task has seen it drained.
    Full,
    /// For good: the worker is gone.
    Gone,
}

/// One worker, as the engine sees it.
pub(super) struct Worker {
    pub(super) pid: i32,
    /// Shared with the worker's task, which waits on it, as the lane is.
    control: Rc<AsyncFd<OwnedFd>>,
    /// What the control lane had no room for.
    replies: RefCell<VecDeque<(Vec<u8>, Option<OwnedFd>)>>,
    lane: Rc<AsyncFd<OwnedFd>>,
    reclaim: OwnedFd,
    room: Cell<Room>,
    /// Has the worker's task wait for room.
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
        let (replies, room) = (RefCell::default(), Cell::new(Room::Free));
        Self { pid, control, replies, lane, reclaim, room, filled, retired: false }
    }

    /// How many connections wait in the lane, or `None` when it has no room for another.
    pub(super) fn waiting(&self) -> Option<usize> {
        if self.room.get() != Room::Free {
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
                    self.room.set(Room::Gone);
                    Handover::Gone
                }
            },
        }
    }

    fn fill(&self) -> Handover {
        self.room.set(Room::Full);
        show_full(&self.lane);
        self.filled.notify_one();
        Handover::Full
    }

    /// The lane has room again.
    pub(super) fn drained(&self) {
        if self.room.get() == Room::Full {
            self.room.set(Room::Free);
        }
    }

    /// Sends a reply behind those already waiting, with the shared socket if there is one.
    pub(super) fn reply(&self, reply: &Reply, shared: Option<&OwnedFd>) -> Result<()> {
        let packet = control::encode(reply)?;
        let shared = shared.map(OwnedFd::try_clone).transpose().map_err(Error::system("dup"))?;
        if self.replies.borrow().len() >= MAX_REPLIES {
            return Err(Error::Unread);
        }
        self.replies.borrow_mut().push_back((packet, shared));
        self.flush_replies();
        Ok(())
    }

    /// Whether replies wait for room in the control lane.
    pub(super) fn has_replies(&self) -> bool {
        !self.replies.borrow().is_empty()
    }

    /// Sends the replies that wait, until the lane is full.
    pub(super) fn flush_replies(&self) {
        let mut replies = self.replies.borrow_mut();
        while let Some((packet, shared)) = replies.front() {
            let shared = shared.as_ref().map(OwnedFd::as_fd);
            match lane::send_packet(&*self.control, packet, shared) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    show_full(&self.control);
                    return;
                }
                // Sent; or the worker is gone, and its exit about to be seen.
                _ => drop(replies.pop_front()),
            }
        }
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

/// The runtime believes a lane writable until it is shown otherwise.
fn show_full(lane: &AsyncFd<OwnedFd>) {
    let blocked = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _ = lane.try_io(Interest::WRITABLE, blocked);
}
