//! The task of an upgrade: from the start of the process that is to take over until it has everything, or is gone.

mod offer;

use std::{
    future::Future,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    task::spawn_local,
    time::{sleep, sleep_until, timeout, timeout_at},
};

use super::{
    super::{
        core::supervise::report::{Cause, Ended, FailedPhase, Rejection},
        primary_recipe::StartedPrimary,
    },
    context::Context,
    parent::Watched,
    succession,
    successor::Successor,
    worker_task::{has_room, receive, watch},
};
use crate::{
    error::{Error, Result as SystemResult},
    protocol::{
        ListenerId, control,
        upgrade::{MAX_REASON, ToPredecessor, ToSuccessor},
    },
    sys::{
        exit::{Exit, Process},
        lane::WholePacket,
    },
};

/// How long a successor that was told to serve may take to say that it does.
const COMMIT: Duration = Duration::from_secs(5);

/// How long a process whose lane has ended, or that has given up, may take to end.
const LEAVING: Duration = Duration::from_secs(2);

/// How long a process may take to stop after `SIGSTOP`, and how often that is looked at.
const STOPPING: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(1);

/// How long a process may take to end after `SIGKILL`. One in an uninterruptible sleep may never end.
const ENDING: Duration = Duration::from_secs(5);

/// Why an upgrade fails, and when.
type Failure = (FailedPhase, Cause);

/// The successor's process has been started, or could not be.
pub(super) fn started(context: &Rc<Context>, started: SystemResult<StartedPrimary>) {
    let deadline = context.succession.borrow_mut().started();
    match (started, deadline) {
        (Ok(started), Some(deadline)) => {
            drop(spawn_local(attend(Rc::clone(context), started, deadline)));
        }
        (Ok(StartedPrimary { process, .. }), None) => end_now(&process),
        (Err(error), Some(_)) => fail(context, (FailedPhase::Start, cause_of(&error))),
        (Err(_), None) => {}
    }
}

/// Kills the process with its group, and waits for its end.
pub(super) fn end_now(process: &Process) {
    // It fails for one that has ended.
    let _ = process.signal_group(libc::SIGKILL);
    process.end();
    process.kill_rest_of_group();
}

async fn attend(context: Rc<Context>, started: StartedPrimary, deadline: Instant) {
    let StartedPrimary { process, lane } = started;
    let watched = async {
        let watched = Rc::new(watch(Arc::clone(&process), Interest::READABLE).await?);
        let lane = watch(lane, Interest::READABLE | Interest::WRITABLE).await?;
        Ok::<_, Error>((watched, lane))
    };
    let (watched, lane) = match watched.await {
        Ok(watched) => watched,
        Err(error) => {
            end_now(&process);
            return fail(&context, (FailedPhase::Start, cause_of(&error)));
        }
    };
    let successor = Rc::new(Successor::new(process, lane, Rc::clone(&context.reserve)));
    context.log().write(format_args!("process {} is to take over", successor.pid()));
    context.succession.borrow_mut().set(Some(Rc::clone(&successor)));
    let peer = Peer { context: &context, successor: &successor, process: &watched };
    let negotiated = tokio::select! {
        biased;
        () = peer.abandoned() => None,
        negotiated = peer.negotiate(deadline) => Some(negotiated),
    };
    match negotiated {
        Some(Ok(())) => peer.hand_over().await,
        Some(Err(failure)) => {
            // Connections do not wait until it has ended.
            let lacking = context.decide(|core| core.accept_again(Instant::now()));
            for (listener, worker) in lacking {
                context.replace_socket(listener, worker);
            }
            let gives_up = matches!(failure, (_, Cause::GaveUp(_)));
            peer.end(gives_up).await;
            drop((successor, watched));
            fail(&context, failure);
        }
        // It has been answered already that it is.
        None => {
            peer.end(false).await;
            context.succession.borrow_mut().set(None);
            succession::keep_place(&context);
        }
    }
}

/// The upgrade has failed, and nothing is left of it.
fn fail(context: &Context, (phase, cause): Failure) {
    context.succession.borrow_mut().set(None);
    succession::keep_place(context);
    let rejection = Rejection { cause, phase, worker: None, slot: None };
    context.log().write(format_args!("the upgrade has failed: {rejection:?}"));
    let now = Instant::now();
    context.decide(|core| core.supervise(now, |it| it.successor_failed(rejection, now)));
}

fn cause_of(error: &Error) -> Cause {
    match error {
        Error::System { syscall, source } => {
            Cause::Fork(syscall, source.raw_os_error().unwrap_or_default())
        }
        Error::Fault(fault) => Cause::Fork("epoll_ctl", fault.errno),
        _ => Cause::Fork("clone", 0),
    }
}

/// The process at the other end of the lane.
struct Peer<'a> {
    context: &'a Rc<Context>,
    successor: &'a Rc<Successor>,
    process: &'a Watched,
}

impl Peer<'_> {
    async fn abandoned(&self) {
        while !self.successor.is_abandoned() {
            self.successor.changed.notified().await;
        }
    }

    /// Until the successor serves.
    async fn negotiate(&self, deadline: Instant) -> Result<(), Failure> {
        use FailedPhase::{Commit, Handshake, Ready};
        in_time(deadline, self.greet()).await.map_err(|cause| (Handshake, cause))?;
        self.offer().map_err(|cause| (Handshake, cause))?;
        let takes = in_time(deadline, self.ready()).await.map_err(|cause| (Ready, cause))?;
        let now = Instant::now();
        self.send_counted();
        self.context.decide(|core| core.successor_ready(takes, now));
        in_time(now + COMMIT, self.serving()).await.map_err(|cause| (Commit, cause))
    }

    fn send_counted(&self) {
        self.successor.send_counted(&self.context.counters, &self.context.board);
    }

    /// Waits until its workers are ready. Returns where they listen.
    async fn ready(&self) -> Result<Vec<(ListenerId, bool)>, Cause> {
        match self.next().await? {
            ToPredecessor::Ready { takes } => {
                Ok(takes.into_iter().map(|it| (it.listener, it.is_http)).collect())
            }
            other => Err(unexpected(&other, "that it is ready")),
        }
    }

    async fn serving(&self) -> Result<(), Cause> {
        match self.next().await? {
            ToPredecessor::Serving => Ok(()),
            other => Err(unexpected(&other, "that it serves")),
        }
    }

    /// The next message.
    async fn next(&self) -> Result<ToPredecessor, Cause> {
        let Self { context, successor, process } = self;
        loop {
            let flush = successor.flush_at();
            tokio::select! {
                biased;
                received = receive(context, &successor.lane) => {
                    return match received {
                        Ok(Some(packet)) => understand(packet),
                        Ok(None) => Err(self.lane_ended().await),
                        Err(error) => Err(Cause::BrokeProtocol(error.to_string())),
                    };
                }
                how = exited(process) => return Err(Cause::Exited(how)),
                () = has_room(&successor.lane, flush), if flush.is_some() => successor.flush(),
            }
        }
    }

    /// The lane has ended: as a rule because the process has.
    async fn lane_ended(&self) -> Cause {
        match timeout(LEAVING, exited(self.process)).await {
            Ok(how) => Cause::Exited(how),
            Err(_) => Cause::BrokeProtocol("it has closed its end of the lane".into()),
        }
    }

    /// Ends the process, all of its group, and its workers. One that ends by itself takes them along.
    async fn end(&self, ends_itself: bool) {
        let process = self.process.get_ref();
        if ends_itself {
            let _ = timeout(LEAVING, exited(self.process)).await;
        }
        if process.signal_group(libc::SIGSTOP).is_ok() {
            let _ = timeout(STOPPING, self.end_workers()).await;
        }
        // It fails for one that has ended.
        let _ = process.signal_group(libc::SIGKILL);
        let _ = timeout(ENDING, exited(self.process)).await;
        process.kill_rest_of_group();
        process.reap();
    }

    /// Ends the workers of the process, which is about to be stopped, or has ended.
    async fn end_workers(&self) {
        let process = self.process.get_ref();
        while matches!(process.status(), Ok(None)) && !process.kill_children() {
            sleep(LOOK).await;
        }
    }

    /// The successor serves, and gets all that is left here.
    async fn hand_over(&self) {
        let Self { context, successor, process } = self;
        successor.set_serving();
        let stays = succession::stays(context);
        succession::give_place(context, process);
        if let Some(supervision) = &mut *context.supervision.borrow_mut() {
            supervision.hand_over_operators();
        }
        let (now, pid) = (Instant::now(), successor.pid());
        context.decide(|core| core.supervise(now, |it| it.successor_serves(pid, stays, now)));
        // Operators have seen nothing here that the successor is not told, so for them counters never go down.
        self.send_counted();
        successor.send(&ToSuccessor::Main, None);
        context.handing_over.notify_waiters();
        let (mut is_lost, mut is_done) = (false, false);
        while !(is_done && successor.has_everything(Instant::now())) {
            if successor.ending().is_some() && !is_done {
                is_done = true;
                self.send_counted();
                successor.send(&ToSuccessor::Done, None);
                continue;
            }
            if successor.is_unreachable() && !is_lost {
                is_lost = true;
                successor.lose();
                context.log().write(format_args!("the successor is gone"));
                context.decide(|core| core.lose_successor(Instant::now()));
            }
            let flush = successor.flush_at();
            let ending = successor.ending();
            tokio::select! {
                _ = exited(process), if !is_lost => successor.lose(),
                () = has_room(&successor.lane, flush), if flush.is_some() => successor.flush(),
                () = successor.changed.notified() => {}
                () = sleep_until(ending.unwrap_or_else(Instant::now).into()), if ending.is_some() => {}
            }
        }
        let now = Instant::now();
        context.decide(|core| core.supervise(now, |it| it.handed_over()));
    }
}

/// Waits until the deadline, at most.
async fn in_time<T>(
    deadline: Instant,
    what: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    timeout_at(deadline.into(), what).await.unwrap_or(Err(Cause::TimedOut(Vec::new())))
}

fn understand(packet: WholePacket) -> Result<ToPredecessor, Cause> {
    if packet.descriptor.is_some() {
        return Err(Cause::BrokeProtocol("it has sent a descriptor".into()));
    }
    match control::decode(&packet.bytes, packet.length) {
        Ok(ToPredecessor::Failed { mut reason }) => {
            while reason.len() > MAX_REASON {
                reason.pop();
            }
            Err(Cause::GaveUp(reason))
        }
        Ok(message) => Ok(message),
        Err(error) => Err(Cause::BrokeProtocol(format!("it has sent something else: {error}"))),
    }
}

fn unexpected(message: &ToPredecessor, wanted: &str) -> Cause {
    let what = match message {
        ToPredecessor::Hello { .. } => "hello",
        ToPredecessor::Ready { .. } => "ready",
        ToPredecessor::Failed { .. } => "failed",
        ToPredecessor::Serving => "serving",
    };
    Cause::BrokeProtocol(format!("it has said {what:?}, and was to say {wanted}"))
}

/// Waits until the process has ended.
async fn exited(process: &AsyncFd<Arc<Process>>) -> Ended {
    loop {
        // It fails only when the runtime ends.
        let Ok(mut ready) = process.readable().await else { return Ended::Unknown };
        match process.get_ref().status() {
            Ok(Some(Exit::Code(code))) => return Ended::Code(code),
            Ok(Some(Exit::Signal(signal))) => return Ended::Signal(signal),
            Ok(None) => ready.clear_ready(),
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            // Other code of this process has reaped it.
            Err(_) => return Ended::Unknown,
        }
    }
}
