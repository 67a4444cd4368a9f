//! Does what workers ask for.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use tokio::{
    task::spawn_local,
    time::{sleep, sleep_until},
};

use super::{
    super::{
        core::{driver::Unread, listening::Joining, quota::Exceeded},
        messages::Event,
    },
    bind::listener_for,
    context::{Context, all_read},
    engine_driver::origin,
    faults::fault,
    lanes::WorkerLanes,
    parked_task::attend,
};
use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId, WorkerId,
        control::{self, Query, ToPrimary},
    },
    sys::{
        descriptor_limit, errno,
        listen::{self, Origin},
        scarce_descriptors,
    },
};

/// How long a worker that returned a connection gets no other of the same listener. It bounds the
/// rate at which a connection goes round when every worker is at its `maxConnections`.
const COOLDOWN: Duration = Duration::from_millis(10);

/// How long a worker waits, at most, for an address that another one is about to close.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(10);

/// How soon to look again whether the service manager has closed an address that it had stored.
const RELEASE_PAUSE: Duration = Duration::from_millis(5);

impl From<Unread> for Error {
    fn from(Unread: Unread) -> Self {
        Self::Unread
    }
}

impl From<Exceeded> for Error {
    fn from(Exceeded { what, limit }: Exceeded) -> Self {
        Self::Quota(what, limit)
    }
}

/// Does what a worker asks for.
///
/// # Errors
/// When the request breaks the protocol.
pub(super) fn answer(
    context: &Rc<Context>,
    id: WorkerId,
    lanes: &Rc<WorkerLanes>,
    request: ToPrimary,
    descriptor: Option<OwnedFd>,
) -> Result<()> {
    let takes_descriptor = matches!(request, ToPrimary::Return { .. } | ToPrimary::Park { .. });
    if descriptor.is_some() && !takes_descriptor {
        return Err(Error::StrayDescriptor);
    }
    let now = Instant::now();
    match request {
        // A worker that is disconnecting gets no answer, as with the built-in.
        ToPrimary::Listen { .. } if context.ask(|core| core.is_withdrawn(id)) => Ok(()),
        ToPrimary::Listen { seq, query, data, is_http } => {
            control::check_data(data.as_ref())?;
            let demand = Demand { id, seq, query, data, is_http };
            match serve(context, demand) {
                Served::Answered(answered) => answered,
                Served::InUse(demand, error) => {
                    if context.decide(|core| core.begin_wait(id)) {
                        let later = serve_later(Rc::clone(context), demand, Rc::downgrade(lanes));
                        drop(spawn_local(later));
                        Ok(())
                    } else {
                        refuse(context, id, demand.seq, &error)
                    }
                }
            }
        }
        ToPrimary::Lost { listener } => {
            if context.decide(|core| core.lose_socket(id, listener)) {
                context.replace_socket(listener, id);
            }
            Ok(())
        }
        ToPrimary::TicketKeys => Ok(context.shared_ticket_keys.give(lanes)?),
        ToPrimary::Alive => {
            context.decide(|core| core.answered(id, now));
            Ok(())
        }
        ToPrimary::Exhausted => {
            context.decide(|core| core.report_descriptors(id, true, now));
            Ok(())
        }
        ToPrimary::Recovered => {
            context.decide(|core| core.report_descriptors(id, false, now));
            Ok(())
        }
        ToPrimary::Staying => {
            if context.decide(|core| core.set_staying(id)) {
                context.emit(Event::Staying(id));
            }
            Ok(())
        }
        ToPrimary::Unable { reason } => Err(Error::Unable(reason)),
        ToPrimary::Close { listener } => Ok(context.decide(|core| core.close(id, listener, now))?),
        ToPrimary::Return { listener } => return_connection(context, id, listener, descriptor),
        ToPrimary::Park { listener, left } => park(context, id, listener, left, descriptor),
        ToPrimary::Ready => {
            context.decide(|core| core.supervise(now, |it| it.says_ready(id, now)));
            Ok(())
        }
        ToPrimary::Drained => {
            context.decide(|core| core.set_drained(id, now));
            Ok(())
        }
    }
}

/// A worker that drains leaves an idle connection to the engine, for so many milliseconds at most.
///
/// # Errors
/// When the worker does not drain, was not told to leave connections of the listener, or it is not one that
/// the worker can have from this listener.
pub(super) fn park(
    context: &Rc<Context>,
    id: WorkerId,
    listener: ListenerId,
    left: Option<u32>,
    connection: Option<OwnedFd>,
) -> Result<()> {
    if !context.ask(|core| core.may_park(id, listener)) {
        return Err(Error::NotItsConnection("it was not asked for"));
    }
    let left = left.map(|left| Duration::from_millis(left.into()));
    let parked = receive_connection(context, id, listener, connection).map(|connection| {
        if let Some(connection) = connection {
            // Those that wait are not to take the descriptors of new connections and workers.
            let has_room = connection.as_raw_fd() < scarce_descriptors();
            let now = Instant::now();
            context.decide(|core| core.park(id, listener, connection, left, has_room, now));
            attend(context, listener);
        }
    });
    // Its descriptor may be free again.
    context.reserve.borrow_mut().refill();
    parked
}

/// A worker says that it can't serve this connection. Without a descriptor, this process had none left for
/// it.
///
/// # Errors
/// When it is not one that the worker can have from this listener.
pub(super) fn return_connection(
    context: &Context,
    id: WorkerId,
    listener: ListenerId,
    connection: Option<OwnedFd>,
) -> Result<()> {
    let received = receive_connection(context, id, listener, connection);
    let returned = received.map(|connection| {
        if let Some(connection) = connection {
            let now = Instant::now();
            let cooldown = now + COOLDOWN;
            context.decide(|core| core.returned(id, listener, connection, cooldown, now));
        }
    });
    // Its descriptor may be free again.
    context.reserve.borrow_mut().refill();
    returned
}

/// Takes over a connection of a worker, which it had of this listener; `None` if the connection, or the
/// listener, has ended.
fn receive_connection(
    context: &Context,
    id: WorkerId,
    listener: ListenerId,
    connection: Option<OwnedFd>,
) -> Result<Option<OwnedFd>> {
    let may_have = context.decide(|core| core.take_returned(id, listener));
    let found = context.ask(|core| {
        let found = core.listener(listener)?;
        Some(connection.as_ref().map(|connection| origin(found, connection)))
    });
    let Some(origin) = found else {
        // Once a listener is closed, it is not known any more whose its connections are.
        let was_there = context.ask(|core| core.has_given(listener));
        return if was_there { Ok(None) } else { Err(Error::NotItsConnection("no listener has")) };
    };
    if !may_have {
        return Err(Error::NotItsConnection("the worker was not given"));
    }
    match origin.zip(connection) {
        Some((Origin::Elsewhere, _)) => {
            Err(Error::NotItsConnection("is not one of the listener's"))
        }
        Some((Origin::Listener, connection)) => {
            Ok(listen::reset_options(&connection).is_ok().then_some(connection))
        }
        // Its client has gone.
        Some((Origin::Ended, _)) | None => Ok(None),
    }
}

/// Tells the worker why it can't serve an address.
fn refuse(context: &Context, id: WorkerId, seq: u32, error: &io::Error) -> Result<()> {
    context.log().write(format_args!("worker {id} can't listen: {error}"));
    Ok(context.ask(|core| core.refuse(id, seq, errno(error)))?)
}

/// A worker that wants to serve an address.
struct Demand {
    id: WorkerId,
    seq: u32,
    query: Query,
    data: Option<serde_json::Value>,
    is_http: bool,
}

enum Served {
    Answered(Result<()>),
    /// Something else has the address.
    InUse(Demand, io::Error),
}

/// Lets a worker serve an address, bound now if no other worker serves it.
fn serve(context: &Rc<Context>, demand: Demand) -> Served {
    let may_listen = context.ask(|core| core.may_listen(demand.id, descriptor_limit()));
    if let Err(exceeded) = may_listen {
        return Served::Answered(Err(exceeded.into()));
    }
    match listener_for(context, demand.id, &demand.query) {
        Ok(listener) => {
            let Demand { id, seq, data, is_http, .. } = demand;
            let joined = context.decide(|core| {
                let joining = Joining { id, seq, is_http };
                let joined = core.join(joining, listener, data, Instant::now());
                core.close_unserved(listener);
                joined
            });
            if context.ask(|core| core.lacks_socket(id, listener)) {
                context.replace_socket(listener, id);
            }
            Served::Answered(joined.map_err(Error::from))
        }
        // One that the worker has itself is in use for sure: its requests come in order.
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && !context.ask(|core| core.serves(demand.id, &demand.query)) =>
        {
            Served::InUse(demand, error)
        }
        Err(error) => Served::Answered(refuse(context, demand.id, demand.seq, &error)),
    }
}

/// Something has the address: perhaps a socket of ours that is about to close, for which the worker waits.
async fn serve_later(context: Rc<Context>, mut demand: Demand, lanes: Weak<WorkerLanes>) {
    let id = demand.id;
    let deadline = Instant::now() + ADDRESS_PATIENCE;
    // A worker may have closed its server before this one asked, and its primary may have said that a worker
    // leaves, which waits for as long itself.
    all_read().await;
    all_read().await;
    let answered = loop {
        // As in `answer`.
        if context.ask(|core| core.is_withdrawn(id)) {
            break Ok(());
        }
        let error = match serve(&context, demand) {
            Served::Answered(answered) => break answered,
            Served::InUse(again, error) => {
                demand = again;
                error
            }
        };
        let is_releasing = context.is_releasing();
        if !(is_releasing || context.ask(|core| core.is_lingering())) || Instant::now() >= deadline
        {
            break refuse(&context, id, demand.seq, &error);
        }
        tokio::select! {
            () = context.released.notified() => {}
            () = sleep(RELEASE_PAUSE), if is_releasing => {}
            () = sleep_until(deadline.into()) => {}
        }
    };
    context.decide(|core| core.end_wait(id));
    if let (Err(error), Some(lanes)) = (answered, lanes.upgrade()) {
        fault(&context, id, error, &lanes);
    }
}
