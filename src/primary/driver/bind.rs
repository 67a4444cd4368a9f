//! Binds what workers ask to listen on, or adopts it where it was bound elsewhere.

use std::{
    io,
    mem::take,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc::UnboundedReceiver, task::spawn_local, time::sleep};

use super::{
    super::{
        core::{
            listener::{Delivery, Listener},
            listening::{Need, Plan},
            quota::descriptors_at,
        },
        inherit::Adopted,
    },
    acceptor,
    context::{Context, LostSocket},
    engine_driver::{EngineDriver, origin},
    listening_socket::{ListeningSocket, UsedBy},
    parked_task::attend,
    rehearsal,
};
use crate::{
    protocol::{
        ListenerId, WorkerId,
        control::{BoundAddress, Query, Target},
    },
    sys::{
        adopt, descriptor_limit,
        listen::{self, Bound, Keeper, Origin},
    },
};

/// How long a worker is without a socket of its own when it has lost one.
const REPLACE_PAUSE: Duration = Duration::from_millis(10);

/// The same after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The listener that serves the address for this worker, bound now if there is none.
///
/// # Errors
/// That of the system call that failed.
pub(super) fn listener_for(
    context: &Rc<Context>,
    worker: WorkerId,
    query: &Query,
) -> io::Result<ListenerId> {
    match context.ask(|core| core.plan(worker, query)) {
        Plan::Bind => bind(context, worker, query),
        Plan::Rebind(listener, address) => {
            rebind(context, listener, worker, query, address)?;
            Ok(listener)
        }
        Plan::Join(listener) => {
            // Where workers have ended all sockets, it joins without one, and gets one as they do.
            if let Some(Need::Sibling(..)) =
                context.ask(|core| core.need_of_socket(listener, worker))
            {
                add_own_socket(context, listener, worker)?;
            }
            Ok(listener)
        }
    }
}

/// What listens on an address.
struct Place {
    /// Where it comes from: at least one.
    sockets: Vec<Bound>,
    /// What was asked for.
    query: Query,
    /// The address that workers see.
    address: Option<BoundAddress>,
    /// What a worker offered to the others.
    data: Option<serde_json::Value>,
    /// Whether it was bound elsewhere.
    is_adopted: bool,
}

fn bind(context: &Rc<Context>, worker: WorkerId, query: &Query) -> io::Result<ListenerId> {
    // In a rehearsal the system does not know.
    if context.run.borrow().rehearses
        && context.ask(|core| core.bound_queries().any(|it| rehearsal::collide(it, query)))
    {
        return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
    }
    let mut place = find(context, worker, query)?;
    let sockets = place.sockets.len();
    let distribution = context.ask(|core| core.new_distribution(&query.target, sockets));
    let Some(mut distribution) = distribution else {
        return share(context, place);
    };
    let are_own = distribution.sockets.are_own && place.may_have_siblings();
    distribution.sockets.are_own = are_own;
    place.listen(are_own)?;
    let sockets = take(&mut place.sockets);
    let id = insert(context, place, Delivery::Distributed(Box::new(distribution)));
    context.decide(|core| core.inherit(id));
    attend(context, id);
    for bound in sockets {
        acceptor::add(context, id, bound);
    }
    serve_waiting(context, id);
    Ok(id)
}

/// Hands out the connections of an address that waited for workers of a primary which was killed.
fn serve_waiting(context: &Context, id: ListenerId) {
    let waiting = context.ask(|core| {
        let listener = core.listener(id)?;
        let is_its = |it: &mut OwnedFd| origin(listener, it) == Origin::Listener;
        Some(context.inherited.borrow_mut().take_connections(is_its))
    });
    for connection in waiting.into_iter().flatten() {
        context.decide(|core| core.accepted(id, connection, Instant::now()));
    }
}

/// Lets all workers accept from one socket, or receive datagrams.
fn share(context: &Rc<Context>, mut place: Place) -> io::Result<ListenerId> {
    let has_datagrams = place.query.target.has_datagrams();
    // The workers listen themselves. What does not listen can't be stored.
    if !has_datagrams && (place.is_adopted || context.store.borrow().is_some()) {
        place.listen(false)?;
    }
    // Datagrams that come to others are not for this program.
    let first = take(&mut place.sockets).into_iter().next();
    let bound = first.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let guard = Rc::clone(&context.guard);
    let socket = ListeningSocket::new(bound, UsedBy::AllWorkers, guard);
    context.keep(&socket);
    Ok(insert(context, place, Delivery::Shared(Rc::new(socket))))
}

fn insert(context: &Context, place: Place, delivery: Delivery<EngineDriver>) -> ListenerId {
    let Place { query, address, data, is_adopted, .. } = place;
    let id = context.decide(|core| {
        let id = core.next_listener();
        let mut listener = Listener::new(query.clone(), address, delivery);
        listener.data = data;
        core.insert_listener(id, listener);
        id
    });
    if is_adopted {
        context.inherited.borrow_mut().serve(&query, id);
    }
    id
}

/// Binds the address again of a listener whose connections wait for a worker.
fn rebind(
    context: &Rc<Context>,
    id: ListenerId,
    worker: WorkerId,
    query: &Query,
    address: Option<BoundAddress>,
) -> io::Result<()> {
    let has_own = context.ask(|core| core.listener(id).is_some_and(Listener::has_own_sockets));
    // Clients know the port that the kernel has chosen, which it would not choose again.
    let same =
        same_port(query, address).and_then(|query| start(context, worker, &query, has_own).ok());
    let place = same.map_or_else(|| start(context, worker, query, has_own), Ok)?;
    context.decide(|core| core.rebind(id, query.clone(), place.address.clone()));
    add_all(context, id, place);
    Ok(())
}

/// Accepts from all sockets of an address.
fn add_all(context: &Rc<Context>, id: ListenerId, place: Place) {
    if place.is_adopted {
        context.inherited.borrow_mut().serve(&place.query, id);
    }
    for bound in place.sockets {
        acceptor::add(context, id, bound);
    }
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

/// Finds an address, and listens there. `has_siblings`: further sockets are to have it as well.
fn start(
    context: &Context,
    worker: WorkerId,
    query: &Query,
    has_siblings: bool,
) -> io::Result<Place> {
    let place = find(context, worker, query)?;
    place.listen(has_siblings)?;
    Ok(place)
}

/// Adopts what was bound elsewhere for the query of a worker, or binds what it asks for. Descriptors of the engine are
/// not for workers to name.
fn find(context: &Context, worker: WorkerId, query: &Query) -> io::Result<Place> {
    check_descriptors(context, worker, descriptors_at(&query.target))?;
    let (run, query) = (context.run.borrow(), query.clone());
    if !run.rehearses
        && let Some(adopted) = context.inherited.borrow().adopt(&query)?
    {
        let Adopted { sockets, address, data } = adopted;
        context.log().write(format_args!("{} sockets adopted for {query:?}", sockets.len()));
        return Ok(Place { sockets, query, address, data, is_adopted: true });
    }
    // An adopted socket goes by its number in another process, which something else may have here.
    if let Target::Descriptor { fd, .. } = query.target
        && (context.ask(|core| core.owns(fd)) || context.inherited.borrow().owns(fd))
    {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let is_contested =
        context.ask(|core| core.worker(worker).is_some_and(|worker| worker.is_other_user));
    let (bound, address) = rehearsal::bind(&run, &query, is_contested)?;
    Ok(Place { sockets: vec![bound], query, address, data: None, is_adopted: false })
}

impl Place {
    fn listen(&self, has_siblings: bool) -> io::Result<()> {
        for bound in &self.sockets {
            if self.is_adopted {
                adopt::resume(bound, &self.query)?;
                continue;
            }
            listen::start(bound, &self.query)?;
            if has_siblings {
                listen::allow_siblings(bound)?;
            }
        }
        Ok(())
    }

    /// Whether further sockets can have the address and the options of these. The options of the service manager's are
    /// not known.
    fn may_have_siblings(&self) -> bool {
        let address = |bound: &Bound| listen::bound_address(bound).ok();
        let first = self.sockets.first().and_then(address);
        !self.is_adopted
            || self.sockets.iter().all(|bound| {
                bound.keeper() != Some(Keeper::ServiceManager)
                    && adopt::may_have_siblings(bound)
                    && address(bound) == first
            })
    }
}

/// Whether listeners may take so many more descriptors, for this worker.
///
/// # Errors
/// `EMFILE` when they may not.
fn check_descriptors(context: &Context, worker: WorkerId, more: usize) -> io::Result<()> {
    match context.ask(|core| core.has_descriptors(worker, more, descriptor_limit())) {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(libc::EMFILE)),
    }
}

/// Binds a further socket of the listener where the worker needs one to have one of its own.
fn add_own_socket(context: &Rc<Context>, listener: ListenerId, worker: WorkerId) -> io::Result<()> {
    match context.ask(|core| core.need_of_socket(listener, worker)) {
        None => {}
        Some(Need::Sibling(socket, query)) => {
            check_descriptors(context, worker, 1)?;
            acceptor::add(context, listener, socket.sibling(&query)?);
        }
        Some(Need::Anew(query, address)) => {
            // Clients know the port.
            let query = same_port(&query, address).unwrap_or(query);
            add_all(context, listener, start(context, worker, &query, true)?);
        }
    }
    Ok(())
}

/// Gives workers sockets of their own in place of those that they have lost, as soon as that is possible.
pub(super) async fn replace_lost(context: Rc<Context>, mut lost: UnboundedReceiver<LostSocket>) {
    while let Some((listener, worker)) = lost.recv().await {
        drop(spawn_local(replace(Rc::clone(&context), listener, worker)));
    }
}

async fn replace(context: Rc<Context>, listener: ListenerId, worker: WorkerId) {
    // A worker that ends each of its sockets keeps this thread no busier than that.
    let mut pause = REPLACE_PAUSE;
    loop {
        sleep(pause).await;
        if !context.ask(|core| core.lacks_socket(worker, listener)) {
            return;
        }
        let Err(error) = assign_again(&context, listener, worker) else {
            return;
        };
        context.warn(listener, error);
        pause = RETRY_PAUSE;
    }
}

fn assign_again(context: &Rc<Context>, listener: ListenerId, worker: WorkerId) -> io::Result<()> {
    add_own_socket(context, listener, worker)?;
    let assigned = context.decide(|core| core.assign_again(worker, listener));
    assigned.map_err(|errno| io::Error::from_raw_os_error(-errno))
}
