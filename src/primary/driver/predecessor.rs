//! The primary whose place this one takes, as the engine's thread sees it: from the time when everything has been
//! offered until its last worker has ended.

mod connections;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    task::{spawn_local, yield_now},
    time::sleep,
};

use super::{
    super::{
        core::{
            listener::Listener,
            supervise::report::{Cause, FailedPhase, Rejection, Report},
        },
        inherit::takeover::{self, Address, Takeover, name_of, send_failed},
        operator::sockets::OperatorSockets,
    },
    carried,
    context::Context,
    http, succession,
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
        lane, watched,
    },
};

/// Messages that are read before other tasks get a turn.
const MESSAGES_A_TURN: usize = 64;

/// The primary whose place this one takes.
pub(super) struct Predecessor {
    lane: Rc<OwnedFd>,
    who: takeover::Predecessor,
    /// What it has offered.
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
    /// What it has offered and workers of this primary serve.
    fn taken(&self, context: &Context) -> Vec<Taken> {
        let taken = self.addresses.keys().filter_map(|&listener| {
            let target = self.listener_for(context, listener)?;
            let is_http =
                context.ask(|core| core.listener(target).is_some_and(Listener::has_taker));
            Some(Taken { listener, is_http })
        });
        let mut taken: Vec<_> = taken.collect();
        taken.sort_unstable_by_key(|it| it.listener);
        taken
    }

    /// The listener of this primary that serves the address of this listener.
    fn listener_for(&self, context: &Context, listener: ListenerId) -> Option<ListenerId> {
        let adopted = context.inherited.borrow().listener_for(listener);
        let address = self.addresses.get(&listener)?;
        context.ask(|core| {
            let adopted = adopted.filter(|it| core.is_alive(*it));
            adopted.or_else(|| core.listener_for(&address.query, address.bound.as_ref()))
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
}
