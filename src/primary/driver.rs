use std::{
    cell::RefCell,
    io,
    os::fd::OwnedFd,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Runtime,
    sync::{
        Notify,
        mpsc::{self, UnboundedReceiver},
    },
    task::{LocalSet, spawn_local, yield_now},
    time::{sleep, sleep_until},
};

use super::{
    engine::{Command, Event},
    fork::Adopted,
    listener::{Listener, Socket},
    quota::Requests,
    seat,
    state::{Outlook, Shared, State},
    worker::Worker,
};
use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId, WorkerId,
        control::{self, BoundAddress, MAX_PACKET, Query, Target, ToPrimary},
    },
    sys::{
        exit::{Exit, Process},
        failure::{Call, Failure, Fault, SHORTAGE_PAUSE},
        lane::{self, Lane, WholePacket},
        listen::{self, Bound},
        wake_politely,
        watched::{self, Watchable},
    },
};

/// How often the patrol looks at workers for which connections wait.
const PATROL: Duration = Duration::from_millis(2);

/// How often it looks when all of these are stuck and nobody is left to ask: whoever gets free says so.
const SLOW_PATROL: Duration = Duration::from_millis(50);

/// How long a worker that returned a connection gets no other of the same listener. It bounds the
/// rate at which a connection goes round when every worker is at its `maxConnections`.
const REST: Duration = Duration::from_millis(10);

/// How often the last requests of a worker are asked for before its exit is told, if there is a shortage.
const LAST_ATTEMPTS: usize = 3;

/// How long a worker may go on when its control lane has ended: a process closes its descriptors a moment
/// before it has ended.
const ENDING: Duration = Duration::from_secs(1);

/// How long a worker waits, at most, for an address that another one is about to close.
const LINGER: Duration = Duration::from_secs(10);

/// How long a primary waits, at most, for a worker whose channel is closed to close its sockets, or to
/// end, before it emits `'disconnect'`.
const LEAVING: Duration = Duration::from_secs(1);

/// Turns of this thread after which all has been read that was there before.
const TURNS: usize = 3;

/// How long a new worker waits for memory of the kernel's to be looked after, while all others that come
/// wait behind it.
const WATCH_PATIENCE: Duration = Duration::from_secs(1);

/// The engine thread, from beginning to end: until the [`super::Engine`] is dropped, and the last of its
/// workers has ended.
pub(super) fn run(runtime: &Runtime, mut commands: UnboundedReceiver<Command>, state: State) {
    // Measured at 10,000 connections a second: half the processor time for each, at a somewhat
    // higher rate and with lower latencies.
    wake_politely();
    let state = Rc::new(RefCell::new(state));
    LocalSet::new().block_on(runtime, async {
        spawn_local(patrol(Rc::clone(&state)));
        spawn_local(take_back_owed(Rc::clone(&state)));
        spawn_local(expire(Rc::clone(&state)));
        // Each worker's task holds a sender.
        let (attending, mut all_ended) = mpsc::channel(1);
        while let Some(command) = commands.recv().await {
            match command {
                // Orders about it come later.
                Command::Adopt(adopted) => adopt(&state, adopted, attending.clone()).await,
                // What a worker has returned before it leaves goes to others, or waits for the next one.
                Command::Retire(worker) => {
                    all_read().await;
                    state.borrow_mut().retire(worker);
                }
                Command::Leave(worker) => {
                    all_read().await;
                    drop(spawn_local(leave(Rc::clone(&state), worker)));
                }
                Command::Pause(worker) => state.borrow_mut().pause(worker),
                Command::Resume(worker) => state.borrow_mut().resume(worker),
                Command::Settle(token) => {
                    state.borrow_mut().expire_all();
                    state.borrow().emit(Event::Settled(token));
                }
            }
        }
        // The workers' lanes have to stay open, as long as this process is there: see `Watchdog`. And
        // without JavaScript nobody else reaps them.
        state.borrow_mut().retire_all();
        drop(attending);
        let _: Option<Attending> = all_ended.recv().await;
    });
}

/// Waits until all has been read that was there before.
async fn all_read() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

/// Looks after the connections that wait in lanes, as long as there are any.
async fn patrol(state: Shared) {
    let loading = state.borrow().loading();
    loop {
        loading.notified().await;
        loop {
            let outlook = state.borrow_mut().patrol(Instant::now());
            match outlook {
                Outlook::Idle => break,
                Outlook::Loaded => sleep(PATROL).await,
                Outlook::Stuck => tokio::select! {
                    () = sleep(SLOW_PATROL) => {}
                    () = loading.notified() => {}
                },
            }
        }
    }
}

/// Takes back what waits in lanes as soon as there are descriptors for that.
async fn take_back_owed(state: Shared) {
    let owing = state.borrow().owing();
    loop {
        owing.notified().await;
        while state.borrow_mut().take_back_owed() {
            sleep(SHORTAGE_PAUSE).await;
        }
    }
}

/// Closes connections that wait too long for a worker to come.
async fn expire(state: Shared) {
    let holding = state.borrow().holding();
    loop {
        let next = state.borrow_mut().expire(Instant::now());
        match next {
            None => holding.notified().await,
            Some(next) => tokio::select! {
                () = sleep_until(next.into()) => {}
                () = holding.notified() => {}
            },
        }
    }
}

/// The channel of a worker is closed, which its primary tells when the addresses are free that this worker
/// was the last to serve: the engine closes its sockets at once, and those that the worker has itself
/// close with its process, unless that goes on without its primary.
async fn leave(state: Shared, id: WorkerId) {
    state.borrow_mut().retire(id);
    let released = state.borrow().released();
    let deadline = Instant::now() + LEAVING;
    while state.borrow().holds_sockets(id) && Instant::now() < deadline {
        tokio::select! {
            () = released.notified() => {}
            () = sleep_until(deadline.into()) => {}
        }
    }
    state.borrow().emit(Event::Left(id));
}

/// Held by the task of each worker; nothing is ever sent.
type Attending = std::convert::Infallible;

async fn adopt(state: &Shared, adopted: Adopted, attending: mpsc::Sender<Attending>) {
    let Adopted { id, process, control, connection, reclaim, tally, hold, is_other_user } = adopted;
    let pid = process.pid();
    let watched = async {
        let process = watch(Arc::clone(&process), Interest::READABLE).await?;
        let control = watch(control, Interest::READABLE | Interest::WRITABLE).await?;
        let lane = watch(connection, Interest::READABLE | Interest::WRITABLE).await?;
        Ok::<_, Error>((process, Rc::new(control), Rc::new(lane)))
    };
    let filled = Rc::new(Notify::new());
    match watched.await {
        Ok((process, control, lane)) => {
            let mut worker = Worker::new(
                pid,
                Rc::clone(&control),
                Rc::clone(&lane),
                reclaim,
                tally,
                Rc::clone(&filled),
                hold,
            );
            worker.is_other_user = is_other_user;
            state.borrow_mut().adopt(id, worker);
            let attended =
                attend(Rc::clone(state), id, Attended { process, control, lane, filled });
            spawn_local(async {
                attended.await;
                drop(attending);
            });
        }
        // The worker can't be looked after.
        Err(error) => {
            process.end();
            let state = state.borrow();
            state.emit(Event::Faulted { worker: id, error });
            state.exited(id, Some(Exit::Signal(libc::SIGKILL)));
        }
    }
}

/// Waits on what a new worker has, as soon as the kernel has memory for that.
async fn watch<T: Watchable>(inner: T, interest: Interest) -> Result<AsyncFd<T>> {
    let deadline = Instant::now() + WATCH_PATIENCE;
    let mut unwatched = inner;
    loop {
        match watched::watch(unwatched, interest) {
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

/// What the task of one worker waits on.
struct Attended {
    process: AsyncFd<Arc<Process>>,
    control: Rc<AsyncFd<OwnedFd>>,
    lane: Rc<AsyncFd<OwnedFd>>,
    filled: Rc<Notify>,
}

/// Looks after one worker until its process has ended.
async fn attend(state: Shared, id: WorkerId, worker: Attended) {
    let Attended { process, control, lane, filled } = worker;
    let mut obeying = true;
    let mut faulted = false;
    let mut requests = Requests::new(Instant::now());
    // No state of the wait may be lost with a branch that is not taken, so it is kept here: when to
    // look for room in the lane, if it is full.
    let mut retry = None;
    // Until when the process is to have ended, if the control lane has.
    let mut ending = None;
    let exit = loop {
        let flush = state.borrow().flush_at(id);
        tokio::select! {
            biased;
            exit = exited(&state, id, &process) => break exit,
            received = receive(&state, &control), if obeying => {
                let answered = match received {
                    Ok(Some(packet)) => hear(&state, id, &control, &mut requests, packet),
                    Ok(None) => {
                        obeying = false;
                        ending = Some(Instant::now() + ENDING);
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = answered {
                    (obeying, faulted) = (false, true);
                    fault(&state, id, error, &control);
                }
                if requests.ends_turn() {
                    yield_now().await;
                }
            }
            () = sleep_until(ending.unwrap_or_else(Instant::now).into()), if ending.is_some() => {
                ending = None;
                // One that has disconnected may do without.
                if !faulted && !state.borrow().is_retired(id) {
                    faulted = true;
                    fault(&state, id, Error::Ended, &control);
                }
            }
            // A worker sends nothing here. It can end the lane only by `shutdown`, as its receiving end is
            // ours as well; both are faults.
            _ = lane.readable(), if obeying => {
                (obeying, faulted) = (false, true);
                fault(&state, id, Error::Connection, &control);
            }
            () = has_drained(&control, flush), if flush.is_some() => {
                state.borrow().flush_orders(id);
            }
            () = filled.notified() => {
                retry = state.borrow().retry(id);
                let failed = state.borrow().take_fault(id);
                if let Some(failed) = failed.filter(|_| !faulted) {
                    (obeying, faulted) = (false, true);
                    fault(&state, id, failed.into(), &control);
                }
            }
            () = has_drained(&lane, retry), if retry.is_some() => {
                retry = None;
                state.borrow_mut().drained(id);
            }
        }
    };
    if !take_last_requests(&state, id, control.get_ref()).await {
        state.borrow_mut().keep(id);
        let (state, control) = (Rc::clone(&state), Rc::clone(&control));
        // The exit is told without waiting for that.
        spawn_local(async move {
            while !has_taken_requests(&state, id, control.get_ref()) {
                sleep(SHORTAGE_PAUSE).await;
            }
            state.borrow_mut().let_go(id);
        });
    }
    // Before anybody hears of the exit, all that the worker had of us is closed.
    drop((process, control, lane));
    drop(state.borrow_mut().remove(id));
    state.borrow().exited(id, exit);
}

/// A lane has room, and it is time to try.
async fn has_drained(lane: &AsyncFd<OwnedFd>, retry: Option<Instant>) {
    if let Some(retry) = retry {
        sleep_until(retry.into()).await;
    }
    // It fails only when the runtime ends.
    let _ = lane.writable().await;
}

/// A worker broke the protocol, can't begin, or has a lane that fails: it gets nothing more, and its
/// primary hears of it.
fn fault(state: &Shared, id: WorkerId, error: Error, control: &AsyncFd<OwnedFd>) {
    // The worker learns of it too, and stops filling the lane. Where that fails, it learns of it
    // by the message lane.
    let _ = lane::shutdown(control, Lane::Control);
    // A descriptor that came with it is closed.
    state.borrow_mut().refill();
    state.borrow_mut().retire(id);
    report(state, id, error);
}

fn report(state: &Shared, worker: WorkerId, error: Error) {
    state.borrow().emit(match error {
        Error::Unable(reason) => Event::Unable { worker, reason },
        error => Event::Faulted { worker, error },
    });
}

/// Takes the connections that a worker had returned before it ended, and hears why it could not begin.
/// Says false when there is more, for which this process has not enough of something.
async fn take_last_requests(state: &Shared, id: WorkerId, control: &OwnedFd) -> bool {
    // Another process that has the worker's end can't send more meanwhile. Where this fails, there is
    // nothing to read either.
    let _ = lane::shutdown(control, Lane::Control);
    for _ in 0..LAST_ATTEMPTS {
        if has_taken_requests(state, id, control) {
            return true;
        }
        sleep(SHORTAGE_PAUSE).await;
    }
    false
}

/// Takes what is left in the control lane of a worker that has ended. False when there is more, for which
/// this process has not enough of something.
fn has_taken_requests(state: &Shared, id: WorkerId, control: &OwnedFd) -> bool {
    loop {
        let packet = match receive_packet(state, control) {
            Ok(packet) if !packet.is_end => packet,
            Ok(_) | Err(Failure::WouldBlock | Failure::Gone) => return true,
            Err(Failure::Shortage(_)) => return false,
            Err(Failure::Fault(fault)) => {
                report(state, id, fault.into());
                return true;
            }
        };
        let request = control::decode_request(&packet.bytes, packet.length);
        match (request, packet.descriptor) {
            (Ok(ToPrimary::Return { listener }), Some(connection)) => {
                // A fault of a worker that has ended harms nobody, and ends nothing.
                let _ =
                    state.borrow_mut().give_back(id, listener, Some(connection), Instant::now());
                state.borrow_mut().refill();
            }
            (Ok(ToPrimary::Unable { reason }), _) => report(state, id, Error::Unable(reason)),
            _ => {}
        }
    }
}

/// Waits for the end of the worker's process, and says how it ended, if that is known.
async fn exited(state: &Shared, id: WorkerId, process: &AsyncFd<Arc<Process>>) -> Option<Exit> {
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
                    report(state, id, Error::system("waitid")(error));
                    return None;
                }
            },
        }
    }
}

/// The next packet of a worker, or `None` when it has closed its end.
async fn receive(state: &Shared, control: &AsyncFd<OwnedFd>) -> Result<Option<WholePacket>> {
    let receive = |socket: &OwnedFd| receive_packet(state, socket);
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
    state: &Shared,
    id: WorkerId,
    control: &Rc<AsyncFd<OwnedFd>>,
    requests: &mut Requests,
    packet: WholePacket,
) -> Result<()> {
    requests.take(packet.length, Instant::now())?;
    let request = control::decode_request(&packet.bytes, packet.length)?;
    answer(state, id, control, request, packet.descriptor)
}

/// A packet of a worker, with its descriptor: where there is no number for that, it stays in the lane.
fn receive_packet(state: &Shared, control: &OwnedFd) -> std::result::Result<WholePacket, Failure> {
    match lane::receive_packet_with_descriptor(control, MAX_PACKET) {
        Err(shortage @ Failure::Shortage(_)) => {
            let received = state
                .borrow_mut()
                .lend(|| lane::receive_packet_with_descriptor(control, MAX_PACKET));
            received.unwrap_or(Err(shortage))
        }
        received => received,
    }
}

fn answer(
    state: &Shared,
    id: WorkerId,
    control: &Rc<AsyncFd<OwnedFd>>,
    request: ToPrimary,
    descriptor: Option<OwnedFd>,
) -> Result<()> {
    if descriptor.is_some() && !matches!(request, ToPrimary::Return { .. }) {
        return Err(Error::StrayDescriptor);
    }
    match request {
        // A worker that is disconnecting hears nothing, as with the built-in.
        ToPrimary::Listen { .. } if state.borrow().is_retired(id) => Ok(()),
        ToPrimary::Listen { seq, query, data } => {
            control::check_data(data.as_ref())?;
            let demand = Demand { id, seq, query, data };
            match serve(state, demand) {
                Served::Answered(answered) => answered,
                Served::InUse(demand, _) if state.borrow().begin_wait(id) => {
                    spawn_local(serve_later(Rc::clone(state), demand, Rc::downgrade(control)));
                    Ok(())
                }
                Served::InUse(Demand { id, seq, .. }, error) => {
                    state.borrow().refuse(id, seq, &error)
                }
            }
        }
        ToPrimary::Lost { listener } => {
            if state.borrow_mut().lose_seat(id, listener) {
                seat::replace(state, listener, id);
            }
            Ok(())
        }
        ToPrimary::Alive => {
            state.borrow_mut().alive(id);
            Ok(())
        }
        ToPrimary::Exhausted => {
            hear_of_descriptors(state, id, true);
            Ok(())
        }
        ToPrimary::Recovered => {
            hear_of_descriptors(state, id, false);
            Ok(())
        }
        ToPrimary::Staying => {
            state.borrow_mut().staying(id);
            Ok(())
        }
        ToPrimary::Unable { reason } => Err(Error::Unable(reason)),
        ToPrimary::Close { listener } => {
            state.borrow_mut().close(id, listener);
            state.borrow().confirm_closed(id, listener)
        }
        ToPrimary::Return { listener } => {
            let rest = Instant::now() + REST;
            state.borrow_mut().give_back(id, listener, descriptor, rest)?;
            state.borrow_mut().refill();
            let state = Rc::clone(state);
            spawn_local(async move {
                sleep_until(rest.into()).await;
                state.borrow_mut().rested(id, listener, Instant::now());
            });
            Ok(())
        }
    }
}

/// A worker says that it has no descriptors, or has some again.
fn hear_of_descriptors(state: &Shared, id: WorkerId, is_exhausted: bool) {
    let settles = state.borrow_mut().claim(id, is_exhausted, Instant::now());
    if let Some(settles) = settles {
        let state = Rc::clone(state);
        spawn_local(async move {
            sleep_until(settles.into()).await;
            state.borrow_mut().settle_claim(id, Instant::now());
        });
    }
}

/// A worker that wants to serve an address.
struct Demand {
    id: WorkerId,
    seq: u32,
    query: Query,
    data: Option<serde_json::Value>,
}

enum Served {
    Answered(Result<()>),
    /// Something else has the address.
    InUse(Demand, io::Error),
}

/// Lets a worker serve an address, bound now if no other worker serves it.
fn serve(state: &Shared, demand: Demand) -> Served {
    if let Err(error) = state.borrow().may_listen(demand.id) {
        return Served::Answered(Err(error));
    }
    match listener_for(state, demand.id, &demand.query) {
        Ok(listener) => {
            let Demand { id, seq, data, .. } = demand;
            let joined = state.borrow_mut().join(id, seq, listener, data);
            state.borrow_mut().close_unserved(listener);
            Served::Answered(joined)
        }
        // One that the worker has itself is in use for sure: its requests come in order.
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && !state.borrow().serves(demand.id, &demand.query) =>
        {
            Served::InUse(demand, error)
        }
        Err(error) => Served::Answered(state.borrow().refuse(demand.id, demand.seq, &error)),
    }
}

/// Something has the address: perhaps a socket of ours that is about to close, for which the worker waits.
async fn serve_later(state: Shared, mut demand: Demand, control: Weak<AsyncFd<OwnedFd>>) {
    let id = demand.id;
    let released = state.borrow().released();
    let deadline = Instant::now() + LINGER;
    // A worker may have closed its server before this one asked, and its primary may have said that a worker
    // leaves, which waits for as long itself.
    all_read().await;
    all_read().await;
    let answered = loop {
        // As in `answer`.
        if state.borrow().is_retired(id) {
            break Ok(());
        }
        let error = match serve(&state, demand) {
            Served::Answered(answered) => break answered,
            Served::InUse(again, error) => {
                demand = again;
                error
            }
        };
        if !state.borrow().is_lingering() || Instant::now() >= deadline {
            break state.borrow().refuse(id, demand.seq, &error);
        }
        tokio::select! {
            () = released.notified() => {}
            () = sleep_until(deadline.into()) => {}
        }
    };
    state.borrow().end_wait(id);
    if let (Err(error), Some(control)) = (answered, control.upgrade()) {
        fault(&state, id, error, &control);
    }
}

/// The listener that serves the address for this worker.
fn listener_for(state: &Shared, id: WorkerId, query: &Query) -> io::Result<ListenerId> {
    let found = state.borrow().find(id, query);
    let Some(listener) = found else {
        return bind(state, id, query);
    };
    let address = state.borrow().unbound(listener).map(|listener| listener.address.clone());
    match address {
        Some(address) => rebind(state, listener, id, query, address)?,
        None => complete(state, listener, id)?,
    }
    Ok(listener)
}

fn bind(state: &Shared, worker: WorkerId, query: &Query) -> io::Result<ListenerId> {
    let distribution = state.borrow().new_distribution(&query.target);
    let Some(distribution) = distribution else {
        let bound = state.borrow().bind(worker, query)?;
        let address = listen::bound_address(&bound)?;
        return Ok(insert(state, Listener::new(query.clone(), address, Socket::Shared(bound))));
    };
    let (bound, address) = start(state, worker, query, distribution.has_owners)?;
    let socket = Socket::Distributed(Box::new(distribution));
    let id = insert(state, Listener::new(query.clone(), address, socket));
    state.borrow_mut().inherit(id);
    seat::add(state, id, bound);
    Ok(id)
}

/// Binds the address again of a listener whose connections wait for a worker.
fn rebind(
    state: &Shared,
    id: ListenerId,
    worker: WorkerId,
    query: &Query,
    address: Option<BoundAddress>,
) -> io::Result<()> {
    let has_owners = state.borrow().unbound(id).is_some_and(Listener::has_owners);
    // Clients know the port that the kernel has chosen, which it would not choose again.
    let same =
        same_port(query, address).and_then(|query| start(state, worker, &query, has_owners).ok());
    let (bound, address) = same.map_or_else(|| start(state, worker, query, has_owners), Ok)?;
    state.borrow_mut().rebound(id, query.clone(), address);
    seat::add(state, id, bound);
    Ok(())
}

/// The query for the port that was bound for one that leaves the choice to the kernel.
fn same_port(query: &Query, bound: Option<BoundAddress>) -> Option<Query> {
    match (&query.target, bound) {
        (Target::Tcp { address, port: 0 }, Some(BoundAddress { port, .. })) => {
            let target = Target::Tcp { address: address.clone(), port };
            Some(Query { target, ..query.clone() })
        }
        _ => None,
    }
}

/// Binds an address and listens there. `has_siblings`: further sockets are to have it as well.
fn start(
    state: &Shared,
    worker: WorkerId,
    query: &Query,
    has_siblings: bool,
) -> io::Result<(Bound, Option<BoundAddress>)> {
    let bound = state.borrow().bind(worker, query)?;
    let address = listen::bound_address(&bound)?;
    listen::start(&bound, query)?;
    if has_siblings {
        listen::allow_siblings(&bound)?;
    }
    Ok((bound, address))
}

fn insert(state: &Shared, listener: Listener) -> ListenerId {
    let mut state = state.borrow_mut();
    let id = state.next_listener();
    state.insert(id, listener);
    id
}

/// Binds a further socket of the listener where the worker needs one.
fn complete(state: &Shared, listener: ListenerId, worker: WorkerId) -> io::Result<()> {
    let sibling = state.borrow().sibling(listener, worker)?;
    if let Some(bound) = sibling {
        seat::add(state, listener, bound);
    }
    Ok(())
}

/// Gives a worker a further socket of its own in place of one that it has lost.
pub(super) fn seat_again(state: &Shared, listener: ListenerId, worker: WorkerId) -> io::Result<()> {
    let lost = state.borrow().lost(listener);
    match lost {
        Some((query, address)) => {
            // Clients know the port.
            let query = same_port(&query, address).unwrap_or(query);
            let (bound, _) = start(state, worker, &query, true)?;
            seat::add(state, listener, bound);
        }
        None => complete(state, listener, worker)?,
    }
    state.borrow_mut().seat_again(worker, listener)
}
