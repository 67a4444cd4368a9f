use std::{
    cell::{Cell, OnceCell, RefCell},
    iter::Peekable,
    os::fd::RawFd,
    rc::Rc,
    time::{Duration, Instant},
    vec,
};

use super::handlers::{Handlers, NONE};
use crate::{
    binding::inbox::{Entry, Inbox},
    error::{Error, Result},
    ipc::{Channel, Flushed, Incoming, Payload, Reading, Rest, WeakBytes},
    protocol::{frame::Kind, handle::HandleType},
    sys::{
        duplicate, errno,
        failure::{Fault, SHORTAGE_PAUSE},
        node::{CleanupHook, Poll, Readiness, Timer},
    },
};

/// How often to read at most in one turn of the event loop.
const READS_A_TURN: usize = 16;

/// After how long a turn does not read again, including the JavaScript that handled what came.
const LONGEST_TURN: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(super) struct Inner {
    /// `None` once closed.
    pub(super) channel: RefCell<Option<Channel>>,
    pub(super) started: RefCell<Option<Started>>,
    /// Whether the peer may still send.
    pub(super) reading: Cell<bool>,
    /// Whether the last turn has left something to read, which the poll may not report.
    pub(super) has_more: Cell<bool>,
    /// The long string that was sent last, as long as a channel has it queued.
    pub(super) last_string: RefCell<Option<(Kind, WeakBytes)>>,
    /// How many messages have come.
    pub(super) messages: Cell<u64>,
    pub(super) alongside: OnceCell<Box<dyn Alongside>>,
}

/// What another lane brings, to be delivered in order with the messages.
pub(in crate::binding) trait Alongside {
    /// Receives what is there. Returns for each item, in order, how many messages precede it.
    fn receive(&self) -> Vec<u64>;

    /// Delivers what follows this many messages, or fewer, from within a callback. Returns whether that
    /// callback must end now, even if there is more.
    fn deliver(&self, messages: u64) -> bool;
}

pub(super) struct Started {
    pub(super) handlers: Rc<Handlers>,
    pub(super) poll: Poll,
    /// For what the poll does not report. Keeps the event loop alive as the poll does.
    pub(super) retry: Timer,
    pub(super) _hook: CleanupHook,
}

/// Delivers what belongs into one callback.
fn deliver(
    entries: &mut Peekable<vec::IntoIter<Entry>>,
    handlers: &Handlers,
    alongside: Option<&dyn Alongside>,
) {
    while let Some(entry) = entries.peek() {
        match (entry, alongside) {
            (&Entry::Alongside(messages), Some(alongside)) => {
                if alongside.deliver(messages) {
                    return;
                }
                entries.next();
            }
            _ => {
                if let Some(Entry::Deliver(delivery)) = entries.next() {
                    handlers.deliver(delivery);
                }
            }
        }
    }
}

/// Where to look for messages.
#[derive(Clone, Copy)]
pub(super) enum From {
    Both,
    Memory,
}

impl Inner {
    pub(super) fn handlers(&self) -> Option<Rc<Handlers>> {
        self.started.borrow().as_ref().map(|it| Rc::clone(&it.handlers))
    }

    /// Sends a message. Returns how many bytes are queued afterwards, or a negated errno.
    pub(super) fn answer(
        &self,
        kind: Kind,
        payload: Payload<'_>,
        handle: Option<HandleType>,
        fd: RawFd,
    ) -> f64 {
        match self.send(kind, payload, handle, fd) {
            // Exact up to 2^53.
            Ok(queued) => queued as f64,
            Err(Error::System { source, .. }) => f64::from(errno(&source)),
            Err(Error::Fault(fault)) => f64::from(-fault.errno),
            Err(Error::Gone) => f64::from(-libc::EPIPE),
            Err(Error::Memory) => f64::from(-libc::EPROTO),
            Err(_) => f64::from(-libc::EMSGSIZE),
        }
    }

    /// Like [`answer`](Self::answer), for a message without a handle. A long string can be sent again.
    pub(super) fn answer_string(&self, kind: Kind, payload: Payload<'_>) -> f64 {
        let last = match &payload {
            Payload::Shared(bytes) => Some((kind, bytes.downgrade())),
            _ => None,
        };
        self.last_string.replace(last);
        self.answer(kind, payload, None, NONE)
    }

    /// The long string that was sent last, as long as a channel has it queued.
    pub(super) fn last_string(&self) -> Option<(Kind, Payload<'static>)> {
        let last = self.last_string.borrow();
        let (kind, bytes) = last.as_ref()?;
        Some((*kind, Payload::Shared(bytes.upgrade()?)))
    }

    /// Returns how many bytes are queued afterwards.
    pub(super) fn send(
        &self,
        kind: Kind,
        payload: Payload<'_>,
        handle: Option<HandleType>,
        fd: RawFd,
    ) -> Result<usize> {
        let mut borrowed = self.channel.borrow_mut();
        let channel = borrowed.as_mut().ok_or(Error::Gone)?;
        let handle = match handle {
            None => None,
            Some(handle) => Some((handle, duplicate(fd).map_err(Error::system("fcntl"))?)),
        };
        let queued = channel.send(kind, payload, handle)?;
        if !channel.is_idle() || channel.fault().is_some() {
            drop(borrowed);
            self.wait();
        }
        Ok(queued)
    }

    /// Whether the poll does not report when there is more to read.
    pub(super) fn receives_later(&self) -> bool {
        self.channel.borrow().as_ref().is_some_and(Channel::receives_later)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.channel.borrow().as_ref().and_then(Channel::fault)
    }

    /// Updates what the poll waits for.
    pub(super) fn wait(&self) {
        let (writes, sends_later, receives_later, is_broken) = match self.channel.borrow().as_ref()
        {
            Some(channel) => (
                !channel.is_idle(),
                channel.sends_later(),
                channel.receives_later(),
                channel.fault().is_some() || channel.has_no_reader(),
            ),
            None => (false, false, false, false),
        };
        let reads = self.reading.get();
        if let Some(started) = self.started.borrow().as_ref() {
            started.poll.wait_for(Readiness {
                readable: reads && !receives_later,
                writable: writes && !sends_later && !is_broken,
            });
            if reads && self.has_more.get() {
                // In the next turn of the event loop.
                started.retry.start(Duration::ZERO);
            } else if sends_later || (reads && (receives_later || is_broken)) {
                started.retry.start(SHORTAGE_PAUSE);
            }
        }
    }

    /// A shortage may be over, or a call that must not call back has left something to report.
    pub(super) fn try_again(&self, handlers: &Handlers) {
        if self.reading.get() && self.has_more.get() {
            self.turn(handlers, From::Memory);
            return self.wait();
        }
        if let Some(fault) = self.fault().filter(|_| self.reading.get()) {
            return self.end(handlers, Some(fault.into()));
        }
        let received = self.received();
        self.ready(Readiness { readable: true, writable: true }, handlers);
        let channel = self.channel.borrow();
        let has_no_reader = channel.as_ref().is_some_and(Channel::has_no_reader);
        drop(channel);
        // If the peer has ended, everything that it sent has been read by now.
        if has_no_reader && self.reading.get() && received == self.received() {
            self.end(handlers, Some(Error::NotRead));
        }
    }

    /// How many bytes have been received in total.
    pub(super) fn received(&self) -> usize {
        self.channel.borrow().as_ref().map_or(0, Channel::received)
    }

    pub(super) fn ready(&self, ready: Readiness, handlers: &Handlers) {
        if ready.writable {
            self.flush(handlers);
        }
        if ready.readable && self.reading.get() {
            self.turn(handlers, From::Both);
        }
        self.wait();
    }

    pub(super) fn flush(&self, handlers: &Handlers) {
        let flushed = self.channel.borrow_mut().as_mut().map(Channel::flush);
        let Flushed { messages, refused } = match flushed {
            Some(Ok(flushed)) => flushed,
            // Without a peer, only the end of what it has sent remains to be read.
            None | Some(Err(Error::Gone)) => return,
            Some(Err(error)) if self.reading.get() => return self.end(handlers, Some(error)),
            // JavaScript has already been told of a fault.
            Some(Err(_)) => return,
        };
        if messages > 0 || refused.is_some() {
            let count = u32::try_from(messages).unwrap_or(u32::MAX);
            let errno = refused.map_or(0, |fault| -fault.errno);
            let Handlers { caller, on_flushed, .. } = handlers;
            caller.enter(|| _ = caller.call(on_flushed, (count, errno).into()));
        }
    }

    /// Reads for one turn of the event loop. More may come while JavaScript handles what came, and
    /// right after, which then needs no wake.
    pub(super) fn turn(&self, handlers: &Handlers, from: From) {
        let mut from = from;
        self.has_more.set(false);
        let start = Instant::now();
        for _ in 0..READS_A_TURN {
            self.read(handlers, from);
            if !self.reading.get() || self.rest(handlers) == Rest::Asleep {
                return;
            }
            if start.elapsed() > LONGEST_TURN {
                break;
            }
            from = From::Memory;
        }
        self.has_more.set(true);
    }

    pub(super) fn rest(&self, handlers: &Handlers) -> Rest {
        let rest = self.channel.borrow_mut().as_mut().map_or(Ok(Rest::Asleep), Channel::rest);
        rest.unwrap_or_else(|error| {
            self.end(handlers, Some(error));
            Rest::Asleep
        })
    }

    /// The peer has ended, or has sent invalid data.
    pub(super) fn end(&self, handlers: &Handlers, error: Option<Error>) {
        self.reading.set(false);
        let Handlers { caller, on_end, .. } = handlers;
        if let Some(alongside) = self.alongside.get() {
            // Deliver what follows messages that will never come.
            let mut is_left = !alongside.receive().is_empty();
            while is_left {
                caller.enter(|| is_left = alongside.deliver(u64::MAX));
            }
        }
        let reason = error.map(|error| error.to_string());
        caller.enter(|| _ = caller.call(on_end, (reason,).into()));
    }

    /// Gives what is there to JavaScript, and returns how many bytes that was.
    pub(super) fn read(&self, handlers: &Handlers, from: From) -> usize {
        let alongside = self.alongside.get().map(Box::as_ref);
        let marks = alongside.map_or_else(Vec::new, |it| it.receive());
        let mut marks = marks.into_iter().peekable();
        let mut inbox = Inbox::default();
        let mut take = |message: Incoming<'_>| {
            let messages = self.messages.get();
            if marks.peek().is_some_and(|&after| after <= messages) {
                inbox.mark(messages);
                while marks.next_if(|&after| after <= messages).is_some() {}
            }
            self.messages.set(messages + 1);
            if message.kind == Kind::Refused { Ok(()) } else { inbox.take(message) }
        };
        let (received, bytes) = match self.channel.borrow_mut().as_mut() {
            Some(channel) => {
                let before = channel.received();
                let received = match from {
                    From::Both => channel.receive(&mut take),
                    From::Memory => channel.receive_more(&mut take).map(|()| Reading::Open),
                };
                (received, channel.received() - before)
            }
            None => return 0,
        };
        // The rest follows messages that have not come yet.
        if marks.peek().is_some_and(|&after| after <= self.messages.get()) {
            inbox.mark(self.messages.get());
        }
        let mut entries = inbox.into_entries().into_iter().peekable();
        while entries.peek().is_some() {
            handlers.caller.enter(|| deliver(&mut entries, handlers, alongside));
        }
        match received {
            Ok(Reading::Open) => {}
            Ok(Reading::Ended) => self.end(handlers, None),
            Err(error) => self.end(handlers, Some(error)),
        }
        bytes
    }

    pub(super) fn close(&self) -> Result<()> {
        self.reading.set(false);
        drop(self.started.take());
        self.channel.take().map_or(Ok(()), |channel| channel.shutdown())
    }
}
