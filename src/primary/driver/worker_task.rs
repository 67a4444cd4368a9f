//! The task of one worker: from its start until its process has ended and all that it has sent is read.

use std::{
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
    task::{spawn_local, yield_now},
    time::{sleep, sleep_until},
};

use super::{
    super::{
        core::{driver::NewWorker, quota::Requests, stats::WorkerCounters},
        fork::Adopted,
        messages::Event,
    },
    context::Context,
    faults::fault,
    lanes::{Queue, View, WorkerLanes},
    requests::{answer, park, return_connection},
    watchdog_lane::WatchdogLane,
};
use crate::{
    error::{Error, Result},
    protocol::{
        WorkerId,
        control::{self, MAX_PACKET, ToPrimary},
    },
    sys::{
        exit::{Exit, Process},
        failure::{Call, Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Lane, WholePacket},
        watched::{self, Watchable},
    },
};

/// How often the last requests of a worker are asked for before its exit is reported, if there is a
/// shortage.
const LAST_ATTEMPTS: usize = 3;

/// How long a worker may go on when its control socket has ended: a process closes its descriptors a moment
/// before it has ended.
const ENDING: Duration = Duration::from_secs(1);

/// For how long a queue that was full is still watched for room: it may soon be full again, and to begin or to end
/// watching takes two system calls.
const STILL_WATCHED: Duration = Duration::from_millis(100);

/// How long a new worker waits for memory of the kernel's to be looked after, while all others that come
/// wait behind it.
const WATCH_PATIENCE: Duration = Duration::from_secs(1);

/// Held by the task of each worker; nothing is ever sent.
pub(super) type Attending = std::convert::Infallible;

/// Begins to look after a worker.
pub(super) async fn adopt(
    context: &Rc<Context>,
    adopted: Adopted,
    attending: mpsc::Sender<Attending>,
) {
    let Adopted { id, process, control, hand_off, reclaim, counters, queue_timeout, .. } = adopted;
    let (watchdog, inspect_port) = (adopted.watchdog, adopted.inspect_port);
    let is_other_user = adopted.is_other_user;
    let pid = process.pid();
    let watched = async {
        let process = watch(Arc::clone(&process), Interest::READABLE).await?;
        let control = watch(control, Interest::READABLE | Interest::WRITABLE).await?;
        let queue = when_memory(Rc::new(hand_off), Queue::watch).await?;
        let watchdog = match watchdog {
            Some(watchdog) => Some(watch(watchdog, Interest::READABLE).await?),
            None => None,
        };
        Ok::<_, Error>((process, control, queue, WatchdogLane::new(watchdog)))
    };
    match watched.await {
        Ok((process, control, queue, watchdog)) => {
            let store = context.store.borrow().clone();
            let stored = store.and_then(|store| store.store_queue(id, &reclaim));
            let view = Arc::new(View::new(counters, reclaim));
            let counters = Arc::new(WorkerCounters::new(Arc::clone(&view) as _));
            let reserve = Rc::clone(&context.reserve);
            let lanes = Rc::new(WorkerLanes::new(
                Arc::clone(process.get_ref()),
                control,
                queue,
                watchdog,
                view,
                reserve,
                inspect_port,
            ));
            context.log().write(format_args!("worker {id} forked, pid {pid}"));
            let (its_lanes, now) = (Rc::clone(&lanes), Instant::now());
            let new = NewWorker { lanes: its_lanes, counters, queue_timeout, is_other_user };
            context.decide(|core| core.add_worker(id, new, now));
            let context = Rc::clone(context);
            spawn_local(async move {
                attend(context, id, process, lanes).await;
                drop(stored);
                drop(attending);
            });
        }
        // The worker can't be looked after.
        Err(error) => {
            process.end();
            process.kill_rest_of_group();
            context.report(id, error);
            context.exited(id, Some(Exit::Signal(libc::SIGKILL)), 0);
        }
    }
}

/// Waits on what a new process has, as soon as the kernel has memory for that.
pub(super) async fn watch<T: Watchable>(inner: T, interest: Interest) -> Result<AsyncFd<T>> {
    when_memory(inner, |inner| watched::watch(inner, interest)).await
}

/// Has something watched as soon as the kernel has memory for that.
async fn when_memory<T, Watch>(
    inner: T,
    watch: impl Fn(T) -> std::result::Result<Watch, (T, Failure)>,
) -> Result<Watch> {
    let deadline = Instant::now() + WATCH_PATIENCE;
    let mut unwatched = inner;
    loop {
        match watch(unwatched) {
            Ok(watched) => return Ok(watched),
            Err((inner, Failure::Shortage(_))) if Instant::now() < deadline => unwatched = inner,
            Err((_, Failure::Shortage(fault) | Failure::Fault(fault))) => {
                return Err(fault.into());
            }
            Err((_, Failure::WouldBlock | Failure::Gone)) => {
                return Err(Fault { call: Call::Watch, errno: libc::EIO }.into());
            }
        }
        sleep(SHORTAGE_PAUSE).await;
    }
}

/// Looks after one worker until its process has ended.
async fn attend(
    context: Rc<Context>,
    id: WorkerId,
    process: AsyncFd<Arc<Process>>,
    lanes: Rc<WorkerLanes>,
) {
    let mut obeying = true;
    let mut faulted = false;
    let mut requests = Requests::new(Instant::now());
    // No state of the wait may be lost with a branch that is not taken, so it is kept here: when to
    // look for room in the queue, if it is full.
    let mut full = None;
    // When to cease to watch for room, unless it is full again.
    let mut unwatch_at = None;
    // Until when the process is to have ended, if the control socket has.
    let mut ending = None;
    let exit = loop {
        let flush = lanes.flush_at();
        tokio::select! {
            biased;
            exit = exited(&context, id, &process) => break exit,
            received = receive(&context, &lanes.control), if obeying => {
                let answered = match received {
                    Ok(Some(packet)) => hear(&context, id, &lanes, &mut requests, packet),
                    Ok(None) => {
                        obeying = false;
                        ending = Some(Instant::now() + ENDING);
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = answered {
                    (obeying, faulted) = (false, true);
                    fault(&context, id, error, &lanes);
                }
                if requests.ends_turn() {
                    yield_now().await;
                }
            }
            () = sleep_until(ending.unwrap_or_else(Instant::now).into()), if ending.is_some() => {
                ending = None;
                // One that has disconnected may do without.
                if !faulted && !context.ask(|core| core.is_withdrawn(id)) {
                    faulted = true;
                    fault(&context, id, Error::Ended, &lanes);
                }
            }
            // A worker sends nothing here. It can end the queue only by `shutdown`, as its receiving end is
            // ours as well. Both are faults, and so is a queue that the kernel refuses to watch.
            ended = lanes.queue.ended(), if obeying => {
                (obeying, faulted) = (false, true);
                fault(&context, id, ended.map_or(Error::Connection, Into::into), &lanes);
            }
            () = has_room(&lanes.control, flush), if flush.is_some() => lanes.flush(),
            () = lanes.changed.notified() => {
                full = lanes.full();
                if full.is_some() {
                    unwatch_at = None;
                    lanes.queue.watch_room();
                }
                if let Some(failed) = lanes.take_fault().filter(|_| !faulted) {
                    (obeying, faulted) = (false, true);
                    fault(&context, id, failed.into(), &lanes);
                }
            }
            stack = lanes.watchdog.answer() => {
                context.decide(|core| core.has_stack(id, stack, Instant::now()));
            }
            () = lanes.queue.has_room(full.unwrap_or_else(Instant::now)), if full.is_some() => {
                let now = Instant::now();
                (full, unwatch_at) = (None, Some(now + STILL_WATCHED));
                lanes.set_drained();
                context.decide(|core| core.queue_has_room(id, now));
            }
            () = sleep_until(unwatch_at.unwrap_or_else(Instant::now).into()), if unwatch_at.is_some() => {
                unwatch_at = None;
                lanes.queue.unwatch_room();
            }
        }
    };
    process.get_ref().kill_rest_of_group();
    if !take_last_requests(&context, id, lanes.control.get_ref()).await {
        context.decide(|core| core.expect_returns(id));
        let (context, lanes) = (Rc::clone(&context), Rc::clone(&lanes));
        // The exit is reported without waiting for that.
        spawn_local(async move {
            while !has_taken_requests(&context, id, lanes.control.get_ref()) {
                sleep(SHORTAGE_PAUSE).await;
            }
            context.decide(|core| core.has_returned_all(id, Instant::now()));
        });
    }
    let cut = context.ask(|core| core.count_cut(id));
    // Before anybody hears of the exit, all that the worker had of us is closed.
    drop((process, lanes));
    drop(context.decide(|core| core.remove_worker(id, Instant::now())));
    context.exited(id, exit, cut);
}

/// A lane has room, and it is time to try.
pub(super) async fn has_room(lane: &AsyncFd<OwnedFd>, retry: Option<Instant>) {
    if let Some(retry) = retry {
        sleep_until(retry.into()).await;
    }
    // It fails only when the runtime ends.
    let _ = lane.writable().await;
}

/// Takes the connections that a worker had returned before it ended, and hears why it could not begin.
/// Says false when there is more, for which this process has not enough of something.
async fn take_last_requests(context: &Rc<Context>, id: WorkerId, control: &OwnedFd) -> bool {
    // Another process that has the worker's end can't send more meanwhile. Where this fails, there is
    // nothing to read either.
    let _ = lane::shutdown(control, Lane::Control);
    for _ in 0..LAST_ATTEMPTS {
        if has_taken_requests(context, id, control) {
            return true;
        }
        sleep(SHORTAGE_PAUSE).await;
    }
    false
}

/// Takes what is left in the control socket of a worker that has ended. False when there is more, for which
/// this process has not enough of something.
fn has_taken_requests(context: &Rc<Context>, id: WorkerId, control: &OwnedFd) -> bool {
    loop {
        let packet = match receive_packet(context, control) {
            Ok(packet) if !packet.is_end => packet,
            Ok(_) | Err(Failure::WouldBlock | Failure::Gone) => return true,
            Err(Failure::Shortage(_)) => return false,
            Err(Failure::Fault(fault)) => {
                context.report(id, fault.into());
                return true;
            }
        };
        let request = control::decode_request(&packet.bytes, packet.length);
        match (request, packet.descriptor) {
            (Ok(ToPrimary::Return { listener }), Some(connection)) => {
                // A fault of a worker that has ended harms no other, and ends nothing.
                let _ = return_connection(context, id, listener, Some(connection));
            }
            (Ok(ToPrimary::Park { listener, left }), Some(connection)) => {
                let _ = park(context, id, listener, left, Some(connection));
            }
            (Ok(ToPrimary::Unable { reason }), _) => context.report(id, Error::Unable(reason)),
            _ => {}
        }
    }
}

/// Waits for the end of the worker's process, and says how it ended, if that is known.
async fn exited(context: &Context, id: WorkerId, process: &AsyncFd<Arc<Process>>) -> Option<Exit> {
    loop {
        let Ok(mut ready) = process.readable().await else {
            return None;
        };
        match process.get_ref().status() {
            Ok(Some(exit)) => return Some(exit),
            Ok(None) => ready.clear_ready(),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => {}
                // Other code of this process has reaped it.
                Some(libc::ECHILD) => return None,
                _ => {
                    context.report(id, Error::system("waitid")(error));
                    return None;
                }
            },
        }
    }
}

/// The next packet of a worker, or of another primary, or `None` when it has closed its end.
pub(super) async fn receive<T: Watchable + AsFd>(
    context: &Context,
    control: &AsyncFd<T>,
) -> Result<Option<WholePacket>> {
    let receive = |socket: &T| receive_packet(context, socket);
    loop {
        match watched::when_ready(control, Interest::READABLE, receive).await {
            Ok(packet) if !packet.is_end => return Ok(Some(packet)),
            Ok(_) | Err(Failure::WouldBlock | Failure::Gone) => return Ok(None),
            Err(Failure::Shortage(_)) => sleep(SHORTAGE_PAUSE).await,
            Err(Failure::Fault(fault)) => return Err(fault.into()),
        }
    }
}

/// Does what a packet of a worker asks for, if the worker may still ask.
fn hear(
    context: &Rc<Context>,
    id: WorkerId,
    lanes: &Rc<WorkerLanes>,
    requests: &mut Requests,
    packet: WholePacket,
) -> Result<()> {
    requests.take(packet.length, Instant::now())?;
    let request = control::decode_request(&packet.bytes, packet.length)?;
    answer(context, id, lanes, request, packet.descriptor)
}

/// A packet of a worker, with its descriptor: where there is no number for that, it stays in the socket.
fn receive_packet(
    context: &Context,
    control: impl AsFd,
) -> std::result::Result<WholePacket, Failure> {
    match lane::receive_packet_with_descriptor(&control, MAX_PACKET) {
        Err(shortage @ Failure::Shortage(_)) => {
            let mut reserve = context.reserve.borrow_mut();
            let lent = reserve.lend(|| lane::receive_packet_with_descriptor(&control, MAX_PACKET));
            lent.unwrap_or(Err(shortage))
        }
        received => received,
    }
}

/// The worker's channel is closed, which its primary reports when the addresses are free that this worker was
/// the last to serve: the engine closes its sockets at once, and those that the worker has itself close with
/// its process, unless that goes on without its primary.
pub(super) async fn leave(context: Rc<Context>, id: WorkerId) {
    context.decide(|core| core.withdraw(id, Instant::now()));
    let deadline = Instant::now() + LEAVING;
    while context.ask(|core| core.has_sockets(id)) && Instant::now() < deadline {
        tokio::select! {
            () = context.released.notified() => {}
            () = sleep_until(deadline.into()) => {}
        }
    }
    context.emit(Event::Left(id));
}

/// How long a primary waits, at most, for a worker whose channel is closed to close its sockets, or to
/// end, before it emits `'disconnect'`.
const LEAVING: Duration = Duration::from_secs(1);
