//! The process that stays while one primary follows another. It passes signals on to the primary, and ends as the last
//! primary has ended.
//!
//! A _parent lane_ leads from each later primary to the parent. The end of the lane means that there is no primary left:
//! a primary that ends while another one follows it has passed the lane on before.

use std::{
    cell::RefCell, collections::BTreeMap, os::fd::OwnedFd, rc::Rc, sync::Arc, time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_local,
    time::{Instant, sleep},
};

use super::{debug_log::DebugLog, primaries::Recipients};
use crate::{
    protocol::{
        control::{MAX_PACKET, decode},
        upgrade::ToParent,
    },
    sys::{
        exit::{Exit, Process},
        failure::{Failure, SHORTAGE_PAUSE},
        lane,
        watched::{Watchable, watch, when_ready},
    },
};

/// How long the last primary may take to become a child of this process, after its predecessor has ended.
const ADOPTION: Duration = Duration::from_secs(1);

/// How often to look at that.
const INTERVAL: Duration = Duration::from_millis(20);

/// A process that tasks wait for.
pub(super) type Watched = Rc<AsyncFd<Arc<Process>>>;

/// What the parent hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// A primary tells this.
    Told(ToParent),
    /// There is no primary any more that could tell anything.
    LaneEnd,
    /// This process has ended, or other code has reaped it.
    End(i32),
}

/// Which process is the primary, and what is known of its end.
#[derive(Debug, PartialEq, Eq)]
struct Primary {
    pid: i32,
    has_ended: bool,
    exit: Option<Exit>,
    /// Whether no other one can follow it.
    is_last: bool,
}

impl Primary {
    fn new(pid: i32) -> Self {
        Self { pid, has_ended: false, exit: None, is_last: false }
    }

    /// Whether another process is the primary from now on.
    fn succeed(&mut self, pid: i32) -> bool {
        let is_other = pid != self.pid;
        if is_other {
            *self = Self { is_last: self.is_last, ..Self::new(pid) };
        }
        is_other
    }

    /// A process has ended, and how, if that is known.
    fn end(&mut self, pid: i32, exit: Option<Exit>) {
        if pid == self.pid {
            self.has_ended = true;
            self.exit = exit.or(self.exit);
        }
    }

    fn is_over(&self) -> bool {
        self.has_ended && self.is_last
    }
}

/// The parent at work.
pub(super) struct Parent {
    primary: RefCell<Primary>,
    /// Those that are watched, by their pids.
    processes: RefCell<BTreeMap<i32, Watched>>,
    /// Where signals go.
    recipients: Rc<RefCell<Recipients>>,
    send: UnboundedSender<Heard>,
    log: DebugLog,
}

impl Parent {
    /// Begins to watch the first of the later primaries, and to read what they tell.
    pub(super) fn new(
        first: Watched,
        lane: OwnedFd,
        recipients: Rc<RefCell<Recipients>>,
        log: DebugLog,
    ) -> (Self, UnboundedReceiver<Heard>) {
        let (send, heard) = unbounded_channel();
        drop(spawn_local(hear_lane(lane, send.clone())));
        let primary = RefCell::new(Primary::new(first.get_ref().pid()));
        let parent = Self { primary, processes: RefCell::default(), recipients, send, log };
        parent.attend(first);
        (parent, heard)
    }

    /// Returns how the last primary has ended.
    pub(super) async fn run(&self, mut heard: UnboundedReceiver<Heard>) -> Option<Exit> {
        while !self.primary.borrow().is_over() {
            match heard.recv().await {
                Some(Heard::Told(ToParent::Successor { pid })) => {
                    self.succeed(pid.cast_signed()).await;
                }
                Some(Heard::Told(ToParent::Ended { pid, code, signal })) => {
                    let exit = code.map(Exit::Code).or(signal.map(Exit::Signal));
                    self.end(pid.cast_signed(), exit);
                }
                Some(Heard::LaneEnd) => self.primary.borrow_mut().is_last = true,
                Some(Heard::End(pid)) => {
                    let exit = self.process(pid).and_then(|it| it.status().ok().flatten());
                    self.end(pid, exit);
                }
                // This holds a sender.
                None => break,
            }
        }
        self.recipients.take();
        self.exit().await
    }

    fn attend(&self, process: Watched) {
        self.processes.borrow_mut().insert(process.get_ref().pid(), Rc::clone(&process));
        drop(spawn_local(hear_end(process, self.send.clone())));
    }

    fn process(&self, pid: i32) -> Option<Arc<Process>> {
        self.processes.borrow().get(&pid).map(|it| Arc::clone(it.get_ref()))
    }

    /// A process says that it is the primary, or its predecessor says so.
    async fn succeed(&self, pid: i32) {
        if !self.primary.borrow_mut().succeed(pid) {
            return;
        }
        self.log.write(format_args!("process {pid} is the primary now"));
        let process = loop {
            match Process::watch_other(pid) {
                Ok(process) => break Some(Arc::new(process)),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => break None,
                // There is no descriptor, or no memory, at the moment.
                Err(_) => sleep(SHORTAGE_PAUSE).await,
            }
        };
        match process {
            Some(process) => {
                self.recipients.borrow_mut().become_primary(Arc::clone(&process));
                self.attend(Rc::new(wait_on(process).await));
            }
            None => self.end(pid, None),
        }
    }

    /// A process has ended. Only the end of the primary matters; another one has done what it had to.
    fn end(&self, pid: i32, exit: Option<Exit>) {
        let mut primary = self.primary.borrow_mut();
        primary.end(pid, exit);
        if primary.pid == pid {
            self.recipients.borrow_mut().wait_for_next();
        } else if let Some(process) = self.processes.borrow_mut().remove(&pid) {
            process.get_ref().reap();
            self.recipients.borrow_mut().forget(pid);
        }
    }

    /// How the last primary has ended. It may be a zombie of its predecessor, which ends as well at this moment: then it
    /// becomes a child of this process.
    async fn exit(&self) -> Option<Exit> {
        let deadline = Instant::now() + ADOPTION;
        let (pid, mut exit) = {
            let primary = self.primary.borrow();
            (primary.pid, primary.exit)
        };
        let process = self.process(pid);
        while exit.is_none()
            && let Some(process) = &process
            && Instant::now() < deadline
        {
            match process.status() {
                Ok(status) => exit = status,
                Err(_) => sleep(INTERVAL).await,
            }
        }
        self.processes.borrow_mut().clear();
        exit
    }
}

/// Reads what primaries tell.
async fn hear_lane(lane: OwnedFd, send: UnboundedSender<Heard>) {
    let lane = wait_on(lane).await;
    let receive = |lane: &OwnedFd| lane::receive_whole_packet(lane, MAX_PACKET);
    loop {
        match when_ready(&lane, Interest::READABLE, receive).await {
            Ok(packet) if packet.is_end => break,
            Ok(packet) => {
                // It may be of a later release, and say something else.
                if let Ok(message) = decode(&packet.bytes, packet.length)
                    && send.send(Heard::Told(message)).is_err()
                {
                    break;
                }
            }
            Err(Failure::Shortage(_) | Failure::WouldBlock) => sleep(SHORTAGE_PAUSE).await,
            Err(Failure::Gone | Failure::Fault(_)) => break,
        }
    }
    // The parent may have ceased to listen.
    let _ = send.send(Heard::LaneEnd);
}

async fn hear_end(process: Watched, send: UnboundedSender<Heard>) {
    when_ended(&process).await;
    // The parent may have ceased to listen.
    let _ = send.send(Heard::End(process.get_ref().pid()));
}

/// Waits until a process has ended.
pub(super) async fn when_ended(process: &AsyncFd<Arc<Process>>) {
    // Fails only when the runtime ends.
    let _ = process.readable().await;
}

/// Waits on it, as soon as the kernel has memory for that.
async fn wait_on<T: Watchable>(inner: T) -> AsyncFd<T> {
    let mut unwatched = inner;
    loop {
        match watch(unwatched, Interest::READABLE) {
            Ok(watched) => return watched,
            Err((inner, _)) => unwatched = inner,
        }
        sleep(SHORTAGE_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
