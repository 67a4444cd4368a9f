//! What a primary has of those before it and after it: the lane to the process that stays their parent, and where signals
//! go.

use std::{cell::RefCell, io, os::fd::OwnedFd, rc::Rc, sync::Arc};

use crate::{
    protocol::{control::encode, upgrade::ToParent},
    sys::{
        exit::{Exit, Process},
        lane,
    },
};

/// The primaries before this one and after it.
#[derive(Debug, Default)]
pub(super) struct Primaries {
    /// The lane to the parent, of a later primary.
    to_parent: Option<OwnedFd>,
    /// This process's end of the lane that it has offered to its successor.
    from_primaries: Option<OwnedFd>,
    /// Where signals go.
    recipients: Rc<RefCell<Recipients>>,
}

/// Where signals go that were sent to this process, but are for the primary.
#[derive(Debug, Default)]
pub(super) struct Recipients {
    pub(super) primary: Recipient,
    /// Primaries that others have followed, and whose workers drain.
    earlier: Vec<Arc<Process>>,
}

#[derive(Debug, Default)]
pub(super) enum Recipient {
    /// This process is the primary, or there is none any more.
    #[default]
    None,
    Primary(Arc<Process>),
    /// The primary has ended, and another one may follow it. These signals wait for it.
    Next(Vec<i32>),
}

impl Recipients {
    pub(super) fn new(primary: Arc<Process>) -> Self {
        Self { primary: Recipient::Primary(primary), earlier: Vec::new() }
    }

    /// Signals the primary.
    pub(super) fn signal(&mut self, signal: i32) {
        match &mut self.primary {
            Recipient::None => {}
            // It may have just ended.
            Recipient::Primary(process) => drop(process.signal(signal)),
            Recipient::Next(signals) if signals.contains(&signal) => {}
            Recipient::Next(signals) => signals.push(signal),
        }
    }

    /// Has the earlier ones cut the connections of their workers, and end.
    pub(super) fn end_earlier(&self) {
        for process in &self.earlier {
            // It may have just ended.
            let _ = process.signal(libc::SIGQUIT);
        }
    }

    /// This process is the primary now.
    pub(super) fn become_primary(&mut self, process: Arc<Process>) {
        let next = Recipient::Primary(Arc::clone(&process));
        match std::mem::replace(&mut self.primary, next) {
            Recipient::None => {}
            Recipient::Primary(before) => self.earlier.push(before),
            Recipient::Next(signals) => {
                for signal in signals {
                    // It may have just ended.
                    let _ = process.signal(signal);
                }
            }
        }
    }

    /// The primary has ended, and another one may follow.
    pub(super) fn wait_for_next(&mut self) {
        if matches!(self.primary, Recipient::Primary(_)) {
            self.primary = Recipient::Next(Vec::new());
        }
    }

    /// An earlier one has ended.
    pub(super) fn forget(&mut self, pid: i32) {
        self.earlier.retain(|process| process.pid() != pid);
    }
}

impl Primaries {
    /// Keeps the lane that has come from the primary before this one.
    pub(super) fn keep(&mut self, to_parent: OwnedFd) {
        self.to_parent = Some(to_parent);
    }

    /// Whether another process is the parent of this one and of later primaries.
    pub(super) fn has_parent(&self) -> bool {
        self.to_parent.is_some()
    }

    /// The lane to the parent for the next primary. `becomes_parent`: whether this process is the parent if there is no
    /// other.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub(super) fn lane_for_next(&mut self, becomes_parent: bool) -> io::Result<Option<OwnedFd>> {
        if let Some(lane) = &self.to_parent {
            return lane.try_clone().map(Some);
        }
        if !becomes_parent {
            return Ok(None);
        }
        let (ours, theirs) = lane::packet_pair()?;
        self.from_primaries = Some(ours);
        Ok(Some(theirs))
    }

    /// There will be no next one.
    pub(super) fn withdraw_lane(&mut self) {
        self.from_primaries = None;
    }

    /// This process is the primary now.
    pub(super) fn announce_self(&self) {
        self.tell_parent(ToParent::Successor { pid: std::process::id() });
    }

    /// This process is the primary now, in place of the one that calls this. Returns the lane of primaries if that is to be
    /// their parent.
    pub(super) fn announce(&mut self, successor: &Arc<Process>) -> Option<OwnedFd> {
        self.recipients.replace(Recipients::new(Arc::clone(successor)));
        self.tell_parent(ToParent::Successor { pid: successor.pid().unsigned_abs() });
        self.from_primaries.take()
    }

    /// The successor has ended like this.
    pub(super) fn announce_end(&self, pid: i32, exit: Option<Exit>) {
        self.recipients.take();
        let (code, signal) = match exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        self.tell_parent(ToParent::Ended { pid: pid.unsigned_abs(), code, signal });
    }

    /// Where signals go.
    pub(super) fn recipients(&self) -> Rc<RefCell<Recipients>> {
        Rc::clone(&self.recipients)
    }

    /// Sends a signal to the primary that has followed this one.
    pub(super) fn signal(&self, signal: i32) {
        self.recipients.borrow_mut().signal(signal);
    }

    /// Ends those between this one and the last, which drain.
    pub(super) fn end_earlier(&self) {
        self.recipients.borrow().end_earlier();
    }

    /// Tells the parent, if there is one.
    fn tell_parent(&self, message: ToParent) {
        let Some(lane) = &self.to_parent else { return };
        if let Ok(packet) = encode(&message) {
            // The lane has room for hundreds of messages; and without a parent none is needed.
            let _ = lane::send_packet(lane, &packet, None);
        }
    }
}
