//! Binds what workers ask to listen on.

use std::{io, rc::Rc, time::Duration};

use tokio::{sync::mpsc::UnboundedReceiver, task::spawn_local, time::sleep};

use super::{
    super::core::{
        listener::{Delivery, Listener},
        listening::{Need, Plan},
        quota::descriptors_at,
    },
    acceptor,
    context::{Context, LostSocket},
    engine_driver::EngineDriver,
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
        descriptor_limit,
        listen::{self, Bound},
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

fn bind(context: &Rc<Context>, worker: WorkerId, query: &Query) -> io::Result<ListenerId> {
    // In a rehearsal the system does not know.
    if context.run.borrow().rehearses
        && context.ask(|core| core.bound_queries().any(|it| rehearsal::collide(it, query)))
    {
        return Err(io::Error::from_raw_os_error(libc::EADDRINUSE));
    }
    let distribution = context.ask(|core| core.new_distribution(&query.target));
    let Some(distribution) = distribution else {
        let (bound, address) = bind_query(context, worker, query)?;
        let guard = Rc::clone(&context.guard);
        let socket = ListeningSocket::new(bound, UsedBy::AllWorkers, guard);
        let delivery = Delivery::Shared(Rc::new(socket));
        return Ok(insert(context, query, address, delivery));
    };
    let (bound, address) = start(context, worker, query, distribution.sockets.are_own)?;
    let id = insert(context, query, address, Delivery::Distributed(Box::new(distribution)));
    context.decide(|core| core.inherit(id));
    attend(context, id);
    acceptor::add(context, id, bound);
    Ok(id)
}

fn insert(
    context: &Context,
    query: &Query,
    address: Option<BoundAddress>,
    delivery: Delivery<EngineDriver>,
) -> ListenerId {
    context.decide(|core| {
        let id = core.next_listener();
        core.insert_listener(id, Listener::new(query.clone(), address, delivery));
        id
    })
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
    let (bound, address) = same.map_or_else(|| start(context, worker, query, has_own), Ok)?;
    context.decide(|core| core.rebind(id, query.clone(), address));
    acceptor::add(context, id, bound);
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
    context: &Context,
    worker: WorkerId,
    query: &Query,
    has_siblings: bool,
) -> io::Result<(Bound, Option<BoundAddress>)> {
    let (bound, address) = bind_query(context, worker, query)?;
    listen::start(&bound, query)?;
    if has_siblings {
        listen::allow_siblings(&bound)?;
    }
    Ok((bound, address))
}

/// Binds what the query of a worker asks for. Also returns the address that workers see. Descriptors of the engine are not for workers to name.
fn bind_query(
    context: &Context,
    worker: WorkerId,
    query: &Query,
) -> io::Result<(Bound, Option<BoundAddress>)> {
    if let Target::Descriptor { fd, .. } = query.target
        && context.ask(|core| core.owns(fd))
    {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    check_descriptors(context, worker, descriptors_at(&query.target))?;
    let is_contested =
        context.ask(|core| core.worker(worker).is_some_and(|worker| worker.is_other_user));
    rehearsal::bind(&context.run.borrow(), query, is_contested)
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
    let bound = match context.ask(|core| core.need_of_socket(listener, worker)) {
        None => return Ok(()),
        Some(Need::Sibling(socket, query)) => {
            check_descriptors(context, worker, 1)?;
            socket.sibling(&query)?
        }
        Some(Need::Anew(query, address)) => {
            // Clients know the port.
            let query = same_port(&query, address).unwrap_or(query);
            start(context, worker, &query, true)?.0
        }
    };
    acceptor::add(context, listener, bound);
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
