//! The primary whose place this one takes, as the engine's thread sees it: from the time when everything has been
//! offered until its last worker has ended.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    os::fd::{AsRawFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    task::{spawn_local, yield_now},
    time::{sleep, timeout_at},
};

use super::{
    super::{
        core::{
            driver::{Connection, Forwarded, Received},
            listener::Listener,
            parking::Left,
            supervise::report::{Cause, FailedPhase, Rejection, Report},
        },
        inherit::takeover::{self, Address, Takeover, name_of, send_failed},
        operator::sockets::OperatorSockets,
    },
    carried,
    context::Context,
    http,
    parked_task::attend,
    succession,
    worker_task::{receive, watch},
};
use crate::{
    error::{Error, Result},
    protocol::{
        ListenerId,
        control::{decode, encode},
        upgrade::{Taken, ToPredecessor, ToSuccessor},
    },
    sys::{
        failure::{Failure, SHORTAGE_PAUSE},
        lane, scarce_descriptors, watched,
    },
};

/// Messages that are read before other tasks get a turn.
const MESSAGES_A_TURN: usize = 64;

/// How soon a connection that no worker could take is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// How long a connection that was ended here stays open for its client to read the end.
const LINGER: Duration = Duration::from_secs(1);

/// The primary whose place this one takes.
pub(super) struct Predecessor {
    lane: Rc<OwnedFd>,
    who: takeover::Predecessor,
    /// What it serves.
    addresses: HashMap<ListenerId, Address>,
    /// Where operators ask, until this primary takes the place.
    sockets: RefCell<Option<OperatorSockets>>,
    /// How long connections may wait for a worker that serves their address.
    queue_timeout: Duration,
    /// Whether it was told that the workers are well.
    is_ready: Cell<bool>,
    /// Whether this primary speaks for the service.
    speaks: Cell<bool>,
    /// Whether it has broken the protocol since its place was taken.
    has_faulted: Cell<bool>,
}

/// What the lane brings next.
enum Next {
    Message(ToSuccessor, Option<OwnedFd>),
    /// The workers are well.
    Prepared,
    /// The predecessor is gone.
    End,
}

/// A connection that the predecessor has accepted.
#[derive(Debug, Clone, Copy)]
enum Kind {
    New {
        prefers_http: bool,
    },
    /// It waits for its client until then, if that has an end.
    Idle(Option<Instant>),
}

/// Begins to follow the predecessor. `sockets` is where operators ask once its place is taken.
pub(super) fn follow(
    context: &Rc<Context>,
    takeover: Takeover,
    sockets: OperatorSockets,
    queue_timeout: Duration,
) {
    let Takeover { lane, predecessor: who, addresses, counted, parent, .. } = takeover;
    if let Some(parent) = parent {
        context.primaries.borrow_mut().keep(parent);
    }
    for counted in &counted {
        carried::add(&context.counters, &context.board, counted);
    }
    let predecessor = Rc::new(Predecessor {
        lane: Rc::new(lane),
        who,
        addresses,
        sockets: RefCell::new(Some(sockets)),
        queue_timeout,
        is_ready: Cell::new(false),
        speaks: Cell::new(false),
        has_faulted: Cell::new(false),
    });
    *context.predecessor.borrow_mut() = Some(Rc::clone(&predecessor.lane));
    context.decide(|core| core.set_following(true));
    drop(spawn_local(attend_to(Rc::clone(context), predecessor)));
}

/// The program gives up before the place is taken, for this reason: tells the predecessor, and kills the workers.
pub(super) fn give_up(context: &Context, reason: &str) {
    if !context.ask(|core| core.stands_by()) {
        return;
    }
    if let Some(lane) = &*context.predecessor.borrow() {
        send_failed(lane, reason);
    }
    context.decide(|core| core.end_standby(Instant::now()));
}

async fn attend_to(context: Rc<Context>, predecessor: Rc<Predecessor>) {
    let lane = Rc::clone(&predecessor.lane);
    let watched = watch(lane, Interest::READABLE | Interest::WRITABLE).await;
    match &watched {
        Ok(lane) => Following { context: &context, predecessor: &predecessor, lane }.run().await,
        // It serves on, and this primary would not hear of the commit.
        Err(error) => give_up(&context, &error.to_string()),
    }
    predecessor.take_place(&context);
    predecessor.let_speak(&context);
    *context.predecessor.borrow_mut() = None;
    context.decide(|core| core.set_following(false));
    drop((watched, predecessor));
    // What was offered stays open until workers can have asked for it.
    while context.ask(|core| core.waits_for_workers()) {
        context.prepared.notified().await;
    }
    context.close_upgraded();
}

/// What it takes to follow the predecessor.
struct Following<'a> {
    context: &'a Rc<Context>,
    predecessor: &'a Rc<Predecessor>,
    lane: &'a AsyncFd<Rc<OwnedFd>>,
}

impl Following<'_> {
    /// Until the predecessor is done, or gone.
    async fn run(&self) {
        let mut messages = 0;
        loop {
            let done = match self.next().await {
                Ok(Next::Message(message, descriptor)) => self.hear(message, descriptor).await,
                Ok(Next::Prepared) => self.tell_prepared().await,
                Ok(Next::End) => return,
                Err(error) => Err(error),
            };
            match done {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => self.predecessor.fault(self.context, &error),
            }
            messages += 1;
            if messages % MESSAGES_A_TURN == 0 {
                yield_now().await;
            }
        }
    }

    async fn next(&self) -> Result<Next> {
        let packet = tokio::select! {
            biased;
            packet = receive(self.context, self.lane) => packet?,
            () = self.context.prepared.notified() => return Ok(Next::Prepared),
        };
        Ok(match packet {
            None => Next::End,
            Some(packet) => {
                let message = decode(&packet.bytes, packet.length)?;
                Next::Message(message, packet.descriptor)
            }
        })
    }

    async fn send(&self, message: &ToPredecessor) -> Result<()> {
        let packet = encode(message)?;
        loop {
            let send = |lane: &Rc<OwnedFd>| lane::send_packet(&**lane, &packet, None);
            match watched::when_ready(self.lane, Interest::WRITABLE, send).await {
                // If it is gone, the lane says so next.
                Ok(()) | Err(Failure::Gone | Failure::WouldBlock) => return Ok(()),
                Err(Failure::Shortage(_)) => sleep(SHORTAGE_PAUSE).await,
                Err(Failure::Fault(fault)) => return Err(fault.into()),
            }
        }
    }

    async fn tell_prepared(&self) -> Result<bool> {
        if self.context.ask(|core| core.stands_by() && !core.may_take_place()) {
            send_failed(&self.predecessor.lane, "the new primary stops");
        }
        if !self.context.ask(|core| core.is_prepared()) {
            return Ok(false);
        }
        self.predecessor.is_ready.set(true);
        let takes = self.predecessor.taken(self.context);
        self.send(&ToPredecessor::Ready { takes }).await?;
        Ok(false)
    }

    /// Returns whether that was the last message.
    async fn hear(&self, message: ToSuccessor, descriptor: Option<OwnedFd>) -> Result<bool> {
        let Self { context, predecessor, .. } = *self;
        let (stands_by, is_prepared) = context.ask(|core| (core.stands_by(), core.is_prepared()));
        let misplaced = |message: &ToSuccessor| Err(Error::Predecessor(name_of(message)));
        match (message, descriptor) {
            (ToSuccessor::Counted(counted), None) => {
                carried::add(&context.counters, &context.board, &counted);
            }
            (ToSuccessor::Commit, None) if stands_by && is_prepared => {
                predecessor.take_place(context);
                self.send(&ToPredecessor::Serving).await?;
            }
            // It has ceased to be prepared, which the other is about to hear.
            (ToSuccessor::Commit, None) if stands_by && predecessor.is_ready.get() => {}
            (message, _) if stands_by => return misplaced(&message),
            (ToSuccessor::Main, None) => predecessor.let_speak(context),
            (ToSuccessor::Connection { listener, prefers_http }, Some(connection)) => {
                predecessor.receive(context, listener, connection, Kind::New { prefers_http });
            }
            (ToSuccessor::Parked { listener, left }, Some(connection)) => {
                let left = left.map(|left| Duration::from_millis(left.into()));
                let until = left.and_then(|left| Instant::now().checked_add(left));
                predecessor.receive(context, listener, connection, Kind::Idle(until));
            }
            // Its descriptor was lost: another thread took the last number.
            (ToSuccessor::Connection { .. } | ToSuccessor::Parked { .. }, None) => {}
            (ToSuccessor::Done, None) => return Ok(true),
            (message, _) => return misplaced(&message),
        }
        Ok(false)
    }
}

impl Predecessor {
    /// What it serves and workers of this primary serve as well.
    fn taken(&self, context: &Context) -> Vec<Taken> {
        let taken = self.addresses.keys().filter_map(|&listener| {
            let heir = self.heir_of(context, listener)?;
            let is_http = context.ask(|core| core.listener(heir).is_some_and(Listener::has_taker));
            Some(Taken { listener, is_http })
        });
        let mut taken: Vec<_> = taken.collect();
        taken.sort_unstable_by_key(|it| it.listener);
        taken
    }

    /// The listener of this primary that serves the address of this listener.
    fn heir_of(&self, context: &Context, listener: ListenerId) -> Option<ListenerId> {
        let adopted = context.inherited.borrow().heir_of(listener);
        let address = self.addresses.get(&listener)?;
        context.ask(|core| {
            let adopted = adopted.filter(|it| core.is_alive(*it));
            adopted.or_else(|| core.heir_of(&address.query, address.bound.as_ref()))
        })
    }

    /// This primary serves from now on, unless it does already, or has failed.
    fn take_place(&self, context: &Rc<Context>) {
        if !context.ask(|core| core.may_take_place()) {
            return;
        }
        let takeover::Predecessor { pid, version, node, .. } = self.who.clone();
        context.tell(Report::TakenOver { pid, version, node });
        context.own_inherited();
        context.decide(|core| core.take_place(Instant::now()));
        for (listener, worker) in context.ask(|core| core.lacking_sockets()) {
            context.replace_socket(listener, worker);
        }
    }

    /// This primary may tell operators and the service manager what happens: it has been told all that the other one
    /// has shown.
    fn let_speak(&self, context: &Rc<Context>) {
        if context.ask(|core| core.stands_by()) || self.speaks.replace(true) {
            return;
        }
        succession::take_place(context);
        if let Some(store) = &*context.store.borrow() {
            store.speak();
        }
        if let Some(mut sockets) = self.sockets.borrow_mut().take() {
            sockets.own();
            http::open(context, sockets);
        }
    }

    /// The predecessor broke the protocol. Before its place is taken, it keeps that, and this primary fails, once;
    /// afterwards this primary serves on, and warns once.
    fn fault(&self, context: &Context, error: &Error) {
        let message = format!("invalid data from the primary before this one: {error}");
        context.log().write(format_args!("{message}"));
        if !context.ask(|core| core.stands_by()) {
            if !self.has_faulted.replace(true) {
                context.tell(Report::PredecessorFaulted(message));
            }
            return;
        }
        if !context.ask(|core| core.may_take_place()) {
            return;
        }
        send_failed(&self.lane, &message);
        context.decide(|core| core.end_standby(Instant::now()));
        let cause = Cause::Predecessor(message);
        let rejection = Rejection { cause, phase: FailedPhase::Start, worker: None, slot: None };
        context.tell(Report::StandbyFailed(rejection));
    }

    /// A connection has come. What can't go to its listener now is tried again for a while.
    fn receive(
        self: &Rc<Self>,
        context: &Rc<Context>,
        listener: ListenerId,
        connection: OwnedFd,
        kind: Kind,
    ) {
        let refused = self.put(context, listener, connection, kind);
        // The descriptor may be free again.
        context.reserve.borrow_mut().refill();
        if let Some(connection) = refused {
            let (this, context) = (Rc::clone(self), Rc::clone(context));
            drop(spawn_local(async move {
                this.put_later(&context, listener, connection, kind).await;
            }));
        }
    }

    /// Gives a connection to the listener of its address. Returns it where there is none, or no worker that takes it.
    fn put(
        &self,
        context: &Rc<Context>,
        listener: ListenerId,
        connection: OwnedFd,
        kind: Kind,
    ) -> Option<OwnedFd> {
        let Some(heir) = self.heir_of(context, listener) else { return Some(connection) };
        let connection = pass_on(context, Some(heir), connection, kind)?;
        let now = Instant::now();
        let distributes = context.ask(|core| core.distributes(heir));
        match kind {
            Kind::New { prefers_http } if distributes => {
                context.decide(|core| {
                    core.inherit_connection(heir, connection, prefers_http, now);
                });
                None
            }
            Kind::Idle(until) if distributes => {
                let has_room = connection.as_raw_fd() < scarce_descriptors();
                let time = until.map(|until| until.saturating_duration_since(now));
                let left = Left { time, timeout: self.queue_timeout };
                context.decide(|core| core.keep_parked(heir, connection, left, has_room, now));
                attend(context, heir);
                None
            }
            Kind::New { prefers_http } => {
                context.decide(|core| core.hand_to_sharer(heir, connection, prefers_http, now))
            }
            // Workers take connections only when their clients have sent something.
            Kind::Idle(_) if connection.received() == Received::Nothing => Some(connection),
            Kind::Idle(_) => {
                context.decide(|core| core.hand_to_sharer(heir, connection, true, now))
            }
        }
    }

    /// Tries again until no worker is to be expected any more, or the client goes.
    async fn put_later(
        &self,
        context: &Rc<Context>,
        listener: ListenerId,
        connection: OwnedFd,
        kind: Kind,
    ) {
        let deadline = Instant::now() + self.queue_timeout;
        let mut refused = connection;
        let mut heir = None;
        loop {
            sleep(RETRY).await;
            let mut end = Some(deadline);
            let now_heir = self.heir_of(context, listener);
            // Nothing tells again that another primary serves.
            if let Kind::Idle(until) = kind
                && now_heir.is_some_and(|it| !context.ask(|core| core.is_handed_over(it)))
            {
                end = until;
                refused = until_readable(context, refused, until).await;
            }
            heir = now_heir.or(heir);
            match pass_on(context, heir, refused, kind) {
                None => return,
                Some(again) => refused = again,
            }
            if refused.received() == Received::End {
                break;
            }
            match self.put(context, listener, refused, kind) {
                None => return,
                Some(again) => refused = again,
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        refused.end();
        sleep(LINGER).await;
        drop(refused);
        context.reserve.borrow_mut().refill();
    }
}

/// Sends a connection of this listener to the primary that has taken the place of this one, if that serves it. Returns
/// it otherwise.
fn pass_on(
    context: &Context,
    heir: Option<ListenerId>,
    connection: OwnedFd,
    kind: Kind,
) -> Option<OwnedFd> {
    let Some(heir) = heir.filter(|it| context.ask(|core| core.is_handed_over(*it))) else {
        return Some(connection);
    };
    let succession = context.succession.borrow();
    let Some(successor) = succession.successor() else { return Some(connection) };
    let how = match kind {
        Kind::New { prefers_http } => Forwarded::New { prefers_http },
        Kind::Idle(until) => Forwarded::Idle {
            left: until.map(|until| until.saturating_duration_since(Instant::now())),
        },
    };
    successor.forward(heir, connection, how);
    None
}

/// Waits until the client of a connection has sent something, or gone, or the time is over, or another primary serves.
async fn until_readable(context: &Context, connection: OwnedFd, until: Option<Instant>) -> OwnedFd {
    let watched = match watched::watch(connection, Interest::READABLE) {
        Ok(watched) => watched,
        Err((connection, _)) => return connection,
    };
    let readable = async {
        // It fails only when the runtime ends.
        let _ = watched.readable().await;
    };
    let in_time = async {
        match until {
            None => readable.await,
            // Either way it is looked at.
            Some(until) => _ = timeout_at(until.into(), readable).await,
        }
    };
    tokio::select! {
        () = in_time => {}
        () = context.handing_over.notified() => {}
    }
    watched.into_inner()
}
